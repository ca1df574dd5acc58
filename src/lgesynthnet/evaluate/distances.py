"""How far apart two sets of slices lie in features that have a name. Neither number is an FID: there is no Inception network in it.

An FID of a hundred slices in 2048 dimensions is noise with a trend. Here the features are few and named, the Fréchet distance is taken in
at most six directions of the real set with shrunken covariances and always of sets of one size, and beside each number stands
that of two halves of the real patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lgesynthnet.evaluate.halves import halvings, split_half_baseline, spread
from lgesynthnet.evaluate.intervals import Interval, reweighted

DIRECTIONS = 6
CASES_A_DIRECTION = 5  # in the smaller set; fewer and a covariance is a guess
SHRINKAGE = 0.1
CLIPPED_AT = 5.0  # spreads: in a cubic kernel one outlier would be the whole distance

Rows = Float[np.ndarray, "n features"]
Others = Float[np.ndarray, "m features"]


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """The same features of painted and of real slices.

    Attributes:
        name: of the features; printed with every distance.
        painted, real: one row a case; NaN where a case does not have a feature.
        painted_patients, real_patients: one name a row.
    """

    name: str
    painted: Rows
    real: Others
    painted_patients: Sequence[str]
    real_patients: Sequence[str]

    def standardised(self) -> FeatureSet:
        """Mean 0 and spread 1 over the real slices, clipped to five spreads.

        What a case lacks becomes 0, and a feature that does not vary among real slices is dropped.
        """
        with np.errstate(invalid="ignore"):
            middle, wide = _nan(np.nanmean, self.real), _nan(np.nanstd, self.real)
        use = np.isfinite(wide) & (wide > 1e-9)
        units = ((rows[:, use] - middle[use]) / wide[use] for rows in (self.painted, self.real))
        painted, real = (np.clip(np.nan_to_num(rows), -CLIPPED_AT, CLIPPED_AT) for rows in units)
        return FeatureSet(
            name=self.name, painted=painted, real=real, painted_patients=self.painted_patients, real_patients=self.real_patients
        )


def _nan(of: object, rows: Rows) -> Float[np.ndarray, " features"]:
    known = np.isfinite(rows).sum(axis=0) > 1
    result = np.full(rows.shape[1], np.nan)
    if known.any():
        result[known] = of(rows[:, known], axis=0)  # type: ignore[operator]
    return result


def frechet(one: Rows, other: Others) -> float:
    """Squared Fréchet distance of two normal distributions with the sets' means and covariances.

    Covariances are shrunk by a tenth towards a sphere of the same trace, or a set as small as these has directions without any
    spread. Source: Dowson and Landau (1982).
    """
    spreads = [_shrunk(np.atleast_2d(np.cov(rows, rowvar=False))) for rows in (one, other)]
    values, vectors = np.linalg.eigh(spreads[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ spreads[1] @ root), 0)).sum()
    apart = one.mean(axis=0) - other.mean(axis=0)
    return max(float(apart @ apart + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * cross), 0.0)


def _shrunk(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    d = len(covariance)
    return (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / d * np.eye(d)


def frechet_distances(features: FeatureSet) -> tuple[Interval | None, Interval | None, int]:
    """Painted against real, and one half of the real patients against the other; then the number of directions.

    Both are means over the same random halvings of the real patients, with the 95 % range: real half against as many painted
    slices, and against the other half. The distance of small sets is too large, so only sets of one size compare.
    """
    made = features.standardised()
    smaller = min(len(made.painted), len(made.real) // 2)
    directions = min(DIRECTIONS, made.real.shape[1], smaller // CASES_A_DIRECTION)
    if directions < 1:
        return None, None, 0
    axes = _axes(made.real, directions)
    painted, real = made.painted @ axes, made.real @ axes
    rng = np.random.default_rng(0)
    apart, floor = [], []
    for one, other in halvings(made.real_patients):
        drawn = rng.permutation(len(painted))[: len(other)]
        if min(len(one), len(other), len(drawn)) > directions:
            apart.append(frechet(real[one], painted[drawn]))
            floor.append(frechet(real[one], real[other]))
    return spread(apart, n=len(painted)), spread(floor, n=len(real)), directions


def _axes(rows: Rows, count: int) -> Float[np.ndarray, "features directions"]:
    """Directions of the largest spread (PCA of the standardised real set)."""
    _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(rows, rowvar=False)))
    return vectors[:, ::-1][:, :count]


def kernel_distances(features: FeatureSet) -> tuple[Interval | None, Interval | None]:
    """Unbiased squared maximum mean discrepancy with KID's cubic kernel, and the same between halves of the real patients.

    Only pairs of different patients count, on either side and across: slices of one heart are alike whoever paints in them. 0 is
    right, and below 0 is chance. Source: Binkowski et al. (2018), Gretton et al. (2012).
    """
    made = features.standardised()
    if not made.real.shape[1]:
        return None, None
    value = kernel_distance(made.painted, made.real, made.painted_patients, made.real_patients)
    names, rows = np.array(made.real_patients), made.real

    def of(a: np.ndarray, b: np.ndarray) -> float:
        return _discrepancy(_Blocks.of(rows[a], rows[b], names[a].tolist(), names[b].tolist()))

    return value, split_half_baseline(made.real_patients, of)


def kernel_distance(one: Rows, other: Others, one_patients: Sequence[str], other_patients: Sequence[str]) -> Interval | None:
    """Squared maximum mean discrepancy with an interval over patients; None where a side has one patient alone."""
    blocks = _Blocks.of(one, other, one_patients, other_patients)
    return reweighted(len(blocks.counts[0]), lambda weight: _discrepancy(blocks, weight), n=len(one))


@dataclass(frozen=True, kw_only=True)
class _Blocks:
    """Sums of the kernel and counts of pairs, by pair of patients: within one, within the other, across."""

    sums: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, one: Rows, other: Others, one_patients: Sequence[str], other_patients: Sequence[str]) -> _Blocks:
        everyone = sorted({*one_patients, *other_patients})
        sides = [(rows, belongs(names, everyone)) for rows, names in ((one, one_patients), (other, other_patients))]
        apart = 1 - np.eye(len(everyone))
        sums, counts = [], []
        for (a, of_a), (b, of_b) in ((sides[0], sides[0]), (sides[1], sides[1]), (sides[0], sides[1])):
            sums.append(of_a @ ((a @ b.T / a.shape[1] + 1) ** 3) @ of_b.T * apart)
            counts.append(np.outer(of_a.sum(axis=1), of_b.sum(axis=1)) * apart)
        return cls(sums=tuple(sums), counts=tuple(counts))


def belongs(names: Sequence[str], everyone: Sequence[str]) -> Float[np.ndarray, "patients rows"]:
    """1 where a row is a patient's."""
    return (np.array(everyone)[:, None] == np.array(names)[None, :]).astype(float)


def _discrepancy(blocks: _Blocks, weight: Float[np.ndarray, " patients"] | None = None) -> float:
    w = np.ones(len(blocks.counts[0])) if weight is None else weight
    pairs = [float(w @ counts @ w) for counts in blocks.counts]
    if min(pairs) <= 0:
        return float("nan")
    within, theirs, across = (float(w @ sums @ w) / pair for sums, pair in zip(blocks.sums, pairs, strict=True))
    return within + theirs - 2 * across
