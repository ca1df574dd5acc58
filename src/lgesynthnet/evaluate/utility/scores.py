"""Scores of one segmenter, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Weights = Float[np.ndarray, "draws patients"]


# Shares of the wall's probability above which a pixel may be called scar; one half is that of every mask.
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))


HALF = THRESHOLDS.index(0.5)


@dataclass(frozen=True, kw_only=True)
class SliceScore:
    """One test slice read by one trained segmenter.

    Attributes:
        truth_mm2, found_mm2, overlap_mm2: areas of scar (with no-reflow) in the labels, in the reading, in both.
        hd95_mm: 95th percentile of the distances between the two outlines; None unless both hold scar.
        evidence_mm2: probability of scar summed over the wall that was found; the detector's score.
        step_mm: distance to the next slice, so that areas become volumes.
        found_at_mm2, overlap_at_mm2: the same areas at each of `THRESHOLDS`; empty in records of before they were kept.
    """

    patient: str
    index: int
    truth_mm2: float
    found_mm2: float
    overlap_mm2: float
    hd95_mm: float | None
    expected_scar_mm2: float
    step_mm: float
    found_at_mm2: Sequence[float] = ()
    overlap_at_mm2: Sequence[float] = ()

    @property
    def dice(self) -> float:
        """1 where neither side holds scar, as the published all-slice mean counts it."""
        both = self.truth_mm2 + self.found_mm2
        return 2 * self.overlap_mm2 / both if both else 1.0


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """All test slices of one run, and where validation patients put its detection cut-offs.

    Attributes:
        slice_cut_mm2: a slice with this evidence or more is called scarred.
        patient_cut_ml: a patient with this evidence or more, summed over slices.
    """

    slices: Sequence[SliceScore]
    slice_cut_mm2: float
    patient_cut_ml: float

    def record(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> RunScores:
        rows: list[dict[str, Any]] = [{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in record["slices"]]
        return cls(
            slices=[SliceScore(**row) for row in rows],
            slice_cut_mm2=float(record["slice_cut_mm2"]),
            patient_cut_ml=float(record["patient_cut_ml"]),
        )


def per_patient(slices: Sequence[SliceScore]) -> dict[str, list[SliceScore]]:
    """Slices by patient, patients in the order of their names."""
    found: dict[str, list[SliceScore]] = {}
    for row in sorted(slices, key=lambda row: (row.patient, row.index)):
        found.setdefault(row.patient, []).append(row)
    return found


def expected_scar_ml(rows: Sequence[SliceScore]) -> float:
    return sum(row.expected_scar_mm2 * row.step_mm for row in rows) / 1000


def burden_ml(rows: Sequence[SliceScore], *, found: bool) -> float:
    return sum((row.found_mm2 if found else row.truth_mm2) * row.step_mm for row in rows) / 1000


def _ratio(weights: Weights, over: Float[np.ndarray, " patients"], under: Float[np.ndarray, " patients"]) -> Float[np.ndarray, " draws"]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ over) / (weights @ under))


def _scarred(row: SliceScore) -> bool:
    return row.truth_mm2 > 0


DICE, BALANCED = "Dice, slices with scar", "balanced accuracy, slices"
