"""Decide which slices can be used: the image must be finite, and the wall must be a closed ring round the cavity."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from scipy import ndimage

from lgesynthnet.records import Labels, Mask, ShortAxisSlice, Skipped, Stack, wall_of

MIN_WALL_PIXELS = 24
MIN_CAVITY_PIXELS = 4
MIN_LINED_SHARE = 0.98  # share of the pixels next to the cavity that must be wall
MIN_LARGEST_PIECE = 0.95  # share of the wall that its largest piece must hold
_WITH_DIAGONALS = np.ones((3, 3), dtype=bool)


class Fault(StrEnum):
    """Why a slice cannot be used, in the order of the checks."""

    NOT_FINITE = "the image holds NaN or Inf; replace them, e.g. by 0"
    EMPTY = "the image is zero everywhere; take the slice out of the file or leave it unlabelled"
    UNLABELLED = "no heart is labelled in this slice"
    NO_CAVITY = "a wall but no LV cavity is labelled; label the blood pool or leave the slice unlabelled"
    NO_WALL = "an LV cavity but too little wall is labelled; label the myocardium or leave the slice unlabelled"
    SCATTERED = "the wall lies in several pieces; remove the stray ones"
    OPEN = "the wall is not a closed ring; close it, or leave the slice unlabelled if it shows the outflow tract"


def usable_slices(stack: Stack) -> tuple[list[int], list[Skipped]]:
    """The indices of the slices that can be used, and the other slices with the reason."""
    usable: list[int] = []
    skipped: list[Skipped] = []
    for slice_ in stack:
        fault = find_fault(slice_)
        if fault is None:
            usable.append(slice_.index)
        else:
            place = f"{slice_.place.path}: slice {slice_.index}: " if slice_.place else ""
            skipped.append(Skipped(name=slice_.name, reason=f"{place}{fault}"))
    return usable, skipped


def find_fault(slice_: ShortAxisSlice) -> Fault | None:
    """The first reason why a slice cannot be used; None for a usable slice."""
    if slice_.image.dtype.kind == "f" and not np.isfinite(slice_.image).all():
        return Fault.NOT_FINITE
    if not slice_.image.any():
        return Fault.EMPTY
    return find_ring_fault(slice_.labels)


def find_ring_fault(labels: Labels) -> Fault | None:
    """Why the labels of a slice are not a closed ring of wall round a cavity; None where they are. An RV label does not matter."""
    cavity, wall = labels == 1, wall_of(labels)
    if not cavity.any() and not wall.any():
        return Fault.UNLABELLED
    if cavity.sum() < MIN_CAVITY_PIXELS:
        return Fault.NO_CAVITY
    if wall.sum() < MIN_WALL_PIXELS:
        return Fault.NO_WALL
    if largest_piece(wall).sum() < MIN_LARGEST_PIECE * wall.sum():
        return Fault.SCATTERED
    return None if lined_share(cavity, wall) >= MIN_LINED_SHARE and encloses(wall, cavity) else Fault.OPEN


def largest_piece(mask: Mask) -> Mask:
    """The largest connected piece of a mask; pixels that touch at a corner are connected."""
    pieces, count = ndimage.label(mask, structure=_WITH_DIAGONALS)
    if count == 0:
        return np.zeros(mask.shape, dtype=bool)
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))


def lined_share(cavity: Mask, wall: Mask) -> float:
    """Share of the pixels next to the cavity that are wall, 0 to 1. Pixels outside the image count as not wall."""
    around = np.pad(cavity, 1)
    beside = ndimage.binary_dilation(around) & ~around
    return float((np.pad(wall, 1) & beside).sum() / beside.sum())


def encloses(wall: Mask, cavity: Mask) -> bool:
    """Whether the wall encloses the cavity: at least 98 % of the cavity lies in holes of the wall."""
    inside = ndimage.binary_fill_holes(wall) & cavity
    return bool(inside.sum() >= MIN_LINED_SHARE * cavity.sum())
