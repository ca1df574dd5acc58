"""Scar in three dimensions: prescriptions planned over a stack, painted by the product's own code, continued between slices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from lgesynthnet.anatomy.aha import LEVEL_OF, SECTOR_DEG, SECTOR_START_DEG, SEGMENTS
from lgesynthnet.phantom.body import BINS, Body, Remodelling
from lgesynthnet.phantom.heart import Box, Contours
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Arc, Pattern, ScarPrescription
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

OVERLAP_DEG = 14.0  # an arc that reaches less far into a segment leaves it unnamed
Distance = Float32[np.ndarray, "bins depths"]

NON_ISCHAEMIC = 0.125  # share of scars that are no infarcts
DEPTHS = 24  # steps through the wall in which a painted scar is remembered
BORDER_SHARE = 0.4  # of a scar's half width at most is border zone, or thin scars would be nothing else
ENDS_MM = 5.0  # where a neighbouring slice has no scar, the scar ends as if its border lay this deep inside it


@dataclass(frozen=True, kw_only=True)
class ScarPlan:
    """What one patient's heart is to hold: a prescription for some of the slices, and how the wall changed for it.

    Attributes:
        border_mm: width of the partly enhanced rim towards viable wall; 0 for none.
    """

    prescriptions: dict[int, ScarPrescription]
    remodelling: Remodelling | None
    border_mm: float


def level_of(body: Body, index: int) -> Level:
    third = min(int(index * 3 / body.slices), 2)
    return (Level.BASAL, Level.MID, Level.APICAL)[third]


def plan_scar(body: Body, rng: np.random.Generator, non_ischaemic: float = NON_ISCHAEMIC) -> ScarPlan:
    """A scar that continues over neighbouring slices: one stretch of wall, widest and deepest in its middle.

    Args:
        non_ischaemic: chance that it is no infarct, 0 to 1.
    """
    prior = Prior.NON_ISCHAEMIC if rng.random() < non_ischaemic else Prior.ISCHAEMIC
    core = draw_prescription(prior, Level.MID, rng)
    start, extent = _stretch(core.segments)
    if prior is Prior.ISCHAEMIC:
        core, start, extent = _as_admitted(core, start, extent, rng)
    reach = float(rng.uniform(1.3, 5.0)) if prior is Prior.ISCHAEMIC else float(rng.uniform(0.8, 2.5))
    middle = float(rng.uniform(0.1, 0.95) * (body.slices - 1))
    plan = {}
    for index in range(body.slices):
        off = abs(index - middle) / reach
        if off >= 1:
            continue
        shrink = np.sqrt(1 - 0.8 * off**2) * float(rng.uniform(0.85, 1.0))
        # The same width of scar takes more degrees of the smaller ring near the apex.
        wider = min(1.0 / np.sqrt(1 - (body.position(index) * body.reach_to_apex) ** 2), 2.0)
        begin, span = start - extent * (wider - 1) / 2, min(extent * wider, 360.0)
        plan[index] = _at_slice(core, level_of(body, index), begin, span, float(shrink), rng)
    return ScarPlan(
        prescriptions={index: one for index, one in plan.items() if one is not None},
        remodelling=_remodelling(core, start, extent, middle, reach, rng) if prior is Prior.ISCHAEMIC else None,
        border_mm=float(rng.choice([0.0, rng.uniform(0.5, 3.0)])),
    )


def _as_admitted(core: ScarPrescription, start: float, extent: float, rng: np.random.Generator) -> tuple[ScarPrescription, float, float]:
    """Infarcts as large as those of patients sent to a scanner, who have had the large ones: EMIDEC's median burden is 20 % of the
    LV, its arcs 140 degrees a slice, and half of its infarcts hold no-reflow. The product's prior stays the broader one.
    """
    wide = min(extent * float(rng.uniform(0.9, 1.7)), 330.0)
    start = (start - (wide - extent) * float(rng.uniform(0.2, 0.8))) % 360.0
    deep = float(np.clip(round((core.transmurality + (1 - core.transmurality) * rng.uniform(0, 0.5)) / 0.05) * 0.05, 0.2, 1.0))
    no_reflow = core.mvo_share
    if no_reflow == 0 and deep >= 0.5 and rng.random() < 0.5:
        no_reflow = float(rng.uniform(0.05, 0.35))
    return replace(core, transmurality=round(deep, 4), mvo_share=round(no_reflow, 3), depth=None, pattern=_named(deep)), start, wide


def _named(transmurality: float) -> Pattern:
    return Pattern.TRANSMURAL if transmurality > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL


def _remodelling(
    core: ScarPrescription, start: float, extent: float, middle: float, reach: float, rng: np.random.Generator
) -> Remodelling | None:
    """Fresh infarcts swell, and only they hold no-reflow; one large scar in three is old and thin, some of those bulge."""
    old = core.mvo_share == 0 and core.transmurality > 0.5 and rng.random() < 0.45
    thickness = float(rng.uniform(0.45, 0.9) if old else rng.uniform(0.95, 1.25))
    bulge = float(rng.uniform(1, 6)) if old and rng.random() < 0.25 else 0.0
    return Remodelling(start_deg=start, extent_deg=extent, middle=middle, reach=reach, thickness=thickness, bulge_mm=bulge)


@dataclass(frozen=True, kw_only=True)
class WallMap:
    """A painted scar in the heart's own coordinates, as signed distances in mm (positive inside), (AHA angle, depth)."""

    scar: Distance
    no_reflow: Distance


