"""The hidden region: the pixels that are repainted. It is larger than the scar, so that its shape does not give the scar away."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lgesynthnet.records import Mask

MARGIN_MM = 4.0  # distance from the scar, when samples are painted; clearly better than hiding the whole wall in a first trial
WALL_REACH_MM = 3.0  # how far the region may extend beyond the wall, into blood and outside
BLOOD_REACH_MM = 6.0  # how far from scar blood may change with the wall; there the wall no longer shows in it
FEATHER_MM = 2.0  # width of the transition from the host to the painted image


def hidden_region(scar: Mask, wall: Mask, spacing_mm: tuple[float, float], *, margin_mm: float = MARGIN_MM) -> Mask:
    """(rows, cols) mask of the pixels within `margin_mm` of the scar that lie on the wall or within 3 mm of it.

    Args:
        spacing_mm: pixel size in mm as (row, column).
    """
    near_scar = ndimage.distance_transform_edt(~scar, sampling=spacing_mm) <= margin_mm
    near_wall = ndimage.distance_transform_edt(~wall, sampling=spacing_mm) <= WALL_REACH_MM
    return np.asarray(near_scar & near_wall)


def blood_beside(scar: Mask, cavity: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """(rows, cols) mask of the cavity within 6 mm of scar, which may change with the wall (`generate.blood`); empty without scar."""
    if not scar.any():
        return np.zeros_like(scar)
    return np.asarray(cavity & (ndimage.distance_transform_edt(~scar, sampling=spacing_mm) <= BLOOD_REACH_MM))


def edited_region(scar: Mask, wall: Mask, cavity: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """(rows, cols) mask of what a finished sample may change: the hidden region outside the cavity, and the blood beside the scar.

    Args:
        scar: before or after the edit.
        spacing_mm: pixel size in mm as (row, column).
    """
    return np.asarray((hidden_region(scar, wall, spacing_mm) & ~cavity) | blood_beside(scar, cavity, spacing_mm))


def draw_hidden_region(
    scar: Bool[np.ndarray, "rows cols"],
    wall: Bool[np.ndarray, "rows cols"],
    nominal_deg: Float[np.ndarray, "rows cols"],
    rng: np.random.Generator,
    *,
    whole_wall: float = 0.15,
) -> Bool[np.ndarray, "rows cols"]:
    """Draw a hidden region for training, on the 1 mm grid: between the dilated scar and the whole wall.

    Args:
        nominal_deg: (rows, cols) nominal angle, 0 to 360.
        whole_wall: probability that the whole wall is hidden, so that the shape of the region says nothing about the scar.
    """
    if rng.random() < whole_wall:
        return np.asarray(ndimage.distance_transform_edt(~wall) <= WALL_REACH_MM)
    region = hidden_region(scar, wall, (1.0, 1.0), margin_mm=float(rng.uniform(3.0, 8.0))) if scar.any() else np.zeros_like(wall)
    if rng.random() < 0.5 or not region.any():
        start, extent = rng.uniform(0, 360), rng.uniform(20, 150)
        sector = ((nominal_deg - start) % 360.0 < extent) & (ndimage.distance_transform_edt(~wall) <= WALL_REACH_MM)
        region = region | sector
    return region


def blend_weights(hidden: Mask, spacing_mm: tuple[float, float]) -> Float[np.ndarray, "rows cols"]:
    """(rows, cols) weight of the painted image: 0 at the edge of the hidden region, 1 from 2 mm inside it on, with no kink between."""
    inside = ndimage.distance_transform_edt(np.pad(hidden, 1), sampling=spacing_mm)[1:-1, 1:-1]
    # The edge lies half a pixel outside the centres of the outermost pixels.
    rise = np.clip((inside - min(spacing_mm) / 2) / FEATHER_MM, 0.0, 1.0)
    return np.asarray(rise**2 * (3 - 2 * rise))
