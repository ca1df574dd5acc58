"""One attempt as a row. This is the only place that names the columns of the ledger and of `samples.csv`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, get_args, get_type_hints

from lgesynthnet.anatomy.aha import SHORT_AXIS_SEGMENTS
from lgesynthnet.anatomy.orientation import OrderSource
from lgesynthnet.errors import InputError, PrescriptionError
from lgesynthnet.files.names import checked_name
from lgesynthnet.prescription.edits import NoEnhancement, Prescription, prescription_from_json
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Level, Source, ViewSource
from lgesynthnet.terms import Edit

KEPT, UNPAINTABLE, SURPLUS, EASY, POOR_TWIN = "kept", "unpaintable", "surplus", "easy", "poor-twin"
UNCERTAIN_BELOW = 0.5  # insertions that were found in the image with less confidence than this are flagged


@dataclass(frozen=True, kw_only=True)
class SampleRow:
    """One attempt. A number that was not measured is None, and an empty cell in the table.

    Attributes:
        id: `s<seed>_<attempt number>`; the same id has the same bytes in any run of the same plan, whatever the shard.
        host, slice_index: patient, and index of the slice in the host file's own order.
        level, level_source: level of the slice, and how base and apex were told apart.
        insertion_source, insertion_confidence: how the RV insertions were found, and how surely (0 to 1).
        generator, filter: fingerprints of what painted and what judged.
        seed: seed of the noise; the prescription holds the seed of its border.
        caption, sentence, prescription: what the model read; the same as one full sentence; the same in full.
        file: the image, relative to the run folder; empty where nothing could be painted.
        kept: whether the verdict is "kept", whatever folder the files are in.
        reason: reason of the verdict, "unpaintable", "surplus" (--balance had enough of this kind), "easy" (`improve` did not
            need it), or "poor-twin" (its twin is no healthy slice).
        why: the verdict as a sentence, or what prevented painting.
        dice, recall, precision: of the detected scar against the intended one, 0 to 1.
        threshold: the Dice that had to be exceeded.
        intended_mm2, read_mm2, stray_mm2: areas of the intended scar, of the detected scar, and of detected scar away from it.
        segment_agreement, extent_error, brightness, spill_mm2, seam: what the filter measured besides; see `quality.verdict.Verdict`.
        segments, transmurality, burden, mvo_share: measured in the intended mask.
        max_change_outside: largest change outside the hidden region, in stored numbers.
        seconds: time to paint, segment and judge.
        view_source: how the radiological view of the host was found.
        masks_drawn_by: fingerprint of the network that drew the cavity and the wall of the host; None where a person did.
        edit: what was done to the slice.
        removed_mm2: area of the host's scar that was removed or painted anew.
        core_contrast, left_mm2, healed_brightness, healed_grain, dice_within: see `quality.verdict.Verdict`.
    """

    id: str
    host: str
    slice_index: int
    level: Level
    level_source: OrderSource
    insertion_source: Source
    insertion_confidence: float
    generator: str
    filter: str
    seed: int
    caption: str
    sentence: str
    prescription: Prescription
    file: str
    kept: bool
    reason: str
    why: str
    dice: float | None = None
    recall: float | None = None
    precision: float | None = None
    threshold: float | None = None
    intended_mm2: float | None = None
    read_mm2: float | None = None
    stray_mm2: float | None = None
    segment_agreement: float | None = None
    extent_error: float | None = None
    brightness: float | None = None
    spill_mm2: float | None = None
    seam: float | None = None
    segments: tuple[int, ...] | None = None
    transmurality: float | None = None
    burden: float | None = None
    mvo_share: float | None = None
    max_change_outside: float | None = None
    seconds: float | None = None
    view_source: ViewSource | None = None
    masks_drawn_by: str | None = None
    edit: Edit = Edit.ADD
    core_contrast: float | None = None
    removed_mm2: float | None = None
    left_mm2: float | None = None
    healed_brightness: float | None = None
    healed_grain: float | None = None
    dice_within: float | None = None

    @property
    def shown_segments(self) -> tuple[int, ...]:
        """AHA segments as measured, or as prescribed where nothing was painted; none where scar was only removed."""
        if self.segments is not None:
            return self.segments
        return tuple(sorted(self.prescription.segments)) if isinstance(self.prescription, ScarPrescription) else ()

    @property
    def flags(self) -> tuple[str, ...]:
        """What a person must know before trusting this sample."""
        flags = []
        if self.insertion_source is Source.ASSUMED:
            flags.append("orientation assumed: no RV insertion was known, so the segment names may be wrong")
        elif self.insertion_source is Source.IMAGE and self.insertion_confidence < UNCERTAIN_BELOW:
            flags.append(f"orientation uncertain: the RV insertions were found in the image, confidence {self.insertion_confidence:.2f}")
        if self.masks_drawn_by is not None:
            flags.append("cavity and wall of the host were drawn by a network; a scar that the patient has is not in the labels")
        if self.level_source is OrderSource.ASSUMED:
            flags.append("level assumed: nothing told base from apex, so basal and apical may be exchanged")
        if self.max_change_outside:
            flags.append(f"pixels outside the hidden region differ from the host by up to {self.max_change_outside:g}")
        return tuple(flags)

    def cells(self) -> dict[str, str | int | float | None]:
        """Column -> value as the ledger stores it and the table prints it."""
        return {name: _to_cell(getattr(self, name)) for name in COLUMNS}

    @classmethod
    def of_cells(cls, cells: Mapping[str, Any]) -> SampleRow:
        """The row that `cells` gave, also after it was printed as text.

        Raises:
            ValueError: a column is missing or unknown, or a cell does not hold a value of its kind; the message names the column.
        """
        if unknown := [name for name in cells if name not in _KINDS]:
            raise ValueError(f"column {unknown[0]} is unknown" if unknown[0] is not None else "there are more cells than columns")
        values = {}
        for name, kind in _KINDS.items():
            if name not in cells and name in ADDED:  # older runs have no such column
                continue
            if name not in cells:
                raise ValueError(f"column {name} is missing")
            try:
                values[name] = _of_cell(cells[name], kind)
            except (ValueError, PrescriptionError) as fault:
                raise ValueError(f"column {name}: {fault}") from None
        row = cls(**values)
        row._check_names()
        return row

    def _check_names(self) -> None:
        """The names become parts of paths, and must not lead out of a folder.

        Raises:
            ValueError: one of them would.
        """
        for name in ("id", "host"):
            try:
                checked_name(getattr(self, name), f"column {name}")
            except InputError as fault:
                raise ValueError(str(fault)) from None
        if self.file not in ("", *(f"{folder}images/{self.id}.nii.gz" for folder in ("", "rejected/"))):
            raise ValueError(f"column file: {self.file[:60]!r} is not images/{self.id}.nii.gz, with or without rejected/ before it")


_DIGITS = re.compile(r"[0-9]{1,18}")
_KINDS: dict[str, Any] = get_type_hints(SampleRow)
ADDED = frozenset(
    {
        "view_source",
        "masks_drawn_by",
        "edit",
        "core_contrast",
        "removed_mm2",
        "left_mm2",
        "healed_brightness",
        "healed_grain",
        "dice_within",
    }
)
COLUMNS = tuple(field.name for field in fields(SampleRow))


def sql_type(column: str) -> str:
    """SQLite's type of a column."""
    kind = _kind_of(_KINDS[column])
    return "REAL" if kind is float else "INTEGER" if kind in (int, bool) else "TEXT"