NOTHING = WallMap(scar=np.full((BINS, DEPTHS), -ENDS_MM, np.float32), no_reflow=np.full((BINS, DEPTHS), -ENDS_MM, np.float32))


def read_wall_map(painted: ScarMask, plane: Contours, window: Box) -> WallMap:
    """Read a painted scar off the plane it was painted in, so that planes beside it can be given the same scar."""
    # For each AHA angle the image direction that shows it: nominal_deg runs once round, so its order inverts it.
    order = np.argsort(plane.nominal_deg)
    nominal = (np.arange(BINS) + 0.5) * (360.0 / BINS)
    direction = order[np.searchsorted(plane.nominal_deg[order], nominal) % BINS]
    depth = (np.arange(DEPTHS) + 0.5) / DEPTHS
    endo, wall = plane.endo[direction][:, None], (plane.epi - plane.endo)[direction][:, None]
    # Next to a surface the nearest pixel may belong to blood or fat, which would read as the scar's own border.
    radius = endo + np.clip(depth * wall, window.pixel_mm, np.maximum(wall - window.pixel_mm, window.pixel_mm))
    angle = np.radians((direction + 0.5) * (360.0 / BINS))[:, None]
    middle = (window.points - 1) / 2
    row = middle + (plane.centre_mm[0] - radius * np.sin(angle)) / window.pixel_mm - window.corner[0]
    col = middle + (plane.centre_mm[1] + radius * np.cos(angle)) / window.pixel_mm - window.corner[1]
    at = np.clip(np.rint(row), 0, window.shape[0] - 1).astype(int), np.clip(np.rint(col), 0, window.shape[1] - 1).astype(int)
    step_mm = (float(radius.mean()) * 2 * np.pi / BINS, float(wall.mean()) / DEPTHS)
    return WallMap(scar=_signed_mm(painted.scar[at], step_mm), no_reflow=_signed_mm(painted.no_reflow[at], step_mm))


def interpolate(here: WallMap, there: WallMap, share: float) -> WallMap:
    """The scar a `share` of the way to a neighbouring slice; its outline moves smoothly, and thin scars end no sooner than thick ones."""
    weight = np.float32(share)

    def blended(near: Distance, far: Distance) -> Distance:
        return (1 - weight) * near + weight * np.maximum(far, -_half_width_mm(near))

    return WallMap(scar=blended(here.scar, there.scar), no_reflow=blended(here.no_reflow, there.no_reflow))


