"""What is judged: an image and the scar that it should hold, in one form for synthetic and real slices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import edited_region
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.quality.verdict import without_own
from lgesynthnet.records import Image, Label, Mask, ShortAxisSlice, scar_of
from lgesynthnet.segmenter.base import ScarSegmenter

LEAST_REMOTE_PIXELS = 20


@dataclass(frozen=True, kw_only=True)
class Case:
    """One slice to judge, everything in the host's own grid.

    Attributes:
        patient: the host's patient; intervals are taken over patients.
        image: the image that is judged.
        host: the slice that was edited; of a real slice, that slice itself.
        scar: the scar that the image should hold, no-reflow included.
        no_reflow: its dark core.
        hidden: the hidden region round the scar; in a sample, only these pixels may differ from the host.
        removed: scar of the host that was removed or painted anew.
        heart: the painted heart, or the patient, whose slices are judged together, too; None where the slice stands alone.
    """

    name: str
    patient: str
    image: Image
    host: ShortAxisSlice
    frame: HeartFrame
    scar: Mask
    no_reflow: Mask
    hidden: Mask
    removed: Mask
    heart: str | None = None

    @classmethod
    def of_sample(cls, sample: SyntheticSample) -> Case:
        """A synthetic slice with the scar that was prescribed."""
        return cls(
            name=sample.host.name,
            patient=sample.host.slice_.patient,
            image=sample.image,
            host=sample.host.slice_,
            frame=sample.host.frame,
            scar=sample.intended,
            no_reflow=sample.intended_no_reflow,
            hidden=sample.hidden,
            removed=sample.removed,
        )

    @classmethod
    def of_real(cls, host: Host) -> Case:
        """A real slice with its own scar: its scores are the real ceiling."""
        slice_, frame = host.slice_, host.frame
        return cls(
            name=host.name,
            patient=slice_.patient,
            image=slice_.image,
            host=slice_,
            frame=frame,
            scar=slice_.scar,
            no_reflow=slice_.labels == Label.NO_REFLOW,
            hidden=edited_region(slice_.scar, frame.wall, frame.cavity, frame.spacing_mm),
            removed=np.zeros_like(frame.wall),
            heart=slice_.patient,
        )

    @property
    def existing(self) -> Mask:
        """Scar of the host that is still there and was not prescribed. Finding it is neither right nor wrong."""
        return np.asarray(self.host.scar & ~self.removed & ~self.scar)

    @cached_property
    def unit(self) -> Float32[np.ndarray, "rows cols"]:
        """The image in heart units by its own wall and blood. The repainted wall takes part, as a real slice's wall does.

        Raises:
            InputError: the image has no contrast.
        """
        return HeartWindow.from_slice(replace(self.host, image=self.image)).to_unit(self.image)

    def segment(self, segmenter: ScarSegmenter) -> Mask:
        """The scar that a segmenter finds when it gets the image, the cavity and the wall, but no scar label.

        The host's existing scar is left out, with the rim that the filter allows it, see `quality.verdict.without_own`.
        """
        labels = self.host.labels.copy()
        labels[scar_of(labels)] = Label.WALL
        host = self.host
        unlabelled = ShortAxisSlice(patient=host.patient, index=host.index, image=self.image, labels=labels, spacing_mm=host.spacing_mm)
        return without_own(scar_of(segmenter.read(unlabelled)), self.existing, self.scar, host.spacing_mm)

    def remote(self, segmented: Mask | None = None) -> Mask:
        """The remote wall: healthy wall outside the hidden region.

        Where fewer than 20 pixels of it are left, the wall that is neither in the prescribed scar nor in `segmented`.
        """
        wall: Mask = self.frame.wall & ~self.existing
        untouched: Mask = wall & ~self.hidden
        if untouched.sum() >= LEAST_REMOTE_PIXELS:
            return untouched
        return np.asarray(wall & ~self.scar & (~segmented if segmented is not None else np.ones_like(wall)))


def in_order(cases: Iterable[Case]) -> list[Case]:
    """Sorted by patient, slice and content, because no metric may depend on the order in which the cases come."""

    def key(case: Case) -> tuple[str, int, bytes]:
        content = hashlib.sha256(np.ascontiguousarray(case.image).tobytes())
        content.update(np.packbits(case.scar).tobytes())
        return case.patient, case.host.index, content.digest()

    return sorted(cases, key=key)
