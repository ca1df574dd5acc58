"""A further judge of samples: of those that the filter has kept, it chooses the ones that a purpose needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lgesynthnet.conditioning.sample import SyntheticSample


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Whether a sample is wanted.

    Attributes:
        reason: the word that stands in the table for a sample that is not.
        why: half a sentence with the numbers that decided.
    """

    wanted: bool
    reason: str
    why: str


@runtime_checkable
class Selector(Protocol):
    """Chooses among the samples that the filter kept. The same sample always gets the same answer."""

    @property
    def fingerprint(self) -> str:
        """Everything that decides the answers; a run with another selector is not continued."""
        ...

    def choose(self, sample: SyntheticSample) -> Choice:
        """Whether this sample is wanted."""
        ...
