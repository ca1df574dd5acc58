"""The contract of everything that reads a scar."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lgesynthnet.records import Labels, ShortAxisSlice


@runtime_checkable
class ScarSegmenter(Protocol):
    """Reads scar inside a known wall; the same slice gives the same labels, whatever was read before."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the reading, with the method's name in front."""
        ...

    def read(self, slice_: ShortAxisSlice) -> Labels:
        """(rows, cols): 3 scar and 4 no-reflow inside the slice's wall, 0 elsewhere; scar labels of the slice are never looked at."""
        ...
