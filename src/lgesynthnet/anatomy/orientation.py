"""How a whole stack lies: RV insertions of every slice from the best source at hand, base and apex, level of each slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from lgesynthnet.anatomy.frame import ASSUMED
from lgesynthnet.anatomy.insertions import (
    Evidence,
    drifted,
    insertions_from_image,
    insertions_from_rv_label,
    lv_centre,
    most_likely,
    septum_evidence,
)
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source, Stack, wall_of

Read = Callable[[ShortAxisSlice], Evidence]

__all__ = [
    "MIN_CONFIDENCE",
    "OrderSource",
    "StackOrder",
    "insertions_from_image",
    "insertions_from_rv_label",
    "levels",
    "locate_all_insertions",
    "locate_insertions",
    "order_stack",
]

MIN_CONFIDENCE = 0.2  # below it the image says hardly more than chance (0.14), and the assumed pair is taken instead
# The RV insertions turn along the heart: degrees per millimetre towards the base (8 and 2 a slice of 10 mm).
ANTERIOR_DRIFT_DEG_PER_MM, INFERIOR_DRIFT_DEG_PER_MM = -0.8, -0.2
USUAL_STEP_MM = 10.0
NEIGHBOUR_SPREAD = 1.5  # slices; how far a neighbour's image still speaks for this slice
SURE_TREND = 0.5  # fall of the LV's area along the stack, as a share of its mean, that leaves no doubt which end is the apex
NO_TREND = 1e-6  # rounding of the line through equal areas


class OrderSource(StrEnum):
    """How it was found which end of a stack is the base, best first."""

    GIVEN = "given"
    AREAS = "areas"
    ASSUMED = "assumed"


@dataclass(frozen=True, kw_only=True)
class StackOrder:
    """Which end of a stack is the base.

    Attributes:
        base_first: slice 0 lies nearer to the base than the last one.
        confidence: 0 to 1; 1 when given, 0 when assumed.
    """

    base_first: bool
    confidence: float
    source: OrderSource


def order_stack(stack: Stack) -> StackOrder:
    """Base and apex as given, else from the areas of cavity, whole LV and labelled RV, which all shrink towards the apex.

    With fewer than two slices of LV, or no trend at all, base first is assumed, with confidence 0.
    """
    if stack.base_first is not None:
        return StackOrder(base_first=stack.base_first, confidence=1.0, source=OrderSource.GIVEN)
    cavity, wall = stack.labels == Label.CAVITY, wall_of(stack.labels)
    with_lv = np.flatnonzero(wall.any(axis=(0, 1)) & cavity.any(axis=(0, 1)))
    assumed = StackOrder(base_first=True, confidence=0.0, source=OrderSource.ASSUMED)
    if with_lv.size < 2:
        return assumed
    right = stack.labels == Label.RV
    areas = [mask[:, :, with_lv].sum(axis=(0, 1)).astype(float) for mask in (cavity, cavity | wall, right) if mask.any()]
    trend = float(np.mean([_relative_rise(with_lv.astype(float), area) for area in areas]))
    if abs(trend) < NO_TREND:
        return assumed
    return StackOrder(base_first=trend < 0, confidence=min(abs(trend) / SURE_TREND, 1.0), source=OrderSource.AREAS)


def levels(stack: Stack, order: StackOrder) -> list[Level | None]:
    """Basal, mid or apical third of the extent of slices that have a wall; None for a slice without one.

    A lone slice is called mid; nothing in the file can say so, which is why its order carries confidence 0.
    """
    with_wall = np.flatnonzero(wall_of(stack.labels).any(axis=(0, 1)))
    named: list[Level | None] = [None] * len(stack)
    if not with_wall.size:
        return named
    first, extent = int(with_wall[0]), int(with_wall[-1] - with_wall[0] + 1)
    from_base = (Level.BASAL, Level.MID, Level.APICAL)
    for index in with_wall.tolist():
        third = int(3 * (index - first + 0.5) / extent)
        named[index] = from_base[third if order.base_first else 2 - third]
    return named


def locate_insertions(stack: Stack, index: int, *, smooth: bool = True, read: Read = septum_evidence) -> Insertions:
    """RV insertions of one slice: landmarks, else an RV label, else the image, else the assumed 120 and 240 degrees.

    A slice without a mark or RV label of its own takes them from its neighbours, turned by the usual drift along the heart.

    Args:
        smooth: let the neighbouring slices' images speak too; they agree up to the drift.
        read: what an image says of the septum: the rules, or rules and a network (`segmenter.septum.read_septum`).
    Raises:
        AnatomyError: the slice needs its image read, and has no cavity or no wall.
        IndexError: no such slice.
    """
    stack[index]
    known = _from_marks(stack, [index])
    if index in known:
        return known[index]
    lv_centre(stack[index])
    spread = NEIGHBOUR_SPREAD if smooth else 0.0
    near = [i for i in _with_lv(stack) if abs(i - index) <= 3 * spread]
    return _from_images(stack, index, {i: read(stack[i]) for i in near}, spread)


def locate_all_insertions(stack: Stack, *, smooth: bool = True, read: Read = septum_evidence) -> list[Insertions | None]:
    """`locate_insertions` for every slice, each image read once; None for a slice without wall or cavity."""
    wanted = _with_lv(stack)
    known = _from_marks(stack, wanted)
    found: list[Insertions | None] = [known.get(index) for index in range(len(stack))]
    if len(known) < len(wanted):
        evidence = {index: read(stack[index]) for index in wanted}
        for index in wanted:
            found[index] = found[index] or _from_images(stack, index, evidence, NEIGHBOUR_SPREAD if smooth else 0.0)
    return found


def _from_images(stack: Stack, index: int, evidence: Mapping[int, Evidence], spread: float) -> Insertions:
    """Weighted mean of the neighbours' evidence as it counts here; the assumed pair where that is hardly more than chance."""
    total, weights = np.zeros_like(evidence[index]), 0.0
    anterior_drift, inferior_drift = _drift_per_slice(stack)
    for other, seen in evidence.items():
        away = other - index
        weight = float(np.exp(-0.5 * (away / spread) ** 2)) if spread else float(away == 0)
        total, weights = total + weight * drifted(seen, anterior_drift * away, inferior_drift * away), weights + weight
    found = most_likely(total / weights)
    return found if found.confidence >= MIN_CONFIDENCE else ASSUMED


