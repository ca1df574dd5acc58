"""Detection of scar: by slice and by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lgesynthnet.evaluate.utility.scores import (
    RunScores,
    Weights,
    _ratio,
    expected_scar_ml,
    per_patient,
)


def youden_threshold(evidence: Sequence[float], positive: Sequence[bool]) -> float:
    """The cut with the best balanced accuracy, midway between the two values that it parts; of equals, the middle one.

    Raises:
        ValueError: one class is missing, so nothing can be parted.
    """
    scores, truth = np.asarray(evidence, float), np.asarray(positive, bool)
    if truth.all() or not truth.any():
        raise ValueError("a cut-off needs slices or patients with scar and without")
    values = np.unique(scores)
    cuts = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2, [values[-1] + 1e-6]])
    merit = np.array([((scores[truth] >= cut).mean() + (scores[~truth] < cut).mean()) / 2 for cut in cuts])
    best = cuts[np.isclose(merit, merit.max())]
    return float(best[len(best) // 2])


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What a detector said of slices or of patients, and whose each is; `patient` are indices in the order of `per_patient`."""

    score: Float[np.ndarray, " n"]
    truth: Bool[np.ndarray, " n"]
    patient: Int[np.ndarray, " n"]
    cut: float
    patients: int

    def counted(self, chosen: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " patients"]:
        return np.bincount(self.patient[chosen], minlength=self.patients).astype(float)

    @property
    def confusion(self) -> tuple[int, int, int, int]:
        """True negatives, false positives, false negatives, true positives, in the order of the published table."""
        said = self.score >= self.cut
        return tuple(int((self.truth == t)[said == s].sum()) for t, s in ((False, False), (False, True), (True, False), (True, True)))  # type: ignore[return-value]


def of_slices(reading: RunScores) -> Detection:
    rows = [(s.expected_scar_mm2, s.truth_mm2 > 0, i) for i, some in enumerate(per_patient(reading.slices).values()) for s in some]
    score, truth, patient = zip(*rows, strict=True)
    return Detection(
        score=np.array(score, float),
        truth=np.array(truth, bool),
        patient=np.array(patient),
        cut=reading.slice_cut_mm2,
        patients=patient[-1] + 1,
    )


def of_patients(reading: RunScores) -> Detection:
    rows = list(per_patient(reading.slices).values())
    return Detection(
        score=np.array([expected_scar_ml(some) for some in rows]),
        truth=np.array([any(s.truth_mm2 > 0 for s in some) for some in rows]),
        patient=np.arange(len(rows)),
        cut=reading.patient_cut_ml,
        patients=len(rows),
    )


def _sensitivity(found: Detection, weights: Weights) -> np.ndarray:
    said = found.score >= found.cut
    return _ratio(weights, found.counted(found.truth & said), found.counted(found.truth))


def _specificity(found: Detection, weights: Weights) -> np.ndarray:
    said = found.score >= found.cut
    return _ratio(weights, found.counted(~found.truth & ~said), found.counted(~found.truth))


def _accuracy(found: Detection, weights: Weights) -> np.ndarray:
    said = found.score >= found.cut
    return _ratio(weights, found.counted(found.truth == said), found.counted(np.ones_like(said)))


def _auc(found: Detection, weights: Weights) -> np.ndarray:
    """Area under the ROC curve: how often a scarred one outscores another, ties half, by pairs of patients."""
    wins = np.zeros((found.patients, found.patients))
    with_scar, without = np.flatnonzero(found.truth), np.flatnonzero(~found.truth)
    higher = found.score[with_scar][:, None] - found.score[without][None, :]
    np.add.at(wins, (found.patient[with_scar][:, None], found.patient[without][None, :]), (higher > 0) + 0.5 * (higher == 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = (weights @ found.counted(found.truth)) * (weights @ found.counted(~found.truth))
        return np.asarray(np.einsum("dp,pq,dq->d", weights, wins, weights) / pairs)


def _balanced(found: Detection, weights: Weights) -> np.ndarray:
    return np.asarray((_sensitivity(found, weights) + _specificity(found, weights)) / 2)
