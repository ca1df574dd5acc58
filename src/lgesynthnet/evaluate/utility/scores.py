"""Scores of one trained segmenter on the test patients, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2

# How often each patient counts in each bootstrap draw; row 0 is the sample itself.
Weights = Float[np.ndarray, "draws patients"]
Draws = Float[np.ndarray, " draws"]


@dataclass(frozen=True, kw_only=True)
class SliceScore:
    """One test slice and what one trained segmenter found in it.

    Attributes:
        truth_mm2, predicted_mm2, overlap_mm2: area of scar (no-reflow included) in the labels, in the prediction, in both.
        hd95_mm: 95th percentile of the distances between the two outlines; None unless both hold scar.
        expected_scar_mm2: see `segmenter.downstream.expected_scar_mm2`; by it slices are ranked for the AUC, and erased to match a rate.
        step_mm: distance to the next slice; it turns areas into volumes.
        wall_mm2, predicted_wall_mm2, overlap_wall_mm2: area of the whole wall in the labels, in the prediction, in both.
        lesions, found_lesions: number of connected scars in the labels, and of those that the prediction touches.
        called_lesions, right_lesions: number of connected scars in the prediction, and of those that touch a labelled one.
        no_reflow_mm2, predicted_no_reflow_mm2, overlap_no_reflow_mm2: area of no-reflow alone in the labels, in the prediction, in both;
            None in records of before.
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
    wall_mm2: float
    predicted_wall_mm2: float
    overlap_wall_mm2: float
    lesions: int
    found_lesions: int
    called_lesions: int
    right_lesions: int
    no_reflow_mm2: float | None = None
    predicted_no_reflow_mm2: float | None = None
    overlap_no_reflow_mm2: float | None = None

    @property
    def is_called(self) -> bool:
        """Whether more than 25 mm² of scar are predicted; in a slice without scar, that is a false positive."""
        return self.predicted_mm2 > FALSE_SCAR_MM2

    def record(self) -> dict[str, object]:
        """The fields as JSON values."""
        return asdict(self)

    @property
    def dice(self) -> float:
        """Dice coefficient; 1 where neither side holds scar, as in the published mean over all slices."""
        both = self.truth_mm2 + self.predicted_mm2
        return 2 * self.overlap_mm2 / both if both else 1.0

    @property
    def no_reflow_dice(self) -> float | None:
        """Dice coefficient of no-reflow; None where neither side holds any, or where it was not measured."""
        both = (self.no_reflow_mm2 or 0) + (self.predicted_no_reflow_mm2 or 0)
        return 2 * (self.overlap_no_reflow_mm2 or 0) / both if both else None

    @property
    def wall_dice(self) -> float:
        """Dice coefficient of the whole wall."""
        return 2 * self.overlap_wall_mm2 / (self.wall_mm2 + self.predicted_wall_mm2)

    @property
    def has_scar(self) -> bool:
        """Whether the labels hold scar."""
        return self.truth_mm2 > 0


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """The scores of one run.

    Attributes:
        slices: all test slices.
        training_slices: slices of the training patients, scored by segmenters that were trained without them; empty where there are none.
    """

    slices: Sequence[SliceScore]
    training_slices: Sequence[SliceScore] = ()


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
