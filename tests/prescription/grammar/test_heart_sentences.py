"""Sentences about whole hearts: where the scar and its core end is read with the number, written back, and refused where it is unclear."""

import csv
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from heart_strategies import hearts_like, stretches
from hypothesis import given, settings
from hypothesis import strategies as st
from test_language import prescriptions

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.edits import NoEnhancement, OwnScar
from lgesynthnet.prescription.grammar.hearts import HEART_FORMS
from lgesynthnet.prescription.grammar.json_lines import read_heart_prescriptions
from lgesynthnet.prescription.grammar.language import (
    LONGEST_TEXT,
    list_words,
    prescribe,
    read_heart_sentence,
    read_sentence,
    write_heart_sentence,
)
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.terms import Edit

REPORTS = [row["sentence"] for row in csv.DictReader(Path(__file__).with_name("report_sentences.csv").read_text("utf-8").splitlines())]
BASAL, MID, APICAL = (0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0)
LAD = {1, 2, 7, 8, 13, 14}
GOOD = {"segments": [7, 8, 13, 14], "pattern": "transmural", "transmurality": 1.0}


def heart(text: str) -> HeartScar:
    prescription = read_heart_sentence(text).prescription
    assert isinstance(prescription, HeartScar)
    return prescription


@pytest.mark.parametrize(
    ("text", "segments", "extent"),
    [
        ("Transmural LAD infarct from mid to apex with microvascular obstruction", {7, 8, 13, 14}, (MID[0], 1)),
        ("basal to mid septal mid-wall stripe", {2, 3, 8, 9}, (0, MID[1])),
        ("Subendocardial RCA infarct, base to mid", {3, 4, 9, 10}, (0, MID[1])),
        ("transmural infarct of the LAD territory from the mid ventricle to the apex", {7, 8, 13, 14}, (MID[0], 1)),
        ("subepicardial enhancement in the basal to mid inferolateral wall", {5, 11}, (0, MID[1])),
        ("Mid-wall septal stripe from base to apex", {2, 3, 8, 9, 14}, (0, 1)),
        ("Transmural infarct of the apical anterior wall", {13}, APICAL),
        ("From the mid-ventricle to the apex, transmural LAD infarct", {7, 8, 13, 14}, (MID[0], 1)),
        ("Transmural LAD infarct from the apex to mid", {7, 8, 13, 14}, (MID[0], 1)),
        ("Transmural LAD infarct from apex to the mid third, seed 3", {7, 8, 13, 14}, (MID[0], 1)),
        ("Transmural LAD infarct, apex to base", LAD, (0, 1)),
        ("Transmural scar in segments 7 and 13 from mid to apex", {7, 13}, (MID[0], 1)),
        ("Transmural infarct of the mid to apical anterior wall from mid to apex", {7, 13}, (MID[0], 1)),
        ("Transmural LAD infarct from 30 to 100 % of the way from base to apex", LAD, (0.3, 1)),
        ("Transmural LAD infarct from 40 to 100 % of the way from the base to the apex", {7, 8, 13, 14}, (0.4, 1)),
        ("Transmural LAD infarct from 33 to 67 percent of the way", {7, 8}, (0.33, 0.67)),
        ("Transmural LAD infarct between 30 % and 60 % of the way from base to apex", {1, 2, 7, 8}, (0.3, 0.6)),
        ("Transmural LAD infarct, 45.5–60 % of the way", {7, 8}, (0.455, 0.6)),
        ("Transmural LAD infarct from 60 to 30 % of the way", {1, 2, 7, 8}, (0.3, 0.6)),
        ("Transmural LAD infarct from 0 to 70 % of the way from apex to base", LAD, (0.3, 1)),
        ("Transmural inferolateral infarct from 40 to 60 % of the way", {11}, (0.4, 0.6)),
        ("Transmural scar of the basal to apical anterior wall from 20 to 90 % of the way", {1, 7, 13}, (0.2, 0.9)),
        ("Transmural scar of segments 1 and 7 from 20 to 60 % of the way", {1, 7}, (0.2, 0.6)),
        ("Mid-wall septal scar from 40 to 60 % of the way", {8, 9}, (0.4, 0.6)),  # "mid" of "mid-wall" is no level
        ("Transmural scar between 130 and 190 degrees from 40 to 60 % of the way, seed 3", {8, 9}, (0.4, 0.6)),
    ],
)
def test_where_a_scar_begins_and_ends(text, segments, extent):
    scar = heart(text)
    assert scar.segments == segments
    assert scar.ends == pytest.approx(extent, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "segments", "extent", "share", "core"),
    [
        (
            "transmural LAD infarct from 30 to 100 % of the way from base to apex, "
            "with microvascular obstruction from 45 to 70 % of the way",
            LAD,
            (0.3, 1),
            0.2,
            (0.45, 0.7),
        ),
        ("Transmural LAD infarct from mid to apex with MVO from 45 to 70 % of the way", {7, 8, 13, 14}, (MID[0], 1), 0.2, (0.45, 0.7)),
        ("Transmural LAD infarct, mid to apex, with MVO (15 %) (45 to 70 % of the way)", {7, 8, 13, 14}, (MID[0], 1), 0.15, (0.45, 0.7)),
        ("Transmural LAD infarct with MVO in 30 % of the infarct from 45 to 70 % of the way", LAD, (0, 1), 0.3, (0.45, 0.7)),
        ("Transmural LAD infarct with MVO, from 45 to 70 % of the way", {7, 8, 13, 14}, (0.45, 0.7), 0.2, None),
        ("Transmural LAD infarct from base to apex with no-reflow from mid to apex", LAD, (0, 1), 0.2, (MID[0], 1)),
        ("Transmural LAD infarct from 20 to 90 % of the way with a dark core, seed 3", LAD, (0.2, 0.9), 0.2, None),
        ("Transmural LAD infarct with no-reflow from base to mid, from base to apex", LAD, (0, 1), 0.2, (0, MID[1])),
        ("Transmural LAD infarct from mid to apex with MVO", {7, 8, 13, 14}, (MID[0], 1), 0.2, None),
    ],
)
def test_where_a_no_reflow_core_begins_and_ends(text, segments, extent, share, core):
    scar = heart(text)
    assert (scar.segments, scar.mvo_share, scar.mvo_extent) == (segments, share, core)
    assert scar.ends == pytest.approx(extent, abs=1e-15)


