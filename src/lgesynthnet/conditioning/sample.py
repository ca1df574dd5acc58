"""A host with its heart located, and a synthetic sample with everything that explains it."""

from __future__ import annotations

from dataclasses import dataclass

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Image, Labels, Mask, ShortAxisSlice


@dataclass(frozen=True, kw_only=True)
class Host:
    """A slice that a scar can be painted into: the image and its heart coordinates."""

    slice_: ShortAxisSlice
    frame: HeartFrame

    @property
    def name(self) -> str:
        return self.slice_.name


@dataclass(frozen=True, kw_only=True)
class SyntheticSample:
    """One painted slice in the host's own grid.

    Attributes:
        host: what it was painted into.
        prescription: what was asked for.
        caption: what the text encoder read.
        seed: draws the initial noise.
        image: (rows, cols), the host's dtype; equal to the host's outside `hidden`.
        labels: (rows, cols) of `Label`, the painted scar as 3 and no-reflow as 4.
        intended: (rows, cols) the painted scar, no-reflow included.
        intended_no_reflow: (rows, cols) its no-reflow core.
        hidden: (rows, cols) the only pixels that may differ from the host.
        max_change_outside: largest absolute difference to the host outside `hidden`, stored numbers; 0 or it is a bug.
        model: fingerprint of the generator.
        seconds: wall time to paint it.
    """

    host: Host
    prescription: ScarPrescription
    caption: str
    seed: int
    image: Image
    labels: Labels
    intended: Mask
    intended_no_reflow: Mask
    hidden: Mask
    max_change_outside: float
    model: str
    seconds: float
