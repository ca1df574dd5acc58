"""Orientation of a whole stack: base and apex, the level of each slice, and the RV insertions from the best source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from lgesynthnet.anatomy.aha import level_at
from lgesynthnet.anatomy.frame import ASSUMED_INSERTIONS
from lgesynthnet.anatomy.insertions import insertions_from_rv_label, most_likely_insertions
from lgesynthnet.anatomy.septum_evidence import Evidence, lv_centre, septum_evidence, shift_evidence
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source, Stack, wall_of

EvidenceReader = Callable[[ShortAxisSlice], Evidence]

MIN_CONFIDENCE = 0.2  # with less, the image says hardly more than chance (0.14), and the assumed pair is used instead
# The RV insertions turn along the heart: degrees per mm towards the base (8 and 2 degrees for each slice of 10 mm).
ANTERIOR_DRIFT_DEG_PER_MM, INFERIOR_DRIFT_DEG_PER_MM = -0.8, -0.2
USUAL_STEP_MM = 10.0
NEIGHBOUR_SPREAD = 1.5  # in slices; how far away the image of a neighbour still counts for a slice
CERTAIN_TREND = 0.5  # change of the LV area along the stack, as a share of its mean, that makes the order certain
NO_TREND = 1e-6  # a smaller trend is only the rounding error of a line through equal areas


class OrderSource(StrEnum):
    """How the order of a stack was found, the most reliable way first."""

    GIVEN = "given"
    AFFINE = "affine"
    AREAS = "areas"
    ASSUMED = "assumed"


@dataclass(frozen=True, kw_only=True)
class StackOrder:
    """Which end of a stack is the base, and how sure that is.

    Attributes:
        base_first: whether slice 0 lies nearer to the base than the last slice.
        confidence: 0 to 1; 1 when the user or the affine gave the order, 0 when it is assumed.
    """

    base_first: bool
    confidence: float
    source: OrderSource


def order_stack(stack: Stack) -> StackOrder:
    """Find the base and the apex of a stack.

    The order that the user gave comes first, then the positions of the slices in the patient, unless the heart itself contradicts them with
    certainty. Otherwise the areas of the heart decide. Without any of these, base first is assumed with confidence 0.
    """
    if stack.base_first is not None:
        return StackOrder(base_first=stack.base_first, confidence=1.0, source=OrderSource.GIVEN)
    by_areas = _order_by_areas(stack)
    if stack.base_first_by_affine is None or len(stack) < 2:
        return by_areas
    if by_areas.confidence >= 1.0 and by_areas.base_first is not stack.base_first_by_affine:
        return by_areas  # a program reversed the slices and forgot the affine; `contradicts_affine` tells the user
    return StackOrder(base_first=stack.base_first_by_affine, confidence=1.0, source=OrderSource.AFFINE)


def contradicts_affine(stack: Stack, order: StackOrder) -> bool:
    """Whether the areas of the heart were believed against the positions of the slices in the patient."""
    return order.source is OrderSource.AREAS and stack.base_first_by_affine is not None and order.base_first != stack.base_first_by_affine


def _order_by_areas(stack: Stack) -> StackOrder:
    """The areas of cavity, whole LV and labelled RV all shrink towards the apex. It takes two slices of the LV and some trend."""
    cavity, wall = stack.labels == Label.CAVITY, wall_of(stack.labels)
    with_lv = np.flatnonzero(wall.any(axis=(0, 1)) & cavity.any(axis=(0, 1)))
    assumed = StackOrder(base_first=True, confidence=0.0, source=OrderSource.ASSUMED)
    if with_lv.size < 2:
        return assumed
    rv = stack.labels == Label.RV
    areas = [mask[:, :, with_lv].sum(axis=(0, 1)).astype(float) for mask in (cavity, cavity | wall, rv) if mask.any()]
    trend = float(np.mean([_relative_rise(with_lv.astype(float), area) for area in areas]))
    if abs(trend) < NO_TREND:
        return assumed
    return StackOrder(base_first=trend < 0, confidence=min(abs(trend) / CERTAIN_TREND, 1.0), source=OrderSource.AREAS)


def find_positions(stack: Stack, order: StackOrder) -> list[float | None]:
    """The position of each slice along the left ventricle, 0 base to 1 apex; None for a slice without a wall.

    The slices that have a wall fill its length evenly; each lies in the middle of its part.
    """
    with_wall = np.flatnonzero(wall_of(stack.labels).any(axis=(0, 1)))
    positions: list[float | None] = [None] * len(stack)
    if not with_wall.size:
        return positions
    first, extent = int(with_wall[0]), int(with_wall[-1] - with_wall[0] + 1)
    for index in with_wall.tolist():
        position = (index - first + 0.5) / extent
        positions[index] = position if order.base_first else 1 - position
    return positions


def assign_levels(stack: Stack, order: StackOrder) -> list[Level | None]:
    """The level of each slice, by thirds of the extent of the slices that have a wall; None for a slice without a wall.

    A single slice is called mid. Nothing in the file tells its level, so its order has confidence 0.
    """
    return [None if position is None else level_at(position) for position in find_positions(stack, order)]


def find_insertions(stack: Stack, index: int, *, smooth: bool = True, read_evidence: EvidenceReader = septum_evidence) -> Insertions:
    """The RV insertions of one slice: from landmarks, else an RV label, else the image, else the assumed 120 and 240 degrees.

    A slice without landmarks or RV label of its own takes them from its neighbours, turned by the usual drift along the heart.

    Args:
        smooth: uses the images of neighbouring slices too, turned by the drift.
        read_evidence: computes the evidence of an image for the septum: rules, or rules and a network
            (`segmenter.septum.read_septum`).
    Raises:
        AnatomyError: the image has to be read, but the slice has no cavity or no wall.
        IndexError: there is no slice with this index.
    """
    stack[index]
    known = _from_landmarks_or_labels(stack, [index])
    if index in known:
        return known[index]
    lv_centre(stack[index])
    spread = NEIGHBOUR_SPREAD if smooth else 0.0
    near = [i for i in _with_lv(stack) if abs(i - index) <= 3 * spread]
    return _from_images(stack, index, {i: read_evidence(stack[i]) for i in near}, spread)


def find_all_insertions(stack: Stack, *, smooth: bool = True, read_evidence: EvidenceReader = septum_evidence) -> list[Insertions | None]:
    """`find_insertions` for every slice, reading each image once; None for a slice without wall or cavity."""
    wanted = _with_lv(stack)
    known = _from_landmarks_or_labels(stack, wanted)
    insertions: list[Insertions | None] = [known.get(index) for index in range(len(stack))]
    if len(known) < len(wanted):
        evidence = {index: read_evidence(stack[index]) for index in wanted}
        for index in wanted:
            insertions[index] = insertions[index] or _from_images(stack, index, evidence, NEIGHBOUR_SPREAD if smooth else 0.0)
    return insertions


def _from_images(stack: Stack, index: int, evidence: Mapping[int, Evidence], spread: float) -> Insertions:
    """Insertions from the weighted mean evidence of the neighbours; the assumed pair where that is hardly more than chance."""
    total, weights = np.zeros_like(evidence[index]), 0.0
    anterior_drift, inferior_drift = _drift_per_slice(stack)
    for away in sorted({abs(neighbour - index) for neighbour in evidence}):
        weight = float(np.exp(-0.5 * (away / spread) ** 2)) if spread else float(away == 0)
        # Both neighbours at once: a stack that is stored from the other end must give the same sum to the last digit.
        both = [
            shift_evidence(evidence[index + side], anterior_drift * side, inferior_drift * side)
            for side in {away, -away}
            if index + side in evidence
        ]
        total, weights = total + weight * sum(both[1:], start=both[0]), weights + weight * len(both)
    insertions = most_likely_insertions(total / weights)
    return insertions if insertions.confidence >= MIN_CONFIDENCE else ASSUMED_INSERTIONS


def _from_landmarks_or_labels(stack: Stack, wanted: list[int]) -> dict[int, Insertions]:
    """Insertions of these slices from landmarks or RV labels; empty where the stack has neither."""
    pairs, source = dict(stack.insertions_deg), Source.LANDMARKS
    if not pairs and (stack.labels == Label.RV).any():
        labelled = {index: insertions_from_rv_label(stack[index]) for index in range(len(stack))}
        pairs = {index: (pair.anterior_deg, pair.inferior_deg) for index, pair in labelled.items() if pair is not None}
        source = Source.RV_LABEL
    if not pairs:
        return {}
    carried = {index: _carry_to(pairs, index, _drift_per_slice(stack)) for index in wanted}
    return {
        index: Insertions(anterior_deg=anterior, inferior_deg=inferior, source=source, confidence=1.0)
        for index, (anterior, inferior) in carried.items()
    }


def _carry_to(pairs: Mapping[int, tuple[float, float]], index: int, drift: tuple[float, float]) -> tuple[float, float]:
    """The pair at `index`: its own, else interpolated between two neighbours, else from the nearest one, turned by the drift."""
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
    """Degrees by which (anterior, inferior) grow from one slice to the next; 0 where the order is not known."""
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
    """Rise of a straight line through the areas, from the first slice to the last, as a share of the mean area."""
    if not area.any():
        return 0.0
    slope = float(np.polyfit(position, area, 1)[0])
    return slope * float(position[-1] - position[0]) / float(area.mean())
