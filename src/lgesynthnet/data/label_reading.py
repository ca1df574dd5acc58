"""What the numbers of a label file mean, slice by slice; and the cavity where only the wall was drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped, UInt8
from scipy import ndimage

from lgesynthnet.data.label_maps import EXAMPLE
from lgesynthnet.data.nifti import Volume
from lgesynthnet.data.ring import MIN_CAVITY_PIXELS, find_ring_fault, largest_piece
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, wall_of

WHOLE_TOLERANCE = 1e-3  # programs that resample or scale store 1 as 0.99999994
MOST_NAMED = 12  # ids in one message

StoredLabels = UInt8[np.ndarray, "columns rows slices"]


def translate_labels(label: Volume, label_map: Mapping[int, Label]) -> StoredLabels:
    """Label ids of the file to `Label`, in the orientation of the file.

    Raises:
        InputError: an id is not in the map, or a number is not whole. The message names each with its number of pixels.
    """
    labels = np.zeros(label.stored.shape, dtype=np.uint8)
    unknown: Counter[float] = Counter()
    first: dict[float, int] = {}
    for index in range(label.stored.shape[2]):  # one slice at a time, because scaled numbers take eight bytes
        values = _scaled(label, index)
        for value, count in zip(*np.unique(values, return_counts=True), strict=True):
            whole = _whole(value)
            if whole is None or whole not in label_map:
                unknown[float(value) if whole is None else whole] += int(count)
                first.setdefault(float(value) if whole is None else whole, index)
            elif label_map[whole]:
                labels[:, :, index][values == value] = label_map[whole]
    if unknown:
        raise _unknown_labels(label, unknown, first, label_map)
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
        hole = largest_piece(ndimage.binary_fill_holes(wall) & ~wall)
        if hole.sum() < MIN_CAVITY_PIXELS:
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


def _whole(value: np.generic) -> int | None:
    """The label id that a number stands for; None where it stands for none."""
    number = float(value)
    if not np.isfinite(number) or abs(number - np.rint(number)) > WHOLE_TOLERANCE:
        return None
    return int(np.rint(number))


def _unknown_labels(label: Volume, unknown: Counter[float], first: Mapping[float, int], label_map: Mapping[int, Label]) -> InputError:
    known = ",".join(f"{number}={meaning.name.lower().replace('_', '-')}" for number, meaning in label_map.items())
    some = sorted(unknown.items(), key=lambda item: (not np.isfinite(item[0]), item[0]))
    named = ", ".join(f"{_word(value)} ({count} pixels, first in slice {first[value]})" for value, count in some[:MOST_NAMED])
    more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
    if all(isinstance(value, int) for value, _ in some):
        remedy = f"name {'it' if len(some) == 1 else 'them'} with --labels, e.g. {_suggestion(unknown, label_map)}"
    else:
        remedy = "labels must be whole numbers: export them again without interpolation"
    return InputError(f"{label.path}: holds the unknown label ids {named}{more}; the known ids are {known}; {remedy}")


def _word(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}, which is not a whole number,"


def _suggestion(unknown: Counter[float], label_map: Mapping[int, Label]) -> str:
    """An option with the ids that the file has, where they are as many as the known ones; only the user knows what each means."""
    ids = sorted(value for value in unknown if isinstance(value, int) and value > 0)
    meanings = [meaning for meaning in label_map.values() if meaning]
    if len(ids) < 2 or len(ids) > len(meanings):
        return EXAMPLE
    return "--labels " + ",".join(f"{i}={m.name.lower().replace('_', '-')}" for i, m in zip(ids, meanings, strict=False))
