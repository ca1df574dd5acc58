"""Overlap of two masks; an undefined value is None and not a number."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from scipy import ndimage


def dice(a: Bool[np.ndarray, "*shape"], b: Bool[np.ndarray, "*shape"]) -> float | None:
    """Dice coefficient, 0 to 1; None where both masks are empty. A false scar on a healthy heart scores 0.

    Source: Dice (1945).
    """
    total = int(a.sum()) + int(b.sum())
    return None if total == 0 else 2.0 * int((a & b).sum()) / total


def dice_within(
    a: Bool[np.ndarray, "rows cols"], b: Bool[np.ndarray, "rows cols"], within_mm: float, spacing_mm: tuple[float, float]
) -> float | None:
    """Dice coefficient that counts a pixel as shared where the other mask is at most this far away, 0 to 1; None where both are empty.

    Source: the surface Dice at a tolerance of Nikolov et al. (2018), here over areas, because a scar of two pixels is nearly all surface.

    Args:
        within_mm: tolerance in mm.
        spacing_mm: pixel size as (row, column).
    """
    total = int(a.sum()) + int(b.sum())
    if total == 0:
        return None
    if not a.any() or not b.any():
        return 0.0
    near_a, near_b = (ndimage.distance_transform_edt(~mask, sampling=spacing_mm) <= within_mm for mask in (a, b))
    return (int((a & near_b).sum()) + int((b & near_a).sum())) / total
