"""The protocol of everything that can paint a scar into a host."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.prescription.rasterize import ScarMask, rasterize
from lgesynthnet.prescription.scar import ScarPrescription


@runtime_checkable
class Generator(Protocol):
    """Paints a prescription into a host. The same seed gives the same bytes, whatever was painted before."""

    @property
    def fingerprint(self) -> str:
        """The method's name and a hash of everything that decides the pixels (weights and settings)."""
        ...

    def inpaint_mask(self, host: Host, painted: ScarMask, prescription: ScarPrescription, *, seed: int = 0) -> SyntheticSample:
        """Paint a scar of given masks; caption and brightness come from the prescription.

        Scar of the host under the mask is hidden first, so that a real slice can be repainted with its own scar to test a generator.

        Args:
            painted: masks of the scar and of its no-reflow core, on the host's grid.
        """
        ...

    def inpaint(self, host: Host, prescription: ScarPrescription, *, seed: int = 0) -> SyntheticSample:
        """Paint one sample.

        Raises:
            PrescriptionError: no part of the prescribed scar lies in the wall of this host.
        """
        return self.inpaint_mask(host, rasterize(prescription, host.frame), prescription, seed=seed)
