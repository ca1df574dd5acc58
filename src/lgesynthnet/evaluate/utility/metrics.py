"""The metrics of a trained segmenter: segmentation and detection, for one or more runs, with seeds and patients resampled together.

Every metric is a function of how often each patient counts. So one bootstrap serves means, areas under curves and paired differences
alike, and two arms are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lgesynthnet.evaluate.utility.detection import (
    Detection,
    balanced_accuracy,
    of_patients,
    of_slices,
    roc_auc,
    sensitivity,
    specificity,
)
from lgesynthnet.evaluate.utility.operating_points import dice_at_rate, dice_at_set_point, rate_at_set_point
from lgesynthnet.evaluate.utility.scores import Draws, RunScores, SliceScore, Weights, per_patient, scar_volume_ml, weighted_ratio
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2, RATES

DICE, BALANCED = "Dice, slices with scar", "balanced accuracy, slices"
PATIENT_DICE = "Dice, patients with scar"
BALANCED_PATIENTS = "balanced accuracy, patients"
SPECIFICITY = "specificity, slices"
AUC, PATIENT_AUC = "AUC, slices", "AUC, patients"
FALSE_POSITIVE_RATE = "false-positive rate, slices without scar"
NO_REFLOW = ("Dice of no-reflow, slices with it", "sensitivity, no-reflow, slices", "specificity, no-reflow, slices with scar")
Compute = Callable[[RunScores, Weights], Draws]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of a run.

    Attributes:
        better: 1 where more is better, -1 where less is better, 0 where the value nearest to 0 is.
        compute: the value of one run under each draw of patients; NaN where a draw leaves it undefined.
    """

    name: str
    better: int
    compute: Compute


def slice_mean(value: Callable[[SliceScore], float | None], keep: Callable[[SliceScore], bool]) -> Compute:
    """Mean over the slices that are kept and have the value."""

    def compute(scores: RunScores, weights: Weights) -> Draws:
        values = [[value(s) for s in slices if keep(s)] for slices in per_patient(scores.slices).values()]
        defined = [[number for number in row if number is not None] for row in values]
        return weighted_ratio(weights, np.array([sum(row) for row in defined], float), np.array([len(row) for row in defined], float))

    return compute


def _patient_mean(value: Callable[[list[SliceScore]], float], keep: Callable[[list[SliceScore]], bool] = lambda rows: True) -> Compute:
    """Mean over the patients that are kept."""

    def compute(scores: RunScores, weights: Weights) -> Draws:
        patients = list(per_patient(scores.slices).values())
        kept = np.array([float(keep(rows)) for rows in patients])
        values = np.array([value(rows) if keep(rows) else 0.0 for rows in patients])
        return weighted_ratio(weights, values, kept)

    return compute


def _detection(compute: Callable[[Detection, Weights], Draws], by: Callable[[RunScores], Detection]) -> Compute:
    return lambda scores, weights: compute(by(scores), weights)


def _with_scar(row: SliceScore) -> bool:
    return row.has_scar


def _without_scar(row: SliceScore) -> bool:
    return not row.has_scar


def _with_no_reflow(row: SliceScore) -> bool:
    return bool(row.no_reflow_mm2)


def _with_scar_alone(row: SliceScore) -> bool:
    return row.has_scar and row.no_reflow_mm2 == 0


def _called_no_reflow(row: SliceScore) -> float:
    """1 where more than 25 mm² of no-reflow are predicted, as for scar; else 0."""
    return float((row.predicted_no_reflow_mm2 or 0) > FALSE_SCAR_MM2)


def _volume_error_ml(rows: list[SliceScore]) -> float:
    return abs(scar_volume_ml(rows, predicted=True) - scar_volume_ml(rows, predicted=False))


def _patient_dice(rows: list[SliceScore]) -> float:
    """Dice of the whole stack; 1 where neither side holds scar."""
    truth, predicted, overlap = (sum(getattr(row, name) for row in rows) for name in ("truth_mm2", "predicted_mm2", "overlap_mm2"))
    return 2 * overlap / (truth + predicted) if truth + predicted else 1.0


def _diseased(rows: list[SliceScore]) -> bool:
    return any(row.has_scar for row in rows)


def _healthy(rows: list[SliceScore]) -> bool:
    return not _diseased(rows)


def _burden_error(rows: list[SliceScore]) -> float:
    """Predicted less labelled share of the wall that is scar."""
    predicted_wall, wall = sum(row.predicted_wall_mm2 for row in rows), sum(row.wall_mm2 for row in rows)
    predicted = sum(row.predicted_mm2 for row in rows) / predicted_wall if predicted_wall else 0.0
    return predicted - sum(row.truth_mm2 for row in rows) / wall


def _burden_limits(scores: RunScores, weights: Weights) -> Draws:
    """Half of the distance between the 95 % limits of agreement: 1.96 standard deviations (Bland and Altman, 1986)."""
    errors = np.array([_burden_error(rows) for rows in per_patient(scores.slices).values()])
    ones = np.ones(len(errors))
    mean = weighted_ratio(weights, errors, ones)
    return np.asarray(1.96 * np.sqrt(np.maximum(weighted_ratio(weights, errors**2, ones) - mean**2, 0)))


