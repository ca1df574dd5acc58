"""What a training set was worth: segmentation and detection scores of one or more runs, with seeds and patients resampled together.

Every figure is a function of how often each patient counts, so that one bootstrap serves means, areas under curves and paired differences
alike, and two arms are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from lgesynthnet.evaluate.utility.detection import Detection, _accuracy, _auc, _balanced, _sensitivity, _specificity, of_patients, of_slices
from lgesynthnet.evaluate.utility.scores import (
    BALANCED,
    DICE,
    RunScores,
    SliceScore,
    Weights,
    _ratio,
    _scarred,
    burden_ml,
    per_patient,
)
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of merit.

    Attributes:
        better: 1 where more is better, -1 where less is.
        of: value of one reading under each draw of patients, (draws,); NaN where a draw leaves it undefined.
    """

    name: str
    better: int
    of: Callable[[RunScores, Weights], Float[np.ndarray, " draws"]]


def _mean_of(value: Callable[[SliceScore], float | None], keep: Callable[[SliceScore], bool]) -> Callable[[RunScores, Weights], np.ndarray]:
    def of(reading: RunScores, weights: Weights) -> np.ndarray:
        rows = [[value(s) for s in some if keep(s)] for some in per_patient(reading.slices).values()]
        kept = [[v for v in some if v is not None] for some in rows]
        return _ratio(weights, np.array([sum(some) for some in kept], float), np.array([len(some) for some in kept], float))

    return of


def _by_patient(value: Callable[[list[SliceScore]], float]) -> Callable[[RunScores, Weights], np.ndarray]:
    def of(reading: RunScores, weights: Weights) -> np.ndarray:
        values = np.array([value(some) for some in per_patient(reading.slices).values()])
        return _ratio(weights, values, np.ones(len(values)))

    return of


def _detected(
    of: Callable[[Detection, Weights], np.ndarray], who: Callable[[RunScores], Detection]
) -> Callable[[RunScores, Weights], np.ndarray]:
    return lambda reading, weights: of(who(reading), weights)


def _clean(row: SliceScore) -> bool:
    return row.truth_mm2 == 0


METRICS: tuple[Metric, ...] = (
    Metric(name=DICE, better=1, of=_mean_of(lambda s: s.dice, _scarred)),
    Metric(name="Dice, all slices", better=1, of=_mean_of(lambda s: s.dice, lambda s: True)),
    Metric(name="Hausdorff 95, mm", better=-1, of=_mean_of(lambda s: s.hd95_mm, _scarred)),
    Metric(name="scar found at all", better=1, of=_mean_of(lambda s: float(s.overlap_mm2 > 0), _scarred)),
    Metric(name="false scar on other slices", better=-1, of=_mean_of(lambda s: float(s.found_mm2 > FALSE_SCAR_MM2), _clean)),
    Metric(name="false scar, mm2", better=-1, of=_mean_of(lambda s: s.found_mm2, _clean)),
    Metric(
        name="burden error, ml", better=-1, of=_by_patient(lambda rows: abs(burden_ml(rows, found=True) - burden_ml(rows, found=False)))
    ),
    Metric(name=BALANCED, better=1, of=_detected(_balanced, of_slices)),
    Metric(name="accuracy, slices", better=1, of=_detected(_accuracy, of_slices)),
    Metric(name="sensitivity, slices", better=1, of=_detected(_sensitivity, of_slices)),
    Metric(name="specificity, slices", better=1, of=_detected(_specificity, of_slices)),
    Metric(name="AUC, slices", better=1, of=_detected(_auc, of_slices)),
    Metric(name="balanced accuracy, patients", better=1, of=_detected(_balanced, of_patients)),
    Metric(name="accuracy, patients", better=1, of=_detected(_accuracy, of_patients)),
    Metric(name="sensitivity, patients", better=1, of=_detected(_sensitivity, of_patients)),
    Metric(name="specificity, patients", better=1, of=_detected(_specificity, of_patients)),
    Metric(name="AUC, patients", better=1, of=_detected(_auc, of_patients)),
)


def figures(names: Sequence[str]) -> list[Metric]:
    """Those of `METRICS`, in the order of the names."""
    by_name = {figure.name: figure for figure in METRICS}
    return [by_name[name] for name in names]


def quarters(readings: Sequence[RunScores]) -> tuple[Metric, ...]:
    """Dice on slices with scar by quarter of their true area, edges from the slices themselves."""
    areas = [s.truth_mm2 for s in readings[0].slices if _scarred(s)]
    if not areas:
        return ()
    edges = [0.0, *np.quantile(areas, (0.25, 0.5, 0.75)).tolist(), np.inf]
    return tuple(
        Metric(name=f"Dice, scar of {_span(low, high)}", better=1, of=_mean_of(lambda s: s.dice, _between(low, high)))
        for low, high in pairwise(edges)
    )


def _between(low: float, high: float) -> Callable[[SliceScore], bool]:
    return lambda s: low < s.truth_mm2 <= high


def _span(low: float, high: float) -> str:
    return f"more than {low:.0f} mm2" if np.isinf(high) else f"{low:.0f} to {high:.0f} mm2"
