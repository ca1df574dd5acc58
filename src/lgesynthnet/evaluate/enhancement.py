"""Scar read from brightness alone, as reading rooms do: n standard deviations above remote wall, and full width at half maximum."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped

from lgesynthnet.records import Mask

LEAST_REMOTE = 20  # pixels


def n_sd(image: Shaped[np.ndarray, "rows cols"], wall: Mask, remote: Mask, *, n: float = 5.0) -> Mask:
    """Wall brighter than the mean of remote wall by `n` of its standard deviations (Kim et al. 1999; Flett et al. 2011).

    Args:
        remote: healthy wall that nobody repainted; of fewer than 20 pixels nothing is read.
    """
    level, spread = _remote(image, wall, remote)
    return wall & (image > level + n * spread)


def full_width_half_maximum(image: Shaped[np.ndarray, "rows cols"], wall: Mask, remote: Mask, *, within: Mask | None = None) -> Mask:
    """Wall brighter than half way from remote wall to the brightest scar (Amado et al. 2004, with the remote wall as zero).

    Args:
        within: where the brightest pixels are sought; None is all of the wall. Their 98th percentile counts: a maximum is noise.
    """
    level, spread = _remote(image, wall, remote)
    seen = image[wall if within is None else wall & within]
    if not seen.size:
        return np.zeros_like(wall)
    top = float(np.percentile(seen.astype(np.float64), 98))
    # A maximum inside the noise is no scar, and half of it would be half of the wall.
    return wall & (image > level + (top - level) / 2) if top > level + 3 * spread else np.zeros_like(wall)


def _remote(image: Shaped[np.ndarray, "rows cols"], wall: Mask, remote: Mask) -> tuple[float, float]:
    values = image[wall & remote].astype(np.float64)
    if values.size < LEAST_REMOTE:
        return float("inf"), 0.0
    return float(values.mean()), float(values.std())
