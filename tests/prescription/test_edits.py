"""Wishes as JSON: they come back as they went in, and a line that means nothing is refused with its place."""

import json

import pytest

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.edits import NoEnhancement, OwnScar, edit_named_by, prescription_from_json, wish_from_record
from lgesynthnet.prescription.grammar.json_lines import read_prescriptions
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.grammar.writing import write_caption, write_sentence
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Level
from lgesynthnet.terms import Edit

SCAR = ScarPrescription(segments=frozenset({9}), pattern=Pattern.TRANSMURAL, transmurality=0.9)


@pytest.mark.parametrize(
    "wish", [NoEnhancement(), OwnScar(intensity_percentile=20.0), OwnScar(intensity_percentile=0, transmurality=0.4), SCAR]
)
def test_a_wish_comes_back_from_its_json(wish):
    assert wish_from_record(json.loads(wish.to_json()), "here") == (edit_named_by(wish), wish)


def test_what_a_sample_shows_comes_back_from_its_json():
    for shown in (NoEnhancement(), SCAR):
        assert prescription_from_json(shown.to_json()) == shown


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"edit": "erase"}', "edit must be one of add, remove, move, replace"),
        ('{"edit": "remove", "segments": [9]}', "the edit remove stands alone"),
        ('{"edit": "replace"}', "needs intensity_percentile"),
        ('{"edit": "replace", "intensity_percentile": "20"}', "needs intensity_percentile"),
        ('{"edit": "replace", "intensity_percentile": true}', "needs intensity_percentile"),
        ('{"edit": "replace", "intensity_percentile": 101}', r"in \[0, 100\]"),
        ('{"edit": "replace", "intensity_percentile": 20, "transmurality": 0}', r"in \(0, 1\]"),
        ('{"edit": "replace", "intensity_percentile": 20, "transmurality": "half"}', "transmurality must be"),
        ('{"edit": "replace", "intensity_percentile": 20, "segments": [9]}', "and not 'segments'"),
        ('{"edit": "move"}', "segments is missing"),
        ('{"edit": ["move"]}', "edit must be one of"),
    ],
)
def test_a_line_that_means_nothing_is_refused_with_its_place(tmp_path, line, reason):
    (tmp_path / "wishes.jsonl").write_text(f"{SCAR.to_json()}\n{line}\n")
    with pytest.raises(PrescriptionError, match=f"wishes.jsonl: line 2: .*{reason}"):
        read_prescriptions(tmp_path / "wishes.jsonl")


def test_each_line_may_have_an_edit_of_its_own(tmp_path):
    moved = {"edit": "move", **json.loads(SCAR.to_json())}
    lines = [SCAR.to_json(), '{"edit": "remove", "patients": ["P1"]}', json.dumps(moved), '{"edit": "replace", "intensity_percentile": 5}']
    (tmp_path / "wishes.jsonl").write_text("\n".join(lines))
    read = read_prescriptions(tmp_path / "wishes.jsonl")
    assert [line.edit for line in read] == [Edit.ADD, Edit.REMOVE, Edit.MOVE, Edit.REPLACE]
    assert read[1].patients == ("P1",)
    assert read[2].wish == read[0].wish == SCAR


@pytest.mark.parametrize("text", ["No late enhancement", "no LGE.", "No myocardial scar"])
def test_no_enhancement_is_read_where_it_is_said_alone(text):
    assert prescribe(text) == NoEnhancement()
    with pytest.raises(PrescriptionError, match="negation"):
        prescribe(f"{text.rstrip('.')} in the septum")


def test_no_enhancement_is_said_in_the_words_that_the_model_learned():
    assert write_caption(NoEnhancement(), Level.MID) == write_sentence(NoEnhancement()) == "No late enhancement"
