"""The verdict on one synthetic stack: it is kept or rejected as a whole, by the verdicts on its slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lgesynthnet.quality.verdict import Rules, Verdict

KEPT_SLICES_FROM = 0.8  # share of the painted slices that the filter must keep


class StackReason(StrEnum):
    """Why a stack was kept or rejected. The reasons are checked in this order."""

    KEPT = "kept"
    MISSED = "missed"
    SLICES = "slices-rejected"


@dataclass(frozen=True, kw_only=True)
class StackVerdict:
    """The verdict on one stack.

    Attributes:
        dice: of the prescribed and the found scar in all painted slices together, 0 to 1, as the slices are compared: with the tolerance
            for scars that are no infarcts. Slices in which scar was only removed count with what is found there. None where no scar was
            prescribed in any.
        threshold: the Dice that had to be exceeded.
        slices: index -> the verdict on this slice.
    """

    reason: StackReason
    dice: float | None
    threshold: float
    slices: Mapping[int, Verdict]

    @property
    def kept(self) -> bool:
        return self.reason is StackReason.KEPT

    @property
    def kept_slices(self) -> int:
        return sum(verdict.kept for verdict in self.slices.values())

    def explain(self) -> str:
        """One sentence with the numbers that decided."""
        count = f"the filter kept {self.kept_slices} of {len(self.slices)} painted slices"
        dice = "" if self.dice is None else f"3-D Dice {self.dice:.2f}, "
        if self.reason is StackReason.KEPT:
            return f"kept: {dice}{count}"
        if self.reason is StackReason.MISSED:
            return f"rejected, missed: 3-D Dice {self.dice:.2f} is not above {self.threshold:g}; {count}"
        faults = Counter(str(verdict.reason) for verdict in self.slices.values() if not verdict.kept)
        return f"rejected: {dice}{count} ({', '.join(f'{number} {fault}' for fault, number in faults.most_common())})"


def judge_slices(verdicts: Mapping[int, Verdict], rules: Rules) -> StackVerdict:
    """The verdict on a stack from those on its painted slices."""
    dice = dice_of_stack(list(verdicts.values()))
    kept = sum(verdict.kept for verdict in verdicts.values())
    if dice is not None and not dice > rules.dice_above:
        reason = StackReason.MISSED
    elif kept < KEPT_SLICES_FROM * len(verdicts):
        reason = StackReason.SLICES
    else:
        reason = StackReason.KEPT
    return StackVerdict(reason=reason, dice=dice, threshold=rules.dice_above, slices=verdicts)


def dice_of_stack(verdicts: Sequence[Verdict]) -> float | None:
    """Dice of all slices together, from the Dice and the two areas of each; None where no scar was prescribed.

    A Dice is 2 shared / (prescribed + found), so the mean weighted by the two areas is the Dice of the volumes.
    """
    if not any(verdict.intended_mm2 > 0 for verdict in verdicts):
        return None
    weights = [verdict.intended_mm2 + verdict.read_mm2 for verdict in verdicts]
    values = [verdict.dice if verdict.dice_within is None else verdict.dice_within for verdict in verdicts]
    return sum(weight * (value or 0.0) for weight, value in zip(weights, values, strict=True)) / sum(weights)
