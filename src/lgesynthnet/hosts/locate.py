"""From a stack to hearts that know where they are: base to apex, level, RV insertions, and the frame of every slice."""

from __future__ import annotations

from dataclasses import dataclass

from lgesynthnet.anatomy.frame import HeartFrame, locate
from lgesynthnet.anatomy.insertions import Evidence
from lgesynthnet.anatomy.orientation import StackOrder, levels, locate_all_insertions, order_stack
from lgesynthnet.errors import AnatomyError
from lgesynthnet.records import Insertions, Level, ShortAxisSlice, Stack


@dataclass(frozen=True, kw_only=True)
class LocatedStack:
    """A stack with what its slices need to be painted into; the lists are in the file's own slice order.

    Attributes:
        order: which end is the base, and how that is known.
        levels: basal, mid or apical; None for a slice without a left ventricle.
        insertions: None where a slice has no wall to find them on.
    """

    stack: Stack
    order: StackOrder
    levels: list[Level | None]
    insertions: list[Insertions | None]

    def is_located(self, index: int) -> bool:
        """Whether the slice's level and insertions are known."""
        return self.levels[index] is not None and self.insertions[index] is not None

    def frame(self, index: int) -> HeartFrame:
        """Heart coordinates of one slice.

        Raises:
            AnatomyError: its level or its insertions are unknown, or its wall is not a closed ring.
        """
        level, insertions = self.levels[index], self.insertions[index]
        if level is None or insertions is None:
            raise AnatomyError(f"{self.stack.patient}: slice {index}: the level or the RV insertions of this slice cannot be told")
        return locate(self.stack[index], level, insertions)


def locate_stack(stack: Stack) -> LocatedStack:
    """Order a stack from base to apex and find the level and the RV insertions of every slice."""
    order = order_stack(stack)
    return LocatedStack(stack=stack, order=order, levels=levels(stack, order), insertions=locate_all_insertions(stack, read=_read_septum))


def _read_septum(slice_: ShortAxisSlice) -> Evidence:
    # Torch is loaded only for hosts that have neither landmarks nor an RV label.
    from lgesynthnet.segmenter.septum import read_septum

    return read_septum(slice_)
