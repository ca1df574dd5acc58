"""Means with intervals that respect patients: slices of one patient are not independent."""

from __future__ import annotations

import numpy as np


def bootstrap(by_patient: dict[str, list[float]], draws: int = 2000) -> tuple[float, float, float]:
    """Mean over all values, and a 95 % interval from resampling patients (always with the same draws)."""
    rng, names = np.random.default_rng(0), list(by_patient)
    mean = float(np.mean([v for name in names for v in by_patient[name]]))
    means = [np.mean([v for i in rng.integers(len(names), size=len(names)) for v in by_patient[names[i]]]) for _ in range(draws)]
    low, high = np.quantile(means, (0.025, 0.975))
    return mean, float(low), float(high)
