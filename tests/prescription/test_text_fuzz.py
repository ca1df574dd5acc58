"""Whatever text comes in, it is a prescription or one error that names the place; and what was accepted is written and read back equal."""

# ruff: noqa: SIM905  (a list of odd words is easier to read without a quote at each)
from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.edits import OwnScar, prescription_from_json
from lgesynthnet.prescription.grammar.json_lines import read_prescriptions
from lgesynthnet.prescription.grammar.language import prescribe, write_sentence
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.terms import Edit

SENTENCES = (
    "Transmural enhancement in the posteroseptal wall",
    "Subendocardial enhancement (50 % transmural) in the LAD territory with no MVO",
    "26-50 % transmural, basal to mid inferior and apical septal walls, with microvascular obstruction in 15 % of the scar",
    "Patchy enhancement in segments 7 to 9 and 14, at a wall depth of 30 to 70 %, ragged border, seed 12",
    "Mid-wall enhancement over 40 degrees from 130 degrees, mid septal wall, at the 60th percentile of brightness",
    "Subepicardial enhancement between 130 and 220 degrees in the basal wall of the lateral segments, border irregularity 37 %",
    "more than 75 % of the wall thickness, all levels, circumferential, bright",
    "Old inferior MI (RCA territory) with transmural scar in the basal and mid inferior wall extending into the septum, w/o MVO",
    "Small linear mid-wall stria in the IVS at the level of the mid ventricle, consistent with dilated cardiomyopathy",
    "Patchy fibrosis at the anterior and inferior RV insertion points and no anteroapical scar sparing the free wall or apex",
)
WORDS = tuple(dict.fromkeys(word for sentence in SENTENCES for word in sentence.split()))
ODD = (
    *"1e400|-1e400|1e-400|1e999 %|1e-999 %|nan %|inf %|NaN|Infinity|0|-0|- 5 %|1_0 %|٣|٥٠ %|５０ %|²|½|Ⅷ|−5 %|-|%|%%|.".split("|"),
    *"..|1..2 %|1.2.3 %|0.0 %|100.5 %|segments 1-99|segments 9-1|segment 17|seed 1.5|seed -1|seed ٣".split("|"),
    *"between 1e999 and 5 degrees|between 5 and 5 degrees|over 1e-999 degrees from 359.9999999999999999999 degrees".split("|"),
    *"depth 70 to 30 %|depth 1e300 to 2e300 %|1e999th percentile|100.0000001th percentile|SEGMENTS|İ|ß|ﬁ|é|é|𝟝 %".split("|"),
    *"true|false|null|{}|[]|'|<script>|=1+1|{{7*7}}|%s".split("|"),
    *("9" * 60, "9" * 900, "50\u00a0%", "\u202e50 %", "\u200f", "\ud800", "\udcff", "\0", "\x1b[2J", "\n", "\r", "\x85"),
    *("\u2028", "", " ", f"seed {2**63}", '"', "\\", "wall " * 40, "1 to " * 60, "%" * 200, " " * 300),
)
odd_words = st.sampled_from(ODD) | st.text(max_size=8) | st.floats().map(str) | st.integers().map(str)


@st.composite
def sentences(draw) -> str:
    """A sentence of reports with up to four words that are changed, added or taken away, or a row of any words."""
    words = draw(st.sampled_from(SENTENCES)).split() if draw(st.integers(0, 3)) else draw(st.lists(st.sampled_from(WORDS), max_size=12))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(words)))
        match draw(st.integers(0, 3)):
            case 0 | 1:
                words.insert(place, draw(odd_words))
            case 2:
                words.insert(place, draw(st.sampled_from(WORDS)))
            case 3:
                del words[place : place + 1]
    return draw(st.sampled_from((" ", " ", " ", ", ", "", "-"))).join(words)


