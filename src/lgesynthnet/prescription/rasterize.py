"""Draw a prescription as a mask with an irregular border inside the wall of one heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lgesynthnet.anatomy.aha import ANTERIOR_INSERTION_DEG, INFERIOR_INSERTION_DEG
from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.measuring import MIN_CHORD_SHARE, chord_shares
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Mask

INSERTION_HALF_WIDTH_DEG = 20.0
TAPER_DEG = 18.0  # an infarct is less deep at its lateral borders (wavefront; Reimer and Jennings, 1979)
TAPER_FLOOR = 0.5
BINS = 720


@dataclass(frozen=True, kw_only=True)
class ScarMask:
    """Masks of shape (rows, cols): the whole scar, and the no-reflow core inside it, which may be empty."""

    scar: Mask
    no_reflow: Mask


def rasterize(prescription: ScarPrescription, frame: HeartFrame) -> ScarMask:
    """Draw one prescription as a mask in one slice. The seed of the prescription decides the border; nothing else is random.

    Raises:
        PrescriptionError: the level of the slice has none of the segments, or no wall pixel is left for the scar.
    """
    region = _region(prescription, frame)
    rng = np.random.default_rng(prescription.seed)
    ends_deg = _degrees_to_end(region, frame)
    field = _level_field(prescription, frame, ends_deg, rng)
    ragged = 10.0 * prescription.irregularity * np.abs(_random_wave(rng, frame.depth * 180.0, 6))
    # Small arcs keep at least 60 % of their width, so that a prescribed segment never disappears.
    allowed = region & (ends_deg >= np.minimum(ragged, 0.2 * 2 * ends_deg[region].max()))
    scar = _calibrate(field, allowed if allowed.any() else region, frame, prescription.transmurality)
    if not scar.any():
        raise PrescriptionError(
            f"{frame.name}: no wall pixel is left for segments {sorted(prescription.at(frame.level))} at this transmurality; "
            "prescribe a larger one"
        )
    return ScarMask(scar=scar, no_reflow=_no_reflow_core(scar, frame, prescription, rng))


def _region(prescription: ScarPrescription, frame: HeartFrame) -> Mask:
    segments = prescription.at(frame.level)
    if not segments:
        levels = " and ".join(sorted(level.value for level in prescription.levels))
        raise PrescriptionError(
            f"{frame.name} is a {frame.level} slice, but the prescription names {levels} segments {sorted(prescription.segments)}; "
            f"name {frame.level} segments"
        )
    region = frame.wall & np.isin(frame.segments, sorted(segments))
    if prescription.arc is not None:
        region &= (frame.nominal_deg - prescription.arc.start_deg) % 360.0 < prescription.arc.extent_deg
    if prescription.pattern is Pattern.RV_INSERTION:
        region &= _near_insertion(frame.nominal_deg, ANTERIOR_INSERTION_DEG) | _near_insertion(frame.nominal_deg, INFERIOR_INSERTION_DEG)
    if not region.any():
        raise PrescriptionError(
            f"{frame.name}: segments {sorted(segments)} have no wall inside the prescribed arc or pattern; leave the arc out"
        )
    return region


def _near_insertion(angle: Float[np.ndarray, "rows cols"], target: float) -> Bool[np.ndarray, "rows cols"]:
    return np.asarray(np.abs((angle - target + 180.0) % 360.0 - 180.0) < INSERTION_HALF_WIDTH_DEG)


def _degrees_to_end(region: Mask, frame: HeartFrame) -> Float[np.ndarray, "rows cols"]:
    """Nominal degrees from each pixel to the nearest angle outside the region; 180 where the region is the whole ring."""
    occupied = np.zeros(BINS, bool)
    step = 360.0 / BINS
    occupied[(frame.nominal_deg[region] / step).astype(int) % BINS] = True
    occupied = ndimage.binary_closing(np.tile(occupied, 3), iterations=6)[BINS : 2 * BINS]  # closes bins that contain no pixel centre
    if occupied.all():
        return np.full(region.shape, 180.0)
    distance = ndimage.distance_transform_edt(np.tile(occupied, 3))[BINS : 2 * BINS] * step
    return np.asarray(distance[(frame.nominal_deg / step).astype(int) % BINS])


def _random_wave(rng: np.random.Generator, angle: Float[np.ndarray, "*shape"], harmonics: int) -> Float[np.ndarray, "*shape"]:
    """Smooth random function of an angle in degrees, with unit variance. Every grid shows the same shape."""
    k = np.arange(1, harmonics + 1)
    amplitude = rng.standard_normal(harmonics) / np.sqrt(k)
    phase = rng.uniform(0, 2 * np.pi, harmonics)
    amplitude /= np.sqrt((amplitude**2).sum() / 2) + 1e-9
    radians = np.radians(np.nan_to_num(angle))
    return np.asarray(sum((a * np.cos(n * radians + p) for a, n, p in zip(amplitude, k, phase, strict=True)), np.zeros_like(radians)))


def _level_field(
    prescription: ScarPrescription, frame: HeartFrame, ends_deg: Float[np.ndarray, "rows cols"], rng: np.random.Generator
) -> Float[np.ndarray, "rows cols"]:
    """Scalar field whose sublevel sets are the scar with increasing extent. The prescribed extent is reached at a level near 1."""
    rough = prescription.irregularity
    inner, outer = prescription.band
    taper = TAPER_FLOOR + (1 - TAPER_FLOOR) * np.clip(ends_deg / TAPER_DEG, 0, 1)
    width = (outer - inner) * taper * np.clip(1 + 0.3 * rough * _random_wave(rng, frame.nominal_deg, 14), 0.35, 1.8)
    shift = 0.08 * rough * _random_wave(rng, frame.nominal_deg, 9)
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
    """Field of islands a few millimetres wide at random angles and depths; it is small inside an island."""
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


def _calibrate(field: Float[np.ndarray, "rows cols"], allowed: Mask, frame: HeartFrame, transmurality: float) -> Mask:
    """The sublevel set of `field` inside `allowed` whose measured transmurality is nearest to the prescribed one.

    Pixels are coarse in a thin wall, so the level is searched and not computed. Among equal results, levels near 1 win.
    """
    best, best_cost = allowed & (field <= 1.0), np.inf
    for level in np.concatenate([[1.0], np.geomspace(0.45, 4.0, 45)]):
        mask = allowed & (field <= level)
        share, pixels = chord_shares(mask, frame)
        with_scar = (share >= MIN_CHORD_SHARE) & (pixels > 0)
        if not with_scar.any():
            continue
        cost = abs(float(share[with_scar].mean()) - transmurality) + 0.01 * abs(np.log(level))
        if cost < best_cost - 1e-9:
            best, best_cost = mask, cost
    return best


def _no_reflow_core(scar: Mask, frame: HeartFrame, prescription: ScarPrescription, rng: np.random.Generator) -> Mask:
    """The no-reflow core: the share of the scar that is farthest from healthy wall. The endocardium does not count as a border."""
    target = round(prescription.mvo_share * int(scar.sum()))
    if target == 0:
        return np.zeros_like(scar)
    inside_mm = ndimage.distance_transform_edt(scar | frame.cavity, sampling=frame.spacing_mm)
    wobble = 1.0 + 0.25 * prescription.irregularity * _random_wave(rng, frame.nominal_deg, 8)
    score = np.where(scar, inside_mm * wobble - 4.0 * np.nan_to_num(frame.depth), -np.inf)
    inner = scar & (inside_mm > 1.5 * max(frame.spacing_mm))  # a rim of enhancement remains, as round a real core
    order = np.argsort(-score, axis=None, kind="stable")[:target]
    core = np.zeros_like(scar)
    core.flat[order] = True
    return np.asarray(core & inner)
