"""Paired comparisons of segmenters over the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from lgesynthnet.evaluate.intervals import draws
from lgesynthnet.evaluate.utility.figures import Metric
from lgesynthnet.evaluate.utility.scores import (
    HALF,
    THRESHOLDS,
    RunScores,
    SliceScore,
    Weights,
    _scarred,
    per_patient,
)
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """Draws shared by all arms: row 0 is the sample itself, each patient and each seed once.

    Attributes:
        patients: how often each patient counts.
        seeds: how often each seed counts.
    """

    patients: Weights
    seeds: Float[np.ndarray, "draws seeds"]

    @classmethod
    def of(cls, patients: int, seeds: int) -> Resampling:
        rng = np.random.default_rng(0)
        return cls(patients=draws(patients, rng), seeds=draws(seeds, rng))

    def values(self, figure: Metric, readings: Sequence[RunScores]) -> Float[np.ndarray, " draws"]:
        """The figure under every draw, averaged over the seeds that the draw holds."""
        each = np.stack([figure.of(reading, self.patients) for reading in readings], axis=1)
        return np.asarray((each * self.seeds).sum(axis=1) / self.seeds.sum(axis=1))


def at_matched_false_positive_rate(
    ours: Sequence[RunScores], others: Sequence[RunScores], resampling: Resampling
) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]] | None:
    """Dice on slices with scar where our false alarm is that of the others at one half, and the others' Dice there.

    A segmenter that calls more of everything scar has a better Dice where scar is and more false scar where none is; here both stand at
    one false alarm. False alarm: share of the other slices with more than 25 mm2 of scar. Between two thresholds it is interpolated, and
    matched anew in each draw.

    Returns:
        Two rows of draws; None where a record holds no areas by threshold.
    """
    if not all(row.found_at_mm2 for reading in (*ours, *others) for row in reading.slices):
        return None
    (dice, alarm), (wanted, limit) = _by_threshold(ours, resampling), _by_threshold(others, resampling)
    met = [np.interp(goal, a[::-1], d[::-1]) for goal, a, d in zip(limit[:, HALF], alarm, dice, strict=True)]
    return np.array(met), wanted[:, HALF]


def _by_threshold(readings: Sequence[RunScores], resampling: Resampling) -> tuple[np.ndarray, np.ndarray]:
    """Dice on slices with scar, and false alarm on the others, (draws, thresholds)."""
    both = np.stack([[_sums_by_threshold(some) for some in per_patient(reading.slices).values()] for reading in readings])
    with np.errstate(invalid="ignore", divide="ignore"):
        of_seeds = [np.einsum("dp,spt->dst", resampling.patients, both[:, :, i]) for i in range(4)]
        rates = [(over / under * resampling.seeds[:, :, None]).sum(axis=1) for over, under in (of_seeds[:2], of_seeds[2:])]
    dice, alarm = (rate / resampling.seeds.sum(axis=1, keepdims=True) for rate in rates)
    return dice, alarm


def _sums_by_threshold(slices: Sequence[SliceScore]) -> Float[np.ndarray, "4 thresholds"]:
    """One patient: Dice and number of slices with scar, false alarms and number of the others."""
    sums = np.zeros((4, len(THRESHOLDS)))
    for row in slices:
        found, overlap = np.asarray(row.found_at_mm2), np.asarray(row.overlap_at_mm2)
        if _scarred(row):
            sums[:2] += np.stack([2 * overlap / (row.truth_mm2 + found), np.ones(len(THRESHOLDS))])
        else:
            sums[2:] += np.stack([found > FALSE_SCAR_MM2, np.ones(len(THRESHOLDS))])
    return sums


def signed_rank(ours: Sequence[RunScores], others: Sequence[RunScores]) -> float | None:
    """Wilcoxon's signed-rank test over patients of their mean Dice on slices with scar, averaged over seeds; two-sided p.

    None where no patient differs.
    """
    one, other = _patient_dice(ours), _patient_dice(others)
    change = np.array([one[name] - other[name] for name in one])
    return float(stats.wilcoxon(change).pvalue) if len(change) and change.any() else None


def patient_changes(ours: Sequence[RunScores], others: Sequence[RunScores]) -> dict[str, float]:
    """Difference of mean Dice on slices with scar, by patient."""
    one, other = _patient_dice(ours), _patient_dice(others)
    return {name: one[name] - other[name] for name in one}


def _patient_dice(readings: Sequence[RunScores]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for reading in readings:
        for row in reading.slices:
            if _scarred(row):
                found.setdefault(row.patient, []).append(row.dice)
    return {name: float(np.mean(row)) for name, row in sorted(found.items())}
