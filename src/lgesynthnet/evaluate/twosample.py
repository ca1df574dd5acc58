"""Can a simple judge tell painted from real? A ridge logistic regression on a few statistics of the repainted region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.distances import FeatureSet, Others, Rows, belongs
from lgesynthnet.evaluate.halves import split_half_baseline
from lgesynthnet.evaluate.intervals import Interval, reweighted
from lgesynthnet.evaluate.texture import border_gradient, edge_sharpness, noise
from lgesynthnet.evaluate.tissues import Tissue, tissue

FOLDS, REPEATS = 5, 4
HALVINGS = 20
RIDGE = 3.0  # in cases: as much weight as the prior "no feature tells anything" has
ROUNDS = 12
LEAST_PATIENTS = 4

STATISTICS = (
    "scar mean",
    "scar spread",
    "scar 10th percentile",
    "scar 90th percentile",
    "healthy mean",
    "healthy spread",
    "scar over healthy",
    "scar noise",
    "healthy noise",
    "scar edge",
    "border step",
)


def statistics(case: Case) -> Float[np.ndarray, " statistics"]:
    """`STATISTICS` of the repainted region in heart units; NaN where it lacks the tissue. Where the scar lies and how large it is
    is not among them: that was asked for, and is no matter of looks.
    """
    scar, healthy = (case.unit[tissue(case, which)] for which in (Tissue.SCAR, Tissue.HEALTHY))
    row = [
        *((scar.mean(), scar.std(), *np.percentile(scar, (10, 90))) if scar.size else (None,) * 4),
        *((healthy.mean(), healthy.std()) if healthy.size else (None, None)),
        scar.mean() - healthy.mean() if scar.size and healthy.size else None,
        noise(case, tissue(case, Tissue.SCAR)),
        noise(case, tissue(case, Tissue.HEALTHY)),
        edge_sharpness(case),
        border_gradient(case),
    ]
    return np.array([np.nan if value is None else value for value in row], float)


def classifier_two_sample_test(features: FeatureSet) -> tuple[Interval | None, Interval | None]:
    """AUC of painted against real in patients whom the judge has not seen, and of one half of the real patients against the other.

    0.5 is right: nothing tells them apart. Features are few on purpose; a network would find every painter out, and what it found
    would be no one's to mend.
    """
    if min(len(set(features.painted_patients)), len(set(features.real_patients))) < LEAST_PATIENTS:
        return None, None
    value = auc(features.painted, features.real, features.painted_patients, features.real_patients)
    rows, names = features.real, np.array(features.real_patients)

    def of(a: np.ndarray, b: np.ndarray) -> float:
        right, pairs, _ = _pairs(rows[a], rows[b], names[a].tolist(), names[b].tolist(), repeats=1)
        return float(right.sum() / pairs.sum()) if pairs.sum() else float("nan")

    return value, split_half_baseline(features.real_patients, of, HALVINGS)


def auc(painted: Rows, real: Others, painted_patients: Sequence[str], real_patients: Sequence[str]) -> Interval | None:
    """Area under the curve over pairs of one held-out fold, with an interval over patients; folds are by patient, four times drawn."""
    right, pairs, everyone = _pairs(painted, real, painted_patients, real_patients)

    def of(weight: Float[np.ndarray, " patients"]) -> float:
        total = float(weight @ pairs @ weight)
        return float(weight @ right @ weight) / total if total > 0 else float("nan")

    return reweighted(everyone, of, n=len(painted))


def _pairs(
    painted: Rows, real: Others, painted_patients: Sequence[str], real_patients: Sequence[str], repeats: int = REPEATS
) -> tuple[Float[np.ndarray, "patients patients"], Float[np.ndarray, "patients patients"], int]:
    """By pair of patients: pairs put right (ties are half), pairs judged; and the number of patients."""
    everyone = sorted({*painted_patients, *real_patients})
    rows = np.concatenate([painted, real])
    is_painted = np.arange(len(rows)) < len(painted)
    names = [*painted_patients, *real_patients]
    right, judged = np.zeros((len(painted), len(real))), np.zeros((len(painted), len(real)))
    for repeat in range(repeats):
        fold = _folds(names, is_painted, repeat)
        score = np.zeros(len(rows))
        for i in np.unique(fold):
            train = fold != i
            if 0 < is_painted[train].sum() < train.sum():
                score[~train] = _scores(rows[train], is_painted[train], rows[~train])
        together = fold[is_painted][:, None] == fold[~is_painted][None, :]
        ahead = score[is_painted][:, None] - score[~is_painted][None, :]
        # Scores of two folds come from two judges and do not compare.
        right += together * (0.5 + 0.5 * np.sign(ahead))
        judged += together
    ours, theirs = belongs(painted_patients, everyone), belongs(real_patients, everyone)
    return ours @ right @ theirs.T, ours @ judged @ theirs.T, len(everyone)


def _folds(names: Sequence[str], is_painted: np.ndarray, seed: int) -> Int[np.ndarray, " rows"]:
    """A fold of each row: patients dealt out at random, those with painted slices, real ones and both each evenly."""
    kinds: dict[str, set[bool]] = {}
    for name, painted in zip(names, is_painted.tolist(), strict=True):
        kinds.setdefault(name, set()).add(painted)
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    for kind in ({True}, {False}, {True, False}):
        group = sorted(name for name, found in kinds.items() if found == kind)
        for place, i in enumerate(rng.permutation(len(group))):
            fold_of[group[i]] = place % FOLDS
    return np.array([fold_of[name] for name in names])


def _scores(known: Rows, is_painted: np.ndarray, unknown: Others) -> Float[np.ndarray, " m"]:
    """Log-odds of being painted by a ridge logistic regression in which both kinds weigh the same; Newton's method."""
    with np.errstate(invalid="ignore"):
        counts = np.isfinite(known).sum(axis=0) > 1
    if not counts.any():
        return np.zeros(len(unknown))
    middle, wide = np.nanmean(known[:, counts], axis=0), np.nanstd(known[:, counts], axis=0)
    wide = np.where(wide > 1e-9, wide, np.inf)
    x, new = (np.hstack([np.nan_to_num((rows[:, counts] - middle) / wide), np.ones((len(rows), 1))]) for rows in (known, unknown))
    weight = np.where(is_painted, 0.5 / is_painted.mean(), 0.5 / (1 - is_painted.mean()))
    penalty = np.full(x.shape[1], RIDGE)
    penalty[-1] = 1e-6  # the intercept is free
    beta = np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        chance = expit(x @ beta)
        slope = x.T @ (weight * (is_painted - chance)) - penalty * beta
        bend = (x * (weight * chance * (1 - chance))[:, None]).T @ x + np.diag(penalty)
        beta = beta + np.linalg.solve(bend, slope)
    return new @ beta
