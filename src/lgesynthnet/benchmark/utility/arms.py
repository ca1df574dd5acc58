"""What each arm adds to the real slices, and how its segmenter is trained."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lgesynthnet.terms import Arm, Edit, LabelKind, Method


class Added(StrEnum):
    """What is added to the real slices."""

    NOTHING = "nothing"
    PAINTED = "painted"  # slices of a generator
    SCARRED_AGAIN = "scarred-again"  # the real slices with scar
    HOSTS_AGAIN = "hosts-again"  # the real slices without scar
    SIMULATED = "simulated"  # slices of simulated patients


@dataclass(frozen=True, kw_only=True)
class ArmSettings:
    """One arm.

    Attributes:
        method: the generator of painted slices.
        filtered: only samples that the filter kept.
        labels: which scar label the painted slices get.
        twins: the twin of each painted slice is added too.
        edit: a quarter as many slices of this edit are added too.
        origin: the added slices are marked in the origin channel.
        phantom_first: the first weights were trained on simulated hearts; else they are random.
    """

    added: Added = Added.NOTHING
    method: Method | None = None
    filtered: bool = True
    labels: LabelKind = LabelKind.INTENDED
    twins: bool = False
    edit: Edit | None = None
    origin: bool = True
    phantom_first: bool = True

    @property
    def marks_samples(self) -> bool:
        """Whether any slice is marked in the origin channel."""
        return self.origin and self.added is not Added.NOTHING


def _painted(method: Method, *, filtered: bool = True, origin: bool = True, phantom_first: bool = True) -> ArmSettings:
    return ArmSettings(added=Added.PAINTED, method=method, filtered=filtered, origin=origin, phantom_first=phantom_first)


ARMS: dict[Arm, ArmSettings] = {
    Arm.REAL: ArmSettings(phantom_first=False),
    Arm.PHANTOM_FIRST: ArmSettings(),
    Arm.PAINTED: _painted(Method.LGESYNTHNET, origin=False, phantom_first=False),
    Arm.ORIGIN: _painted(Method.LGESYNTHNET, phantom_first=False),
    Arm.RECIPE: _painted(Method.LGESYNTHNET),
    Arm.RESAMPLED: ArmSettings(added=Added.SCARRED_AGAIN),
    Arm.HOSTS: ArmSettings(added=Added.HOSTS_AGAIN),
    Arm.PHANTOM: ArmSettings(added=Added.SIMULATED),
    # The published experiment keeps every sample of the rivals.
    Arm.COPY_PASTE: _painted(Method.COPY_PASTE, filtered=False),
    Arm.PASTE: _painted(Method.PASTE, filtered=False),
    Arm.SPADE_LIMITED: _painted(Method.SPADE_LIMITED, filtered=False),
    Arm.SPADE_FULL: _painted(Method.SPADE_FULL, filtered=False),
    Arm.CONTROLNET: _painted(Method.CONTROLNET, filtered=False),
    Arm.UNFILTERED: _painted(Method.LGESYNTHNET, filtered=False),
    Arm.READ: ArmSettings(added=Added.PAINTED, method=Method.LGESYNTHNET, labels=LabelKind.READ),
    Arm.TWINS: ArmSettings(added=Added.PAINTED, method=Method.LGESYNTHNET, twins=True),
    Arm.REMOVED: ArmSettings(added=Added.PAINTED, method=Method.LGESYNTHNET, edit=Edit.REMOVE),
    Arm.MOVED: ArmSettings(added=Added.PAINTED, method=Method.LGESYNTHNET, edit=Edit.MOVE),
}
"""How each arm differs from the others. `recipe` is what `train downstream` does."""
