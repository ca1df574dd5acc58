"""A scar in heart coordinates, so that it continues smoothly between neighbouring slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from lgesynthnet.phantom.body import BINS
from lgesynthnet.phantom.heart import Box, Contours, Directions
from lgesynthnet.prescription.rasterize import ScarMask

Distance = Float32[np.ndarray, "bins depths"]

DEPTHS = 24  # steps through the wall in which a scar is stored
BORDER_SHARE = 0.4  # the border zone takes at most this share of the half width, so that thin scars keep a core
HALO_SHARE = 0.8  # a scar reaches beyond its outline by at most this share of its half width, so that thin scars stay thin
ENDS_MM = 5.0  # in a slice without scar, every point counts as lying this far outside a scar


@dataclass(frozen=True, kw_only=True)
class WallMap:
    """A scar by (nominal angle, depth): signed distance to its border in mm, positive inside."""

    scar: Distance
    no_reflow: Distance


NOTHING = WallMap(scar=np.full((BINS, DEPTHS), -ENDS_MM, np.float32), no_reflow=np.full((BINS, DEPTHS), -ENDS_MM, np.float32))


def read_wall_map(scar_mask: ScarMask, plane: Contours, box: Box) -> WallMap:
    """Convert the masks of a scar in one plane to heart coordinates, so that neighbouring planes get the same scar."""
    # The image direction of each nominal angle. nominal_deg runs round once, so its sorting order is its inverse.
    order = np.argsort(plane.nominal_deg)
    nominal = (np.arange(BINS) + 0.5) * (360.0 / BINS)
    direction = order[np.searchsorted(plane.nominal_deg[order], nominal) % BINS]
    depth = (np.arange(DEPTHS) + 0.5) / DEPTHS
    endo, wall = plane.endo[direction][:, None], (plane.epi - plane.endo)[direction][:, None]
    # Next to a surface the nearest pixel may belong to blood or fat, which would look like a border of the scar.
    radius = endo + np.clip(depth * wall, box.pixel_mm, np.maximum(wall - box.pixel_mm, box.pixel_mm))
    angle = np.radians((direction + 0.5) * (360.0 / BINS))[:, None]
    middle = (box.points - 1) / 2
    row = middle + (plane.centre_mm[0] - radius * np.sin(angle)) / box.pixel_mm - box.corner[0]
    col = middle + (plane.centre_mm[1] + radius * np.cos(angle)) / box.pixel_mm - box.corner[1]
    pixels = np.clip(np.rint(row), 0, box.shape[0] - 1).astype(int), np.clip(np.rint(col), 0, box.shape[1] - 1).astype(int)
    step_mm = (float(radius.mean()) * 2 * np.pi / BINS, float(wall.mean()) / DEPTHS)
    return WallMap(scar=_signed_mm(scar_mask.scar[pixels], step_mm), no_reflow=_signed_mm(scar_mask.no_reflow[pixels], step_mm))


def interpolate(here: WallMap, there: WallMap, share: float) -> WallMap:
    """The scar at a `share` (0 to 1) of the way to a neighbouring slice.

    Its outline moves smoothly, and a thin scar ends no sooner than a thick one.
    """
    weight = np.float32(share)

    def blended(near: Distance, far: Distance) -> Distance:
        return np.asarray((1 - weight) * near + weight * np.maximum(far, -_half_width_mm(near)))

    return WallMap(scar=blended(here.scar, there.scar), no_reflow=blended(here.no_reflow, there.no_reflow))


def _half_width_mm(distance: Distance) -> Float32[np.ndarray, "bins 1"]:
    """Largest distance in mm to the border inside the scar, in each direction; 0 where there is no scar."""
    return np.asarray(np.maximum(distance.max(axis=1, keepdims=True), 0))


def scar_in_plane(
    wall_map: WallMap, plane: Contours, box: Box, *, border_mm: float = 0.0, halo_mm: float = 0.0, inner: Directions | None = None
) -> tuple[Bool[np.ndarray, "rows cols"], ...]:
    """Masks of the scar, of its border zone (inside the scar) and of no-reflow in any plane of the heart.

    Args:
        border_mm: width of the border zone in mm.
        halo_mm: how far beyond its outline the scar reaches in this plane.
        inner: radius of the endocardium in this plane, where it lies inside that of `plane`; what lies between is like the wall beside.
    """
    radius, direction = box.polar(plane.centre_mm)
    depth = (radius - plane.endo[direction]) / (plane.epi - plane.endo)[direction]
    wall = (radius >= (plane.endo if inner is None else inner)[direction]) & (depth < 1)
    bin_ = (plane.nominal_deg * (BINS / 360.0)).astype(np.int32)[direction[wall]] % BINS
    step = np.clip((depth[wall] * DEPTHS).astype(np.int32), 0, DEPTHS - 1)
    distance = wall_map.scar[bin_, step] + min(halo_mm, HALO_SHARE * float(np.clip(wall_map.scar.max(), 0, None)))
    border = np.minimum(border_mm, BORDER_SHARE * _half_width_mm(wall_map.scar)[bin_, 0])
    masks = []
    for inside in (distance > 0, (distance > 0) & (distance < border), (wall_map.no_reflow[bin_, step] > 0) & (distance > 0)):
        mask = np.zeros(box.shape, bool)
        mask[wall] = inside
        masks.append(mask)
    return tuple(masks)


def _signed_mm(mask: Bool[np.ndarray, "bins depths"], step_mm: tuple[float, float]) -> Distance:
    """Signed distance in mm to the border of the mask within the wall. Blood and fat are no border, and the angle wraps round."""
    if not mask.any():
        return NOTHING.scar
    quarter = BINS // 4
    tiled = np.concatenate([mask[-quarter:], mask, mask[:quarter]])
    tiled = np.pad(tiled, ((0, 0), (DEPTHS, DEPTHS)), mode="edge")
    inside = ndimage.distance_transform_edt(tiled, sampling=step_mm) if not tiled.all() else np.full(tiled.shape, 9.0)
    outside = ndimage.distance_transform_edt(~tiled, sampling=step_mm) if not tiled.all() else np.zeros(tiled.shape)
    signed = np.where(tiled, inside, -outside)[quarter:-quarter, DEPTHS:-DEPTHS]
    return np.clip(signed, -ENDS_MM, 9.0).astype(np.float32)
