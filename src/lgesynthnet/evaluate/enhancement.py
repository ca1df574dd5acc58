"""Scar by brightness alone, as in clinical practice: n standard deviations above remote wall, and full width at half maximum."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped

from lgesynthnet.records import Mask

LEAST_REMOTE_PIXELS = 20
BRIGHTEST_PERCENTILE = 98


def n_sd(image: Shaped[np.ndarray, "rows cols"], wall: Mask, remote: Mask, *, n: float = 5.0) -> Mask:
    """Wall that is brighter than the mean of the remote wall by more than `n` of its standard deviations.

    Args:
        image: any brightness scale.
        wall: the myocardium.
        remote: healthy wall that was not repainted. With fewer than 20 pixels of it, nothing is called scar.
    Source: Kim et al. (1999); Flett et al. (2011).
    """
    level, spread = _remote_brightness(image, wall, remote)
    return wall & (image > level + n * spread)


def full_width_half_maximum(image: Shaped[np.ndarray, "rows cols"], wall: Mask, remote: Mask, *, within: Mask | None = None) -> Mask:
    """Wall that is brighter than half way between the remote wall and the brightest scar.

    Args:
        image, wall, remote: as in `n_sd`.
        within: where the brightest pixels are looked for; None takes all of the wall. Their 98th percentile is used, because a
            maximum is mostly noise. If it is less than three standard deviations above the remote wall, nothing is called scar.
    Source: Amado et al. (2004), with the remote wall as zero.
    """
    level, spread = _remote_brightness(image, wall, remote)
    candidates = image[wall if within is None else wall & within]
    if not candidates.size:
        return np.zeros_like(wall)
    top = float(np.percentile(candidates.astype(np.float64), BRIGHTEST_PERCENTILE))
    # A maximum inside the noise is no scar, and half of it would select half of the wall.
    return wall & (image > level + (top - level) / 2) if top > level + 3 * spread else np.zeros_like(wall)


def _remote_brightness(image: Shaped[np.ndarray, "rows cols"], wall: Mask, remote: Mask) -> tuple[float, float]:
    """Mean and standard deviation of the remote wall; an infinite mean, which nothing exceeds, where it has too few pixels."""
    values = image[wall & remote].astype(np.float64)
    if values.size < LEAST_REMOTE_PIXELS:
        return float("inf"), 0.0
    return float(values.mean()), float(values.std())
