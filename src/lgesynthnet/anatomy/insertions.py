"""Where the right ventricle meets the left in one slice: from an RV label, or from the image and the LV labels alone.

The image estimator slides crescents round the LV. In coordinates of (angle, distance beyond the epicardium in LV radii) the RV
cavity is a leaning tent of blood: it rises slowly from the anterior insertion, under the fat of the groove, and falls
steeply to the inferior one. Every tent is scored by how much the pixels inside speak for blood rather than for what else is
around this heart, less the same over the rim beyond it. Nothing is learned: the constants below are round numbers set by hand.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float
from scipy import ndimage

from lgesynthnet.errors import AnatomyError
from lgesynthnet.records import Insertions, Label, ShortAxisSlice, Source

STEP_DEG = 3.0
ANGLES_DEG = np.arange(0.0, 360.0, STEP_DEG)
RADIUS_STEP = 0.05
RADII = 1.0 + RADIUS_STEP * np.arange(1, 35)  # LV radii from the centre; the RV reaches to 2.5
ARCS_DEG = np.arange(84.0, 157.0, STEP_DEG)  # septal arcs tried
HEIGHTS = (0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5)  # how far a tent stands out of the LV, in LV radii
TENT_PEAK = 0.67  # share of the arc, from the anterior insertion, where the RV stands out most
TENT_ROUNDNESS = 0.85
RIM_RADII, RIM_DEG = 0.2, 6.0  # the rim where the RV wall, fat or lung must begin

# Tolerances in units of the blood-to-wall contrast; the RV lies nearer to the coil or farther, hence the offsets.
BLOOD_OFFSETS, OFFSET_SPREAD, BLOOD_SPREAD = (-0.3, 0.0, 0.3), 0.3, 0.35
OUTLIER_SHARE = 0.15  # papillary muscle, trabeculae, flow voids inside a blood pool
EVIDENCE_CLIP = 1.5
# Neighbouring pixels say nearly the same thing: one pixel of the grid counts as this much of an independent one.
INDEPENDENCE = 0.015

# What is known before looking: most septa are centred near 195 degrees, about one heart in six lies turned, near 128.
# The flat share keeps hearts of any other turn within reach.
HUMPS_DEG, HUMP_SHARES, HUMP_SPREAD_DEG, FLAT_SHARE = (195.0, 128.0), (0.48, 0.12), 18.0, 0.4
ARC_MEAN_DEG, ARC_SPREAD_DEG = 117.0, 12.0
NEAR_DEG = 25.0  # confidence: how much of the image's own evidence puts the septum this near to the answer

LABEL_SLACK_MM = 1.5  # an RV pixel this much farther from the wall than the nearest still touches it
LABEL_ARC_DEG = (30.0, 220.0)  # contact arcs that can be a septum

Evidence = Float[np.ndarray, "angles arcs"]


def lv_centre(slice_: ShortAxisSlice) -> tuple[float, float]:
    """(row, column) of the cavity's centroid, pixels.

    Raises:
        AnatomyError: no cavity or no wall in the labels.
    """
    if not slice_.cavity.any() or not slice_.wall.any():
        missing = "LV cavity" if slice_.wall.any() else "myocardium"
        raise AnatomyError(f"{slice_.name}: no {missing} in the labels, so RV insertions have no meaning; leave this slice out")
    rows, cols = np.nonzero(slice_.cavity)
    return float(rows.mean()), float(cols.mean())


def insertions_from_rv_label(slice_: ShortAxisSlice) -> Insertions | None:
    """The ends of the arc over which labelled RV cavity lies against the wall; None where no RV is labelled beside an LV.

    None too where the contact is shorter than 30 or longer than 220 degrees: then it is not the septum.
    """
    right = slice_.labels == Label.RV
    if not right.any() or not slice_.cavity.any() or not slice_.wall.any():
        return None
    blobs, _ = ndimage.label(right)
    right = blobs == 1 + int(np.argmax(np.bincount(blobs.ravel())[1:]))  # stray pixels open no second contact
    row0, col0 = lv_centre(slice_)
    beyond_mm = ndimage.distance_transform_edt(~(slice_.wall | slice_.cavity), sampling=slice_.spacing_mm)[right]
    rows, cols = np.nonzero(right)
    touches = beyond_mm <= beyond_mm.min() + max(LABEL_SLACK_MM, 0.5 * max(slice_.spacing_mm))
    up_mm, right_mm = (row0 - rows[touches]) * slice_.spacing_mm[0], (cols[touches] - col0) * slice_.spacing_mm[1]
    angles = np.sort(np.degrees(np.arctan2(up_mm, right_mm)) % 360.0)
    gaps = np.diff(np.append(angles, angles[0] + 360.0))
    widest = int(np.argmax(gaps))  # the free wall; the septum begins where it ends
    anterior, inferior = float(angles[(widest + 1) % angles.size]), float(angles[widest])
    if not LABEL_ARC_DEG[0] <= (inferior - anterior) % 360.0 <= LABEL_ARC_DEG[1]:
        return None
    return Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.RV_LABEL, confidence=1.0)


def insertions_from_image(slice_: ShortAxisSlice) -> Insertions:
    """Best pair of insertions by the image and the LV labels of this slice alone, however poor; judge it by its confidence.

    Raises:
        AnatomyError: no cavity or no wall in the labels.
    """
    return most_likely(septum_evidence(slice_))


def septum_evidence(slice_: ShortAxisSlice) -> Evidence:
    """Log-evidence of the image for a septum that begins at each angle and runs over each arc; at most 0, flat if it knows nothing.

    Raises:
        AnatomyError: no cavity or no wall in the labels.
    """
    around = sample_around(slice_)
    image = slice_.image.astype(float)
    blood, healthy = image[slice_.cavity], image[slice_.labels == Label.WALL]
    level = float(np.median(blood))
    noise = 1.4826 * float(np.median(np.abs(blood - level)))
    contrast = abs(level - float(np.median(healthy))) if healthy.size else 0.0
    contrast = max(contrast, 2.0 * noise)
    if not contrast > 0 or not np.isfinite(around).any():
        return np.zeros((ANGLES_DEG.size, ARCS_DEG.size))
    templates = _templates()
    best = np.full((ARCS_DEG.size, ANGLES_DEG.size), -np.inf)
    for offset in BLOOD_OFFSETS:
        spread = max(BLOOD_SPREAD * contrast, noise)
        speaks = np.fft.rfft(_blood_evidence(around, level, level + offset * contrast, spread, contrast), axis=0)
        scores = np.fft.irfft(np.einsum("fr,hwfr->hwf", speaks, templates), n=ANGLES_DEG.size, axis=2)
        penalty = 0.5 * (offset / OFFSET_SPREAD) ** 2
        best = np.maximum(best, INDEPENDENCE * scores.max(axis=0) - penalty)
    return (best - best.max()).T


def sample_around(slice_: ShortAxisSlice) -> Float[np.ndarray, "angles radii"]:
    """Image beyond the epicardium by angle and by distance in mean LV radii; NaN off the image and on padding (exact zero).

    Raises:
        AnatomyError: no cavity or no wall in the labels.
    """
    row0, col0 = lv_centre(slice_)
    heart = ndimage.binary_fill_holes(slice_.wall | slice_.cavity)
    step_mm = 0.5 * min(slice_.spacing_mm)
    reach_mm = np.arange(0.0, np.hypot(*np.multiply(heart.shape, slice_.spacing_mm)), step_mm)
    down, right = -np.sin(np.radians(ANGLES_DEG))[:, None], np.cos(np.radians(ANGLES_DEG))[:, None]

    def sample(image: np.ndarray, distance_mm: np.ndarray, outside: float) -> np.ndarray:
        place = [row0 + down * distance_mm / slice_.spacing_mm[0], col0 + right * distance_mm / slice_.spacing_mm[1]]
        return ndimage.map_coordinates(image.astype(float), place, order=1, cval=outside)

    inside = sample(heart, reach_mm[None, :], 0.0) > 0.5
    epicardium_mm = np.where(inside, reach_mm, 0.0).max(axis=1)
    radius_mm = float(np.mean(epicardium_mm))
    around = sample(slice_.image, epicardium_mm[:, None] + radius_mm * (RADII - 1.0), np.nan)
    return np.where(around == 0, np.nan, around)


def most_likely(evidence: Evidence) -> Insertions:
    """Evidence and prior together, as one pair of angles (the mean of the most likely group) with the image's own confidence.

    The confidence leaves the prior of direction out: an image that says nothing gets 0.14 (50 of 360 degrees).
    """
    centre = (ANGLES_DEG[:, None] + ARCS_DEG[None, :] / 2 - STEP_DEG / 2) % 360.0
    arc = -0.5 * ((ARCS_DEG - ARC_MEAN_DEG) / ARC_SPREAD_DEG) ** 2
    both = _shares(evidence + np.log(_direction_prior(centre)) + arc)
    group = [both[np.abs(_turn(centre - angle)) <= NEAR_DEG].sum() for angle in ANGLES_DEG]
    near = np.abs(_turn(centre - ANGLES_DEG[int(np.argmax(group))])) <= NEAR_DEG + STEP_DEG
    weights = np.where(near, both, 0.0)
    anterior = _mean_angle(np.broadcast_to(ANGLES_DEG[:, None] - STEP_DEG / 2, both.shape), weights)
    inferior = _mean_angle(ANGLES_DEG[:, None] + ARCS_DEG[None, :] - STEP_DEG / 2, weights)
    middle = anterior + ((inferior - anterior) % 360.0) / 2
    confidence = float(_shares(evidence + arc)[np.abs(_turn(centre - middle)) <= NEAR_DEG].sum())
    return Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.IMAGE, confidence=min(confidence, 1.0))


def drifted(evidence: Evidence, anterior_deg: float, inferior_deg: float) -> Evidence:
    """Evidence of a neighbour as it counts here, where the insertions lie by these angles lower than there."""
    turned = np.roll(evidence, -round(anterior_deg / STEP_DEG), axis=0)
    wider = round((inferior_deg - anterior_deg) / STEP_DEG)
    return turned[:, np.clip(np.arange(ARCS_DEG.size) + wider, 0, ARCS_DEG.size - 1)]


def _blood_evidence(
    around: Float[np.ndarray, "angles radii"], lv_blood: float, blood: float, spread: float, contrast: float
) -> Float[np.ndarray, "angles radii"]:
    """Log-likelihood ratio of blood against everything round this heart, pixel by pixel, clipped; 0 where nothing was measured."""
    low, high = lv_blood - 6 * contrast, lv_blood + 6 * contrast
    edges = np.linspace(low, high, 49)
    known = np.isfinite(around)
    values = np.clip(np.where(known, around, low), low, high)
    counts = ndimage.gaussian_filter1d(np.histogram(values[known], edges)[0] + 0.5, 1.0)
    density = counts / counts.sum() / (edges[1] - edges[0])
    surroundings = density[np.clip(np.searchsorted(edges, values) - 1, 0, density.size - 1)]
    pool = np.exp(-0.5 * ((values - blood) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    ratio = np.log((1 - OUTLIER_SHARE) * pool / surroundings + OUTLIER_SHARE)
    return np.where(known, np.clip(ratio, -EVIDENCE_CLIP, EVIDENCE_CLIP), 0.0)


@lru_cache(maxsize=1)
def _templates() -> Complex[np.ndarray, "heights arcs frequencies radii"]:
    """Tents (+1) and their rims (-1) that begin at angle 0, turned by a Fourier transform instead of one by one."""
    drawn = np.zeros((len(HEIGHTS), ARCS_DEG.size, ANGLES_DEG.size, RADII.size))
    side, out = round(RIM_DEG / STEP_DEG), round(RIM_RADII / RADIUS_STEP)
    across, along = np.mgrid[-side : side + 1, -out : out + 1]
    rim = (across / side) ** 2 + (along / out) ** 2 <= 1.01
    for i, height in enumerate(HEIGHTS):
        for j, arc in enumerate(ARCS_DEG):
            bins = round(arc / STEP_DEG)
            past = (np.arange(bins) + 0.5) / bins
            rise = np.minimum(past / TENT_PEAK, (1 - past) / (1 - TENT_PEAK))
            top = np.full(ANGLES_DEG.size, -1.0)
            top[:bins] = height * rise**TENT_ROUNDNESS
            tent = RADII[None, :] - 1.0 <= top[:, None]
            ring = np.concatenate([tent[-side:], tent, tent[:side]])
            drawn[i, j] = 2.0 * tent - ndimage.binary_dilation(ring, rim)[side:-side]
    return np.conj(np.fft.rfft(drawn, axis=2))


def _direction_prior(centre_deg: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    density = np.full(centre_deg.shape, FLAT_SHARE / 360.0)
    for hump, share in zip(HUMPS_DEG, HUMP_SHARES, strict=True):
        bell = np.exp(-0.5 * (_turn(centre_deg - hump) / HUMP_SPREAD_DEG) ** 2) / (HUMP_SPREAD_DEG * np.sqrt(2 * np.pi))
        density = density + share * bell
    return density


def _shares(log_weights: Evidence) -> Evidence:
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def _turn(degrees: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Signed difference of directions, in [-180, 180)."""
    return (degrees + 180.0) % 360.0 - 180.0


def _mean_angle(degrees: Evidence, weights: Evidence) -> float:
    return float(np.degrees(np.angle(np.sum(weights * np.exp(1j * np.radians(degrees))))) % 360.0)
