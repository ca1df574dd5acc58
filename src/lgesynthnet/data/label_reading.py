"""What the numbers of a label file mean, slice by slice; and the cavity where only the wall was drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped, UInt8
from scipy import ndimage

from lgesynthnet.data.label_maps import LONGEST_ID
from lgesynthnet.data.nifti import Volume
from lgesynthnet.data.ring import MIN_CAVITY_PIXELS, find_ring_fault, largest_piece
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, wall_of

WHOLE_TOLERANCE = 1e-3  # programs that resample or scale store 1 as 0.99999994
MOST_NAMED = 12  # ids in one message
MOST_NUMBERS = 64  # different numbers in labels
LARGEST_EXACT = 2.0**53  # whole numbers above are not exact in float64
LEAST_HOLE = 0.1  # of a wall's area; smaller holes are gaps in the wall. The smallest cavity of EMIDEC has 0.19

_NAN = math.nan  # one object, so that all NaN are one key
StoredLabels = UInt8[np.ndarray, "columns rows slices"]


def translate_labels(label: Volume, label_map: Mapping[int, Label]) -> StoredLabels:
    """Label ids of the file to `Label`, in the orientation of the file.

    Raises:
        InputError: an id is not in the map, or a number is not whole. The message names each with its number of pixels.
    """
    labels = np.zeros(label.stored.shape, dtype=np.uint8)
    unknown: dict[float, _Unknown] = {}
    present: set[int] = set()
    for index in range(label.stored.shape[2]):  # one slice at a time, because scaled numbers take eight bytes
        values = _scaled(label, index)
        numbers, counts = np.unique(values, return_counts=True)
        if len(numbers) > MOST_NUMBERS:
            raise _no_label(label, len(numbers))
        for value, count in zip(numbers, counts, strict=True):
            number = _whole(value)
            if number not in label_map:
                unknown.setdefault(number, _Unknown(first=index)).pixels += int(count)
                continue
            meaning = label_map[int(number)]
            if number:
                present.add(int(number))
            if meaning:
                labels[:, :, index][values == value] = meaning
    if len(unknown) > MOST_NUMBERS:
        raise _no_label(label, len(unknown))
    if unknown:
        raise InputError(f"{label.path}: {_complaint(unknown, label_map)}; {_remedy(unknown, present, label_map)}")
    return labels


def fill_cavities(labels: StoredLabels) -> tuple[StoredLabels, list[int]]:
    """The labels with the hole of the wall as the cavity, in each slice with a closed ring of wall and no cavity.

    Returns:
        The labels, and the slices that were filled.
    """
    filled = labels
    done: list[int] = []
    for index in range(labels.shape[2]):
        here = labels[:, :, index]
        wall = wall_of(here)
        if not wall.any() or (here == Label.CAVITY).any():
            continue
        hole = largest_piece(ndimage.binary_fill_holes(wall) & (here == Label.BACKGROUND))
        if hole.sum() < max(MIN_CAVITY_PIXELS, LEAST_HOLE * wall.sum()):
            continue
        ring = np.where(hole, np.uint8(Label.CAVITY), here)
        if find_ring_fault(ring) is None:
            filled = labels.copy() if not done else filled
            filled[:, :, index] = ring
            done.append(index)
    return filled, done


def _scaled(label: Volume, index: int) -> Shaped[np.ndarray, "columns rows"]:
    values = label.stored[:, :, index]
    if (label.slope, label.inter) == (1.0, 0.0):
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(values.astype(np.float64) * label.slope + label.inter)


def _no_label(label: Volume, numbers: int) -> InputError:
    return InputError(
        f"{label.path}: holds {numbers} different numbers, so it is an image and no label; give the label file, and check that image and "
        "label did not change places"
    )


@dataclass
class _Unknown:
    """A number that is no known id: how many pixels have it, and in which slice it comes first."""

    first: int
    pixels: int = 0


def _whole(value: np.generic) -> float:
    """The label id that a number stands for, as an int; the number itself where it stands for none."""
    number = float(value)
    if not np.isfinite(number):
        return _NAN if np.isnan(number) else number
    is_whole = abs(number) <= LARGEST_EXACT and abs(number - np.rint(number)) <= WHOLE_TOLERANCE
    return int(np.rint(number)) if is_whole else number


def _complaint(unknown: Mapping[float, _Unknown], label_map: Mapping[int, Label]) -> str:
    some = sorted(unknown.items(), key=lambda item: (not np.isfinite(item[0]), item[0]))
    named = ", ".join(f"{_word(value)} ({found.pixels} pixels, first in slice {found.first})" for value, found in some[:MOST_NAMED])
    more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
    return f"holds the unknown label ids {named}{more}; the known ids are {_option(label_map)}"


def _word(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}, which is not a whole number,"


def _remedy(unknown: Mapping[float, _Unknown], present: set[int], label_map: Mapping[int, Label]) -> str:
    """What to do. The option that is named can be given as it stands; only the user knows what each id means."""
    ids = sorted(value for value in unknown if isinstance(value, int))
    if len(ids) < len(unknown):
        return "labels must be whole numbers: export them again without interpolation"
    if ids[0] < 0 or ids[-1] >= 10**LONGEST_ID:
        return f"label ids are whole numbers from 0 to {10**LONGEST_ID - 1}: store these pixels with another id, e.g. 0 for background"
    known = {number: meaning for number, meaning in label_map.items() if meaning}
    if present or len(ids) > len(known):
        proposed = {**known, **dict.fromkeys(ids, Label.BACKGROUND)}
    elif len(ids) == 1:
        proposed = {next(number for number in (1, 2) if number != ids[0]): Label.CAVITY, ids[0]: Label.WALL}
    else:
        meanings = list(known.values()) if len(ids) == len(known) else sorted(known.values())  # cavity and wall come first
        proposed = dict(zip(ids, meanings, strict=False))
    return f"say what {'it means' if len(ids) == 1 else 'they mean'} with --labels instead of --dataset, e.g. --labels {_option(proposed)}"


def _option(label_map: Mapping[int, Label]) -> str:
    return ",".join(f"{number}={meaning.name.lower().replace('_', '-')}" for number, meaning in sorted(label_map.items()))
