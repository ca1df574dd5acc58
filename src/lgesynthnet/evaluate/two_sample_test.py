"""Classifier two-sample test (C2ST): can a logistic regression tell synthetic from real slices?

It sees eleven statistics of the hidden region. They are few on purpose: a deep network would find every generator out, and would not say
what has to be improved.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.distances import FeatureSet, OtherRows, Rows, membership
from lgesynthnet.evaluate.intervals import Interval, reweighted, split_half_baseline
from lgesynthnet.evaluate.texture import border_gradient, edge_sharpness, noise
from lgesynthnet.evaluate.tissues import Tissue, tissue

FOLDS, REPEATS = 5, 4
HALVINGS = 20
RIDGE = 3.0  # the prior "no feature tells anything" counts as much as three cases
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

PatientPairs = Float[np.ndarray, "patients patients"]


def statistics(case: Case) -> Float[np.ndarray, " statistics"]:
    """Brightness, noise and sharpness in the hidden region, in heart units; NaN if the region lacks the tissue.

    Position and size of the scar are not among them: they are prescribed, and say nothing about realism.

    Returns:
        Mean, standard deviation, 10th and 90th percentile of the scar; mean and standard deviation of the healthy wall; difference of the
        means; noise in the scar and in the healthy wall; sharpness of the scar's edge; step at the border of the hidden region.
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
    """AUC of synthetic against real slices, and of one half of the real patients against the other half.

    The classifier is tested on patients whom it has not seen. 0.5 is right: it cannot tell the two sets apart. Both are None where one
    side has fewer than four patients.
    """
    if min(len(set(features.painted_patients)), len(set(features.real_patients))) < LEAST_PATIENTS:
        return None, None
    value = auc(features.painted, features.real, features.painted_patients, features.real_patients)
    rows, patients = features.real, np.array(features.real_patients)

    def between_halves(first: np.ndarray, second: np.ndarray) -> float:
        correct, judged = _patient_pairs(rows[first], rows[second], patients[first].tolist(), patients[second].tolist(), repeats=1)
        return float(correct.sum() / judged.sum()) if judged.sum() else float("nan")

    return value, split_half_baseline(features.real_patients, between_halves, HALVINGS)


def auc(painted: Rows, real: OtherRows, painted_patients: Sequence[str], real_patients: Sequence[str]) -> Interval | None:
    """Cross-validated area under the ROC curve, with an interval over patients.

    Five folds by patient, drawn four times. Only pairs of slices of one held-out fold count.
    """
    correct, judged = _patient_pairs(painted, real, painted_patients, real_patients)

    def weighted_auc(weight: Float[np.ndarray, " patients"]) -> float:
        total = float(weight @ judged @ weight)
        return float(weight @ correct @ weight) / total if total > 0 else float("nan")

    return reweighted(len(judged), weighted_auc, n=len(painted))


def _patient_pairs(
    painted: Rows, real: OtherRows, painted_patients: Sequence[str], real_patients: Sequence[str], repeats: int = REPEATS
) -> tuple[PatientPairs, PatientPairs]:
    """For each pair of patients: slice pairs that the classifier ranks correctly (ties count half), and slice pairs that it ranks."""
    patients = sorted({*painted_patients, *real_patients})
    rows = np.concatenate([painted, real])
    is_painted = np.arange(len(rows)) < len(painted)
    row_patients = [*painted_patients, *real_patients]
    correct, judged = np.zeros((len(painted), len(real))), np.zeros((len(painted), len(real)))
    for repeat in range(repeats):
        fold = _folds(row_patients, is_painted, repeat)
        score = np.zeros(len(rows))
        for i in np.unique(fold):
            train = fold != i
            if 0 < is_painted[train].sum() < train.sum():
                score[~train] = _log_odds(rows[train], is_painted[train], rows[~train])
        # Scores of two folds come from two classifiers, so they cannot be compared.
        same_fold = fold[is_painted][:, None] == fold[~is_painted][None, :]
        lead = score[is_painted][:, None] - score[~is_painted][None, :]
        correct += same_fold * (0.5 + 0.5 * np.sign(lead))
        judged += same_fold
    of_painted, of_real = membership(painted_patients, patients), membership(real_patients, patients)
    return of_painted @ correct @ of_real.T, of_painted @ judged @ of_real.T


def _folds(row_patients: Sequence[str], is_painted: Bool[np.ndarray, " rows"], seed: int) -> Int[np.ndarray, " rows"]:
    """The fold of each row: by patient, at random. Patients with synthetic slices only, real slices only and both are spread evenly.

    scikit-learn's StratifiedGroupKFold balances the slices, not these three kinds of patients.
    """
    kinds: dict[str, set[bool]] = {}
    for name, painted in zip(row_patients, is_painted.tolist(), strict=True):
        kinds.setdefault(name, set()).add(painted)
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    for kind in ({True}, {False}, {True, False}):
        group = sorted(name for name, own_kinds in kinds.items() if own_kinds == kind)
        for place, i in enumerate(rng.permutation(len(group))):
            fold_of[group[i]] = place % FOLDS
    return np.array([fold_of[name] for name in row_patients])


def _log_odds(train: Rows, is_painted: Bool[np.ndarray, " n"], test: OtherRows) -> Float[np.ndarray, " m"]:
    """Log-odds of "synthetic" for the test rows, by ridge logistic regression; both classes have the same weight.

    Features are standardised by the training rows, and a missing value becomes their mean.
    """
    from sklearn.linear_model import LogisticRegression  # takes a second to import, which only `evaluate realism` should pay

    with np.errstate(invalid="ignore"):
        known = np.isfinite(train).sum(axis=0) > 1
    if not known.any():
        return np.zeros(len(test))
    mean, deviation = np.nanmean(train[:, known], axis=0), np.nanstd(train[:, known], axis=0)
    deviation = np.where(deviation > 1e-9, deviation, np.inf)
    # Not StandardScaler in a pipeline: of more than a hundred fits on few rows, checking the input takes most of the time.
    x, new = (np.nan_to_num((rows[:, known] - mean) / deviation) for rows in (train, test))
    weight = np.where(is_painted, 0.5 / is_painted.mean(), 0.5 / (1 - is_painted.mean()))
    with warnings.catch_warnings():
        # Rows that cannot be told apart leave Newton's method nothing to improve; scikit-learn then goes on with lbfgs by itself.
        warnings.filterwarnings("ignore", "Line search of Newton")
        model = LogisticRegression(C=1 / RIDGE, solver="newton-cholesky").fit(x, is_painted, weight)
    return np.asarray(new @ model.coef_[0] + model.intercept_[0])
