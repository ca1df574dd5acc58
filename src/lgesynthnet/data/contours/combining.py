"""Contours and masks of one stack to labels: the cavity inside the endocardium, the wall between it and the epicardium, the scar in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.data.contours.drawings import Drawing, FileDrawings, short
from lgesynthnet.data.contours.names import Meaning
from lgesynthnet.data.contours.rasterizing import fill
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, Mask

Regions = dict[Meaning, Mask]
_INFARCT = (Meaning.SCAR, Meaning.NO_REFLOW)


def combine(
    files: Sequence[FileDrawings], shape: tuple[int, int], slices: int
) -> tuple[UInt8[np.ndarray, "rows columns slices"], list[str]]:
    """Labels of the stack, and what was noticed.

    Scar and no-reflow count inside the wall only. The wall is what an epicardial contour leaves beside the cavity, or a mask of it; where
    such masks leave most of the scar out, wall and scar together are the wall.

    Raises:
        InputError: two files draw the same part of the heart in one slice.
    """
    regions = _regions(files, shape)
    beside = _scar_lies_beside_wall(regions)
    labels = np.zeros((*shape, slices), dtype=np.uint8)
    stray: Counter[Meaning] = Counter()
    for index, here in sorted(regions.items()):
        labels[:, :, index] = _label(here, beside, shape, stray)
    notes = [
        f"{count} pixels of {meaning} lie {'on the LV' if meaning is Meaning.RV else 'outside the wall'} and are left out"
        for meaning, count in sorted(stray.items())
    ]
    lone = [index for index, here in sorted(regions.items()) if Meaning.EPI in here and Meaning.ENDO not in here]
    if lone:
        notes.append(f"slices {', '.join(map(str, lone))} have an epicardial contour and no endocardial one; all of it is taken as wall")
    if beside:
        notes.append("the mask of the wall leaves the scar out; wall and scar together are taken as the wall")
    return labels, notes


def _regions(files: Sequence[FileDrawings], shape: tuple[int, int]) -> dict[int, Regions]:
    """Slice -> meaning -> mask. Several names of one meaning add up."""
    regions: dict[int, Regions] = defaultdict(dict)
    drawn_by: dict[tuple[int, Meaning], FileDrawings] = {}
    for file in files:
        for drawing in file.drawings:
            first = drawn_by.setdefault((drawing.index, drawing.meaning), file)
            if first is not file:
                raise InputError(
                    f"{file.path}: draws {drawing.meaning} in slice {drawing.index}, as {first.path} does; give one of the two files"
                )
            mask = _mask(file, drawing, shape)
            here = regions[drawing.index]
            here[drawing.meaning] = here[drawing.meaning] | mask if drawing.meaning in here else mask
    return regions


def _mask(file: FileDrawings, drawing: Drawing, shape: tuple[int, int]) -> Mask:
    if drawing.mask is not None:
        return drawing.mask
    return fill(drawing.outlines, shape, f"{file.path}: '{short(drawing.name)}'")


def _scar_lies_beside_wall(regions: dict[int, Regions]) -> bool:
    """Whether masks of the wall hold less than half of the scar outside the cavity, over all slices without an epicardial contour."""
    inside = outside = 0
    for here in regions.values():
        if Meaning.WALL in here and Meaning.EPI not in here:
            for meaning in _INFARCT:
                if meaning in here:
                    scar = here[meaning] & ~here.get(Meaning.ENDO, np.zeros_like(here[meaning]))
                    inside += int((scar & here[Meaning.WALL]).sum())
                    outside += int((scar & ~here[Meaning.WALL]).sum())
    return outside > inside


def _label(here: Regions, beside: bool, shape: tuple[int, int], stray: Counter[Meaning]) -> UInt8[np.ndarray, "rows columns"]:
    nothing = np.zeros(shape, dtype=bool)
    cavity = here.get(Meaning.ENDO, nothing)
    wall = here.get(Meaning.WALL, nothing) | here.get(Meaning.EPI, nothing)
    if beside and Meaning.EPI not in here:
        for meaning in _INFARCT:
            wall = wall | here.get(meaning, nothing)
    wall = wall & ~cavity
    labels = np.zeros(shape, dtype=np.uint8)
    right = here.get(Meaning.RV, nothing)
    labels[right] = Label.RV
    labels[wall] = Label.WALL
    labels[cavity] = Label.CAVITY
    for meaning, label in zip(_INFARCT, (Label.SCAR, Label.NO_REFLOW), strict=True):
        scar = here.get(meaning, nothing)
        labels[scar & wall] = label
        if outside := int((scar & ~wall).sum()):
            stray[meaning] += outside
    if overlap := int((right & (wall | cavity)).sum()):
        stray[Meaning.RV] += overlap
    return labels
