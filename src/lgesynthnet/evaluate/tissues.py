"""Brightness of each tissue in the repainted region, painted against real, in heart units: remote wall -0.5, blood 0.5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from lgesynthnet.conditioning.intensity import HIGHEST, LOWEST
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.distances import belongs
from lgesynthnet.evaluate.halves import split_half_baseline
from lgesynthnet.evaluate.intervals import Interval, reweighted
from lgesynthnet.records import Mask

STEP = 0.01  # heart units; the curves are exact to this
GRID = np.arange(LOWEST, HIGHEST + STEP, STEP)
LEAST_CASES = 4


class Tissue(StrEnum):
    """What the labels tell apart."""

    BLOOD = "blood"
    HEALTHY = "healthy wall"
    SCAR = "scar"
    NO_REFLOW = "no-reflow"


def tissue(case: Case, which: Tissue) -> Mask:
    """Where a tissue lies inside the repainted region."""
    frame, hidden = case.frame, case.hidden
    match which:
        case Tissue.BLOOD:
            return frame.cavity & hidden
        case Tissue.HEALTHY:
            return frame.wall & hidden & ~case.scar & ~case.existing
        case Tissue.SCAR:
            return case.scar & ~case.no_reflow & hidden
        case Tissue.NO_REFLOW:
            return case.no_reflow & hidden


def curves(cases: Sequence[Case], which: Tissue) -> tuple[Float[np.ndarray, "n grid"], list[str]]:
    """Distribution function of a tissue's brightness in each case that holds it, and the patients."""
    rows, patients = [], []
    for case in cases:
        values = np.sort(case.unit[tissue(case, which)])
        if values.size:
            rows.append(np.searchsorted(values, GRID, side="right") / values.size)
            patients.append(case.patient)
    return np.array(rows).reshape(-1, len(GRID)), patients


def wasserstein(painted: Sequence[Case], real: Sequence[Case], which: Tissue) -> Interval | None:
    """Earth mover's distance of two distributions of brightness in which every slice weighs the same, heart units.

    It cannot be below 0, so even two halves of one set are some way apart: read it beside `wasserstein_of_halves`.
    """
    (ours, our_patients), (theirs, their_patients) = curves(painted, which), curves(real, which)
    if min(len(ours), len(theirs)) < LEAST_CASES:
        return None
    return _between(ours, our_patients, theirs, their_patients)


def wasserstein_of_halves(real: Sequence[Case], which: Tissue) -> Interval | None:
    """The same between random halves of the real patients: mean and 95 % range over halvings."""
    rows, patients = curves(real, which)
    if len(rows) < 2 * LEAST_CASES:
        return None
    return split_half_baseline(patients, lambda a, b: float(np.abs(rows[a].mean(axis=0) - rows[b].mean(axis=0)).sum() * STEP))


def _between(
    ours: Float[np.ndarray, "n grid"], our_patients: list[str], theirs: Float[np.ndarray, "m grid"], their_patients: list[str]
) -> Interval | None:
    everyone = sorted({*our_patients, *their_patients})
    sides = [_sums(rows, patients, everyone) for rows, patients in ((ours, our_patients), (theirs, their_patients))]

    def of(weight: Float[np.ndarray, " patients"]) -> float:
        one, other = ((weight @ sums) / (weight @ counts) for sums, counts in sides)
        return float(np.abs(one - other).sum() * STEP)

    return reweighted(len(everyone), of, n=len(ours))


def _sums(
    rows: Float[np.ndarray, "n grid"], patients: list[str], everyone: list[str]
) -> tuple[Float[np.ndarray, "patients grid"], Float[np.ndarray, " patients"]]:
    of_patient = belongs(patients, everyone)
    return of_patient @ rows, of_patient.sum(axis=1)


def brightness(which: Tissue) -> Callable[[Case], float | None]:
    """Mean brightness of a tissue in the repainted region of one case, heart units; None where it holds none."""

    def of(case: Case) -> float | None:
        here = tissue(case, which)
        return float(case.unit[here].mean()) if here.any() else None

    return of
