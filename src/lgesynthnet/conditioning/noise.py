"""Noise apart from structure: a high-pass that sees neither ramps nor straight borders along the grid."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped
from scipy import ndimage

from lgesynthnet.records import Mask

# Blind to brightness, to ramps and to straight edges along rows or columns; of noise it keeps the finest part (Immerkaer, 1996).
HIGH_PASS = np.outer((1, -2, 1), (1, -2, 1)) / 6.0
LEAST_PIXELS = 20


def fine_detail(image: Shaped[np.ndarray, "rows cols"], where: Mask) -> Float[np.ndarray, " n"] | None:
    """Sizes of the high-pass residual at the pixels of a region that have all their neighbours in it, in the image's units.

    White noise comes through with its own variance. None where fewer than 20 such pixels are.
    """
    part = ndimage.binary_erosion(where, structure=np.ones((3, 3)))
    if part.sum() < LEAST_PIXELS:
        return None
    return np.abs(ndimage.convolve(image.astype(np.float64), HIGH_PASS)[part])
