"""Read prescriptions from a JSON-lines file. A line holds the keys of a prescription, or a sentence under the key `text` alone.

Beside the keys of a prescription, `patients` may list the patients whose slices it is for, and `edit` may say what is done: {"edit":
"remove"} stands alone, "move" goes with the keys of a prescription, and "replace" with intensity_percentile and transmurality.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.errors import InputError, PrescriptionError
from lgesynthnet.files.names import checked_name
from lgesynthnet.files.reading import parse_json, read_text
from lgesynthnet.prescription.edits import Wish, edit_named_by, wish_from_record
from lgesynthnet.prescription.grammar.language import read_sentence
from lgesynthnet.terms import Edit

MOST_BYTES = 2**25
MOST_LINES = 100_000
LONGEST_LINE = 10_000  # characters; the longest that `to_json` writes has about 400


@dataclass(frozen=True, kw_only=True)
class PrescriptionLine:
    """One line of the file.

    Attributes:
        has_seed: whether the line states the seed of the border; otherwise every attempt draws another border.
        patients: the patients whose slices it may be painted into; None takes those of every host.
        notes: how words of a sentence were read that could have been meant otherwise, each with file and line.
    """

    wish: Wish
    edit: Edit
    has_seed: bool
    patients: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def read_prescriptions(path: Path) -> list[PrescriptionLine]:
    """Read the prescriptions of a file in order; empty lines are skipped.

    Raises:
        PrescriptionError: the file cannot be read, is too large, holds no prescription, or a line cannot be understood; the message
            names file and line.
    """
    try:
        lines = read_text(path, MOST_BYTES).split("\n")  # `splitlines` would also split at signs that may stand inside a text
    except InputError as fault:
        raise PrescriptionError(str(fault)) from None
    if len(lines) > MOST_LINES:
        raise PrescriptionError(f"{path}: has {len(lines)} lines, and {MOST_LINES} are allowed; divide it")
    prescriptions = [_read_line(line.strip(), f"{path}: line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not prescriptions:
        raise PrescriptionError(f"{path}: holds no prescription; write some with `lgesynthnet prescribe --prior ischaemic --count 10`")
    return prescriptions


def _read_line(line: str, place: str) -> PrescriptionLine:
    if len(line) > LONGEST_LINE:
        raise PrescriptionError(f"{place}: has {len(line)} characters, and {LONGEST_LINE} are allowed; write one prescription a line")
    try:
        record = parse_json(line, place)
    except InputError as fault:
        raise PrescriptionError(str(fault)) from None
    if not isinstance(record, dict) or "text" not in record:
        patients = _patients(record.pop("patients"), place) if isinstance(record, dict) and "patients" in record else None
        edit, wish = wish_from_record(record, place)
        return PrescriptionLine(wish=wish, edit=edit, has_seed="seed" in record, patients=patients)
    if others := [key for key in record if key != "text"]:
        raise PrescriptionError(
            f"{place}: text stands alone, because the sentence says everything, but {others[0][:40]!r} is there too; "
            "say it in the sentence, or write all keys without text"
        )
    if not isinstance(record["text"], str):
        raise PrescriptionError(f"{place}: text must be a sentence in quotes, got {str(record['text'])[:40]!r}")
    try:
        reading = read_sentence(record["text"])
    except PrescriptionError as fault:
        raise PrescriptionError(f"{place}: {fault}") from None
    wish, notes = reading.prescription, tuple(f"{place}: {note}" for note in reading.notes)
    return PrescriptionLine(wish=wish, edit=edit_named_by(wish), has_seed=False, notes=notes)


def _patients(named: object, place: str) -> tuple[str, ...]:
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        raise PrescriptionError(f"{place}: patients must be a list of names, got {str(named)[:40]!r}; leave the key out to take every host")
    try:
        return tuple(checked_name(name, place) for name in named)
    except InputError as fault:
        raise PrescriptionError(str(fault)) from None
