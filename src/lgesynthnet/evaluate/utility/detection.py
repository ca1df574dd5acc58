"""Detection of scar, by slice and by patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lgesynthnet.evaluate.utility.scores import Draws, RunScores, Weights, expected_scar_ml, per_patient, weighted_ratio


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Detection of scar in slices or in patients.

    Attributes:
        score: the detection score of each item.
        called: whether it is called scarred: more than 25 mm² of scar are predicted in the slice, or in a slice of the patient.
        truth: whether it has scar.
        patient: the index of its patient, in the order of `per_patient`.
        patients: the number of patients.
    """

    score: Float[np.ndarray, " n"]
    called: Bool[np.ndarray, " n"]
    truth: Bool[np.ndarray, " n"]
    patient: Int[np.ndarray, " n"]
    patients: int

    def count(self, chosen: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " patients"]:
        """How many of the chosen items each patient has."""
        return np.bincount(self.patient[chosen], minlength=self.patients).astype(float)

    @property
    def confusion(self) -> tuple[int, int, int, int]:
        """True negatives, false positives, false negatives, true positives, in the order of the published table."""
        called, truth = self.called, self.truth
        return int((~truth & ~called).sum()), int((~truth & called).sum()), int((truth & ~called).sum()), int((truth & called).sum())


def of_slices(scores: RunScores) -> Detection:
    """Detection by slice; the score is the expected area of scar."""
    rows = [
        (s.expected_scar_mm2, s.is_called, s.has_scar, i) for i, slices in enumerate(per_patient(scores.slices).values()) for s in slices
    ]
    score, called, truth, patient = zip(*rows, strict=True)
    return Detection(
        score=np.array(score, float),
        called=np.array(called, bool),
        truth=np.array(truth, bool),
        patient=np.array(patient),
        patients=patient[-1] + 1,
    )


def of_patients(scores: RunScores) -> Detection:
    """Detection by patient; the score is the expected volume of scar. A patient with one scarred slice has scar."""
    patients = list(per_patient(scores.slices).values())
    return Detection(
        score=np.array([expected_scar_ml(slices) for slices in patients]),
        called=np.array([any(s.is_called for s in slices) for slices in patients]),
        truth=np.array([any(s.has_scar for s in slices) for slices in patients]),
        patient=np.arange(len(patients)),
        patients=len(patients),
    )


def sensitivity(detection: Detection, weights: Weights) -> Draws:
    """True-positive rate under each draw of patients."""
    return weighted_ratio(weights, detection.count(detection.truth & detection.called), detection.count(detection.truth))


def specificity(detection: Detection, weights: Weights) -> Draws:
    """True-negative rate under each draw of patients."""
    return weighted_ratio(weights, detection.count(~detection.truth & ~detection.called), detection.count(~detection.truth))


def balanced_accuracy(detection: Detection, weights: Weights) -> Draws:
    """Mean of sensitivity and specificity under each draw of patients."""
    return np.asarray((sensitivity(detection, weights) + specificity(detection, weights)) / 2)


def roc_auc(detection: Detection, weights: Weights) -> Draws:
    """Area under the ROC curve under each draw of patients.

    It is the share of pairs in which the item with scar has the higher score; ties count half. A pair counts as often as the product of
    its patients' weights.
    """
    wins = np.zeros((detection.patients, detection.patients))
    with_scar, without = np.flatnonzero(detection.truth), np.flatnonzero(~detection.truth)
    lead = detection.score[with_scar][:, None] - detection.score[without][None, :]
    np.add.at(wins, (detection.patient[with_scar][:, None], detection.patient[without][None, :]), (lead > 0) + 0.5 * (lead == 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = (weights @ detection.count(detection.truth)) * (weights @ detection.count(~detection.truth))
        return np.asarray(np.einsum("dp,pq,dq->d", weights, wins, weights) / pairs)
