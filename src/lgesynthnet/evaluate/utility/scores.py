"""Scores of one trained segmenter on the test patients, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

# How often each patient counts in each bootstrap draw; row 0 is the sample itself.
Weights = Float[np.ndarray, "draws patients"]
Draws = Float[np.ndarray, " draws"]

# Shares of the wall's probability above which a pixel is called scar. The masks that a segmenter returns use one half.
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))
HALF = THRESHOLDS.index(0.5)


@dataclass(frozen=True, kw_only=True)
class SliceScore:
    """One test slice and what one trained segmenter found in it.

    Attributes:
        truth_mm2, predicted_mm2, overlap_mm2: area of scar (no-reflow included) in the labels, in the prediction, in both.
        hd95_mm: 95th percentile of the distances between the two outlines; None unless both hold scar.
        expected_scar_mm2: probability of scar summed over the predicted wall; the score by which slices are called scarred.
        step_mm: distance to the next slice; it turns areas into volumes.
        predicted_at_mm2, overlap_at_mm2: the same areas at each of `THRESHOLDS`; empty where they were not recorded.
    """

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}

    patient: str
    index: int
    truth_mm2: float
    predicted_mm2: float
    overlap_mm2: float
    hd95_mm: float | None
    expected_scar_mm2: float
    step_mm: float
    predicted_at_mm2: tuple[float, ...] = ()
    overlap_at_mm2: tuple[float, ...] = ()

    @property
    def dice(self) -> float:
        """Dice coefficient; 1 where neither side holds scar, as in the published mean over all slices."""
        both = self.truth_mm2 + self.predicted_mm2
        return 2 * self.overlap_mm2 / both if both else 1.0

    @property
    def has_scar(self) -> bool:
        """Whether the labels hold scar."""
        return self.truth_mm2 > 0


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """All test slices of one run, with the detection thresholds that were chosen on its validation patients.

    Attributes:
        slice_cut_mm2: a slice with this expected scar area or more is called scarred.
        patient_cut_ml: a patient with this expected scar volume or more is called scarred.
    """

    slices: Sequence[SliceScore]
    slice_cut_mm2: float
    patient_cut_ml: float

    def record(self) -> dict[str, object]:
        """The fields as JSON values."""
        return asdict(self)


def per_patient(slices: Sequence[SliceScore]) -> dict[str, list[SliceScore]]:
    """The slices of each patient in order; patients in the order of their names."""
    by_patient: dict[str, list[SliceScore]] = {}
    for row in sorted(slices, key=lambda row: (row.patient, row.index)):
        by_patient.setdefault(row.patient, []).append(row)
    return by_patient


def expected_scar_ml(rows: Sequence[SliceScore]) -> float:
    """Expected scar volume of one patient's slices, ml."""
    return sum(row.expected_scar_mm2 * row.step_mm for row in rows) / 1000


def scar_volume_ml(rows: Sequence[SliceScore], *, predicted: bool) -> float:
    """Scar volume of one patient's slices, ml: as predicted, or in the labels."""
    return sum((row.predicted_mm2 if predicted else row.truth_mm2) * row.step_mm for row in rows) / 1000


def weighted_ratio(
    weights: Weights, numerator: Float[np.ndarray, " patients"], denominator: Float[np.ndarray, " patients"]
) -> Float[np.ndarray, " draws"]:
    """Ratio of two sums over patients under each draw; NaN where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ numerator) / (weights @ denominator))
