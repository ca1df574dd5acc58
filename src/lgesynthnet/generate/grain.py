"""Scanner noise for painted pixels. Networks and resampling smooth an image, and a patch without noise is easy to spot."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.noise import fine_detail
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.records import Image, Mask

VERSION = 2  # of `matched_noise`, part of the fingerprint; raise it when the rule changes
NEAR_MM = 10.0
EDGES = 0.2  # this share of the pixels, those with the largest detail, is taken for edges
STRONGEST = 2.0  # times the noise around the wall; slices of EMIDEC need up to 1.2


def matched_noise(
    host: Host, bare: Image, smooth: Float[np.ndarray, "rows cols"], hidden: Mask, rng: np.random.Generator
) -> Float[np.ndarray, "rows cols"]:
    """Noise with the host's spectrum, as strong as what the repainted wall lacks compared with the untouched wall; stored numbers.

    The lack is measured in the finished image, because resampling has smoothed it and rounding has added noise. Where one of the two
    parts of the wall is too small for a measurement, the noise is as strong as around the wall.

    Args:
        bare: the finished image without added noise.
        smooth: the host without its noise; the difference has the noise's spectrum.
        hidden: repainted pixels.
    """
    image, wall = host.slice_.image.astype(np.float64), host.frame.wall
    noise = grain(image - smooth, wall, hidden, rng, spacing_mm=host.frame.spacing_mm)
    wanted, present, unit = _strength(image, wall & ~hidden), _strength(bare, wall & hidden), _strength(noise, wall & hidden)
    if wanted is None or present is None or not unit:
        return noise
    return np.asarray(noise * min(np.sqrt(max(wanted**2 - present**2, 0.0)) / unit, STRONGEST))


def grain(
    residual: Float[np.ndarray, "rows cols"],
    wall: Mask,
    hidden: Mask,
    rng: np.random.Generator,
    *,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> Float[np.ndarray, "rows cols"]:
    """Random noise with the strength and the correlation of a residual within 10 mm of the wall; 0 where under 100 pixels are left.

    Args:
        residual: the host minus an estimate of the host without noise.
        hidden: repainted pixels, which are left out.
    """
    near = (ndimage.distance_transform_edt(~wall, sampling=spacing_mm) <= NEAR_MM) & ~hidden
    if near.sum() < 100:
        return np.zeros_like(residual)
    # The residual also contains edges; they are outliers and not noise.
    spread = 1.4826 * float(np.median(np.abs(residual[near] - np.median(residual[near]))))
    around = np.where(near, np.clip(residual - np.median(residual[near]), -3 * spread, 3 * spread), 0.0)
    power = np.abs(np.fft.fft2(around))
    phases = np.angle(np.fft.fft2(rng.standard_normal(residual.shape)))
    noise = np.fft.ifft2(power * np.exp(1j * phases)).real
    return np.asarray(noise / (noise.std() + 1e-12) * spread)


def _strength(image: Image, where: Mask) -> float | None:
    """Mean size of fine detail, edges left out; None where the region is too small.

    A mean and not a median: in 8-bit images, whose noise is about one grey level, a median takes only a few values.
    """
    sizes = fine_detail(image, where)
    return None if sizes is None else float(np.sort(sizes)[: int((1 - EDGES) * sizes.size)].mean())