def _from_marks(stack: Stack, wanted: list[int]) -> dict[int, Insertions]:
    """Insertions that a user or a label gave, for these slices; empty when nobody did."""
    pairs, source = dict(stack.insertions_deg), Source.LANDMARKS
    if not pairs and (stack.labels == Label.RV).any():
        read = {index: insertions_from_rv_label(stack[index]) for index in range(len(stack))}
        pairs = {index: (found.anterior_deg, found.inferior_deg) for index, found in read.items() if found is not None}
        source = Source.RV_LABEL
    if not pairs:
        return {}
    carried = {index: _carried(pairs, index, _drift_per_slice(stack)) for index in wanted}
    return {
        index: Insertions(anterior_deg=anterior, inferior_deg=inferior, source=source, confidence=1.0)
        for index, (anterior, inferior) in carried.items()
    }


def _carried(pairs: Mapping[int, tuple[float, float]], index: int, drift: tuple[float, float]) -> tuple[float, float]:
    """The pair at `index`: its own, else between its two neighbours', else the nearest one's turned by the drift."""
    below = max((i for i in pairs if i <= index), default=None)
    above = min((i for i in pairs if i >= index), default=None)
    if below is None or above is None:
        nearest = above if below is None else below
        assert nearest is not None
        anterior, inferior = (pairs[nearest][side] + drift[side] * (index - nearest) for side in (0, 1))
        return anterior % 360.0, inferior % 360.0
    share = (index - below) / (above - below) if above > below else 0.0
    turns = [(pairs[above][side] - pairs[below][side] + 180.0) % 360.0 - 180.0 for side in (0, 1)]
    return (pairs[below][0] + share * turns[0]) % 360.0, (pairs[below][1] + share * turns[1]) % 360.0


def _drift_per_slice(stack: Stack) -> tuple[float, float]:
    """Degrees by which (anterior, inferior) grow from one slice to the next; none where the order is not known."""
    order = order_stack(stack)
    if order.source is OrderSource.ASSUMED:
        return 0.0, 0.0
    step_mm = stack.slice_step_mm if stack.slice_step_mm > 0 else USUAL_STEP_MM
    towards_base = -step_mm if order.base_first else step_mm
    return ANTERIOR_DRIFT_DEG_PER_MM * towards_base, INFERIOR_DRIFT_DEG_PER_MM * towards_base


def _with_lv(stack: Stack) -> list[int]:
    wall, cavity = wall_of(stack.labels).any(axis=(0, 1)), (stack.labels == Label.CAVITY).any(axis=(0, 1))
    return np.flatnonzero(wall & cavity).tolist()


def _relative_rise(position: Float[np.ndarray, " slices"], area: Float[np.ndarray, " slices"]) -> float:
    """Rise of a straight line through the areas from the first slice to the last, as a share of the mean area."""
    if not area.any():
        return 0.0
    slope = float(np.polyfit(position, area, 1)[0])
    return slope * float(position[-1] - position[0]) / float(area.mean())