@pytest.mark.parametrize("text", REPORTS)
def test_a_sentence_of_a_slice_is_one_of_a_heart(text):
    try:
        reading = read_sentence(text)
    except PrescriptionError as fault:
        with pytest.raises(PrescriptionError, match=f"^{re.escape(str(fault))}$"):
            read_heart_sentence(text)
        return
    try:
        scar = HeartScar.of(reading.prescription)
    except PrescriptionError as fault:  # a slice may hold two stretches of scar
        with pytest.raises(PrescriptionError, match=re.escape(f"{fault} (in ")):
            read_heart_sentence(text)
        return
    read = read_heart_sentence(text)
    assert (read.prescription, read.notes) == (scar, reading.notes)


@pytest.mark.parametrize("text", ["No late enhancement", "no LGE."])
def test_no_enhancement_is_said_alone(text):
    assert read_heart_sentence(text).prescription == NoEnhancement()
    for place, complaint in (("from 30 to 60 % of the way", "leave 'from 30 to 60 % of the way' out"), ("from mid to apex", "a negation")):
        with pytest.raises(PrescriptionError, match=rf"{complaint}.*\(in '{text.rstrip('.')} {place}'\)$"):
            read_heart_sentence(f"{text.rstrip('.')} {place}")


@st.composite
def any_heart(draw) -> HeartScar:
    return draw(hearts_like(replace(draw(prescriptions()), segments=draw(stretches()))))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(any_heart())
def test_every_valid_prescription_reads_back_as_itself(scar):
    sentence = write_heart_sentence(scar)
    assert len(sentence) <= LONGEST_TEXT
    reading = read_heart_sentence(sentence)
    assert (reading.prescription, reading.notes) == (scar, ())
    assert heart(sentence.upper()) == scar


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Transmural enhancement in the mid anterior and anteroseptal walls"),
        (
            {"extent": (0.35, 0.65)},
            "Transmural enhancement in the mid anterior and anteroseptal walls, from 35 to 65 % of the way from base to apex",
        ),
        (
            {"extent": (0.35, 0.65), "mvo_share": 0.15, "mvo_extent": (0.4, 0.555), "seed": 3},
            "Transmural enhancement in the mid anterior and anteroseptal walls, from 35 to 65 % of the way from base to apex, "
            "with microvascular obstruction in 15 % of the scar from 40 to 55.5 % of the way, seed 3",
        ),
        (
            {"mvo_share": 0.2, "mvo_extent": (0.4, 0.5)},
            "Transmural enhancement in the mid anterior and anteroseptal walls, "
            "with microvascular obstruction from 40 to 50 % of the way from base to apex",
        ),
    ],
)
def test_sentences_are_written_as_people_write_them(changes, sentence):
    assert write_heart_sentence(HeartScar(segments=frozenset({7, 8}), pattern=Pattern.TRANSMURAL, transmurality=1.0, **changes)) == sentence


