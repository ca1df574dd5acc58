"""Measure noise separately from structure, with a high-pass filter."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped
from scipy import ndimage

from lgesynthnet.records import Mask

# Gives 0 for constant brightness, for ramps, and for straight edges along rows or columns; it keeps the finest part of the noise.
# Source: Immerkaer, Fast noise variance estimation (1996).
HIGH_PASS = np.outer((1, -2, 1), (1, -2, 1)) / 6.0
LEAST_PIXELS = 20


def fine_detail(image: Shaped[np.ndarray, "rows cols"], where: Mask) -> Float[np.ndarray, " n"] | None:
    """Absolute high-pass residual at the pixels of a region whose eight neighbours also lie in it, in the units of the image.

    The filter keeps the variance of white noise. Returns None where the region has fewer than 20 such pixels.
    """
    interior = ndimage.binary_erosion(where, structure=np.ones((3, 3)))
    if interior.sum() < LEAST_PIXELS:
        return None
    return np.asarray(np.abs(ndimage.convolve(image.astype(np.float64), HIGH_PASS)[interior]))
