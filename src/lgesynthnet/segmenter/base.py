"""The protocol of everything that segments scar inside a known wall."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lgesynthnet.records import Labels, ShortAxisSlice


@runtime_checkable
class ScarSegmenter(Protocol):
    """Segments scar inside a known wall. The same slice gives the same labels, whatever was segmented before."""

    @property
    def fingerprint(self) -> str:
        """The method's name and a hash of everything that decides its output."""
        ...

    def read(self, slice_: ShortAxisSlice, *, sensitive: bool = False) -> Labels:
        """Labels (rows, cols): 3 scar and 4 no-reflow inside the slice's wall, 0 elsewhere. The slice's own scar labels are not used.

        Args:
            sensitive: whether doubtful scar counts, as where it is known that a scar was painted, and only its place is asked for. A method
                that knows no doubt ignores it.
        """
        ...