def test_no_enhancement_is_written_in_the_words_of_a_slice():
    assert write_heart_sentence(NoEnhancement()) == "No late enhancement"


def test_a_place_that_may_be_meant_for_the_scar_has_a_note():
    unclear = "Transmural LAD infarct with MVO from 45 to 70 % of the way"
    [note] = read_heart_sentence(unclear).notes
    assert note.startswith("'from 45 to 70 % of the way': read as the ends of the no-reflow core; write it before the obstruction")
    assert read_heart_sentence("Transmural LAD infarct from 45 to 70 % of the way with MVO").prescription.ends == (0.45, 0.7)
    assert read_heart_sentence(f"{unclear}, from 20 to 90 % of the way").notes == ()
    assert read_heart_sentence("Transmural posterior scar from base to mid").notes == prescribe_notes("Transmural posterior scar, basal")


def prescribe_notes(text: str) -> tuple[str, ...]:
    notes = read_sentence(text).notes
    assert notes
    return notes


WAY = "from 30 to 60 % of the way"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Transmural LAD infarct from mid to apex, from 10 to 40 % of the way from base to apex", "both say where the scar ends"),
        ("Transmural LAD infarct from base to mid, 60 to 100 % of the way from base to apex", "both say where the scar ends"),
        ("Transmural basal LAD infarct from 10 to 90 % of the way from base to apex", "goes on at the mid and apical level"),
        ("Transmural inferolateral infarct from 40 to 100 % of the way", "goes on at the apical level"),
        ("Transmural scar of segments 1 and 7 from 40 to 60 % of the way", "does not reach the basal segments"),
        ("Transmural inferior infarct, base to mid, with MVO, mid to apex", "'mid to apex' may belong to the scar or to its obstruction"),
        ("Transmural inferior infarct, base to apex, with MVO in 30 %, mid to apex", "may belong to the scar or to its obstruction"),
        ("Transmural LAD infarct from mid to apex with MVO, from 40 to 60 % of the way", "may belong to the scar or to its obstruction"),
        ("Transmural inferior infarct with MVO in the mid to apical levels", "may belong to the scar or to its obstruction"),
        ("Subendocardial LAD infarct from 30 to 50 % from base to apex", "'50 % from base to apex' does not say of what"),
        ("LAD infarct with microvascular obstruction from 40 to 60 %", "'obstruction from 40 to 60 %' does not say of what"),
        ("Transmural scar at the apex", "'apex' is the apical cap (segment 17)"),
        ("Transmural anterior scar extending to the apex", "'apex' is the apical cap (segment 17)"),
        (f"Transmural scar of the apex {WAY}", "'apex' is the apical cap (segment 17)"),
        ("Transmural LAD infarct from mid to apex, thrombus at the apex", "'thrombus' is not the wall"),
        ("Transmural scar at the apex to mid septum", "'apex' is the apical cap (segment 17)"),
        (
            "Transmural LAD infarct from 30 to 120 % of the way",
            "positions must lie in 0 to 100 % of the way from base to apex, got 'from 30",
        ),
        ("Transmural LAD infarct from 1e900 to 3 % of the way", "positions must lie in 0 to 100 %"),
        ("Transmural LAD infarct from -5 to 30 % of the way", "'of the way' needs two numbers in percent"),
        ("Transmural LAD infarct from 30,5 to 60 % of the way", "'of the way' needs two numbers in percent"),
        ("Transmural LAD infarct, 30 % of the way", "'of the way' needs two numbers in percent"),
        ("Transmural LAD infarct from base to 60 % of the way", "'of the way' needs two numbers in percent"),
        ("Transmural LAD infarct from ٣ to 60 % of the way", "'of the way' needs two numbers in percent"),
        (f"Transmural LAD infarct {WAY} from mid to apex", f"'{WAY} from mid to apex' is counted over a part of the heart"),
        (f"Transmural LAD infarct {WAY} from apex to apex", "is counted over a part of the heart"),
        (f"Transmural LAD infarct {WAY}, from 20 to 60 % of the way", "says a second time where the scar ends"),
        (f"Transmural LAD infarct with MVO {WAY} and MVO from 20 to 60 % of the way", "says a second time where the no-reflow core ends"),
        ("Transmural LAD infarct from 30 to 30 % of the way", "extent must be two numbers from 0 (base) to 1 (apex)"),
        (f"Transmural LAD infarct {WAY}, with MVO from 20 to 40 % of the way", "reaches beyond the scar 0.3 to 0.6; it must lie inside"),
        (f"Transmural LAD infarct without MVO {WAY}", f"'{WAY}' says where an obstruction lies, but the scar has none; leave it out"),
        (f"Mid-wall LAD scar with MVO {WAY}", "microvascular obstruction belongs to infarcts"),
        ("Transmural LAD infarct with MVO from mid to apex", "'from mid to apex' may belong to the scar or to its obstruction"),
        ("Transmural LAD infarct with MVO in 15 % of the scar (mid to apex)", "'mid to apex' may belong to the scar or to its obstruction"),
        (
            "Transmural infarct of the basal anterior wall from mid to apex",
            "'from mid to apex' differs from the levels of the walls (basal)",
        ),
        (
            "Transmural mid and apical anterior scar from base to apex",
            "'from base to apex' differs from the levels of the walls (mid and apical)",
        ),
        ("Transmural inferolateral scar from base to apex", "did you mean 'apical lateral'?"),
        ("Transmural inferolateral scar from 70 to 100 % of the way", "the extent 0.7 to 1 does not reach the basal and mid segments"),
        ("Transmural basal and apical inferior scar", "runs through the mid level; name mid segments too"),
        ("Transmural anterior and inferior scar", "are no single stretch of wall; prescribe one scar for each stretch"),
        (f"Transmurl LAD infarct {WAY}", "cannot read 'transmurl'; did you mean 'transmural'?"),
        (f"LAD infarct {WAY}", "no pattern is named; add"),
        (f"Transmural scar {WAY}", "no wall is named; add one"),
        (f"Transmural LAD infarct {WAY} sparing the septum", "'sparing' says where there is no scar"),
        ("", "prescription is empty; write e.g."),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_sentence_and_the_way_out(text, complaint):
    with pytest.raises(PrescriptionError, match=re.escape(complaint)) as refusal:
        read_heart_sentence(text)
    assert str(refusal.value).endswith(f"(in {text!r})")
    assert str(refusal.value).count("(in '") == 1
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("refused", "mended"),
    [
        ("Transmural LAD infarct with MVO from mid to apex", "Transmural LAD infarct from mid to apex with MVO"),
        ("Transmural LAD infarct with MVO from mid to apex", "Transmural LAD infarct from base to apex with MVO from mid to apex"),
        ("Transmural infarct of the basal anterior wall from mid to apex", "Transmural infarct of the anterior wall from mid to apex"),
        ("Transmural infarct of the basal anterior wall from mid to apex", "Transmural infarct of the basal anterior wall"),
        ("Transmural LAD infarct, 30 % of the way", "Transmural LAD infarct, from 30 to 75 % of the way from base to apex"),
    ],
)
def test_the_way_out_of_a_refusal_leads_out(refused, mended):
    with pytest.raises(PrescriptionError):
        read_heart_sentence(refused)
    heart(mended)