def _kind_of(hint: Any) -> Any:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if type(None) in get_args(hint) else hint


def _to_cell(value: Any) -> str | int | float | None:
    if isinstance(value, ScarPrescription | NoEnhancement):
        return value.to_json()
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, StrEnum):
        return value.value
    return int(value) if isinstance(value, bool) else value


def _of_cell(cell: Any, hint: Any) -> Any:
    kind = _kind_of(hint)
    if kind is not hint and cell in ("", None):
        return None
    if cell is None:
        raise ValueError("there is no cell")
    if kind == Prescription:
        return prescription_from_json(str(cell))
    if kind is bool:
        if str(cell) not in ("0", "1"):
            raise ValueError(f"{cell!r} is neither 0 nor 1")
        return str(cell) == "1"
    if kind is int:
        return _whole_number(str(cell))
    if kind is float:
        return _number(str(cell))
    if kind is str:
        return str(cell)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(cell)
    return tuple(_segment(word) for word in str(cell).split(" "))


def _whole_number(text: str) -> int:
    if not _DIGITS.fullmatch(text):  # `int` also reads "1_0" and the digits of other scripts
        raise ValueError(f"{text[:40]!r} is not a whole number from 0 to 2^63 - 1")
    return int(text)


def _number(text: str) -> float:
    number = float(text) if text.isascii() and "_" not in text else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]!r} is not a finite number")
    return number


def _segment(text: str) -> int:
    number = _whole_number(text)
    if number not in SHORT_AXIS_SEGMENTS:
        raise ValueError(f"{number} is not an AHA segment from 1 to 16")
    return number
