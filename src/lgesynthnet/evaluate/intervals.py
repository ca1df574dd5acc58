"""Means with intervals that respect patients: slices of one patient are not independent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

DRAWS = 2000
ByPatient = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % bootstrap over patients (percentiles; Efron, 1979).

    Attributes:
        n: values behind it, over all patients.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean(values: ByPatient) -> Interval | None:
    """Mean over all values; None where there are none."""
    return _resampled(values, lambda chosen: float(np.mean(np.concatenate(chosen))))


def ratio(values: ByPatient, ceiling: ByPatient) -> Interval | None:
    """Ratio of two means over the same patients, resampled together; None where the ceiling's mean is 0."""
    together = {name: list(zip(values[name], ceiling[name], strict=True)) for name in values}
    if not any(each for row in ceiling.values() for each in row):
        return None

    def of(chosen: list[np.ndarray]) -> float:
        one, other = np.concatenate(chosen).mean(axis=0)
        return float(one / max(other, 1e-9))

    return _resampled(together, of)


def geometric_mean(values: ByPatient) -> Interval | None:
    """For ratios, whose mean would favour the large; values must be positive. None where there are none."""
    logs = mean({name: np.log(np.asarray(row, float)).tolist() for name, row in values.items()})
    return None if logs is None else Interval(math.exp(logs.value), math.exp(logs.low), math.exp(logs.high), logs.n)


def difference(values: ByPatient, other: ByPatient) -> Interval | None:
    """Mean of paired differences."""
    return mean({name: [a - b for a, b in zip(values[name], other[name], strict=True)] for name in values})


def correlation(x: ByPatient, y: ByPatient) -> Interval | None:
    """Pearson's; None where one side does not vary."""
    together = {name: list(zip(x[name], y[name], strict=True)) for name in x}
    pairs = [pair for row in together.values() for pair in row]
    if len(pairs) < 3 or min(np.std(np.asarray(pairs), axis=0)) == 0:
        return None

    def of(chosen: list[np.ndarray]) -> float:
        one, other = np.concatenate(chosen).T
        return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else float("nan")

    return _resampled(together, of)


def reweighted(patients: int, of: Callable[[Float[np.ndarray, " patients"]], float], *, n: int) -> Interval | None:
    """For what is no mean: a statistic of how often each patient counts; once each is the estimate.

    Args:
        of: the statistic, NaN where a draw leaves it undefined.
        n: values behind it.
    """
    if not patients:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        return estimate(np.array([of(weight) for weight in draws(patients, np.random.default_rng(0))]), n)


def draws(count: int, rng: np.random.Generator) -> Float[np.ndarray, "draws count"]:
    """How often each of `count` counts: row 0 is the sample itself, each once; the others are bootstrap draws."""
    chosen = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)
    return np.vstack([np.ones(count), chosen])


def estimate(values: Float[np.ndarray, " draws"], n: int) -> Interval | None:
    """A statistic under every row of `draws`: the first and the middle 95 % of the others; None where it is not defined."""
    if not math.isfinite(values[0]):
        return None
    low, high = np.nanquantile(values[1:], (0.025, 0.975))
    return Interval(float(values[0]), float(low), float(high), n)


def _resampled(by_patient: Mapping[str, Sequence[object]], of: Callable[[list[np.ndarray]], float]) -> Interval | None:
    """Always with the same draws, so that a table is the same every time."""
    rows = [np.asarray(row, float) for row in by_patient.values() if len(row)]
    if not rows:
        return None
    rng = np.random.default_rng(0)
    draws = [of([rows[i] for i in rng.integers(len(rows), size=len(rows))]) for _ in range(DRAWS)]
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return Interval(of(rows), float(low), float(high), sum(len(row) for row in rows))
