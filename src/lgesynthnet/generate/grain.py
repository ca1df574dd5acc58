"""Scanner noise for painted pixels: networks and resampling smooth, and a patch without grain betrays itself."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.noise import fine_detail
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.records import Image, Mask

VERSION = 2  # of `matched_noise`; raised when the rule changes, so that a resumed run notices
NEAR_MM = 10.0
EDGES = 0.2  # share of the largest detail that is taken for edges
STRONGEST = 2.0  # times the noise round the wall; slices of EMIDEC need up to 1.2


def matched_noise(
    host: Host, bare: Image, smooth: Float[np.ndarray, "rows cols"], hidden: Mask, rng: np.random.Generator
) -> Float[np.ndarray, "rows cols"]:
    """Noise of the host's own kind, and of it what the repainted wall lacks beside the untouched wall; stored numbers, host's grid.

    How much is missing is measured in the finished picture, where resampling has smoothed and rounding has added noise of its own.
    Where either side of the wall is too small to measure, the noise is as strong as round the wall.

    Args:
        bare: the finished picture without grain.
        smooth: the host without its noise; the difference shows the noise's spectrum.
        hidden: repainted pixels.
    """
    image, wall = host.slice_.image.astype(np.float64), host.frame.wall
    noise = grain(image - smooth, wall, hidden, rng, spacing_mm=host.frame.spacing_mm)
    wanted, present, unit = _strength(image, wall & ~hidden), _strength(bare, wall & hidden), _strength(noise, wall & hidden)
    if wanted is None or present is None or not unit:
        return noise
    return noise * min(np.sqrt(max(wanted**2 - present**2, 0.0)) / unit, STRONGEST)


def grain(
    residual: Float[np.ndarray, "rows cols"],
    wall: Mask,
    hidden: Mask,
    rng: np.random.Generator,
    *,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> Float[np.ndarray, "rows cols"]:
    """Noise with the strength and the correlation of a residual round the wall.

    Args:
        residual: host minus what is taken for the host without its noise.
        hidden: repainted pixels, not looked at.
    """
    seen = (ndimage.distance_transform_edt(~wall, sampling=spacing_mm) <= NEAR_MM) & ~hidden
    if seen.sum() < 100:
        return np.zeros_like(residual)
    # Edges that are in the residual too are outliers, not noise.
    spread = 1.4826 * float(np.median(np.abs(residual[seen] - np.median(residual[seen]))))
    around = np.where(seen, np.clip(residual - np.median(residual[seen]), -3 * spread, 3 * spread), 0.0)
    power = np.abs(np.fft.fft2(around))
    phases = np.angle(np.fft.fft2(rng.standard_normal(residual.shape)))
    noise = np.fft.ifft2(power * np.exp(1j * phases)).real
    return noise / (noise.std() + 1e-12) * spread


def _strength(image: Image, where: Mask) -> float | None:
    """Mean size of fine detail, edges left out.

    A median would do for floats; of 8-bit images, whose noise is of the size of a grey level, it knows a few values.
    """
    sizes = fine_detail(image, where)
    return None if sizes is None else float(np.sort(sizes)[: int((1 - EDGES) * sizes.size)].mean())