def test_a_sentence_of_a_slice_has_no_positions():
    with pytest.raises(PrescriptionError, match="cannot read 'way'"):
        prescribe(f"Transmural LAD infarct {WAY}")


@pytest.mark.parametrize("form", [form for forms in HEART_FORMS.values() for form in forms])
def test_every_form_that_is_listed_is_read(form):
    assert f"'{form}'" in re.sub(r"\s+", " ", list_words())
    obstruction = "" if "obstruction" in form else "with microvascular obstruction, "
    scar = heart(f"Transmural LAD infarct, {obstruction}{form}")
    assert scar.ends != (0, 1) or scar.mvo_extent is not None


WORDS = (
    *("transmural", "LAD", "septal", "infarct", "mid-wall", "apex", "base", "mid", "basal", "apical", "to", "from", "the", "level", "with"),
    *("without", "and", "of", "way", "%", ",", ".", "(", ")", "-", "30", "60", "MVO", "no-reflow", "core", "in 15 % of the scar", WAY),
    *("from 45 to 50 % of the way", "from mid to apex", "from base to apex"),
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map(lambda words: " ".join(["transmural LAD infarct", *words])) | st.text(max_size=60))
def test_any_text_is_a_prescription_or_a_refusal(text):
    try:
        scar = read_heart_sentence(text).prescription
    except PrescriptionError as fault:
        message = str(fault)
    else:
        assert read_heart_sentence(write_heart_sentence(scar)).prescription == scar
        return
    assert message.endswith(f"(in {text if len(text) <= 120 else f'{text[:117]}...'!r})")


