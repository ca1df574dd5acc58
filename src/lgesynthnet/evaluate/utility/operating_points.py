"""Dice of patients at a chosen false-positive rate: two segmenters are compared where they call as many scar-free slices scarred.

A segmenter that calls more of everything scar has a better Dice where scar is, and more false scar where none is. So the scar of whole
slices is erased, those with the smallest expected area first, until the rate is reached. `segment --false-positive-rate` erases in the same
way, from an area on that training patients have set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from lgesynthnet.evaluate.utility.scores import Draws, RunScores, SliceScore, Weights, per_patient, weighted_ratio
from lgesynthnet.segmenter.operating_points import least_area_mm2

Limits = Float[np.ndarray, " limits"]
"""Expected areas of scar, mm², from which on a slice keeps its scar; in rising order."""


def dice_at_rate(scores: RunScores, weights: Weights, rate: float) -> Draws:
    """Mean Dice of patients with scar at the smallest limit where the test slices have no higher false-positive rate.

    The limit is found anew in each draw. A segmenter whose rate is lower without erasing anything keeps all that it draws.
    """
    return _at_rate(scores, weights, rate, lambda limits: _mean_dice(scores.slices, limits, weights))


def slice_dice_at_rate(scores: RunScores, weights: Weights, rate: float, keep: Callable[[SliceScore], bool]) -> Draws:
    """Mean Dice of the kept slices with scar at the limit where all test slices have this false-positive rate; see `dice_at_rate`."""
    patients = [[row for row in rows if row.has_scar and keep(row)] for rows in per_patient(scores.slices).values()]
    count = np.array([len(rows) for rows in patients], float)

    def means(limits: Limits) -> Float[np.ndarray, "draws limits"]:
        dice = np.array([np.sum([_dice([row], limits) for row in rows], axis=0) if rows else np.zeros(len(limits)) for rows in patients])
        return np.stack([weighted_ratio(weights, column, count) for column in dice.T], axis=1)

    return _at_rate(scores, weights, rate, means)


def dice_at_set_point(scores: RunScores, weights: Weights, rate: float) -> Draws:
    """Mean Dice of patients with scar at the operating point that training patients set for this rate, out of fold; NaN without them."""
    return _at_set_point(scores, rate, lambda limits: _mean_dice(scores.slices, limits, weights), len(weights))


def rate_at_set_point(scores: RunScores, weights: Weights, rate: float) -> Draws:
    """The false-positive rate that this operating point has in the test slices."""
    return _at_set_point(scores, rate, lambda limits: _rates(scores.slices, limits, weights), len(weights))


def _at_rate(scores: RunScores, weights: Weights, rate: float, values: Callable[[Limits], Float[np.ndarray, "draws limits"]]) -> Draws:
    false = {row.expected_scar_mm2 for row in scores.slices if row.is_called and not row.has_scar}
    limits = np.array([0.0, *np.nextafter(sorted(false), np.inf)])  # each erases one slice more; the last erases all false scar
    rates = _rates(scores.slices, limits, weights)
    first = (rates <= rate + 1e-9).argmax(axis=1)
    found = np.take_along_axis(values(limits), first[:, None], axis=1)[:, 0]
    return np.where(np.isnan(rates[:, 0]), np.nan, found)


def _at_set_point(scores: RunScores, rate: float, values: Callable[[Limits], np.ndarray], draws: int) -> Draws:
    limit = least_area_mm2(scores.training_slices, rate)
    return np.full(draws, np.nan) if limit is None else np.asarray(values(np.array([limit]))[:, 0])


def _mean_dice(slices: Sequence[SliceScore], limits: Limits, weights: Weights) -> Float[np.ndarray, "draws limits"]:
    """Mean Dice of the patients with scar at each limit, under each draw of patients."""
    patients = list(per_patient(slices).values())
    diseased = np.array([float(any(row.has_scar for row in rows)) for rows in patients])
    dice = np.array([_dice(rows, limits) if sick else np.zeros(len(limits)) for rows, sick in zip(patients, diseased, strict=True)])
    return np.stack([weighted_ratio(weights, column, diseased) for column in dice.T], axis=1)


def _dice(rows: Sequence[SliceScore], limits: Limits) -> Float[np.ndarray, " limits"]:
    """Dice of all scar in some slices that hold scar, at each limit."""
    expected, predicted, overlap = (
        np.array([getattr(row, name) for row in rows]) for name in ("expected_scar_mm2", "predicted_mm2", "overlap_mm2")
    )
    kept = expected[None, :] >= limits[:, None]
    return np.asarray(2 * (kept @ overlap) / (sum(row.truth_mm2 for row in rows) + kept @ predicted))


def _rates(slices: Sequence[SliceScore], limits: Limits, weights: Weights) -> Float[np.ndarray, "draws limits"]:
    """False-positive rate at each limit, under each draw of patients; NaN where a draw has no scar-free slice."""
    free = [[row for row in rows if not row.has_scar] for rows in per_patient(slices).values()]
    false = np.array([[sum(row.is_called and row.expected_scar_mm2 >= limit for row in rows) for limit in limits] for rows in free], float)
    count = np.array([len(rows) for rows in free], float)
    return np.stack([weighted_ratio(weights, column, count) for column in false.T], axis=1)
