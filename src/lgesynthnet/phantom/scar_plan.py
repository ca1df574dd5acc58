"""Plan a scar in three dimensions: a prescription for each of several neighbouring slices, which together form one scar."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lgesynthnet.anatomy.aha import LEVEL_OF, SECTOR_DEG, SECTOR_START_DEG, SEGMENTS
from lgesynthnet.phantom.body import Body, Remodelling
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Arc, Pattern, ScarPrescription
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

NON_ISCHAEMIC = 0.125  # share of scars that are no infarcts
LARGEST_HALO_MM = 4.8
OVERLAP_DEG = 14.0  # a segment is named only if the arc covers at least this much of it


@dataclass(frozen=True, kw_only=True)
class ScarPlan:
    """The planned scar of one patient.

    Attributes:
        prescriptions: slice index -> prescription, for the slices with scar.
        remodelling: how the wall changed; None for a scar that is no infarct.
        border_mm: width in mm of the partly enhanced border zone inside the scar, towards healthy wall; 0 for none.
        halo_mm: how far in mm beyond its outline the scar reaches somewhere in the slab, so that wall beside it looks grey.
    """

    prescriptions: dict[int, ScarPrescription]
    remodelling: Remodelling | None
    border_mm: float
    halo_mm: float


def level_of(body: Body, index: int) -> Level:
    """The level of a slice, by thirds of the stack."""
    third = min(int(index * 3 / body.slices), 2)
    return (Level.BASAL, Level.MID, Level.APICAL)[third]


def plan_scar(body: Body, rng: np.random.Generator, non_ischaemic: float = NON_ISCHAEMIC) -> ScarPlan:
    """Draw a scar that continues over neighbouring slices: one stretch of wall, widest and deepest in its middle.

    Args:
        non_ischaemic: probability that it is no infarct, 0 to 1.
    """
    prior = Prior.NON_ISCHAEMIC if rng.random() < non_ischaemic else Prior.ISCHAEMIC
    core = draw_prescription(prior, Level.MID, rng)
    start, extent = _shortest_arc(core.segments)
    if prior is Prior.ISCHAEMIC:
        core, start, extent = _enlarge_infarct(core, start, extent, rng)
    reach = float(rng.uniform(1.3, 5.0)) if prior is Prior.ISCHAEMIC else float(rng.uniform(0.8, 2.5))
    middle = float(rng.uniform(0.1, 0.95) * (body.slices - 1))
    prescriptions = {}
    for index in range(body.slices):
        distance = abs(index - middle) / reach
        if distance >= 1:
            continue
        shrink = np.sqrt(1 - 0.8 * distance**2) * float(rng.uniform(0.85, 1.0))
        # Near the apex the ring is smaller, so the same width of scar takes more degrees.
        wider = min(1.0 / np.sqrt(1 - (body.position(index) * body.reach_to_apex) ** 2), 2.0)
        begin, span = start - extent * (wider - 1) / 2, min(extent * wider, 360.0)
        prescriptions[index] = _at_slice(core, level_of(body, index), begin, span, float(shrink), rng)
    return ScarPlan(
        prescriptions={index: prescription for index, prescription in prescriptions.items() if prescription is not None},
        remodelling=_remodelling(core, start, extent, middle, reach, rng) if prior is Prior.ISCHAEMIC else None,
        border_mm=float(rng.choice([0.0, rng.uniform(0.5, 3.0)])),
        halo_mm=float(rng.uniform(0.8, LARGEST_HALO_MM)),
    )


def _enlarge_infarct(
    core: ScarPrescription, start: float, extent: float, rng: np.random.Generator
) -> tuple[ScarPrescription, float, float]:
    """Enlarge an infarct to the size that is typical for patients who are examined by MRI.

    In EMIDEC the median burden is 20 % of the LV, an infarct takes 140 degrees of a slice, and half of the infarcts hold
    no-reflow. The prior of the prescriptions is broader and stays as it is.
    """
    wide = min(extent * float(rng.uniform(0.9, 1.7)), 330.0)
    start = (start - (wide - extent) * float(rng.uniform(0.2, 0.8))) % 360.0
    deep = float(np.clip(round((core.transmurality + (1 - core.transmurality) * rng.uniform(0, 0.5)) / 0.05) * 0.05, 0.2, 1.0))
    no_reflow = core.mvo_share
    if no_reflow == 0 and deep >= 0.5 and rng.random() < 0.5:
        no_reflow = float(rng.uniform(0.05, 0.35))
    return replace(core, transmurality=round(deep, 4), mvo_share=round(no_reflow, 3), depth=None, pattern=_pattern_of(deep)), start, wide


def _pattern_of(transmurality: float) -> Pattern:
    return Pattern.TRANSMURAL if transmurality > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL


def _remodelling(
    core: ScarPrescription, start: float, extent: float, middle: float, reach: float, rng: np.random.Generator
) -> Remodelling | None:
    """Draw how the wall changed. Fresh infarcts swell, and only they hold no-reflow. Old ones are thin, and some of them bulge."""
    old = core.mvo_share == 0 and core.transmurality > 0.5 and rng.random() < 0.45
    thickness = float(rng.uniform(0.45, 0.9) if old else rng.uniform(0.95, 1.25))
    bulge = float(rng.uniform(1, 6)) if old and rng.random() < 0.25 else 0.0
    return Remodelling(start_deg=start, extent_deg=extent, middle=middle, reach=reach, thickness=thickness, bulge_mm=bulge)


def _shortest_arc(segments: frozenset[int]) -> tuple[float, float]:
    """Start and extent in nominal degrees of the shortest arc that holds all segments."""
    level = LEVEL_OF[next(iter(segments))]
    wide = SECTOR_DEG[level]
    starts = sorted(SECTOR_START_DEG[s] for s in segments)
    gaps = [((b - a) % 360.0 or 360.0, b) for a, b in zip(starts, [*starts[1:], starts[0]], strict=True)]
    widest, first = max(gaps)
    return first, 360.0 - widest + wide


def _at_slice(
    core: ScarPrescription, level: Level, start: float, extent: float, shrink: float, rng: np.random.Generator
) -> ScarPrescription | None:
    """The prescription of one slice: the scar, narrower and thinner by `shrink` (0 to 1); None where it reaches no segment."""
    width = max(extent * shrink, 25.0)
    begin = (start + (extent - width) * float(rng.uniform(0.3, 0.7))) % 360.0
    named = set()
    for segment in SEGMENTS[level]:
        ahead = (SECTOR_START_DEG[segment] - begin) % 360.0
        inside = max(width - ahead, 0.0) if ahead < width else 0.0
        behind = min(SECTOR_DEG[level] - (360.0 - ahead), width) if 360.0 - ahead < SECTOR_DEG[level] else 0.0
        if min(inside, SECTOR_DEG[level]) >= OVERLAP_DEG or behind >= OVERLAP_DEG:
            named.add(segment)
    if not named:
        return None
    transmurality = float(np.clip(round(core.transmurality * (0.55 + 0.45 * shrink) / 0.05) * 0.05, 0.2, 1.0))
    pattern, mvo = core.pattern, core.mvo_share * shrink
    if pattern in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL):
        pattern = _pattern_of(transmurality)
    whole = width >= 359
    if pattern is Pattern.RV_INSERTION:  # bound to the insertions instead of an arc; apical segments do not begin there
        if level is Level.APICAL:
            return None
        named, whole = set(SEGMENTS[level][1:3]), True
    return replace(
        core,
        segments=frozenset(named),
        arc=None if whole else Arc(start_deg=round(begin, 1) % 360.0, extent_deg=round(width, 1)),
        pattern=pattern,
        transmurality=round(transmurality, 4),
        depth=None,  # the default of the pattern for the new transmurality
        mvo_share=round(mvo, 3),
        seed=int(rng.integers(2**31)),
    )
