"""Paired comparisons of segmenters over the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lgesynthnet.evaluate.intervals import draws
from lgesynthnet.evaluate.utility.metrics import Metric
from lgesynthnet.evaluate.utility.scores import Draws, RunScores, Weights


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


def bootstrap_p(differences: Draws) -> float:
    """Two-sided p value of a difference of 0: twice the share of draws on the rarer side of it, at least one draw."""
    drawn = differences[1:][np.isfinite(differences[1:])]
    if not drawn.size:
        return 1.0
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return float(min(2 * max(rarer, 1) / drawn.size, 1.0))


def corrected(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number.

    Source: Holm (1979).
    """
    order = np.argsort(p_values)
    result, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(p_values[index] * (len(p_values) - rank), 1.0))
        result[index] = largest
    return result