def _half_width_mm(distance: Distance) -> Float32[np.ndarray, "bins 1"]:
    """How deep inside the scar one can be in each direction; 0 where there is none."""
    return np.maximum(distance.max(axis=1, keepdims=True), 0)


def scar_in_plane(map_: WallMap, plane: Contours, window: Box, border_mm: float) -> tuple[Bool[np.ndarray, "rows cols"], ...]:
    """Masks of scar, its partly enhanced border zone (inside the scar), and no-reflow, in any plane of the heart."""
    radius, direction = window.polar(plane.centre_mm)
    depth = (radius - plane.endo[direction]) / (plane.epi - plane.endo)[direction]
    wall = (depth >= 0) & (depth < 1)
    bin_ = (plane.nominal_deg * (BINS / 360.0)).astype(np.int32)[direction[wall]] % BINS
    step = np.minimum((depth[wall] * DEPTHS).astype(np.int32), DEPTHS - 1)
    distance = map_.scar[bin_, step]
    border = np.minimum(border_mm, BORDER_SHARE * _half_width_mm(map_.scar)[bin_, 0])
    masks = []
    for found in (distance > 0, (distance > 0) & (distance < border), (map_.no_reflow[bin_, step] > 0) & (distance > 0)):
        mask = np.zeros(window.shape, bool)
        mask[wall] = found
        masks.append(mask)
    return tuple(masks)


def _signed_mm(mask: Bool[np.ndarray, "bins depths"], step_mm: tuple[float, float]) -> Distance:
    """Signed distance to the mask's border within the wall; blood and fat are no border, the angle runs round."""
    if not mask.any():
        return NOTHING.scar
    quarter = BINS // 4
    tiled = np.concatenate([mask[-quarter:], mask, mask[:quarter]])
    tiled = np.pad(tiled, ((0, 0), (DEPTHS, DEPTHS)), mode="edge")
    inside = ndimage.distance_transform_edt(tiled, sampling=step_mm) if not tiled.all() else np.full(tiled.shape, 9.0)
    outside = ndimage.distance_transform_edt(~tiled, sampling=step_mm) if not tiled.all() else np.zeros(tiled.shape)
    signed = np.where(tiled, inside, -outside)[quarter:-quarter, DEPTHS:-DEPTHS]
    return np.clip(signed, -ENDS_MM, 9.0).astype(np.float32)


def _stretch(segments: frozenset[int]) -> tuple[float, float]:
    """Nominal start and extent of the shortest arc that holds the segments."""
    level = LEVEL_OF[next(iter(segments))]
    wide = SECTOR_DEG[level]
    starts = sorted(SECTOR_START_DEG[s] for s in segments)
    gaps = [((b - a) % 360.0 or 360.0, b) for a, b in zip(starts, [*starts[1:], starts[0]], strict=True)]
    widest, first = max(gaps)
    return first, 360.0 - widest + wide


def _at_slice(
    core: ScarPrescription, level: Level, start: float, extent: float, shrink: float, rng: np.random.Generator
) -> ScarPrescription | None:
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
        pattern = _named(transmurality)
    whole = width >= 359
    if pattern is Pattern.RV_INSERTION:  # tied to the insertions, not to a stretch; apical sectors do not begin there
        if level is Level.APICAL:
            return None
        named, whole = set(SEGMENTS[level][1:3]), True
    return replace(
        core,
        segments=frozenset(named),
        arc=None if whole else Arc(start_deg=round(begin, 1) % 360.0, extent_deg=round(width, 1)),
        pattern=pattern,
        transmurality=round(transmurality, 4),
        depth=None,  # the pattern's default for the new extent
        mvo_share=round(mvo, 3),
        seed=int(rng.integers(2**31)),
    )
