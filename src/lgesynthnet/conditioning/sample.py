"""A host slice with its heart located, and a synthetic sample with all data that explain it."""

from __future__ import annotations

from dataclasses import dataclass

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Image, Labels, Mask, ShortAxisSlice


@dataclass(frozen=True, kw_only=True)
class Host:
    """A slice that a scar can be painted into: the image with its labels, and its heart coordinates."""

    slice_: ShortAxisSlice
    frame: HeartFrame

    @property
    def name(self) -> str:
        """Name of the slice."""
        return self.slice_.name


@dataclass(frozen=True, kw_only=True)
class SyntheticSample:
    """One painted slice on the grid of the host.

    Attributes:
        host: the slice that the scar was painted into.
        prescription: the scar that was asked for.
        caption: the sentence that the text encoder read.
        seed: seed of the initial noise.
        image: (rows, cols), in the data type of the host; equal to the host outside `hidden`.
        labels: (rows, cols), values of `Label`; the painted scar is 3 and its no-reflow core is 4.
        intended: (rows, cols) mask of the prescribed scar, no-reflow included.
        intended_no_reflow: (rows, cols) mask of its no-reflow core.
        hidden: (rows, cols) mask of the only pixels that may differ from the host.
        max_change_outside: largest absolute difference to the host outside `hidden`, in stored numbers; anything but 0 is a bug.
        model: fingerprint of the generator.
        seconds: time to paint the sample, in seconds of wall time.
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
