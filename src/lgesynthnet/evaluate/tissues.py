"""Brightness of each tissue in the hidden region, synthetic against real, in heart units (remote wall -0.5, blood 0.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from lgesynthnet.conditioning.intensity import HIGHEST, LOWEST
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.distances import membership
from lgesynthnet.evaluate.intervals import Interval, reweighted
from lgesynthnet.evaluate.split_half import split_half_baseline
from lgesynthnet.records import Mask

STEP = 0.01  # heart units; distribution functions are sampled at this step
GRID = np.arange(LOWEST, HIGHEST + STEP, STEP)
LEAST_CASES = 4

Curves = Float[np.ndarray, "n grid"]
OtherCurves = Float[np.ndarray, "m grid"]


class Tissue(StrEnum):
    """The tissues that the labels distinguish."""

    BLOOD = "blood"
    HEALTHY = "healthy wall"
    SCAR = "scar"
    NO_REFLOW = "no-reflow"


def tissue(case: Case, which: Tissue) -> Mask:
    """Where a tissue lies inside the hidden region."""
    frame, hidden = case.frame, case.hidden
    match which:
        case Tissue.BLOOD:
            return np.asarray(frame.cavity & hidden)
        case Tissue.HEALTHY:
            return np.asarray(frame.wall & hidden & ~case.scar & ~case.existing)
        case Tissue.SCAR:
            return np.asarray(case.scar & ~case.no_reflow & hidden)
        case Tissue.NO_REFLOW:
            return np.asarray(case.no_reflow & hidden)


def mean_brightness(which: Tissue) -> Callable[[Case], float | None]:
    """A function that gives the mean brightness of a tissue in the hidden region, heart units; None where there is none of it."""

    def mean(case: Case) -> float | None:
        where = tissue(case, which)
        return float(case.unit[where].mean()) if where.any() else None

    return mean


def distribution_functions(cases: Sequence[Case], which: Tissue) -> tuple[Curves, list[str]]:
    """Cumulative distribution of a tissue's brightness over `GRID`, one row for each case with that tissue, and the patient of each row."""
    curves, patients = [], []
    for case in cases:
        values = np.sort(case.unit[tissue(case, which)])
        if values.size:
            curves.append(np.searchsorted(values, GRID, side="right") / values.size)
            patients.append(case.patient)
    return np.array(curves).reshape(-1, len(GRID)), patients


def wasserstein(painted: Sequence[Case], real: Sequence[Case], which: Tissue) -> Interval | None:
    """Wasserstein-1 distance between the brightness of a tissue in synthetic and in real slices, heart units.

    Every slice has the same weight. The distance is never below 0, and two halves of one set differ as well, so read it beside
    `wasserstein_of_halves`. None where one side has fewer than four slices with the tissue.
    """
    (painted_curves, painted_patients), (real_curves, real_patients) = (
        distribution_functions(painted, which),
        distribution_functions(real, which),
    )
    if min(len(painted_curves), len(real_curves)) < LEAST_CASES:
        return None
    patients = sorted({*painted_patients, *real_patients})
    sides = [
        _sums_by_patient(curves, names, patients) for curves, names in ((painted_curves, painted_patients), (real_curves, real_patients))
    ]

    def distance(weight: Float[np.ndarray, " patients"]) -> float:
        first, second = ((weight @ sums) / (weight @ counts) for sums, counts in sides)
        return _area_between(first, second)

    return reweighted(len(patients), distance, n=len(painted_curves))


def wasserstein_of_halves(real: Sequence[Case], which: Tissue) -> Interval | None:
    """The same distance between random halves of the real patients: mean and central 95 % range over halvings."""
    curves, patients = distribution_functions(real, which)
    if len(curves) < 2 * LEAST_CASES:
        return None
    return split_half_baseline(patients, lambda a, b: _area_between(curves[a].mean(axis=0), curves[b].mean(axis=0)))


def _area_between(first: Float[np.ndarray, " grid"], second: Float[np.ndarray, " grid"]) -> float:
    """In one dimension, the Wasserstein-1 distance is the area between the two distribution functions."""
    return float(np.abs(first - second).sum() * STEP)


def _sums_by_patient(
    curves: OtherCurves, curve_patients: list[str], patients: list[str]
) -> tuple[Float[np.ndarray, "patients grid"], Float[np.ndarray, " patients"]]:
    member = membership(curve_patients, patients)
    return member @ curves, member.sum(axis=1)
