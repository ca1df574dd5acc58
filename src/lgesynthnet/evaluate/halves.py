"""One half of the real patients against the other: how far apart two honest sets are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Int

from lgesynthnet.evaluate.intervals import Interval

HALVINGS = 50
Rows = Int[np.ndarray, " rows"]


def halvings(patients: Sequence[str], count: int = HALVINGS) -> Iterator[tuple[Rows, Rows]]:
    """Row numbers of both halves, always by the same draws; no patient stands in both. Nothing comes of fewer than four patients."""
    names = np.array(patients)
    everyone = np.unique(names)
    rng = np.random.default_rng(0)
    for _ in range(count if len(everyone) >= 4 else 0):
        chosen = rng.permutation(everyone)[: len(everyone) // 2]
        first = np.isin(names, chosen)
        yield np.flatnonzero(first), np.flatnonzero(~first)


def split_half_baseline(patients: Sequence[str], of: Callable[[Rows, Rows], float], count: int = HALVINGS) -> Interval | None:
    """Mean and 95 % range over halvings of a figure that takes two sets of rows; None with fewer than four patients."""
    return spread([of(one, other) for one, other in halvings(patients, count)], n=len(patients))


def spread(values: Sequence[float], *, n: int) -> Interval | None:
    """Mean and 95 % range of repeated draws; undefined ones (NaN) are left out."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(float(np.mean(known)), float(low), float(high), n)