numbers = (
    st.floats(0, 1)
    | st.floats()
    | st.integers()
    | st.sampled_from((0, 1, 0.5, 0.75, 0.76, 5e-324, 1e-300, 0.1 + 0.2, -0.0, 2**63, 2**53 + 1))
)
values = st.recursive(
    st.none()
    | st.booleans()
    | numbers
    | st.text(max_size=6)
    | st.sampled_from(("transmural", "patchy", "16", [3, 9], [16], [3.0], [0.1, 0.9])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
RECORDS = (
    {"segments": [3, 9], "pattern": "transmural", "transmurality": 1.0},
    {"segments": [3, 9], "pattern": "subendocardial", "transmurality": 0.5, "mvo_share": 0.15, "seed": 7, "depth": None},
    {"segments": [1, 2, 16], "pattern": "patchy", "transmurality": 0.3, "depth": [0.1, 0.9], "arc": {"start_deg": 5, "extent_deg": 90.5}},
    {"segments": [8], "pattern": "mid-wall", "transmurality": 0.35, "irregularity": 0.37, "intensity_percentile": 61.5},
    {"text": SENTENCES[0]},
)
KEYS = (*RECORDS[1], "edit", "arc", "irregularity", "intensity_percentile", "text", "depht", "no_reflow", "", "segments ")
NUMBERS_AS_TEXT = ("1" * 5000, "[" * 3000, '{"a":' * 3000, *'1e400 -1e400 NaN -Infinity 1.0 1.5 true 01 1_0 ٣ "16"'.split())


@st.composite
def json_lines(draw) -> str:
    """A line of the JSON form with up to three keys changed, added or taken away, and then perhaps damaged as a text."""
    record = dict(draw(st.sampled_from(RECORDS)))
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(KEYS))
        if draw(st.integers(0, 3)):
            record[key] = draw(values | numbers | sentences())
        else:
            record.pop(key, None)
    line = json.dumps(record, ensure_ascii=draw(st.booleans()))
    match draw(st.integers(0, 7)):
        case 0:
            place = draw(st.integers(0, len(line)))
            line = line[:place] + draw(odd_words) + line[place + draw(st.integers(0, 3)) :]
        case 1:
            line = line[: draw(st.integers(0, len(line)))]
        case 2:
            key = draw(st.sampled_from(KEYS))
            line = f'{{"{key}": {draw(st.sampled_from(NUMBERS_AS_TEXT))}, {line[1:]}'
        case 3:
            line = draw(st.sampled_from(("\ufeff", "[", "\0", " "))) + line + draw(st.sampled_from(("\r", "]", "}", " \t", line)))
    return line


def check_error(fault: PrescriptionError, place: str = "") -> None:
    assert len(str(fault)) < 2500
    assert str(fault).strip()
    assert str(fault).startswith(place)


def check_sentence(text: str) -> None:
    try:
        prescription = prescribe(text)
    except PrescriptionError as fault:
        return check_error(fault)
    assert prescribe(write_sentence(prescription)) == prescription
    assert prescription_from_json(prescription.to_json()) == prescription
    assert all(letter.isascii() or not letter.isnumeric() for letter in text)


def check_line(line: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.jsonl"
        path.write_bytes(line.encode("utf-8", "surrogatepass"))
        try:
            read = read_prescriptions(path)
        except PrescriptionError as fault:
            return check_error(fault, str(path))
        path.write_text("".join(entry.wish.to_json() + "\n" for entry in read), encoding="utf-8")
        assert [entry.wish for entry in read_prescriptions(path)] == [entry.wish for entry in read]
        for entry in read:
            if not isinstance(entry.wish, OwnScar):
                assert prescribe(write_sentence(entry.wish)) == entry.wish
        if isinstance(read[0].wish, ScarPrescription):
            check_nothing_was_dropped(line, read[0].wish)


def check_nothing_was_dropped(line: str, prescription: ScarPrescription) -> None:
    """Each key of an accepted line is in the prescription, with the type and the value that it had."""
    record = json.loads(line.lstrip("\ufeff").splitlines()[0])
    if "text" in record:
        assert list(record) == ["text"]
        return
    assert type(record["segments"]) is list
    assert {type(segment) for segment in record["segments"]} == {int}
    assert type(record.get("seed", 0)) is int
    assert record.pop("edit", Edit.ADD) in (Edit.ADD, Edit.MOVE)
    for key, value in record.items():
        kept = getattr(prescription, key)
        match key:
            case "segments":
                assert kept == set(value)
            case "arc" if value is not None:
                assert value == {"start_deg": kept.start_deg, "extent_deg": kept.extent_deg}
            case "depth":
                assert value is None or list(kept) == value
            case _:
                assert type(value) is not bool
                assert kept == value


few = settings(derandomize=True, deadline=None, max_examples=75, database=None)
many = settings(derandomize=True, deadline=None, max_examples=750, database=None)
test_any_sentence = few(given(sentences())(check_sentence))
test_any_line = few(given(json_lines())(check_line))
test_any_sentence_of_many = pytest.mark.long(many(given(sentences())(check_sentence)))
test_any_line_of_many = pytest.mark.long(many(given(json_lines())(check_line)))
