"""Files of prescriptions: what is accepted, and the one line that names file, line, key and what is allowed."""

from __future__ import annotations

import json
import os

import pytest

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar import json_lines
from lgesynthnet.prescription.grammar.json_lines import read_prescriptions
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription

SENTENCE = "Transmural enhancement in the posteroseptal wall"
GOOD = {"segments": [3, 9], "pattern": "transmural", "transmurality": 1.0}


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes):
        path = tmp_path / "p.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_prescriptions(path)

    return read_text


def test_both_forms_are_read_with_a_byte_order_mark_and_the_line_ends_of_windows(read):
    lines = [json.dumps(GOOD), "", json.dumps({"text": SENTENCE}), json.dumps({**GOOD, "seed": 7, "arc": None, "depth": None})]
    one, two, three = read(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())
    assert one.wish == two.wish == prescribe(SENTENCE)
    assert three.wish == prescribe(f"{SENTENCE}, seed 7")
    assert [line.has_seed for line in (one, two, three)] == [False, False, True]


def test_a_note_on_a_sentence_names_file_and_line(read, tmp_path):
    plain, ambiguous = read(json.dumps({"text": SENTENCE}) + "\n" + json.dumps({"text": "Transmural scar in the posterior wall"}))
    assert plain.notes == ()
    [note] = ambiguous.notes
    assert note.startswith(f"{tmp_path / 'p.jsonl'}: line 2: 'posterior': read as the inferior wall")


def test_a_separator_inside_a_sentence_does_not_end_the_line(read):
    [line] = read(json.dumps({"text": SENTENCE.replace(" ", "\u2028", 1)}, ensure_ascii=False))
    assert line.wish == prescribe(SENTENCE)


def test_what_the_program_wrote_is_read_back(read):
    wrote = ScarPrescription(
        segments=frozenset({8, 9}),
        pattern=Pattern.PATCHY,
        transmurality=0.1 + 0.2,
        arc=Arc(start_deg=12.5, extent_deg=300),
        depth=(0.05, 0.95),
        irregularity=1 / 3,
        intensity_percentile=99.9,
        seed=2**63 - 1,
    )
    [line] = read(wrote.to_json())
    assert (line.wish, line.has_seed) == (wrote, True)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (json.dumps({**GOOD, "segments": "16"}), r"segments must be a list of AHA numbers from 1 to 16, got '16'"),
        (json.dumps({**GOOD, "segments": [3.9]}), r"segments must be a list of AHA numbers .*3\.9"),
        (json.dumps({**GOOD, "segments": [True]}), "segments must be"),
        (json.dumps({**GOOD, "segments": {"3": 9}}), "segments must be"),
        (json.dumps({**GOOD, "segments": [17]}), "segments must be AHA 1-16"),
        (json.dumps({**GOOD, "seed": 1.5}), r"seed must be a whole number from 0 to 2\^63 - 1, got 1.5"),
        (json.dumps({**GOOD, "seed": "7"}), "seed must be"),
        (json.dumps({**GOOD, "seed": 2**63}), "seed must be"),
        (json.dumps({**GOOD, "transmurality": "1"}), "transmurality must be a number above 0"),
        (json.dumps({**GOOD, "transmurality": True}), "transmurality must be a number above 0"),
        (json.dumps({**GOOD, "pattern": "striped"}), "pattern must be one of subendocardial, transmural"),
        (json.dumps({**GOOD, "arc": {"start_deg": 1, "extent_deg": 2, "unit": "rad"}}), "arc must be null or"),
        (json.dumps({**GOOD, "depth": [0, 0.5, 1]}), "depth must be null or two numbers"),
        (json.dumps({**GOOD, "mvo_share": None}), "mvo_share must be a number from 0 to 0.6, got None"),
        (json.dumps({**GOOD, "depht": [0, 1]}), "the key 'depht' is unknown; keys are segments, pattern, .*depth"),
        (json.dumps({"pattern": "patchy", "transmurality": 0.3}), "segments is missing: a list of AHA numbers"),
        (json.dumps({"text": SENTENCE, "no_reflow": True}), "text stands alone.*'no_reflow'"),
        (json.dumps({"text": SENTENCE, "seed": 7}), "text stands alone.*'seed'"),
        (json.dumps({"text": 7}), "text must be a sentence in quotes, got '7'"),
        (json.dumps({"text": "\ud800"}), r"cannot read"),
        (json.dumps([GOOD]), "a prescription is a JSON object with the keys .* not a list"),
        ('{"segments": [3], "segments": [9]}', "'segments' is there twice"),
        ('{"segments": [1e400]}', "segments: the number '1e400' is too large"),
        ('{"mvo_share": NaN}', "mvo_share: NaN is not a number"),
        (f'{{"seed": {"1" * 5000}}}', "seed: a number has 5000 digits"),
        ("[" * 9000, "is nested too deeply"),
        ("[" * 100_000, "has 100000 characters, and 10000 are allowed"),
        ("three nine", "is not strict JSON"),
    ],
)
def test_a_line_that_is_not_sound_is_named_with_what_is_allowed(read, line, named):
    with pytest.raises(PrescriptionError, match=rf"(?s)p\.jsonl: line 3: .*{named}") as caught:
        read(f"{json.dumps(GOOD)}\n\n{line}\n")
    assert len(str(caught.value)) < 1000


def test_a_file_that_is_too_large_or_no_file_is_refused(read, tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "MOST_LINES", 3)
    with pytest.raises(PrescriptionError, match=r"p\.jsonl: has 4 lines, and 3 are allowed; divide it"):
        read(f"{json.dumps(GOOD)}\n" * 3)
    monkeypatch.setattr(json_lines, "MOST_BYTES", 10)
    with pytest.raises(PrescriptionError, match="more than the 10 allowed"):
        read(json.dumps(GOOD))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PrescriptionError, match="not a regular file"):
        read_prescriptions(tmp_path / "pipe")


@pytest.mark.parametrize("text", ["٥٠ % transmural, inferior wall", "½ transmural, inferior wall", "segment ９, transmural"])
def test_digits_of_other_scripts_are_not_read(text):
    with pytest.raises(PrescriptionError, match="write numbers with the digits 0 to 9"):
        prescribe(text)


def test_a_line_may_name_the_patients_that_it_is_for(read):
    for_two, for_all = read(json.dumps({**GOOD, "patients": ["P001", "N002"]}) + "\n" + json.dumps(GOOD))
    assert for_two.patients == ("P001", "N002")
    assert for_two.wish == for_all.wish
    assert for_all.patients is None


@pytest.mark.parametrize("named", [[], "P001", [1], None, [""], ["../P001"]])
def test_patients_that_are_no_names_are_refused(read, named):
    with pytest.raises(PrescriptionError, match=r"p\.jsonl: line 1"):
        read(json.dumps({**GOOD, "patients": named}))
