"""Intent becomes geometry: a prescription painted as an irregular mask inside the wall of one heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lgesynthnet.anatomy.aha import ANTERIOR_INSERTION_DEG, INFERIOR_INSERTION_DEG
from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.measuring import CHORD_HOLDS, chord_shares
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Mask

INSERTION_HALF_WIDTH_DEG = 20.0
TAPER_DEG = 18.0  # the wavefront is shallower at the lateral borders of an infarct (Reimer and Jennings, 1979)
TAPER_FLOOR = 0.5
BINS = 720


@dataclass(frozen=True, kw_only=True)
class ScarMask:
    """Masks of shape (rows, cols): the whole scar, and the no-reflow core inside it (may be empty)."""

    scar: Mask
    no_reflow: Mask


def rasterize(prescription: ScarPrescription, frame: HeartFrame) -> ScarMask:
    """Paint one prescription into one slice; no chance here but the prescription's own seed.

    Raises:
        PrescriptionError: the slice's level holds none of the segments, or no wall is left to fall on.
    """
    region = _region(prescription, frame)
    rng = np.random.default_rng(prescription.seed)
    ends_deg = _distance_to_end(region, frame)
    field = _field(prescription, frame, ends_deg, rng)
    ragged = 10.0 * prescription.irregularity * np.abs(_wave(rng, frame.depth * 180.0, 6))
    # Small arcs keep at least 60 % of their width, so a prescribed segment never frays away.
    room = region & (ends_deg >= np.minimum(ragged, 0.2 * 2 * ends_deg[region].max()))
    scar = _calibrated(field, room if room.any() else region, frame, prescription.transmurality)
    if not scar.any():
        raise PrescriptionError(f"{frame.name}: no wall pixel is left for {sorted(prescription.at(frame.level))} at this thickness")
    return ScarMask(scar=scar, no_reflow=_core(scar, frame, prescription, rng))


def _region(prescription: ScarPrescription, frame: HeartFrame) -> Mask:
    wanted = prescription.at(frame.level)
    if not wanted:
        levels = " and ".join(sorted(level.value for level in prescription.levels))
        raise PrescriptionError(
            f"{frame.name} is a {frame.level} slice, but the prescription names {levels} segments {sorted(prescription.segments)}"
        )
    region = frame.wall & np.isin(frame.segments, sorted(wanted))
    if prescription.arc is not None:
        region &= (frame.nominal_deg - prescription.arc.start_deg) % 360.0 < prescription.arc.extent_deg
    if prescription.pattern is Pattern.RV_INSERTION:
        region &= _near(frame.nominal_deg, ANTERIOR_INSERTION_DEG) | _near(frame.nominal_deg, INFERIOR_INSERTION_DEG)
    if not region.any():
        raise PrescriptionError(f"{frame.name}: segments {sorted(wanted)} leave no wall inside the prescribed arc or pattern")
    return region


def _near(angle: Float[np.ndarray, "rows cols"], target: float) -> Bool[np.ndarray, "rows cols"]:
    return np.abs((angle - target + 180.0) % 360.0 - 180.0) < INSERTION_HALF_WIDTH_DEG


def _distance_to_end(region: Mask, frame: HeartFrame) -> Float[np.ndarray, "rows cols"]:
    """Nominal degrees from each wall pixel to the nearest angle outside the region; 180 where the region is the whole ring."""
    occupied = np.zeros(BINS, bool)
    step = 360.0 / BINS
    occupied[(frame.nominal_deg[region] / step).astype(int) % BINS] = True
    occupied = ndimage.binary_closing(np.tile(occupied, 3), iterations=6)[BINS : 2 * BINS]  # bins that no pixel centre hits
    if occupied.all():
        return np.full(region.shape, 180.0)
    distance = ndimage.distance_transform_edt(np.tile(occupied, 3))[BINS : 2 * BINS] * step
    return np.asarray(distance)[(frame.nominal_deg / step).astype(int) % BINS]


def _wave(rng: np.random.Generator, angle: Float[np.ndarray, "*shape"], harmonics: int) -> Float[np.ndarray, "*shape"]:
    """Smooth random function of an angle with unit variance; a function of the angle alone, so any grid shows the same shape."""
    k = np.arange(1, harmonics + 1)
    amplitude = rng.standard_normal(harmonics) / np.sqrt(k)
    phase = rng.uniform(0, 2 * np.pi, harmonics)
    amplitude /= np.sqrt((amplitude**2).sum() / 2) + 1e-9
    radians = np.radians(np.nan_to_num(angle))
    return sum((a * np.cos(n * radians + p) for a, n, p in zip(amplitude, k, phase, strict=True)), np.zeros_like(radians))


def _field(
    prescription: ScarPrescription, frame: HeartFrame, ends_deg: Float[np.ndarray, "rows cols"], rng: np.random.Generator
) -> Float[np.ndarray, "rows cols"]:
    """Scalar on the wall whose sublevel sets are the scar at growing extent; the calibrated level is near 1."""
    rough = prescription.irregularity
    inner, outer = prescription.band
    taper = TAPER_FLOOR + (1 - TAPER_FLOOR) * np.clip(ends_deg / TAPER_DEG, 0, 1)
    width = (outer - inner) * taper * np.clip(1 + 0.3 * rough * _wave(rng, frame.nominal_deg, 14), 0.35, 1.8)
    shift = 0.08 * rough * _wave(rng, frame.nominal_deg, 9)
    depth = np.where(frame.wall, np.nan_to_num(frame.depth), 2.0)
    match prescription.pattern:
        case Pattern.SUBENDOCARDIAL | Pattern.TRANSMURAL:
            field = (depth - inner) / width
            return np.where(depth < inner, np.inf, field)
        case Pattern.SUBEPICARDIAL:
            return np.where(depth > outer, np.inf, (outer - depth) / width)
        case Pattern.MID_WALL | Pattern.RV_INSERTION:
            return np.abs(depth - (inner + outer) / 2 - shift) / (width / 2)
        case Pattern.PATCHY:
            return _patches(prescription, frame, rng)


def _patches(prescription: ScarPrescription, frame: HeartFrame, rng: np.random.Generator) -> Float[np.ndarray, "rows cols"]:
    """Islands a few millimetres wide, scattered in (angle, depth); deep inside an island the field is small."""
    inner, outer = prescription.band
    count = 60
    where_deg, where_depth = rng.uniform(0, 360, count), rng.uniform(inner, outer, count)
    size_deg, size_depth = rng.uniform(5, 12, count), rng.uniform(0.12, 0.3, count)
    depth = np.nan_to_num(frame.depth, nan=9.0)
    nearest = np.full(frame.wall.shape, np.inf)
    for deg, level, wide, thick in zip(where_deg, where_depth, size_deg, size_depth, strict=True):
        around = (frame.nominal_deg - deg + 180.0) % 360.0 - 180.0
        nearest = np.minimum(nearest, np.sqrt((around / wide) ** 2 + ((depth - level) / thick) ** 2))
    return np.where((depth >= inner) & (depth <= outer), nearest, np.inf)


def _calibrated(field: Float[np.ndarray, "rows cols"], room: Mask, frame: HeartFrame, transmurality: float) -> Mask:
    """The sublevel set of `field` in `room` whose measured transmural extent is nearest to the wish.

    Pixels are coarse against a thin wall, so the level is searched and not computed; levels near 1 win ties.
    """
    best, best_cost = room & (field <= 1.0), np.inf
    for level in np.concatenate([[1.0], np.geomspace(0.45, 4.0, 45)]):
        mask = room & (field <= level)
        share, pixels = chord_shares(mask, frame)
        holds = (share >= CHORD_HOLDS) & (pixels > 0)
        if not holds.any():
            continue
        cost = abs(float(share[holds].mean()) - transmurality) + 0.01 * abs(np.log(level))
        if cost < best_cost - 1e-9:
            best, best_cost = mask, cost
    return best


def _core(scar: Mask, frame: HeartFrame, prescription: ScarPrescription, rng: np.random.Generator) -> Mask:
    """No-reflow: the innermost share of the scar seen from healthy wall; the endocardial side is no border to it."""
    target = round(prescription.mvo_share * int(scar.sum()))
    if target == 0:
        return np.zeros_like(scar)
    inside_mm = ndimage.distance_transform_edt(scar | frame.cavity, sampling=frame.spacing_mm)
    wobble = 1.0 + 0.25 * prescription.irregularity * _wave(rng, frame.nominal_deg, 8)
    score = np.where(scar, inside_mm * wobble - 4.0 * np.nan_to_num(frame.depth), -np.inf)
    rim = scar & (inside_mm > 1.5 * max(frame.spacing_mm))  # a rim of enhancement always remains, or it would not read as MVO
    order = np.argsort(-score, axis=None, kind="stable")[:target]
    core = np.zeros_like(scar)
    core.flat[order] = True
    return core & rim