def _lesion_f1(scores: RunScores, weights: Weights) -> Draws:
    """F1 of lesions (connected scars of a slice); one is found where the two masks touch."""
    patients = list(per_patient(scores.slices).values())
    found, true, right, called = (
        weights @ np.array([sum(getattr(row, name) for row in rows) for rows in patients], float)
        for name in ("found_lesions", "lesions", "right_lesions", "called_lesions")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = found / true, right / np.maximum(called, 1)
        return np.asarray(2 * recall * precision / np.maximum(recall + precision, 1e-9))


def at_rate(rate: float) -> Metric:
    """3-D Dice of patients with scar at a matched false-positive rate."""
    name = f"Dice, patients with scar, at a false-positive rate of {rate:.2f}"
    return Metric(name=name, better=1, compute=lambda scores, weights: dice_at_rate(scores, weights, rate))


def _at_set_points(rate: float) -> tuple[Metric, Metric]:
    """Dice and false-positive rate at the operating point that training patients set for this rate."""
    name = f"at the operating point that training patients set for {rate:.2f}"
    return (
        Metric(name=f"{PATIENT_DICE}, {name}", better=1, compute=lambda scores, weights: dice_at_set_point(scores, weights, rate)),
        Metric(name=f"false-positive rate, {name}", better=-1, compute=lambda scores, weights: rate_at_set_point(scores, weights, rate)),
    )


METRICS: tuple[Metric, ...] = (
    Metric(name=PATIENT_DICE, better=1, compute=_patient_mean(_patient_dice, _diseased)),
    *(at_rate(rate) for rate in RATES),
    *(metric for rate in RATES for metric in _at_set_points(rate)),
    Metric(name="Dice, all patients", better=1, compute=_patient_mean(_patient_dice)),
    Metric(
        name="share of patients without scar in whom none is predicted",
        better=1,
        compute=_patient_mean(_patient_dice, _healthy),
    ),
    Metric(name=DICE, better=1, compute=slice_mean(lambda s: s.dice, _with_scar)),
    Metric(name="Dice, all slices", better=1, compute=slice_mean(lambda s: s.dice, lambda s: True)),
    Metric(name="HD95, mm", better=-1, compute=slice_mean(lambda s: s.hd95_mm, _with_scar)),
    Metric(name="Dice of the wall, slices", better=1, compute=slice_mean(lambda s: s.wall_dice, lambda s: True)),
    Metric(name=NO_REFLOW[0], better=1, compute=slice_mean(lambda s: s.no_reflow_dice, _with_no_reflow)),
    Metric(name=NO_REFLOW[1], better=1, compute=slice_mean(_called_no_reflow, _with_no_reflow)),
    Metric(name=NO_REFLOW[2], better=1, compute=slice_mean(lambda s: 1 - _called_no_reflow(s), _with_scar_alone)),
    Metric(name="lesion F1", better=1, compute=_lesion_f1),
    Metric(name=FALSE_POSITIVE_RATE, better=-1, compute=slice_mean(lambda s: float(s.is_called), _without_scar)),
    Metric(name="false-positive area, slices without scar, mm2", better=-1, compute=slice_mean(lambda s: s.predicted_mm2, _without_scar)),
    Metric(name="scar volume error, ml", better=-1, compute=_patient_mean(_volume_error_ml)),
    Metric(name="burden, mean error", better=0, compute=_patient_mean(_burden_error)),
    Metric(name="burden, half of the 95 % limits of agreement", better=-1, compute=_burden_limits),
    Metric(name=AUC, better=1, compute=_detection(roc_auc, of_slices)),
    Metric(name=BALANCED, better=1, compute=_detection(balanced_accuracy, of_slices)),
    Metric(name="sensitivity, slices", better=1, compute=_detection(sensitivity, of_slices)),
    Metric(name=SPECIFICITY, better=1, compute=_detection(specificity, of_slices)),
    Metric(name=PATIENT_AUC, better=1, compute=_detection(roc_auc, of_patients)),
    Metric(name=BALANCED_PATIENTS, better=1, compute=_detection(balanced_accuracy, of_patients)),
    Metric(name="sensitivity, patients", better=1, compute=_detection(sensitivity, of_patients)),
    Metric(name="specificity, patients", better=1, compute=_detection(specificity, of_patients)),
)


def metrics_named(names: Sequence[str]) -> list[Metric]:
    """The metrics with these names, in this order.

    Raises:
        KeyError: no metric has one of the names.
    """
    by_name = {metric.name: metric for metric in METRICS}
    return [by_name[name] for name in names]


def quarters(runs: Sequence[RunScores]) -> tuple[Metric, ...]:
    """Dice on slices with scar by quarter of their true scar area, the smallest scars first.

    The limits are the quartiles of the areas in the test slices. A slice on a limit belongs to the lower quarter. Empty without scars.
    """
    areas = [row.truth_mm2 for row in runs[0].slices if row.has_scar]
    if not areas:
        return ()
    limits = [0.0, *np.quantile(areas, (0.25, 0.5, 0.75)).tolist(), np.inf]
    return tuple(
        Metric(name=f"Dice, scar of {_range(low, high)}", better=1, compute=slice_mean(lambda s: s.dice, _within(low, high)))
        for low, high in pairwise(limits)
    )


def _within(low: float, high: float) -> Callable[[SliceScore], bool]:
    return lambda row: low < row.truth_mm2 <= high


def _range(low: float, high: float) -> str:
    return f"more than {low:.0f} mm2" if np.isinf(high) else f"{low:.0f} to {high:.0f} mm2"
