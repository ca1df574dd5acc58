"""Estimate from one image where the septum lies, with rules and without a network.

The method matches templates of the RV. In coordinates of (angle, distance beyond the epicardium in LV radii) the RV cavity
has the shape of a leaning tent: it rises slowly from the anterior insertion and falls steeply to the inferior one. The score
of a tent is the log-likelihood ratio of blood against the other tissue round this heart, summed over the pixels inside, minus
the same sum over the rim beyond it. Nothing is learned; the constants below were set by hand.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float
from scipy import ndimage

from lgesynthnet.errors import AnatomyError
from lgesynthnet.records import Label, ShortAxisSlice

STEP_DEG = 3.0
ANGLES_DEG = np.arange(0.0, 360.0, STEP_DEG)
RADIUS_STEP = 0.05
RADII = 1.0 + RADIUS_STEP * np.arange(1, 35)  # in LV radii from the centre; the RV reaches to 2.5
ARCS_DEG = np.arange(84.0, 157.0, STEP_DEG)  # septal arcs that are tried
HEIGHTS = (0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5)  # height of a tent above the LV, in LV radii
TENT_PEAK = 0.67  # where the tent is highest, as a share of the arc from the anterior insertion
TENT_ROUNDNESS = 0.85
RIM_RADII, RIM_DEG = 0.2, 6.0  # width of the rim, where RV wall, fat or lung must begin

# Tolerances in units of the contrast of blood and wall. The offsets allow for an RV nearer to the coil or farther from it.
BLOOD_OFFSETS, OFFSET_SPREAD, BLOOD_SPREAD = (-0.3, 0.0, 0.3), 0.3, 0.35
OUTLIER_SHARE = 0.15  # share of other pixels in a blood pool: papillary muscle, trabeculae, flow voids
EVIDENCE_CLIP = 1.5
# Neighbouring pixels are correlated: one pixel of the grid counts as this fraction of an independent pixel.
INDEPENDENCE = 0.015

Evidence = Float[np.ndarray, "angles arcs"]


def lv_centre(slice_: ShortAxisSlice) -> tuple[float, float]:
    """(row, column) of the centroid of the LV cavity, in pixels.

    Raises:
        AnatomyError: the labels have no cavity or no wall.
    """
    if not slice_.cavity.any() or not slice_.wall.any():
        missing = "LV cavity" if slice_.wall.any() else "myocardium"
        raise AnatomyError(f"{slice_.name}: the labels have no {missing}, so the RV insertions are not defined; leave this slice out")
    rows, cols = np.nonzero(slice_.cavity)
    return float(rows.mean()), float(cols.mean())


def septum_evidence(slice_: ShortAxisSlice) -> Evidence:
    """Log-evidence of the image for a septum that begins at each of `ANGLES_DEG` and extends over each of `ARCS_DEG`.

    The maximum is 0. An image without contrast gives 0 everywhere.

    Raises:
        AnatomyError: the labels have no cavity or no wall.
    """
    around = sample_surroundings(slice_)
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
        spectrum = np.fft.rfft(_blood_evidence(around, level, level + offset * contrast, spread, contrast), axis=0)
        scores = np.fft.irfft(np.einsum("fr,hwfr->hwf", spectrum, templates), n=ANGLES_DEG.size, axis=2)
        penalty = 0.5 * (offset / OFFSET_SPREAD) ** 2
        best = np.maximum(best, INDEPENDENCE * scores.max(axis=0) - penalty)
    return np.asarray((best - best.max()).T)


def sample_surroundings(slice_: ShortAxisSlice) -> Float[np.ndarray, "angles radii"]:
    """The image beyond the epicardium by angle (`ANGLES_DEG`) and by distance (`RADII`, in mean LV radii).

    Values are NaN outside the image and on padding, which is exactly 0.

    Raises:
        AnatomyError: the labels have no cavity or no wall.
    """
    row0, col0 = lv_centre(slice_)
    heart = ndimage.binary_fill_holes(slice_.wall | slice_.cavity)
    step_mm = 0.5 * min(slice_.spacing_mm)
    reach_mm = np.arange(0.0, np.hypot(*np.multiply(heart.shape, slice_.spacing_mm)), step_mm)
    down, rv = -np.sin(np.radians(ANGLES_DEG))[:, None], np.cos(np.radians(ANGLES_DEG))[:, None]

    def sample(image: np.ndarray, distance_mm: np.ndarray, outside: float) -> np.ndarray:
        place = [row0 + down * distance_mm / slice_.spacing_mm[0], col0 + rv * distance_mm / slice_.spacing_mm[1]]
        return np.asarray(ndimage.map_coordinates(image.astype(float), place, order=1, cval=outside))

    inside = sample(heart, reach_mm[None, :], 0.0) > 0.5
    epicardium_mm = np.where(inside, reach_mm, 0.0).max(axis=1)
    radius_mm = float(np.mean(epicardium_mm))
    around = sample(slice_.image, epicardium_mm[:, None] + radius_mm * (RADII - 1.0), np.nan)
    return np.where(around == 0, np.nan, around)


def shift_evidence(evidence: Evidence, anterior_deg: float, inferior_deg: float) -> Evidence:
    """The evidence of a neighbouring slice, moved to a slice whose insertions lie at angles smaller by these degrees."""
    turned = np.roll(evidence, -round(anterior_deg / STEP_DEG), axis=0)
    wider = round((inferior_deg - anterior_deg) / STEP_DEG)
    return turned[:, np.clip(np.arange(ARCS_DEG.size) + wider, 0, ARCS_DEG.size - 1)]


def _blood_evidence(
    around: Float[np.ndarray, "angles radii"], lv_blood: float, blood: float, spread: float, contrast: float
) -> Float[np.ndarray, "angles radii"]:
    """Log-likelihood ratio of blood against all tissue round this heart for each pixel, clipped; 0 where the image is NaN."""
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
    """Fourier transform along the angle of all tents (+1) with their rims (-1) that begin at angle 0.

    The transform allows to turn a tent to every angle at once.
    """
    templates = np.zeros((len(HEIGHTS), ARCS_DEG.size, ANGLES_DEG.size, RADII.size))
    side, out = round(RIM_DEG / STEP_DEG), round(RIM_RADII / RADIUS_STEP)
    across, along = np.mgrid[-side : side + 1, -out : out + 1]
    rim = (across / side) ** 2 + (along / out) ** 2 <= 1.01
    for i, height in enumerate(HEIGHTS):
        for j, arc in enumerate(ARCS_DEG):
            bins = round(arc / STEP_DEG)
            along = (np.arange(bins) + 0.5) / bins
            rise = np.minimum(along / TENT_PEAK, (1 - along) / (1 - TENT_PEAK))
            top = np.full(ANGLES_DEG.size, -1.0)
            top[:bins] = height * rise**TENT_ROUNDNESS
            tent = RADII[None, :] - 1.0 <= top[:, None]
            ring = np.concatenate([tent[-side:], tent, tent[:side]])
            templates[i, j] = 2.0 * tent - ndimage.binary_dilation(ring, rim)[side:-side]
    return np.conj(np.fft.rfft(templates, axis=2))
