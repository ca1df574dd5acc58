"""The protocol of everything that can edit the scar of a host."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lgesynthnet.conditioning.edit import SliceEdit, edit_of
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.prescription.edits import Wish
from lgesynthnet.terms import Edit


@runtime_checkable
class Generator(Protocol):
    """Edits slices. The same seed gives the same bytes, whatever was painted before."""

    @property
    def fingerprint(self) -> str:
        """The method's name and a hash of everything that decides the pixels (weights and settings)."""
        ...

    def for_heart(self, seed: int) -> Generator:
        """A generator for the slices of one heart, which may share noise that is drawn with this seed; by default they share nothing."""
        return self

    def apply(self, host: Host, edit: SliceEdit, *, seed: int = 0) -> SyntheticSample:
        """Make one edit; caption and brightness come from its prescription.

        Scar of the host under what is painted is hidden first, so that a slice can be painted with its own scar to test a generator.
        """
        ...

    def inpaint(self, host: Host, prescription: Wish, *, edit: Edit = Edit.ADD, seed: int = 0) -> SyntheticSample:
        """Paint a prescription into a host.

        Args:
            prescription: a scar; or `NoEnhancement()`, which removes the host's own scar; or `OwnScar`, which paints that scar anew.
            edit: `move` removes the host's own scar and paints the prescribed one.
        Raises:
            PrescriptionError: see `conditioning.edit.edit_of`; as where no part of the prescribed scar lies in the wall of this host.
        """
        return self.apply(host, edit_of(host, prescription, Edit(edit)), seed=seed)
