"""The contract of everything that can paint a scar."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.prescription.rasterize import ScarMask, rasterize
from lgesynthnet.prescription.scar import ScarPrescription


@runtime_checkable
class Generator(Protocol):
    """Paints one prescription into one host; the same seed gives the same bytes, whatever was painted before."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the pixels (weights, settings), with the method's name in front."""
        ...

    def inpaint_mask(self, host: Host, painted: ScarMask, prescription: ScarPrescription, *, seed: int = 0) -> SyntheticSample:
        """Paint a scar whose masks are given; the prescription adds its words and its brightness.

        Where the host has scar under the mask, it is hidden first: repainting a real slice with its own scar is a test of any generator.
        """
        ...

    def inpaint(self, host: Host, prescription: ScarPrescription, *, seed: int = 0) -> SyntheticSample:
        """Paint one sample.

        Raises:
            PrescriptionError: the prescription has no wall to fall on in this host.
        """
        return self.inpaint_mask(host, rasterize(prescription, host.frame), prescription, seed=seed)
