"""The region that is repainted: larger than the scar and never its outline, so that its shape tells nothing."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lgesynthnet.records import Mask

MARGIN_MM = 4.0  # at inference: the dilated scar; a first trial beat hiding the whole wall by far
BEYOND_MM = 3.0  # how far it may reach past the wall, into blood and outside
FEATHER_MM = 2.0


def hidden_round(scar: Mask, wall: Mask, spacing_mm: tuple[float, float], *, margin_mm: float = MARGIN_MM) -> Mask:
    """Pixels within `margin_mm` of the scar that lie on the wall or within `BEYOND_MM` of it."""
    near_scar = ndimage.distance_transform_edt(~scar, sampling=spacing_mm) <= margin_mm
    near_wall = ndimage.distance_transform_edt(~wall, sampling=spacing_mm) <= BEYOND_MM
    return near_scar & near_wall


def random_hidden(
    scar: Bool[np.ndarray, "rows cols"],
    wall: Bool[np.ndarray, "rows cols"],
    nominal_deg: Float[np.ndarray, "rows cols"],
    rng: np.random.Generator,
    *,
    whole_wall: float = 0.15,
) -> Bool[np.ndarray, "rows cols"]:
    """For training, on the 1 mm grid: anything between a generously dilated scar and the whole wall.

    Args:
        whole_wall: chance that all of the wall is hidden, so that the region's shape tells nothing at all.
    """
    if rng.random() < whole_wall:
        return np.asarray(ndimage.distance_transform_edt(~wall) <= BEYOND_MM)
    region = hidden_round(scar, wall, (1.0, 1.0), margin_mm=float(rng.uniform(3.0, 8.0))) if scar.any() else np.zeros_like(wall)
    if rng.random() < 0.5 or not region.any():
        start, extent = rng.uniform(0, 360), rng.uniform(20, 150)
        sector = ((nominal_deg - start) % 360.0 < extent) & (ndimage.distance_transform_edt(~wall) <= BEYOND_MM)
        region = region | sector
    return region


def feather(hidden: Mask, spacing_mm: tuple[float, float]) -> Float[np.ndarray, "rows cols"]:
    """Blend weight, exactly 0 outside the hidden region and rising to 1 over `FEATHER_MM` inside it."""
    inside = ndimage.distance_transform_edt(np.pad(hidden, 1), sampling=spacing_mm)[1:-1, 1:-1]
    return np.clip(inside / (FEATHER_MM + min(spacing_mm)), 0.0, 1.0)
