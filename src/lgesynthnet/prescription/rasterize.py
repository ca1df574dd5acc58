"""Draw a prescription as a mask with an irregular border inside the wall of one heart."""

from __future__ import annotations

from collections.abc import Iterator
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
PATCHES = 60  # islands of a whole ring
# Wavelengths in mm with which the border of a heart's scar changes from base to apex.
WAVELENGTHS_MM = (18.0, 35.0, 80.0)
PATCHES_REPEAT_MM = 240.0  # longer than a heart, so that no two slices have the same islands
PATCH_MM = (5.0, 12.0)  # how far an island reaches towards base and apex
MOST_AWAY = 9.0  # islands at three times their half length or more show nothing in a slice


@dataclass(frozen=True, kw_only=True)
class ScarMask:
    """Masks of shape (rows, cols): the whole scar, and the no-reflow core inside it, which may be empty."""

    scar: Mask
    no_reflow: Mask


def rasterize(prescription: ScarPrescription, frame: HeartFrame, *, along_mm: float | None = None) -> ScarMask:
    """Draw one prescription as a mask in one slice. The seed of the prescription decides the border; nothing else is random.

    Args:
        along_mm: position of the slice along its heart. The borders of slices with one seed then change smoothly with it; None draws the
            border of a slice that stands alone.
    Raises:
        PrescriptionError: the level of the slice has none of the segments, or no wall pixel is left for the scar.
    """
    region = _region(prescription, frame)
    border = _Border(np.random.default_rng(prescription.seed), along_mm)
    ends_deg = _degrees_to_end(region, frame)
    field = _level_field(prescription, frame, ends_deg, border)
    ragged = 10.0 * prescription.irregularity * np.abs(border.wave(frame.depth * 180.0, 6))
    # Small arcs keep at least 60 % of their width, so that a prescribed segment never disappears.
    allowed = region & (ends_deg >= np.minimum(ragged, 0.2 * 2 * ends_deg[region].max()))
    scar = _calibrate(field, allowed if allowed.any() else region, frame, prescription.transmurality)
    if not scar.any():
        raise PrescriptionError(
            f"{frame.name}: no wall pixel is left for segments {sorted(prescription.at(frame.level))} at this transmurality; "
            "prescribe a larger one"
        )
    return ScarMask(scar=scar, no_reflow=_no_reflow_core(scar, frame, prescription, border))


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


class _Border:
    """The random shape of a border. In a heart it is a smooth function of the position, too."""

    def __init__(self, rng: np.random.Generator, along_mm: float | None) -> None:
        self.rng, self.along_mm = rng, along_mm

    def wave(self, angle: Float[np.ndarray, "*shape"], harmonics: int) -> Float[np.ndarray, "*shape"]:
        """Smooth random function of an angle in degrees, with unit variance. Every grid shows the same shape."""
        amplitude, phase = self._harmonics(harmonics)
        if self.along_mm is not None:
            turns = [2 * np.pi * self.along_mm / length_mm for length_mm in WAVELENGTHS_MM]
            shares = [share for turn in turns for share in (np.cos(turn), np.sin(turn))]
            waves = [(amplitude, phase), *(self._harmonics(harmonics) for _ in shares[1:])]
            total = sum(share * a * np.exp(1j * p) for share, (a, p) in zip(shares, waves, strict=True)) / np.sqrt(len(turns))
            amplitude, phase = np.abs(total), np.angle(total)
        radians, k = np.radians(np.nan_to_num(angle)), np.arange(1, harmonics + 1)
        return np.asarray(sum((a * np.cos(n * radians + p) for a, n, p in zip(amplitude, k, phase, strict=True)), np.zeros_like(radians)))

    def _harmonics(self, count: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Amplitudes and phases of the first harmonics of a wave."""
        amplitude = self.rng.standard_normal(count) / np.sqrt(np.arange(1, count + 1))
        phase = self.rng.uniform(0, 2 * np.pi, count)
        return amplitude / (np.sqrt((amplitude**2).sum() / 2) + 1e-9), phase

    def patches(self, count: int, band: tuple[float, float]) -> Iterator[tuple[float, float, float, float, float]]:
        """Islands: angle, depth, half width in degrees and in depth, and squared distance to the slice, as a share of the half length."""
        inner, outer = band
        if self.along_mm is not None:  # as many in each slice as where it stands alone
            count = round(count * PATCHES_REPEAT_MM / np.mean(PATCH_MM))
        where_deg, where_depth = self.rng.uniform(0, 360, count), self.rng.uniform(inner, outer, count)
        size_deg, size_depth = self.rng.uniform(5, 12, count), self.rng.uniform(0.12, 0.3, count)
        away = np.zeros(count)
        if self.along_mm is not None:
            where_mm, size_mm = self.rng.uniform(0, PATCHES_REPEAT_MM, count), self.rng.uniform(*PATCH_MM, count)
            half = PATCHES_REPEAT_MM / 2
            away = (((self.along_mm - where_mm + half) % PATCHES_REPEAT_MM - half) / size_mm) ** 2
        near = away < MOST_AWAY
        yield from zip(*(values[near].tolist() for values in (where_deg, where_depth, size_deg, size_depth, away)), strict=True)


def _level_field(
    prescription: ScarPrescription, frame: HeartFrame, ends_deg: Float[np.ndarray, "rows cols"], border: _Border
) -> Float[np.ndarray, "rows cols"]:
    """Scalar field whose sublevel sets are the scar with increasing extent. The prescribed extent is reached at a level near 1."""
    rough = prescription.irregularity
    inner, outer = prescription.band
    taper = TAPER_FLOOR + (1 - TAPER_FLOOR) * np.clip(ends_deg / TAPER_DEG, 0, 1)
    width = (outer - inner) * taper * np.clip(1 + 0.3 * rough * border.wave(frame.nominal_deg, 14), 0.35, 1.8)
    shift = 0.08 * rough * border.wave(frame.nominal_deg, 9)
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
            return _patches(prescription, frame, border)


def _patches(prescription: ScarPrescription, frame: HeartFrame, border: _Border) -> Float[np.ndarray, "rows cols"]:
    """Field of islands a few millimetres wide at random angles and depths; it is small inside an island."""
    inner, outer = prescription.band
    depth = np.nan_to_num(frame.depth, nan=9.0)
    nearest = np.full(frame.wall.shape, np.inf)
    for deg, level, wide, thick, away in border.patches(PATCHES, prescription.band):
        around = (frame.nominal_deg - deg + 180.0) % 360.0 - 180.0
        nearest = np.minimum(nearest, np.sqrt((around / wide) ** 2 + ((depth - level) / thick) ** 2 + away))
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


def _no_reflow_core(scar: Mask, frame: HeartFrame, prescription: ScarPrescription, border: _Border) -> Mask:
    """The no-reflow core: the share of the scar that is farthest from healthy wall. The endocardium does not count as a border."""
    target = round(prescription.mvo_share * int(scar.sum()))
    if target == 0:
        return np.zeros_like(scar)
    inside_mm = ndimage.distance_transform_edt(scar | frame.cavity, sampling=frame.spacing_mm)
    wobble = 1.0 + 0.25 * prescription.irregularity * border.wave(frame.nominal_deg, 8)
    score = np.where(scar, inside_mm * wobble - 4.0 * np.nan_to_num(frame.depth), -np.inf)
    inner = scar & (inside_mm > 1.5 * max(frame.spacing_mm))  # a rim of enhancement remains, as round a real core
    order = np.argsort(-score, axis=None, kind="stable")[:target]
    core = np.zeros_like(scar)
    core.flat[order] = True
    return np.asarray(core & inner)
