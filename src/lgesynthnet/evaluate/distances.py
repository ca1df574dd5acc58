"""Distances between the synthetic and the real slices as sets, in features that have a name.

None of them is a Fréchet inception distance (FID): no Inception network is involved, and an FID of a hundred slices in 2048 dimensions is
mostly noise. Here the features are few. The Fréchet distance is taken in at most six directions of the real set, with shrunken
covariances, and always between sets of one size. Beside each distance stands the same distance between two halves of the real patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lgesynthnet.evaluate.intervals import Interval, halvings, mean_and_range, reweighted, split_half_baseline

MOST_DIRECTIONS = 6
CASES_PER_DIRECTION = 5  # in the smaller set; with fewer, a covariance is a guess
SHRINKAGE = 0.1
CLIPPED_AT = 5.0  # standard deviations: in a cubic kernel one outlier would make up the whole distance

Rows = Float[np.ndarray, "n features"]
OtherRows = Float[np.ndarray, "m features"]


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """The same features of synthetic and of real slices.

    Attributes:
        name: of the features; printed with every distance.
        painted, real: one row a case; NaN where a case does not have a feature. `painted` are the synthetic slices.
        painted_patients, real_patients: the patient of each row.
    """

    name: str
    painted: Rows
    real: OtherRows
    painted_patients: Sequence[str]
    real_patients: Sequence[str]

    def standardised(self) -> FeatureSet:
        """Every feature with mean 0 and standard deviation 1 over the real slices, clipped at five standard deviations.

        A missing value becomes 0. A feature that does not vary among the real slices is dropped.
        """
        with np.errstate(invalid="ignore"):
            mean, deviation = _of_known(np.nanmean, self.real), _of_known(np.nanstd, self.real)
        use = np.isfinite(deviation) & (deviation > 1e-9)
        units = ((rows[:, use] - mean[use]) / deviation[use] for rows in (self.painted, self.real))
        painted, real = (np.clip(np.nan_to_num(rows), -CLIPPED_AT, CLIPPED_AT) for rows in units)
        return FeatureSet(
            name=self.name, painted=painted, real=real, painted_patients=self.painted_patients, real_patients=self.real_patients
        )


def _of_known(statistic: Callable[..., np.ndarray], rows: Rows) -> Float[np.ndarray, " features"]:
    """A statistic of each feature that at least two rows have; NaN for the others."""
    known = np.isfinite(rows).sum(axis=0) > 1
    result = np.full(rows.shape[1], np.nan)
    if known.any():
        result[known] = statistic(rows[:, known], axis=0)
    return result


def frechet(first: Rows, second: OtherRows) -> float:
    """Squared Fréchet distance between two normal distributions that have the means and covariances of the two sets.

    Covariances are shrunk by a tenth towards a sphere of the same trace. Without that, sets as small as these would have directions
    without any spread.

    Source: Dowson and Landau (1982).
    """
    covariances = [_shrunk(np.atleast_2d(np.cov(rows, rowvar=False))) for rows in (first, second)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariances[1] @ root), 0)).sum()
    shift = first.mean(axis=0) - second.mean(axis=0)
    return max(float(shift @ shift + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * cross), 0.0)


def _shrunk(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    d = len(covariance)
    return np.asarray((1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / d * np.eye(d))


def frechet_distances(features: FeatureSet) -> tuple[Interval | None, Interval | None, int]:
    """Fréchet distance of synthetic to real slices, the same between two halves of the real patients, and the number of directions.

    Small sets have too large a distance, so only sets of one size are compared. Over the same random halvings of the real patients,
    one half is compared with as many synthetic slices, and with the other half. Both results are the mean over halvings with the
    central 95 % range; None and 0 directions where there are too few slices.
    """
    features = features.standardised()
    smaller = min(len(features.painted), len(features.real) // 2)
    directions = min(MOST_DIRECTIONS, features.real.shape[1], smaller // CASES_PER_DIRECTION)
    if directions < 1:
        return None, None, 0
    axes = _principal_axes(features.real, directions)
    painted, real = features.painted @ axes, features.real @ axes
    rng = np.random.default_rng(0)
    to_painted, to_real = [], []
    for first, second in halvings(features.real_patients):
        chosen = rng.permutation(len(painted))[: len(second)]
        if min(len(first), len(second), len(chosen)) > directions:
            to_painted.append(frechet(real[first], painted[chosen]))
            to_real.append(frechet(real[first], real[second]))
    return mean_and_range(to_painted, n=len(painted)), mean_and_range(to_real, n=len(real)), directions


def _principal_axes(rows: Rows, count: int) -> Float[np.ndarray, "features directions"]:
    """Directions of the largest variance (PCA of the standardised real set)."""
    _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(rows, rowvar=False)))
    return vectors[:, ::-1][:, :count]


def kernel_distances(features: FeatureSet) -> tuple[Interval | None, Interval | None]:
    """Kernel distance of synthetic to real slices, and the same between halves of the real patients.

    It is the unbiased squared maximum mean discrepancy (MMD) with the cubic kernel of the kernel inception distance. Only pairs of
    different patients count, because slices of one heart are alike whatever is painted into them. 0 is right; below 0 is chance.

    Source: Binkowski et al. (2018); Gretton et al. (2012).
    """
    features = features.standardised()
    if not features.real.shape[1]:
        return None, None
    value = kernel_distance(features.painted, features.real, features.painted_patients, features.real_patients)
    patients, rows = np.array(features.real_patients), features.real

    def between_halves(first: np.ndarray, second: np.ndarray) -> float:
        sums = _KernelSums.of(rows[first], rows[second], patients[first].tolist(), patients[second].tolist())
        return _squared_mmd(sums, np.ones(sums.patients))

    return value, split_half_baseline(features.real_patients, between_halves)


def kernel_distance(first: Rows, second: OtherRows, first_patients: Sequence[str], second_patients: Sequence[str]) -> Interval | None:
    """Squared maximum mean discrepancy with an interval over patients; None where one side has a single patient."""
    sums = _KernelSums.of(first, second, first_patients, second_patients)
    return reweighted(sums.patients, lambda weight: _squared_mmd(sums, weight), n=len(first))


@dataclass(frozen=True, kw_only=True)
class _KernelSums:
    """Sums of the kernel and counts of pairs of rows, (patients, patients): within the first set, within the second, between them."""

    sums: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]

    @property
    def patients(self) -> int:
        return len(self.counts[0])

    @classmethod
    def of(cls, first: Rows, second: OtherRows, first_patients: Sequence[str], second_patients: Sequence[str]) -> _KernelSums:
        patients = sorted({*first_patients, *second_patients})
        sides = [(rows, membership(names, patients)) for rows, names in ((first, first_patients), (second, second_patients))]
        different_patients = 1 - np.eye(len(patients))
        sums, counts = [], []
        for (a, patient_of_a), (b, patient_of_b) in ((sides[0], sides[0]), (sides[1], sides[1]), (sides[0], sides[1])):
            sums.append(patient_of_a @ ((a @ b.T / a.shape[1] + 1) ** 3) @ patient_of_b.T * different_patients)
            counts.append(np.outer(patient_of_a.sum(axis=1), patient_of_b.sum(axis=1)) * different_patients)
        return cls(sums=tuple(sums), counts=tuple(counts))


def membership(row_patients: Sequence[str], patients: Sequence[str]) -> Float[np.ndarray, "patients rows"]:
    """1 where a row belongs to a patient, else 0."""
    return np.asarray(np.array(patients)[:, None] == np.array(row_patients)[None, :], float)


def _squared_mmd(kernel: _KernelSums, weight: Float[np.ndarray, " patients"]) -> float:
    """NaN where a set has no pair of different patients."""
    pairs = [float(weight @ counts @ weight) for counts in kernel.counts]
    if min(pairs) <= 0:
        return float("nan")
    within_first, within_second, between = (float(weight @ sums @ weight) / n for sums, n in zip(kernel.sums, pairs, strict=True))
    return within_first + within_second - 2 * between
