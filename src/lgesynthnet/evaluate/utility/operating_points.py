"""Dice of patients at a chosen false-positive rate: two segmenters are compared where they call as many scar-free slices scarred.

A segmenter that calls more of everything scar has a better Dice where scar is, and more false scar where none is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lgesynthnet.evaluate.utility.scores import THRESHOLDS, Draws, RunScores, SliceScore, Weights, per_patient, weighted_ratio
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2


@dataclass(frozen=True, kw_only=True)
class ByThreshold:
    """What a segmenter finds in each patient at each of `THRESHOLDS`.

    Attributes:
        dice: Dice of the patient's whole scar; 0 where the patient has none.
        diseased: 1 for a patient with scar, else 0.
        false_slices: number of the patient's scar-free slices with more than 25 mm² of scar.
        clean_slices: number of the patient's scar-free slices.
    """

    dice: Float[np.ndarray, "patients thresholds"]
    diseased: Float[np.ndarray, " patients"]
    false_slices: Float[np.ndarray, "patients thresholds"]
    clean_slices: Float[np.ndarray, " patients"]

    @classmethod
    def of(cls, slices: Sequence[SliceScore]) -> ByThreshold:
        patients = list(per_patient(slices).values())
        dice, false_slices = (np.zeros((len(patients), len(THRESHOLDS))) for _ in range(2))
        for i, rows in enumerate(patients):
            predicted, overlap = (np.array([getattr(row, name) for row in rows]) for name in ("predicted_at_mm2", "overlap_at_mm2"))
            truth = sum(row.truth_mm2 for row in rows)
            if truth:
                dice[i] = 2 * overlap.sum(axis=0) / (truth + predicted.sum(axis=0))
            clean = np.array([not row.has_scar for row in rows])
            false_slices[i] = (predicted[clean] > FALSE_SCAR_MM2).sum(axis=0)
        return cls(
            dice=dice,
            diseased=np.array([float(any(row.has_scar for row in rows)) for rows in patients]),
            false_slices=false_slices,
            clean_slices=np.array([float(sum(not row.has_scar for row in rows)) for rows in patients]),
        )

    def rates(self, weights: Weights) -> Float[np.ndarray, "draws thresholds"]:
        """False-positive rate at each threshold, under each draw of patients."""
        return np.stack([weighted_ratio(weights, column, self.clean_slices) for column in self.false_slices.T], axis=1)

    def mean_dice(self, weights: Weights) -> Float[np.ndarray, "draws thresholds"]:
        """Mean Dice of the patients with scar at each threshold, under each draw of patients."""
        return np.stack([weighted_ratio(weights, column * self.diseased, self.diseased) for column in self.dice.T], axis=1)


def dice_at_rate(scores: RunScores, weights: Weights, rate: float) -> Draws:
    """Mean Dice of patients with scar at the threshold where the test slices have this false-positive rate.

    It is interpolated between thresholds, and found anew in each draw. Above the highest threshold lies one that nothing reaches: a
    segmenter that is too sure of too much to have the rate at any other gets the share of its Dice that the rates have.
    """
    table = ByThreshold.of(scores.slices)
    return _interpolated(table.rates(weights), table.mean_dice(weights), rate)


def slice_dice_at_rate(scores: RunScores, weights: Weights, rate: float, keep: Callable[[SliceScore], bool]) -> Draws:
    """Mean Dice of the kept slices with scar at the threshold where all test slices have this false-positive rate; see `dice_at_rate`."""
    patients = list(per_patient(scores.slices).values())
    dice, count = np.zeros((len(patients), len(THRESHOLDS))), np.zeros(len(patients))
    for i, rows in enumerate(patients):
        kept = [row for row in rows if row.has_scar and keep(row)]
        count[i] = len(kept)
        for row in kept:
            dice[i] += 2 * np.array(row.overlap_at_mm2) / (row.truth_mm2 + np.array(row.predicted_at_mm2))
    means = np.stack([weighted_ratio(weights, column, count) for column in dice.T], axis=1)
    return _interpolated(ByThreshold.of(scores.slices).rates(weights), means, rate)


def _interpolated(rates: Float[np.ndarray, "draws thresholds"], values: Float[np.ndarray, "draws thresholds"], rate: float) -> Draws:
    none = np.zeros((len(rates), 1))
    # Rates fall as the threshold rises, and np.interp needs them rising.
    x, y = (np.hstack([none, table[:, ::-1]]) for table in (rates, values))
    return np.array([np.interp(rate, *pair) for pair in zip(x, y, strict=True)])


def cut_off(slices: Sequence[SliceScore], rate: float) -> float | None:
    """The lowest of `THRESHOLDS` at which these slices have no higher false-positive rate; None where no slice is free of scar."""
    table = ByThreshold.of(slices)
    if not table.clean_slices.sum():
        return None
    rates = table.false_slices.sum(axis=0) / table.clean_slices.sum()
    allowed = [threshold for threshold, value in zip(THRESHOLDS, rates, strict=True) if value <= rate]
    return allowed[0] if allowed else THRESHOLDS[-1]


def dice_at_cut_off(scores: RunScores, weights: Weights, rate: float) -> Draws:
    """Mean Dice of patients with scar at the cut-off that the training patients' out-of-fold scores set for this rate; NaN without them."""
    return _at_cut_off(scores, rate, lambda table: table.mean_dice(weights), len(weights))


def rate_at_cut_off(scores: RunScores, weights: Weights, rate: float) -> Draws:
    """The false-positive rate that this cut-off has in the test slices."""
    return _at_cut_off(scores, rate, lambda table: table.rates(weights), len(weights))


def _at_cut_off(scores: RunScores, rate: float, values: Callable[[ByThreshold], np.ndarray], draws: int) -> Draws:
    threshold = cut_off(scores.training_slices, rate) if scores.training_slices else None
    if threshold is None:
        return np.full(draws, np.nan)
    return np.asarray(values(ByThreshold.of(scores.slices))[:, THRESHOLDS.index(threshold)])
