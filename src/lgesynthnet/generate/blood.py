"""Blood beside the wall is mixed with it, so it must follow where the wall changes.

In a slice 6 to 10 mm thick, a pixel of the cavity near its border also shows wall: obliquely cut wall and trabeculae. Healthy wall is
dark, so blood beside it is dark: in EMIDEC it has lost 63 % of its distance to the wall where the two touch, and 34 % at 2 to 4.5 mm.
Beside scar, which is as bright as blood, nothing of this is seen. With the wall's share f of a cavity pixel, that pixel is blood (1 - f)
+ wall f. The host shows f as a function of the distance to its healthy wall; where the wall beside it changes by c, the pixel changes by
f c. What counts is the wall at the cavity: a stripe in the middle of the wall leaves the blood as it is. A pixel next to the wall may hold
more of it than others at this distance, up to being wall that is labelled as cavity. It shows so by being darker, and its own share counts;
else it would stay behind as a dark dot between scar and blood.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.repaint_region import BLOOD_REACH_MM
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.records import Label

VERSION = 3  # part of the fingerprints; raise it when the rule changes
AVERAGED_MM = 2.0  # standard deviation of the average along the wall; blood does not see single pixels
BORDER_MM = 2.0  # thickness of the wall at the cavity, at least one pixel
LEAST_PIXELS = 8
OWN_PIXELS = 3.0  # from the wall; up to two pixels away the own share of a pixel counts, and then less and less
LARGEST_SHARE = 0.8  # more is a papillary muscle, or a cavity that is labelled too large
APART_MM = 4.5  # blood counts as beside healthy wall where scar is further away than the wall by this
# Share of the wall at these distances, EMIDEC `train`, where a host has too few pixels to show its own.
USUAL_MM, USUAL_SHARE = (0.0, 1.0, 2.2, 3.7, 5.2, BLOOD_REACH_MM), (0.7, 0.62, 0.37, 0.20, 0.08, 0.0)


def mixed(host: Host, edited: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
    """The host's blood, mixed with the edited wall; stored numbers.

    Args:
        edited: (rows, cols) the slice after the edit; only its wall at the cavity is used.
    """
    before, frame = host.slice_.image.astype(np.float64), host.frame
    to_wall_mm, nearest = ndimage.distance_transform_edt(~frame.wall, sampling=frame.spacing_mm, return_indices=True)
    to_cavity_mm = ndimage.distance_transform_edt(~frame.cavity, sampling=frame.spacing_mm)
    border = frame.wall & (to_cavity_mm <= max(BORDER_MM, *frame.spacing_mm))
    shares, blood = wall_share(host, to_wall_mm)

    def beside(values: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
        """The average of the wall at the cavity next to each pixel."""
        along = [AVERAGED_MM / mm for mm in frame.spacing_mm]
        weight = ndimage.gaussian_filter(border.astype(np.float64), along)
        total = ndimage.gaussian_filter(np.where(border, values, 0.0), along)
        averaged = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
        return np.asarray(averaged[nearest[0], nearest[1]])

    wall_after = beside(edited)
    low, high = np.minimum(before, wall_after), np.maximum(np.maximum(before, wall_after), blood)
    return np.asarray(np.clip(before + shares * beside(edited - before), low, high))  # a mixture is never beyond what is mixed


def wall_share(host: Host, to_wall_mm: Float[np.ndarray, "rows cols"]) -> tuple[Float[np.ndarray, "rows cols"], float]:
    """Share of the wall in a pixel of blood, 0 to 1, by its distance to the wall; it falls to 0 at 6 mm. And the median of the blood.

    Args:
        to_wall_mm: (rows, cols) distance to the wall, scar included.
    """
    slice_ = host.slice_
    image, cavity, healthy = slice_.image.astype(np.float64), host.frame.cavity, slice_.labels == Label.WALL
    step = max(host.frame.spacing_mm)
    edges = np.arange(0.0, BLOOD_REACH_MM + step, step)
    middles = (edges[:-1] + edges[1:]) / 2
    shares = np.interp(middles, USUAL_MM, USUAL_SHARE)
    inner = cavity & (to_wall_mm > BLOOD_REACH_MM)
    blood = float(np.median(image[inner if inner.sum() >= LEAST_PIXELS else cavity]))
    contrast = blood - float(np.median(image[healthy])) if healthy.any() else 0.0
    if contrast <= 0:
        return _by_distance(to_wall_mm, middles, shares, step), blood
    to_scar_mm = ndimage.distance_transform_edt(~slice_.scar, sampling=slice_.spacing_mm) if slice_.scar.any() else np.inf
    plain = cavity & (to_scar_mm > to_wall_mm + APART_MM)
    for number, (low, high) in enumerate(pairwise(edges.tolist())):
        here = plain & (to_wall_mm > low) & (to_wall_mm <= high)
        if here.sum() >= LEAST_PIXELS:
            shares[number] = np.clip((blood - np.median(image[here])) / contrast, 0.0, LARGEST_SHARE)
    own = np.clip((blood - image) / contrast, 0.0, 1.0) * np.clip(OWN_PIXELS - to_wall_mm / step, 0.0, 1.0)
    return np.maximum(_by_distance(to_wall_mm, middles, shares, step), own), blood


def _by_distance(
    to_wall_mm: Float[np.ndarray, "rows cols"], middles: Float[np.ndarray, " bins"], shares: Float[np.ndarray, " bins"], step: float
) -> Float[np.ndarray, "rows cols"]:
    """The shares at every distance; further away there is never more of the wall."""
    falling = np.minimum.accumulate(shares)
    return np.asarray(np.interp(to_wall_mm, [0.0, *middles, BLOOD_REACH_MM + step], [falling[0], *falling, 0.0]))
