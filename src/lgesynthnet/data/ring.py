"""Which slices can be used: a finite image, and a wall that closes into a ring round the cavity."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from scipy import ndimage

from lgesynthnet.records import Labels, Mask, ShortAxisSlice, Skipped, Stack, wall_of

MIN_WALL_PIXELS = 24
MIN_CAVITY_PIXELS = 4
MIN_LINED = 0.98  # of the pixels next to the cavity, how many must be wall
MIN_MAIN_PIECE = 0.95  # share of the wall that its largest piece must hold
_EIGHT = np.ones((3, 3), dtype=bool)


class Fault(StrEnum):
    """Why a slice cannot be used, in the order in which it is looked for."""

    NOT_FINITE = "the image holds NaN or Inf; replace them, e.g. by 0"
    EMPTY = "the image is zero everywhere; take the slice out of the file or leave it unlabelled"
    UNLABELLED = "no heart is labelled here"
    NO_CAVITY = "a wall but no LV cavity is labelled; label the blood pool or leave the slice unlabelled"
    NO_WALL = "an LV cavity but too little wall is labelled; label the myocardium or leave the slice unlabelled"
    SCATTERED = "the wall lies in several pieces; remove the stray ones"
    OPEN = "the wall does not close into a ring; is this a short-axis image below the outflow tract?"


def usable_slices(stack: Stack) -> tuple[list[int], list[Skipped]]:
    """Indices of the slices that can be used, and the others with their reason."""
    usable: list[int] = []
    skipped: list[Skipped] = []
    for slice_ in stack:
        fault = fault_of(slice_)
        if fault is None:
            usable.append(slice_.index)
        else:
            place = f"{slice_.image_path}: slice {slice_.index}: " if slice_.image_path else ""
            skipped.append(Skipped(name=slice_.name, reason=f"{place}{fault}"))
    return usable, skipped


def fault_of(slice_: ShortAxisSlice) -> Fault | None:
    """The first thing that keeps a slice from being used; None where nothing does."""
    if slice_.image.dtype.kind == "f" and not np.isfinite(slice_.image).all():
        return Fault.NOT_FINITE
    if not slice_.image.any():
        return Fault.EMPTY
    return fault_of_ring(slice_.labels)


def fault_of_ring(labels: Labels) -> Fault | None:
    """What keeps the labels of one slice from being a ring of wall round a cavity; an RV beside it does not matter."""
    cavity, wall = labels == 1, wall_of(labels)
    if not cavity.any() and not wall.any():
        return Fault.UNLABELLED
    if cavity.sum() < MIN_CAVITY_PIXELS:
        return Fault.NO_CAVITY
    if wall.sum() < MIN_WALL_PIXELS:
        return Fault.NO_WALL
    if main_piece(wall).sum() < MIN_MAIN_PIECE * wall.sum():
        return Fault.SCATTERED
    return None if lined(cavity, wall) >= MIN_LINED and encloses(wall, cavity) else Fault.OPEN


def main_piece(mask: Mask) -> Mask:
    """The largest piece of a mask, diagonal neighbours counting as joined."""
    pieces, count = ndimage.label(mask, structure=_EIGHT)
    if count == 0:
        return np.zeros(mask.shape, dtype=bool)
    return pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))


def lined(cavity: Mask, wall: Mask) -> float:
    """Share of the pixels beside the cavity that are wall, 0 to 1; pixels beyond the image's edge count as bare."""
    around = np.pad(cavity, 1)
    beside = ndimage.binary_dilation(around) & ~around
    return float((np.pad(wall, 1) & beside).sum() / beside.sum())


def encloses(wall: Mask, cavity: Mask) -> bool:
    """Whether no path of background leads from the cavity out: nearly all of it lies in the holes of the wall."""
    inside = ndimage.binary_fill_holes(wall) & cavity
    return bool(inside.sum() >= MIN_LINED * cavity.sum())
