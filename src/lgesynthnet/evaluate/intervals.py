"""Means and other statistics with bootstrap intervals over patients, because slices of one patient are not independent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

DRAWS = 2000
CENTRAL_95 = (0.025, 0.975)
ByPatient = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    Source: percentile bootstrap over patients (Efron, 1979).

    Attributes:
        n: the number of values behind it, over all patients.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean(values: ByPatient) -> Interval | None:
    """Mean over all values; None where there are none. A patient with more values has more weight."""
    return _resample(values, lambda chosen: float(np.mean(np.concatenate(chosen))))


def ratio(values: ByPatient, ceiling: ByPatient) -> Interval | None:
    """Ratio of two means over the same patients, who are resampled together; None where all values of the ceiling are 0.

    Raises:
        ValueError: a patient has more values on one side than on the other.
    """
    if not any(value for row in ceiling.values() for value in row):
        return None

    def ratio_of_means(chosen: list[np.ndarray]) -> float:
        numerator, denominator = np.concatenate(chosen).mean(axis=0)
        return float(numerator / max(denominator, 1e-9))

    return _resample(_pairs(values, ceiling), ratio_of_means)


def geometric_mean(values: ByPatient) -> Interval | None:
    """Geometric mean, for ratios: an arithmetic mean would favour large ones. Values must be positive; None where there are none."""
    logs = mean({name: np.log(np.asarray(row, float)).tolist() for name, row in values.items()})
    return None if logs is None else Interval(math.exp(logs.value), math.exp(logs.low), math.exp(logs.high), logs.n)


def difference(values: ByPatient, reference: ByPatient) -> Interval | None:
    """Mean of the paired differences `values - reference`.

    Raises:
        ValueError: a patient has more values on one side than on the other.
    """
    return mean({name: [a - b for a, b in zip(values[name], reference[name], strict=True)] for name in values})


def correlation(x: ByPatient, y: ByPatient) -> Interval | None:
    """Pearson correlation; None with fewer than three pairs, or where one side does not vary.

    Raises:
        ValueError: a patient has more values on one side than on the other.
    """
    pairs_of_patient = _pairs(x, y)
    pairs = [pair for row in pairs_of_patient.values() for pair in row]
    if len(pairs) < 3 or min(np.std(np.asarray(pairs), axis=0)) == 0:
        return None

    def pearson(chosen: list[np.ndarray]) -> float:
        first, second = np.concatenate(chosen).T
        return float(np.corrcoef(first, second)[0, 1]) if first.std() > 0 and second.std() > 0 else float("nan")

    return _resample(pairs_of_patient, pearson)


def _pairs(first: ByPatient, second: ByPatient) -> dict[str, list[tuple[float, float]]]:
    return {name: list(zip(first[name], second[name], strict=True)) for name in first}


def reweighted(patients: int, statistic: Callable[[Float[np.ndarray, " patients"]], float], *, n: int) -> Interval | None:
    """Interval of a statistic that is not a mean, given as a function of how often each patient counts.

    Args:
        patients: the number of patients.
        statistic: takes the weights of the patients, (patients,); returns NaN where it is not defined for them.
        n: the number of values behind it.
    Returns:
        The statistic with each patient counted once, and its interval; None where it is not defined.
    """
    if not patients:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        return estimate(np.array([statistic(weight) for weight in draws(patients, np.random.default_rng(0))]), n)


def draws(count: int, rng: np.random.Generator) -> Float[np.ndarray, "draws count"]:
    """Bootstrap weights: how often each of `count` items counts. Row 0 is the sample itself, each item once."""
    chosen = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)
    return np.vstack([np.ones(count), chosen])


def estimate(values: Float[np.ndarray, " draws"], n: int) -> Interval | None:
    """The interval of a statistic that was computed under every row of `draws`; None where it is not defined for row 0.

    Args:
        values: the statistic; NaN where a draw leaves it undefined.
        n: the number of values behind it.
    """
    if not math.isfinite(values[0]):
        return None
    low, high = np.nanquantile(values[1:], CENTRAL_95)
    return Interval(float(values[0]), float(low), float(high), n)


def _resample(by_patient: Mapping[str, Sequence[object]], statistic: Callable[[list[np.ndarray]], float]) -> Interval | None:
    """Bootstrap over patients. The draws are always the same, so that the same values give the same table."""
    rows = [np.asarray(row, float) for row in by_patient.values() if len(row)]
    if not rows:
        return None
    rng = np.random.default_rng(0)
    chosen = [tuple(rng.integers(len(rows), size=len(rows)).tolist()) for _ in range(DRAWS)]
    by_choice = {choice: statistic([rows[i] for i in choice]) for choice in set(chosen)}  # with few patients, draws repeat
    values = [by_choice[choice] for choice in chosen]
    low, high = np.nanquantile(values, CENTRAL_95)
    return Interval(statistic(rows), float(low), float(high), sum(len(row) for row in rows))


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
