"""A host slice with its heart located, and a synthetic sample with all data that explain it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.prescription.edits import Prescription
from lgesynthnet.records import Image, Labels, Mask, ShortAxisSlice
from lgesynthnet.terms import Edit


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
    """One edited slice on the grid of the host.

    Attributes:
        host: the slice that was edited.
        edit: what was done to it.
        prescription: the scar that was asked for, or none.
        caption: the sentence that the text encoder read.
        seed: seed of the initial noise.
        image: (rows, cols), in the data type of the host; equal to the host outside `hidden`.
        labels: (rows, cols), values of `Label`; the painted scar is 3 and its no-reflow core is 4, and removed scar is wall.
        intended: (rows, cols) mask of the prescribed scar, no-reflow included.
        intended_no_reflow: (rows, cols) mask of its no-reflow core.
        removed: (rows, cols) mask of the host's scar that was removed, or painted anew.
        hidden: (rows, cols) mask of the only pixels that may differ from the host.
        max_change_outside: largest absolute difference to the host outside `hidden`, in stored numbers; anything but 0 is a bug.
        model: fingerprint of the generator.
        seconds: time to paint the sample, in seconds of wall time.
    """

    host: Host
    edit: Edit
    prescription: Prescription
    caption: str
    seed: int
    image: Image
    labels: Labels
    intended: Mask
    intended_no_reflow: Mask
    removed: Mask
    hidden: Mask
    max_change_outside: float
    model: str
    seconds: float

    @property
    def kept_scar(self) -> Mask:
        """(rows, cols) mask of the host's scar that is still there and was not prescribed."""
        return np.asarray(self.host.slice_.scar & ~self.removed & ~self.intended)
