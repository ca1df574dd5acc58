"""Split-half baseline: one half of the real patients against the other half, which tells how far apart two real sets are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Int

from lgesynthnet.evaluate.intervals import Interval

HALVINGS = 50
LEAST_PATIENTS = 4
Rows = Int[np.ndarray, " rows"]


def halvings(patients: Sequence[str], count: int = HALVINGS) -> Iterator[tuple[Rows, Rows]]:
    """Divide the patients into two random halves, `count` times. The random draws are always the same.

    Args:
        patients: the patient of each row.
    Yields:
        The row numbers of both halves; no patient is in both. Nothing is yielded for fewer than four patients.
    """
    names = np.array(patients)
    distinct = np.unique(names)
    rng = np.random.default_rng(0)
    for _ in range(count if len(distinct) >= LEAST_PATIENTS else 0):
        chosen = rng.permutation(distinct)[: len(distinct) // 2]
        first = np.isin(names, chosen)
        yield np.flatnonzero(first), np.flatnonzero(~first)


def split_half_baseline(patients: Sequence[str], statistic: Callable[[Rows, Rows], float], count: int = HALVINGS) -> Interval | None:
    """Mean and central 95 % range, over random halvings, of a statistic of two sets of rows.

    Args:
        patients: the patient of each row.
        statistic: takes the row numbers of both halves.
    Returns:
        None for fewer than four patients.
    """
    return mean_and_range([statistic(first, second) for first, second in halvings(patients, count)], n=len(patients))


def mean_and_range(values: Sequence[float], *, n: int) -> Interval | None:
    """Mean and central 95 % range of repeated draws. Undefined draws (NaN) are left out; None where no draw is left."""
    defined = [value for value in values if np.isfinite(value)]
    if not defined:
        return None
    low, high = np.quantile(defined, (0.025, 0.975))
    return Interval(float(np.mean(defined)), float(low), float(high), n)
