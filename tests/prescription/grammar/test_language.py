"""Sentences are read with the meaning that they have in reports, and a written prescription reads back as itself."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgesynthnet.anatomy.aha import SHORT_AXIS_SEGMENTS
from lgesynthnet.prescription.grammar.language import (
    LONGEST_TEXT,
    NO_ENHANCEMENT,
    every_caption_word,
    prescribe,
    read_sentence,
    write_caption,
    write_sentence,
)
from lgesynthnet.prescription.grammar.vocabulary import EXTENT_BINS
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription
from lgesynthnet.records import Level

ISCHAEMIC = (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL)


@st.composite
def prescriptions(draw):
    """Any valid prescription, including the smallest floats."""
    pattern = draw(st.sampled_from(Pattern))
    low, high = {Pattern.TRANSMURAL: (0.7500001, 1.0), Pattern.SUBENDOCARDIAL: (5e-324, 0.75)}.get(pattern, (2e-4, 1.0))
    share = draw(st.floats(low, high) | st.integers(16 if pattern is Pattern.TRANSMURAL else 1, int(high * 20)).map(lambda i: i / 20))
    depth = None
    if draw(st.booleans()):
        inner = draw(st.floats(0, 1 - share))
        jitter = draw(st.floats(-9e-4, 9e-4)) if pattern is not Pattern.PATCHY else draw(st.floats(0, 1 - share))
        outer = min(1.0, inner + share + jitter)
        depth = (inner, outer) if outer > inner else None
    starts, extents = st.floats(0, 360, exclude_max=True), st.floats(0, 360, exclude_min=True)
    return ScarPrescription(
        segments=draw(st.frozensets(st.sampled_from(sorted(SHORT_AXIS_SEGMENTS)), min_size=1)),
        pattern=pattern,
        transmurality=share,
        **({"depth": depth} if depth else {}),
        arc=draw(st.none() | st.builds(lambda start, extent: Arc(start_deg=start, extent_deg=extent), starts, extents)),
        irregularity=draw(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1)),
        mvo_share=draw(st.sampled_from([0.0, 0.2]) | st.floats(0, 0.6)) if pattern in ISCHAEMIC else 0.0,
        intensity_percentile=draw(st.integers(0, 100).map(float) | st.floats(0, 100)),
        seed=draw(st.integers(0, 2**63 - 1)),
    )


def drawn(rng: random.Random) -> ScarPrescription:
    """Prescriptions like those of a prior: rounded and unrounded numbers, one level or several."""
    pattern = rng.choice(list(Pattern))
    low, high = {Pattern.TRANSMURAL: (76, 100), Pattern.SUBENDOCARDIAL: (5, 75)}.get(pattern, (5, 100))
    digits = rng.choice([2, 3, 4, 16])
    share = round(rng.uniform(low, high) / 100, digits)
    start = rng.uniform(0, 1 - share)
    depth = (start, min(1.0, start + share)) if rng.random() < 0.3 else None
    return ScarPrescription(
        segments=frozenset(rng.sample(range(1, 17), rng.randint(1, 16))),
        pattern=pattern,
        transmurality=share,
        **({"depth": depth} if depth else {}),
        arc=Arc(start_deg=rng.uniform(0, 359), extent_deg=round(rng.uniform(5, 360), digits)) if rng.random() < 0.5 else None,
        irregularity=round(rng.random(), digits),
        mvo_share=round(rng.uniform(0, 0.6), digits) if pattern in ISCHAEMIC else 0.0,
        intensity_percentile=round(rng.uniform(0, 100), digits - 2),
        seed=rng.randrange(2**63),
    )


@settings(max_examples=400, deadline=None, derandomize=True)
@given(prescriptions())
def test_every_valid_prescription_reads_back_as_itself(prescription):
    sentence = write_sentence(prescription)
    assert len(sentence) <= LONGEST_TEXT
    assert prescribe(sentence) == prescription
    assert prescribe(sentence.upper()) == prescription


def read_back_drawn(count: int) -> None:
    rng = random.Random(7)
    for _ in range(count):
        prescription = drawn(rng)
        assert prescribe(write_sentence(prescription)) == prescription


def read_back_sets_of_segments() -> None:
    for bits in range(1, 2**16, 5):  # every fifth: 13 107 sets
        segments = frozenset(s for s in range(1, 17) if bits >> (s - 1) & 1)
        prescription = ScarPrescription(segments=segments, pattern=Pattern.MID_WALL, transmurality=0.35)
        assert prescribe(write_caption(prescription)).segments == segments


@pytest.mark.parametrize("check", ["read_back_drawn(10_000)", "read_back_sets_of_segments()"])
def test_at_full_speed(check):
    """Runs in a separate process, because the type checks of this one make each sentence thirty times slower."""
    script = f"import test_language; test_language.{check}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_language_needs_none_of_the_heavy_packages():
    heavy = "{'torch', 'scipy', 'skimage', 'monai', 'matplotlib'}"
    script = f"import sys, lgesynthnet.prescription.grammar.language; print(*{heavy} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("words", "segments"),
    [
        ("posteroseptal wall", {3, 9}),
        ("postero-septal wall", {3, 9}),
        ("inferior septum", {3, 9}),
        ("Antero-Septal wall", {2, 8}),
        ("anterior septum", {2, 8}),
        ("infero-lateral wall", {5, 11}),
        ("posterolateral wall", {5, 11}),
        ("anterolateral wall", {6, 12}),
        ("lateral wall", {5, 6, 11, 12, 16}),
        ("septum", {2, 3, 8, 9, 14}),
        ("septal wall", {2, 3, 8, 9, 14}),
        ("anterior wall", {1, 7, 13}),
        ("inferior wall", {4, 10, 15}),
        ("posterior wall", {4, 10, 15}),
        ("anterior, septal walls", {1, 7, 13, 2, 3, 8, 9, 14}),
        ("apical septal wall", {14}),
        ("mid anteroseptal", {8}),
        ("mid-ventricular inferior wall", {10}),
        ("midventricular inferior wall", {10}),
        ("mid septum", {8, 9}),
        ("basal to mid inferolateral", {5, 11}),
        ("basal and mid inferolateral", {5, 11}),
        ("basal-mid inferolateral", {5, 11}),
        ("basal to apical inferior wall", {4, 10, 15}),
        ("basal and apical inferior wall", {4, 15}),
        ("inferior wall from base to apex", {4, 10, 15}),
        ("basal third of the inferior wall", {4}),
        ("inferior wall at the mid level", {10}),
        ("inferior wall, mid", {10}),
        ("inferior wall at the mid level and anterior wall at the basal level", {10, 1}),
        ("basal anterior and mid inferior and inferolateral walls", {1, 10, 11}),
        ("inferior and basal anterior walls", {4, 10, 15, 1}),
        ("LAD territory", {1, 2, 7, 8, 13, 14}),
        ("LAD territory at the mid level", {7, 8}),
        ("distal LAD territory", {13, 14}),
        ("IVS", {2, 3, 8, 9, 14}),
        ("anterior interventricular septum", {2, 8}),
        ("anterior and inferior septum", {2, 3, 8, 9}),
        ("anterior wall and inferior septum", {1, 7, 13, 3, 9}),
        ("antero- and inferolateral walls", {5, 6, 11, 12}),
        ("lateral free wall", {5, 6, 11, 12, 16}),
        ("basal inferior and anteroapical walls", {4, 13}),
        ("all apical segments", {13, 14, 15, 16}),
        ("basal inferior wall (RCA territory)", {4}),
        ("basal inferior wall (segment 4)", {4}),
        ("mid anterior (segment 7) and mid anteroseptal (segment 8) walls", {7, 8}),
        ("RCA territory and lateral wall", {3, 4, 9, 10, 15, 5, 6, 11, 12, 16}),
        ("inferior wall (basal) and septum (mid)", {4, 8, 9}),
        ("basal to mid inferior wall extending into the septum", {4, 10, 2, 3, 8, 9}),
        ("basal inferior wall, consistent with an inferior infarct", {4}),
        ("septum at the level of the mid ventricle", {8, 9}),
        ("left anterior descending territory", {1, 2, 7, 8, 13, 14}),
        ("RCA territory", {3, 4, 9, 10, 15}),
        ("right coronary artery territory", {3, 4, 9, 10, 15}),
        ("Cx territory", {5, 6, 11, 12, 16}),
        ("territory of the circumflex", {5, 6, 11, 12, 16}),
        ("AHA segments 3, 9 and 10", {3, 9, 10}),
        ("segments 7-9", {7, 8, 9}),
        ("segments 7–9 and 13 to 15", {7, 8, 9, 13, 14, 15}),
        ("segment 4", {4}),
        ("segment 4 and the apical septum", {4, 14}),
        ("mid segments 8 and 9", {8, 9}),
        ("mid level, circumferential", {7, 8, 9, 10, 11, 12}),
        ("whole apical circumference", {13, 14, 15, 16}),
    ],
)
def test_walls_levels_and_territories(words, segments):
    assert prescribe(f"Transmural enhancement in the {words}") == ScarPrescription(
        segments=frozenset(segments), pattern=Pattern.TRANSMURAL, transmurality=1.0
    )


@pytest.mark.parametrize(
    ("words", "pattern", "share"),
    [
        ("Transmural scar", Pattern.TRANSMURAL, 1.0),
        ("full-thickness infarct", Pattern.TRANSMURAL, 1.0),
        ("Full thickness infarction", Pattern.TRANSMURAL, 1.0),
        ("subendocardial LGE", Pattern.SUBENDOCARDIAL, 0.5),
        ("sub-endocardial LGE", Pattern.SUBENDOCARDIAL, 0.5),
        ("endocardial hyperenhancement", Pattern.SUBENDOCARDIAL, 0.5),
        ("non-transmural infarct", Pattern.SUBENDOCARDIAL, 0.5),
        ("mid-wall fibrosis", Pattern.MID_WALL, 0.35),
        ("midwall fibrosis", Pattern.MID_WALL, 0.35),
        ("mid-myocardial fibrosis", Pattern.MID_WALL, 0.35),
        ("intramural fibrosis", Pattern.MID_WALL, 0.35),
        ("subepicardial late gadolinium enhancement", Pattern.SUBEPICARDIAL, 0.4),
        ("epicardial enhancement", Pattern.SUBEPICARDIAL, 0.4),
        ("patchy enhancement", Pattern.PATCHY, 0.4),
        ("focal patches of fibrosis", Pattern.PATCHY, 0.4),
        ("75 % transmural enhancement", Pattern.SUBENDOCARDIAL, 0.75),
        ("50% transmurality", Pattern.SUBENDOCARDIAL, 0.5),
        ("infarct with a transmural extent of 80 %", Pattern.TRANSMURAL, 0.8),
        ("subendocardial scar involving 40 percent of the wall thickness", Pattern.SUBENDOCARDIAL, 0.4),
        ("scar of >75 %", Pattern.TRANSMURAL, 0.9),
        ("more than 75 per cent transmural scar", Pattern.TRANSMURAL, 0.9),
        ("scar, 1-25 %,", Pattern.SUBENDOCARDIAL, 0.15),
        ("scar, 26-50 %,", Pattern.SUBENDOCARDIAL, 0.4),
        ("scar, 51 to 75 %,", Pattern.SUBENDOCARDIAL, 0.65),
        ("scar, between 76 and 100 %,", Pattern.TRANSMURAL, 0.9),
        ("scar of less than 25 %", Pattern.SUBENDOCARDIAL, 0.15),
        ("transmural scar, more than 50 %,", Pattern.TRANSMURAL, 0.9),
        ("mid-wall scar, 37.25 %,", Pattern.MID_WALL, 0.3725),
        ("transmural extent of infarction 51-75 %", Pattern.SUBENDOCARDIAL, 0.65),
        ("50-75 % transmural LGE", Pattern.SUBENDOCARDIAL, 0.65),
        ("LGE of approx. 50 % of the myocardial thickness", Pattern.SUBENDOCARDIAL, 0.5),
        ("mesocardial LGE", Pattern.MID_WALL, 0.35),
    ],
)
def test_patterns_and_extents(words, pattern, share):
    assert prescribe(f"{words} in the mid inferior wall") == ScarPrescription(
        segments=frozenset({10}), pattern=pattern, transmurality=share
    )


@pytest.mark.parametrize(
    ("words", "segments"),
    [
        ("Fibrosis at the RV insertion points", {2, 3, 8, 9}),
        ("Fibrosis at the right ventricular insertion points", {2, 3, 8, 9}),
        ("Fibrosis at the anterior RV insertion point", {2, 8}),
        ("Fibrosis at the inferior RV insertion point", {3, 9}),
        ("Fibrosis at the mid anterior and inferior RV insertion points", {8, 9}),
        ("Fibrosis at the RV insertion points of the basal level", {2, 3}),
        ("RV-insertion enhancement in the mid inferoseptal wall", {9}),
    ],
)
def test_insertion_points_are_the_septal_side_of_the_insertions(words, segments):
    assert prescribe(words) == ScarPrescription(segments=frozenset(segments), pattern=Pattern.RV_INSERTION, transmurality=0.4)


@pytest.mark.parametrize(
    ("words", "pattern", "segments"),
    [
        ("Patchy LGE at the RV insertion points", Pattern.PATCHY, {2, 3, 8, 9}),
        ("Patchy LGE at the mid inferior RV insertion point", Pattern.PATCHY, {9}),
        ("Mid-wall LGE at the RV insertion points", Pattern.RV_INSERTION, {2, 3, 8, 9}),
        ("Fibrosis at the insertion points", Pattern.RV_INSERTION, {2, 3, 8, 9}),
    ],
)
def test_a_scar_at_the_insertions_is_patchy_where_it_is_called_so(words, pattern, segments):
    prescription = ScarPrescription(segments=frozenset(segments), pattern=pattern, transmurality=0.4)
    assert prescribe(words) == prescription
    assert prescribe(write_sentence(prescription)) == prescription


@pytest.mark.parametrize(
    ("words", "note"),
    [
        ("Transmural scar in the posterior wall", "'posterior': read as the inferior wall (segments 4, 10 and 15); write 'inferolateral'"),
        ("Transmural scar in the distal LAD territory", "'distal LAD': read as the apical segments of the LAD, 13, 14"),
        ("Mild, linear mid-wall scar in the septum", "'mild', 'linear': read, but without effect"),
        ("Old inferior infarct, transmural scar in the basal inferior wall", "'inferior': read as the name of the infarct"),
        ("Transmural scar in the inferior wall (RCA territory)", "'RCA': read as the name of the infarct"),
        ("Patchy scar at the inferior RV insertion point", "read as the whole width of segments 3, 9"),
    ],
)
def test_a_word_that_may_mean_two_things_has_a_note(words, note):
    reading = read_sentence(words)
    assert reading.prescription == prescribe(words)
    assert len(reading.notes) == 1
    assert note in reading.notes[0]


@pytest.mark.parametrize(
    "words", ["Transmural scar in the posteroseptal wall", "Subendocardial scar in the LAD territory, 50 % transmural"]
)
def test_a_plain_sentence_has_no_note(words):
    assert read_sentence(words).notes == ()


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("with microvascular obstruction", {"mvo_share": 0.2}),
        ("with no-reflow", {"mvo_share": 0.2}),
        ("with microvascular obstruction (MVO)", {"mvo_share": 0.2}),
        ("MVO in 15 % of the scar", {"mvo_share": 0.15}),
        ("with 15 % MVO", {"mvo_share": 0.15}),
        ("with MVO (15 %)", {"mvo_share": 0.15}),
        ("with MVO involving 15 % of the infarct", {"mvo_share": 0.15}),
        ("with a hypointense core", {"mvo_share": 0.2}),
        ("w/ MVO", {"mvo_share": 0.2}),
        ("w/o MVO", {}),
        ("without evidence of MVO", {}),
        ("MVO, 80 % transmural", {"mvo_share": 0.2, "transmurality": 0.8}),
        ("MVO 80 % transmural", {"mvo_share": 0.2, "transmurality": 0.8}),
        ("without MVO", {}),
        ("no microvascular obstruction", {}),
        ("smooth border", {"irregularity": 0.0}),
        ("slightly irregular border", {"irregularity": 0.25}),
        ("irregular border", {"irregularity": 0.5}),
        ("with very irregular edges", {"irregularity": 0.75}),
        ("ragged", {"irregularity": 1.0}),
        ("border irregularity 37 %", {"irregularity": 0.37}),
        ("bright", {"intensity_percentile": 80.0}),
        ("faint", {"intensity_percentile": 20.0}),
        ("at the 60th percentile of brightness", {"intensity_percentile": 60.0}),
        ("between 130 and 220 degrees", {"arc": Arc(start_deg=130, extent_deg=90)}),
        ("from 350° to 20°", {"arc": Arc(start_deg=350, extent_deg=30)}),
        ("over 360 degrees from 10 degrees", {"arc": Arc(start_deg=10, extent_deg=360)}),
        ("at a wall depth of 10 to 90 %", {"depth": (0.1, 0.9), "transmurality": 0.8}),
        ("seed 12.", {"seed": 12}),
    ],
)
def test_everything_else_that_can_be_said(words, fields):
    plain = {"segments": frozenset({2, 3, 8, 9, 14}), "pattern": Pattern.TRANSMURAL, "transmurality": 1.0}
    assert prescribe(f"Transmural scar in the septum, {words}") == ScarPrescription(**{**plain, **fields})


def test_an_arc_without_walls_names_the_walls_it_touches():
    assert prescribe("Transmural scar between 130 and 190 degrees at the mid level").segments == {8, 9}
    assert prescribe("Transmural scar between 350 and 20 degrees").segments == {5, 6, 11, 12, 16}


def test_round_numbers_are_written_as_people_write_them():
    prescription = ScarPrescription(
        segments=frozenset({8, 9}),
        pattern=Pattern.SUBENDOCARDIAL,
        transmurality=0.35,
        mvo_share=0.15,
        irregularity=1.0,
        intensity_percentile=61,
        seed=12,
    )
    assert write_sentence(prescription) == (
        "Subendocardial enhancement (35 % transmural) in the mid anteroseptal and inferoseptal walls, "
        "with microvascular obstruction in 15 % of the scar, ragged border, at the 61st percentile of brightness, seed 12"
    )


def test_defaults_are_left_out():
    assert write_sentence(ScarPrescription(segments=frozenset({3}), pattern=Pattern.TRANSMURAL, transmurality=1.0)) == (
        "Transmural enhancement in the basal inferoseptal wall"
    )


def test_captions_are_the_short_sentences_of_reports():
    infarct = ScarPrescription(segments=frozenset({1, 7, 8, 13}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.37, mvo_share=0.1, seed=5)
    assert write_caption(infarct, Level.MID) == (
        "Subendocardial enhancement (26-50 % transmural) in the mid anterior and anteroseptal walls with microvascular obstruction"
    )
    assert write_caption(infarct).startswith(
        "Subendocardial enhancement (26-50 % transmural) in the basal and apical anterior, and mid anterior and "
    )
    transmural = ScarPrescription(segments=frozenset({3, 9}), pattern=Pattern.TRANSMURAL, transmurality=0.9)
    assert write_caption(transmural, Level.BASAL) == "Transmural enhancement in the basal inferoseptal wall"
    assert write_caption(transmural, Level.APICAL) == NO_ENHANCEMENT


@settings(max_examples=200, deadline=None, derandomize=True)
@given(prescriptions(), st.sampled_from([None, *Level]))
def test_a_caption_tells_pattern_walls_extent_and_obstruction(prescription, level):
    shown = prescription.segments if level is None else prescription.at(level)
    if not shown:
        assert write_caption(prescription, level) == NO_ENHANCEMENT
        return
    read = prescribe(write_caption(prescription, level))
    bins = [next(low for low, high in EXTENT_BINS if p.transmurality <= high / 100) for p in (read, prescription)]
    assert (read.segments, read.pattern, bool(read.mvo_share)) == (shown, prescription.pattern, prescription.mvo_share > 0)
    assert bins[0] == bins[1]


def test_captions_use_every_word_of_their_vocabulary_and_no_other():
    rng = random.Random(3)
    used = set()
    for _ in range(300):
        prescription = drawn(rng)
        for level in (None, *Level):
            used |= set(re.findall(r"[^\W_]+|[^\w\s]", write_caption(prescription, level).lower()))
    whole = ScarPrescription(segments=frozenset(range(1, 13)), pattern=Pattern.MID_WALL, transmurality=0.2)
    used |= set(re.findall(r"[^\W_]+|[^\w\s]", write_caption(whole).lower()))
    assert used == every_caption_word()
