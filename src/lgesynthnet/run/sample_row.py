"""One attempt as a row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Source

ASSUMED_LEVEL = "assumed"


CERTAIN = 0.5  # insertions found in the image with less confidence than this are flagged


CELL_LIMIT = 2**20  # a caption or a prescription is far below; more is not a file of ours


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One row of samples.csv, see `ledger.Attempt` for its columns; numbers that were not measured are None.

    Attributes:
        host_path: image file that it was painted into; None where it cannot be found any more.
        prescription: None where the row holds no readable one.
        file: the image, relative to the run folder; empty where nothing could be painted.
        why: the verdict in words, or what stood against painting.
        segments: AHA segments that the intended mask covers, as measured; the prescribed ones where nobody measured.
    """

    id: str
    host: str
    host_path: Path | None
    slice_index: int
    level: str
    level_source: str
    insertion_source: str
    insertion_confidence: float | None
    seed: str
    caption: str
    sentence: str
    prescription: ScarPrescription | None
    file: str
    kept: bool
    reason: str
    why: str
    segments: tuple[int, ...]
    dice: float | None
    recall: float | None
    precision: float | None
    intended_mm2: float | None
    read_mm2: float | None
    stray_mm2: float | None
    transmurality: float | None
    burden: float | None
    mvo_share: float | None
    max_change_outside: float | None
    seconds: float | None

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader of the report must know before trusting this sample."""
        found = []
        if self.insertion_source == Source.ASSUMED:
            found.append("orientation assumed: no RV insertion was known, so segment names may be turned")
        elif self.insertion_source == Source.IMAGE and (self.insertion_confidence or 0.0) < CERTAIN:
            found.append(f"orientation uncertain: RV insertions estimated from the image, confidence {self.insertion_confidence or 0:.2f}")
        if self.level_source == ASSUMED_LEVEL:
            found.append("level assumed: nothing told base from apex, so basal and apical may be exchanged")
        if self.max_change_outside:
            found.append(f"voxels outside the hidden region differ from the host by up to {self.max_change_outside:g}")
        return tuple(found)


def _sample(row: dict[str, str], hosts: dict[str, Path]) -> Sample:
    prescription = _prescription(row.get("prescription", ""))
    texts: dict[str, Any] = {name: row.get(name) or "" for name in _TEXTS}
    numbers: dict[str, Any] = {name: _number(row.get(name)) for name in _NUMBERS}
    kept = row["kept"].strip().lower() in ("1", "true")
    return Sample(
        id=row["id"],
        host=row["host"],
        host_path=hosts.get(row["host"]),
        slice_index=int(row["slice"]),
        prescription=prescription,
        kept=kept,
        segments=_segments(row.get("segments"), prescription),
        **texts,
        **numbers,
    )


_TEXTS = ("level", "level_source", "insertion_source", "seed", "caption", "sentence", "file", "reason", "why")


_NUMBERS = (
    "insertion_confidence",
    "dice",
    "recall",
    "precision",
    "intended_mm2",
    "read_mm2",
    "stray_mm2",
    "transmurality",
    "burden",
    "mvo_share",
    "max_change_outside",
    "seconds",
)


def _number(cell: str | None) -> float | None:
    return float(cell) if cell not in (None, "", "None") else None


def _prescription(cell: str | None) -> ScarPrescription | None:
    try:
        return ScarPrescription.from_json(cell or "")
    except PrescriptionError:
        return None


def _segments(cell: str | None, prescription: ScarPrescription | None) -> tuple[int, ...]:
    """Numbers separated by blanks; an empty cell falls back on the prescription."""
    if cell:
        return tuple(sorted(int(word) for word in cell.split()))
    return tuple(sorted(prescription.segments)) if prescription else ()
