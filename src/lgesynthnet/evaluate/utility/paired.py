"""Paired comparisons of segmenters over the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from lgesynthnet.evaluate.intervals import draws
from lgesynthnet.evaluate.utility.metrics import Metric
from lgesynthnet.evaluate.utility.scores import HALF, THRESHOLDS, Draws, RunScores, SliceScore, Weights, per_patient
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """Bootstrap draws that all arms share. Row 0 is the sample itself, each patient and each seed once.

    Attributes:
        patients: how often each patient counts.
        seeds: how often each training seed counts.
    """

    patients: Weights
    seeds: Float[np.ndarray, "draws seeds"]

    @classmethod
    def of(cls, patients: int, seeds: int) -> Resampling:
        """The same draws every time for these numbers of patients and seeds."""
        rng = np.random.default_rng(0)
        return cls(patients=draws(patients, rng), seeds=draws(seeds, rng))

    def values(self, metric: Metric, runs: Sequence[RunScores]) -> Draws:
        """The metric under every draw, averaged over the seeds in the draw.

        Args:
            runs: one run a seed.
        """
        by_seed = np.stack([metric.compute(run, self.patients) for run in runs], axis=1)
        return np.asarray((by_seed * self.seeds).sum(axis=1) / self.seeds.sum(axis=1))


def at_matched_false_positive_rate(
    ours: Sequence[RunScores], others: Sequence[RunScores], resampling: Resampling
) -> tuple[Draws, Draws] | None:
    """Our Dice at the threshold where our false-positive rate equals that of the others at one half, and the others' Dice at one half.

    A segmenter that calls more of everything scar has a better Dice on slices with scar, and more false scar on slices without. Here
    both have one false-positive rate: the share of slices without scar in which more than 25 mm² of scar are predicted. Between two
    thresholds the values are interpolated. The rate is matched anew in each draw.

    Returns:
        Both Dice under every draw; None where a record holds no areas by threshold.
    """
    if not all(row.predicted_at_mm2 for run in (*ours, *others) for row in run.slices):
        return None
    our_dice, our_rate = _by_threshold(ours, resampling)
    other_dice, other_rate = _by_threshold(others, resampling)
    # Rates fall as the threshold rises, and np.interp needs them rising.
    matched = [np.interp(goal, rate[::-1], dice[::-1]) for goal, rate, dice in zip(other_rate[:, HALF], our_rate, our_dice, strict=True)]
    return np.array(matched), other_dice[:, HALF]


def _by_threshold(runs: Sequence[RunScores], resampling: Resampling) -> tuple[np.ndarray, np.ndarray]:
    """Dice on slices with scar and false-positive rate on the others, (draws, thresholds), averaged over the seeds in each draw."""
    sums = np.stack([[_sums_by_threshold(slices) for slices in per_patient(run.slices).values()] for run in runs])
    with np.errstate(invalid="ignore", divide="ignore"):
        dice, with_scar, false_positives, without = (np.einsum("dp,spt->dst", resampling.patients, sums[:, :, i]) for i in range(4))
        rates = [
            (numerator / count * resampling.seeds[:, :, None]).sum(axis=1)
            for numerator, count in ((dice, with_scar), (false_positives, without))
        ]
    mean_dice, mean_rate = (rate / resampling.seeds.sum(axis=1, keepdims=True) for rate in rates)
    return mean_dice, mean_rate


def _sums_by_threshold(slices: Sequence[SliceScore]) -> Float[np.ndarray, "4 thresholds"]:
    """Of one patient: sum of Dice and number of slices with scar, number of false positives and number of slices without."""
    sums = np.zeros((4, len(THRESHOLDS)))
    for row in slices:
        predicted, overlap = np.asarray(row.predicted_at_mm2), np.asarray(row.overlap_at_mm2)
        if row.has_scar:
            sums[:2] += np.stack([2 * overlap / (row.truth_mm2 + predicted), np.ones(len(THRESHOLDS))])
        else:
            sums[2:] += np.stack([predicted > FALSE_SCAR_MM2, np.ones(len(THRESHOLDS))])
    return sums


def signed_rank(ours: Sequence[RunScores], others: Sequence[RunScores]) -> float | None:
    """Two-sided p value of Wilcoxon's signed-rank test over patients, on `patient_changes`; None where no patient differs."""
    changes = np.array(list(patient_changes(ours, others).values()))
    return float(stats.wilcoxon(changes, alternative="two-sided").pvalue) if changes.any() else None


def patient_changes(ours: Sequence[RunScores], others: Sequence[RunScores]) -> dict[str, float]:
    """Our mean Dice on slices with scar less that of the others, by patient; a patient's mean is over slices and seeds."""
    our_dice, other_dice = _patient_dice(ours), _patient_dice(others)
    return {patient: dice - other_dice[patient] for patient, dice in our_dice.items()}


def _patient_dice(runs: Sequence[RunScores]) -> dict[str, float]:
    dice: dict[str, list[float]] = {}
    for run in runs:
        for row in run.slices:
            if row.has_scar:
                dice.setdefault(row.patient, []).append(row.dice)
    return {patient: float(np.mean(values)) for patient, values in sorted(dice.items())}
