"""Read prescriptions from a JSON-lines file. A line holds the keys of a prescription, or a sentence under the key `text` alone.

Beside the keys of a prescription, `patients` may list the patients whose slices it is for, and `edit` may say what is done: {"edit":
"remove"} stands alone, "move" goes with the keys of a prescription, and "replace" with intensity_percentile and transmurality.
`read_prescriptions` reads prescriptions of slices, and `read_heart_prescriptions` those of whole hearts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lgesynthnet.errors import InputError, PrescriptionError
from lgesynthnet.files.names import checked_name
from lgesynthnet.files.reading import parse_json, read_text
from lgesynthnet.prescription.edits import NoEnhancement, Wish, wish_from_record
from lgesynthnet.prescription.grammar.language import read_heart_sentence, read_sentence
from lgesynthnet.prescription.heart_edits import HeartWish, heart_wish_from_record
from lgesynthnet.terms import Edit

MOST_BYTES = 2**25
MOST_LINES = 100_000
LONGEST_LINE = 10_000  # characters; the longest that `to_json` writes has about 500


@dataclass(frozen=True, kw_only=True)
class _Line:
    """What every line says besides its wish.

    Attributes:
        has_seed: whether the line states the seed of the border; otherwise every attempt draws another border.
        patients: the patients whose slices it may be painted into; None takes those of every host.
        notes: how words of a sentence were read that could have been meant otherwise, each with file and line.
    """

    edit: Edit
    has_seed: bool
    patients: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PrescriptionLine(_Line):
    """One line of a file of prescriptions of slices; for its other attributes see `_Line`."""

    wish: Wish


@dataclass(frozen=True, kw_only=True)
class HeartLine(_Line):
    """One line of a file of prescriptions of hearts; for its other attributes see `_Line`."""

    wish: HeartWish


L = TypeVar("L", PrescriptionLine, HeartLine)


@dataclass(frozen=True, kw_only=True)
class _Form(Generic[L]):
    """What differs between the lines of slices and those of hearts.

    Attributes:
        line: the type of a line.
        wish_of: reads the keys of a wish; the second argument is the place that begins an error message.
        read: reads a sentence as a `SentenceReading` or a `HeartReading`.
    """

    line: type[L]
    wish_of: Callable[[object, str], tuple[Edit, Any]]
    read: Callable[[str], Any]


def read_prescriptions(path: Path) -> list[PrescriptionLine]:
    """Read the prescriptions of slices of a file in order; empty lines are skipped.

    Raises:
        PrescriptionError: the file cannot be read, is too large, holds no prescription, or a line cannot be understood; the message
            names file and line.
    """
    return _read_file(path, _Form(line=PrescriptionLine, wish_of=wish_from_record, read=read_sentence))


def read_heart_prescriptions(path: Path) -> list[HeartLine]:
    """Read the prescriptions of hearts of a file in order; empty lines are skipped. The prescription of a slice is one of a heart, too.

    Raises:
        PrescriptionError: as for `read_prescriptions`.
    """
    return _read_file(path, _Form(line=HeartLine, wish_of=heart_wish_from_record, read=read_heart_sentence))


def _read_file(path: Path, form: _Form[L]) -> list[L]:
    try:
        lines = read_text(path, MOST_BYTES).split("\n")  # `splitlines` would also split at signs that may stand inside a text
    except InputError as fault:
        raise PrescriptionError(str(fault)) from None
    if len(lines) > MOST_LINES:
        raise PrescriptionError(f"{path}: has {len(lines)} lines, and {MOST_LINES} are allowed; divide it")
    prescriptions = [_read_line(line.strip(), f"{path}: line {number}", form) for number, line in enumerate(lines, start=1) if line.strip()]
    if not prescriptions:
        raise PrescriptionError(f"{path}: holds no prescription; write some with `lgesynthnet prescribe --prior ischaemic --count 10`")
    return prescriptions


def _read_line(line: str, place: str, form: _Form[L]) -> L:
    if len(line) > LONGEST_LINE:
        raise PrescriptionError(f"{place}: has {len(line)} characters, and {LONGEST_LINE} are allowed; write one prescription a line")
    try:
        record = parse_json(line, place)
    except InputError as fault:
        raise PrescriptionError(str(fault)) from None
    if not isinstance(record, dict) or "text" not in record:
        patients = _patients(record.pop("patients"), place) if isinstance(record, dict) and "patients" in record else None
        edit, wish = form.wish_of(record, place)
        return form.line(wish=wish, edit=edit, has_seed="seed" in record, patients=patients)
    if others := [key for key in record if key != "text"]:
        raise PrescriptionError(
            f"{place}: text stands alone, because the sentence says everything, but {others[0][:40]!r} is there too; "
            "say it in the sentence, or write all keys without text"
        )
    if not isinstance(record["text"], str):
        raise PrescriptionError(f"{place}: text must be a sentence in quotes, got {str(record['text'])[:40]!r}")
    try:
        reading = form.read(record["text"])
    except PrescriptionError as fault:
        raise PrescriptionError(f"{place}: {fault}") from None
    edit = Edit.REMOVE if isinstance(reading.prescription, NoEnhancement) else Edit.ADD
    notes = tuple(f"{place}: {note}" for note in reading.notes)
    return form.line(wish=reading.prescription, edit=edit, has_seed=False, notes=notes)


def _patients(named: object, place: str) -> tuple[str, ...]:
    if not isinstance(named, list) or not named or not all(isinstance(name, str) for name in named):
        raise PrescriptionError(f"{place}: patients must be a list of names, got {str(named)[:40]!r}; leave the key out to take every host")
    try:
        return tuple(checked_name(name, place) for name in named)
    except InputError as fault:
        raise PrescriptionError(str(fault)) from None
