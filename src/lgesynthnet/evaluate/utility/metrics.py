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
    accuracy,
    balanced_accuracy,
    of_patients,
    of_slices,
    roc_auc,
    sensitivity,
    specificity,
)
from lgesynthnet.evaluate.utility.scores import Draws, RunScores, SliceScore, Weights, per_patient, scar_volume_ml, weighted_ratio
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2

DICE, BALANCED = "Dice, slices with scar", "balanced accuracy, slices"
FALSE_POSITIVE_RATE = "false-positive rate, slices without scar"
Compute = Callable[[RunScores, Weights], Draws]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of a run.

    Attributes:
        better: 1 where more is better, -1 where less is better.
        compute: the value of one run under each draw of patients; NaN where a draw leaves it undefined.
    """

    name: str
    better: int
    compute: Compute


def _slice_mean(value: Callable[[SliceScore], float | None], keep: Callable[[SliceScore], bool]) -> Compute:
    """Mean over the slices that are kept and have the value."""

    def compute(scores: RunScores, weights: Weights) -> Draws:
        values = [[value(s) for s in slices if keep(s)] for slices in per_patient(scores.slices).values()]
        defined = [[number for number in row if number is not None] for row in values]
        return weighted_ratio(weights, np.array([sum(row) for row in defined], float), np.array([len(row) for row in defined], float))

    return compute


def _patient_mean(value: Callable[[list[SliceScore]], float]) -> Compute:
    def compute(scores: RunScores, weights: Weights) -> Draws:
        values = np.array([value(slices) for slices in per_patient(scores.slices).values()])
        return weighted_ratio(weights, values, np.ones(len(values)))

    return compute


def _detection(compute: Callable[[Detection, Weights], Draws], by: Callable[[RunScores], Detection]) -> Compute:
    return lambda scores, weights: compute(by(scores), weights)


def _with_scar(row: SliceScore) -> bool:
    return row.has_scar


def _without_scar(row: SliceScore) -> bool:
    return not row.has_scar


def is_false_positive(row: SliceScore) -> bool:
    """Whether more than 25 mm² of scar are predicted, which in a slice without scar counts as a false positive."""
    return row.predicted_mm2 > FALSE_SCAR_MM2


def _volume_error_ml(rows: list[SliceScore]) -> float:
    return abs(scar_volume_ml(rows, predicted=True) - scar_volume_ml(rows, predicted=False))


METRICS: tuple[Metric, ...] = (
    Metric(name=DICE, better=1, compute=_slice_mean(lambda s: s.dice, _with_scar)),
    Metric(name="Dice, all slices", better=1, compute=_slice_mean(lambda s: s.dice, lambda s: True)),
    Metric(name="HD95, mm", better=-1, compute=_slice_mean(lambda s: s.hd95_mm, _with_scar)),
    Metric(name="any overlap, share of slices with scar", better=1, compute=_slice_mean(lambda s: float(s.overlap_mm2 > 0), _with_scar)),
    Metric(name=FALSE_POSITIVE_RATE, better=-1, compute=_slice_mean(lambda s: float(is_false_positive(s)), _without_scar)),
    Metric(name="false-positive area, slices without scar, mm2", better=-1, compute=_slice_mean(lambda s: s.predicted_mm2, _without_scar)),
    Metric(name="scar volume error, ml", better=-1, compute=_patient_mean(_volume_error_ml)),
    Metric(name=BALANCED, better=1, compute=_detection(balanced_accuracy, of_slices)),
    Metric(name="accuracy, slices", better=1, compute=_detection(accuracy, of_slices)),
    Metric(name="sensitivity, slices", better=1, compute=_detection(sensitivity, of_slices)),
    Metric(name="specificity, slices", better=1, compute=_detection(specificity, of_slices)),
    Metric(name="AUC, slices", better=1, compute=_detection(roc_auc, of_slices)),
    Metric(name="balanced accuracy, patients", better=1, compute=_detection(balanced_accuracy, of_patients)),
    Metric(name="accuracy, patients", better=1, compute=_detection(accuracy, of_patients)),
    Metric(name="sensitivity, patients", better=1, compute=_detection(sensitivity, of_patients)),
    Metric(name="specificity, patients", better=1, compute=_detection(specificity, of_patients)),
    Metric(name="AUC, patients", better=1, compute=_detection(roc_auc, of_patients)),
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
        Metric(name=f"Dice, scar of {_range(low, high)}", better=1, compute=_slice_mean(lambda s: s.dice, _within(low, high)))
        for low, high in pairwise(limits)
    )


def _within(low: float, high: float) -> Callable[[SliceScore], bool]:
    return lambda row: low < row.truth_mm2 <= high


def _range(low: float, high: float) -> str:
    return f"more than {low:.0f} mm2" if np.isinf(high) else f"{low:.0f} to {high:.0f} mm2"
