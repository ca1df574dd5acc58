"""What is judged: a slice and the scar that it is said to hold, painted or real, in one form."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import hidden_region
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.records import Image, Label, Mask, ShortAxisSlice, scar_of
from lgesynthnet.segmenter.base import ScarSegmenter


@dataclass(frozen=True, kw_only=True)
class Case:
    """One judged slice, everything in the host's own grid.

    Attributes:
        patient: intervals are taken over patients, so this is the host's.
        image: what is judged.
        host: what it was painted into; for a real slice itself.
        scar: the scar that the image is said to hold, no-reflow included.
        no_reflow: its dark core.
        hidden: the region round the scar; of a sample, all that may differ from the host.
    """

    name: str
    patient: str
    image: Image
    host: ShortAxisSlice
    frame: HeartFrame
    scar: Mask
    no_reflow: Mask
    hidden: Mask

    @classmethod
    def of_sample(cls, sample: SyntheticSample) -> Case:
        return cls(
            name=sample.host.name,
            patient=sample.host.slice_.patient,
            image=sample.image,
            host=sample.host.slice_,
            frame=sample.host.frame,
            scar=sample.intended,
            no_reflow=sample.intended_no_reflow,
            hidden=sample.hidden,
        )

    @classmethod
    def of_real(cls, host: Host) -> Case:
        """A real slice with its own scar: the ceiling of every score."""
        slice_, frame = host.slice_, host.frame
        return cls(
            name=host.name,
            patient=slice_.patient,
            image=slice_.image,
            host=slice_,
            frame=frame,
            scar=slice_.scar,
            no_reflow=slice_.labels == Label.NO_REFLOW,
            hidden=hidden_region(slice_.scar, frame.wall, frame.spacing_mm),
        )

    @cached_property
    def unit(self) -> Float32[np.ndarray, "rows cols"]:
        """The judged image in heart units by its own wall and blood, the painted wall included: so are a real slice's levels found too.

        Raises:
            InputError: the image is flat.
        """
        return HeartWindow.from_slice(replace(self.host, image=self.image)).to_unit(self.image)

    @property
    def existing(self) -> Mask:
        """Scar of the host that nobody prescribed: reading it there is neither right nor wrong."""
        return self.host.scar & ~self.scar

    def read(self, reader: ScarSegmenter) -> Mask:
        """What a reader sees when it is shown the image, the cavity and the wall, and no scar label."""
        labels = self.host.labels.copy()
        labels[scar_of(labels)] = Label.WALL
        slice_ = self.host
        blank = ShortAxisSlice(patient=slice_.patient, index=slice_.index, image=self.image, labels=labels, spacing_mm=slice_.spacing_mm)
        return scar_of(reader.read(blank)) & ~self.existing

    def remote(self, read: Mask | None = None) -> Mask:
        """Healthy wall that was left as it was; with all of the wall hidden, the wall that neither the wish nor `read` calls scar."""
        wall = self.frame.wall & ~self.existing
        untouched = wall & ~self.hidden
        if untouched.sum() >= 20:
            return untouched
        return wall & ~self.scar & (~read if read is not None else np.ones_like(wall))


def in_order(cases: Iterable[Case]) -> list[Case]:
    """By patient, slice and content: a figure must not depend on the order in which the cases came."""

    def key(case: Case) -> tuple[str, int, bytes]:
        content = hashlib.sha256(np.ascontiguousarray(case.image).tobytes())
        content.update(np.packbits(case.scar).tobytes())
        return case.patient, case.host.index, content.digest()

    return sorted(cases, key=key)