@pytest.mark.parametrize(
    "flood", ["1 to 2 % of the way ", "mid to ", "obstruction ", "core 1 % ", "from base to apex ", "30-", " of the way", "((("]
)
def test_text_without_end_is_refused_at_once(flood):
    start = time.process_time()
    with pytest.raises(PrescriptionError, match="at most 1000 characters"):
        read_heart_sentence(flood * 1_000_000)
    with pytest.raises(PrescriptionError):
        read_heart_sentence((flood * 1000)[:LONGEST_TEXT])
    assert time.process_time() - start < 0.5


@pytest.fixture
def read(tmp_path):
    def read_lines(*lines: object):
        path = tmp_path / "p.jsonl"
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
        return read_heart_prescriptions(path)

    return read_lines


def test_lines_hold_keys_or_a_sentence_or_an_edit(read):
    sentence = "Transmural LAD infarct from mid to apex"
    scar = heart(sentence)
    lines = read(
        {"text": sentence},
        GOOD,
        {**GOOD, "extent": [0.4, 0.9], "mvo_share": 0.2, "mvo_extent": [0.5, 0.6], "seed": 7, "patients": ["P1", "P2"]},
        {"edit": "move", **GOOD},
        {"edit": "add", **GOOD},
        {"edit": "remove", "patients": ["P1"]},
        {"edit": "replace", "intensity_percentile": 20, "transmurality": 0.4},
        {"text": "No late enhancement"},
    )
    assert [line.edit for line in lines] == [Edit.ADD] * 3 + [Edit.MOVE, Edit.ADD, Edit.REMOVE, Edit.REPLACE, Edit.REMOVE]
    assert [line.wish for line in (*lines[:2], *lines[3:5])] == [scar] * 4
    assert lines[2].wish == replace(scar, extent=(0.4, 0.9), mvo_share=0.2, mvo_extent=(0.5, 0.6), seed=7)
    assert [line.wish for line in lines[5:]] == [NoEnhancement(), OwnScar(intensity_percentile=20, transmurality=0.4), NoEnhancement()]
    assert [line.has_seed for line in lines] == [False, False, True, *[False] * 5]
    assert [line.patients for line in lines] == [None, None, ("P1", "P2"), None, None, ("P1",), None, None]


def test_what_the_program_wrote_is_read_back_and_so_is_a_slice(read):
    slice_ = ScarPrescription(segments=frozenset({7, 8}), pattern=Pattern.SUBEPICARDIAL, transmurality=0.3, seed=5)
    scar = replace(HeartScar.of(slice_), extent=(0.1 + 0.25, 1 / 1.6))
    assert [line.wish for line in read(scar.to_json(), slice_.to_json())] == [scar, HeartScar.of(slice_)]


def test_a_note_on_a_sentence_names_file_and_line(read, tmp_path):
    plain, unclear = read({"text": "Transmural LAD infarct"}, {"text": f"Transmural LAD infarct with MVO {WAY}"})
    assert plain.notes == ()
    [note] = unclear.notes
    assert note.startswith(f"{tmp_path / 'p.jsonl'}: line 2: '{WAY}': read as the ends of the no-reflow core")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({**GOOD, "extent": [0.4]}, r"extent must be null or two numbers from 0 \(base\) to 1 \(apex\)"),
        ({**GOOD, "extent": [0.9, 0.4]}, "extent must be two numbers"),
        ({**GOOD, "mvo_extent": [0.5, 0.6]}, "mvo_share is 0"),
        ({**GOOD, "extend": [0.4, 0.9]}, "the key 'extend' is unknown; keys are segments, .*mvo_extent"),
        ({**GOOD, "segments": [1, 13]}, "runs through the mid level"),
        ({"edit": "erase"}, "edit must be one of add, remove, move, replace"),
        ({"edit": ["move"], **GOOD}, "edit must be one of"),
        ({"edit": "remove", **GOOD}, "the edit remove stands alone"),
        ({"edit": "replace", "extent": [0, 1], "intensity_percentile": 5}, "and not 'extent'"),
        ({"text": "Transmural scar at the apex"}, r"apical cap .*\(in 'Transmural scar at the apex'\)"),
        ({"text": "Transmural LAD infarct", "extent": [0.4, 0.9]}, "text stands alone.*'extent'"),
        ({**GOOD, "patients": "P1"}, "patients must be a list of names"),
        ([GOOD], "a prescription is a JSON object .* not a list"),
    ],
)
def test_a_line_that_is_not_sound_is_named(read, line, named):
    with pytest.raises(PrescriptionError, match=rf"p\.jsonl: line 2: .*{named}"):
        read(GOOD, line)


def test_a_file_without_a_line_is_refused(read):
    with pytest.raises(PrescriptionError, match="holds no prescription"):
        read("")
