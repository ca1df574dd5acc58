"""Locate the hearts of a stack: order from base to apex, and level, RV insertions and heart coordinates of every slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgesynthnet.anatomy.frame import HeartFrame, compute_heart_frame
from lgesynthnet.anatomy.orientation import StackOrder, assign_levels, find_all_insertions, find_positions, order_stack
from lgesynthnet.anatomy.septum_evidence import ANGLES_DEG, ARCS_DEG, Evidence
from lgesynthnet.errors import AnatomyError, InputError
from lgesynthnet.records import Insertions, Level, ShortAxisSlice, Stack


@dataclass(frozen=True, kw_only=True)
class LocatedStack:
    """A stack whose hearts are located; the lists are in the slice order of the file.

    Attributes:
        order: which end is the base, and how that was found.
        levels: basal, mid or apical for each slice; None for a slice without a left ventricle.
        insertions: RV insertions of each slice; None for a slice without wall or cavity.
    """

    stack: Stack
    order: StackOrder
    levels: list[Level | None]
    insertions: list[Insertions | None]

    @property
    def positions(self) -> list[float | None]:
        """Position of each slice along the left ventricle, 0 base to 1 apex; None for a slice without a wall."""
        return find_positions(self.stack, self.order)

    def is_located(self, index: int) -> bool:
        """Whether level and insertions of the slice are known."""
        return self.levels[index] is not None and self.insertions[index] is not None

    def frame(self, index: int) -> HeartFrame:
        """Compute the heart coordinates of one slice.

        Raises:
            AnatomyError: its level or its insertions are not known, or its wall is not a closed ring.
        """
        level, insertions = self.levels[index], self.insertions[index]
        if level is None or insertions is None:
            raise AnatomyError(f"{self.stack.patient}: slice {index}: level and RV insertions of this slice are not known; leave it out")
        return compute_heart_frame(self.stack[index], level, insertions)


def locate_stack(stack: Stack) -> LocatedStack:
    """Order a stack from base to apex and find the level and the RV insertions of every slice."""
    order = order_stack(stack)
    return LocatedStack(
        stack=stack, order=order, levels=assign_levels(stack, order), insertions=find_all_insertions(stack, read_evidence=_read_septum)
    )


def _read_septum(slice_: ShortAxisSlice) -> Evidence:
    # Torch is loaded only for hosts that have neither landmarks nor an RV label.
    from lgesynthnet.segmenter.septum import read_septum

    try:
        return read_septum(slice_)
    except InputError:  # a flat slice, which is no host itself, says nothing about its neighbours
        return np.zeros((ANGLES_DEG.size, ARCS_DEG.size))
