"""Scar labels as the paper made them: a threshold inside the segments that a reader called scarred."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.errors import AnatomyError
from lgesynthnet.hosts.locate import locate_stack
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.records import Label, Labels, ShortAxisSlice, Stack

DEVIATIONS = 1.5  # standard deviations above remote wall; "chosen for sensitivity"
VERSION = 1  # part of the name of the prepared slices; raise it when the rule changes


def remade_stacks(stacks: Iterable[Stack]) -> Iterator[Stack]:
    """The same stacks, with scar labels as the paper made them; see `remade_labels`."""
    for stack in stacks:
        located = locate_stack(stack)
        labels = stack.labels.copy()
        for index, slice_ in enumerate(stack):
            if not slice_.scar.any():
                continue
            try:
                labels[:, :, index] = remade_labels(slice_, located.frame(index))
            except AnatomyError:  # such a slice has no segments, and keeps its labels
                continue
        yield replace(stack, labels=labels)


def remade_labels(slice_: ShortAxisSlice, frame: HeartFrame) -> Labels:
    """Labels of one slice in which wall is scar where a scarred segment is brighter than 1.5 standard deviations above remote wall.

    Remote wall is that of the other segments. The labels stay where all segments are scarred, or none is.

    Source: Jacob et al. (2026), the labels of the training set; the clusters that readers removed by hand lay in segments without scar.
    """
    scarred = np.isin(frame.segments, sorted(measure_scar(slice_.scar, frame).segments)) & frame.wall
    remote = slice_.image[frame.wall & ~scarred].astype(np.float64)
    if not scarred.any() or remote.size < 2:
        return slice_.labels
    bright = slice_.image > remote.mean() + DEVIATIONS * remote.std()
    healed = np.where(frame.wall, Label.WALL, slice_.labels)
    return np.where(scarred & bright, Label.SCAR, healed).astype(np.uint8)
