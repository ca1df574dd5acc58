"""The judge of one painted slice: is the scar that was asked for the scar that an independent reader sees?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from lgesynthnet.overlap import dice
from lgesynthnet.records import Mask

DICE_ABOVE = 0.6  # the paper's filter: a sample is kept when Dice(intended, read) is above 0.6
STRAY_BELOW_MM2 = 25.0  # about a pea's cross-section; smaller islands are a reader's noise, not a scar that nobody asked for


class Reason(StrEnum):
    """Why a sample was kept or rejected."""

    KEPT = "kept"
    MISSED = "missed"
    INVISIBLE = "invisible"
    STRAY = "stray"
    INVENTED = "invented"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the judge says about one sample.

    Attributes:
        reason: kept, or what was wrong.
        dice: agreement of the intended and the read scar, 0 to 1; None where both are empty.
        recall: read share of the intended scar; None where none was intended.
        precision: intended share of the read scar; None where nothing was read.
        intended_mm2, read_mm2: areas of the two scars.
        stray_mm2: area read as scar outside the intended scar.
        threshold: the Dice that had to be exceeded.
    """

    reason: Reason
    dice: float | None
    recall: float | None
    precision: float | None
    intended_mm2: float
    read_mm2: float
    stray_mm2: float
    threshold: float

    @property
    def kept(self) -> bool:
        return self.reason is Reason.KEPT

    def explain(self) -> str:
        """One sentence with the numbers that decided."""
        found = f"of {self.intended_mm2:.0f} mm² intended, the reader found {_percent(self.recall)}"
        score = f"Dice {self.dice:.2f}" if self.dice is not None else "no scar intended and none read"
        match self.reason:
            case Reason.KEPT if self.dice is None:
                return f"kept: {score}"
            case Reason.KEPT if self.recall is None:
                return f"kept: no scar intended, and the {self.stray_mm2:.0f} mm² read are within the tolerance"
            case Reason.KEPT:
                return f"kept: {score} is above {self.threshold:g}; {found} and {self.stray_mm2:.0f} mm² elsewhere"
            case Reason.INVISIBLE:
                return f"rejected, invisible: the reader found nothing where {self.intended_mm2:.0f} mm² of scar were intended"
            case Reason.STRAY:
                return f"rejected, stray: {score} is not above {self.threshold:g}; {self.stray_mm2:.0f} mm² were read outside the scar"
            case Reason.MISSED:
                return f"rejected, missed: {score} is not above {self.threshold:g}; {found}"
            case Reason.INVENTED:
                return f"rejected, invented: no scar was intended, but {self.stray_mm2:.0f} mm² were read"


def judge(
    intended: Mask,
    read: Mask,
    spacing_mm: tuple[float, float],
    *,
    existing: Mask | None = None,
    dice_above: float = DICE_ABOVE,
    stray_below_mm2: float = STRAY_BELOW_MM2,
) -> Verdict:
    """Compare the intended scar with the reader's, both (rows, cols) and with no-reflow included.

    Where a scar is intended, Dice alone decides (strictly above `dice_above`); the reasons tell its failures apart. Where none is
    intended, `stray_below_mm2` decides.

    Args:
        spacing_mm: pixel size as (row, column).
        existing: scar that the host already had; reading it there is right and counts neither for nor against, except where it was
            prescribed anew.
    """
    if existing is not None:
        read = read & ~(existing & ~intended)
    pixel_mm2 = spacing_mm[0] * spacing_mm[1]
    wanted, seen, both = int(intended.sum()), int(read.sum()), int((intended & read).sum())
    stray_mm2 = (seen - both) * pixel_mm2
    agreement = dice(intended, read)
    return Verdict(
        reason=_reason(agreement, wanted, seen, both, stray_mm2, dice_above, stray_below_mm2),
        dice=agreement,
        recall=both / wanted if wanted else None,
        precision=both / seen if seen else None,
        intended_mm2=wanted * pixel_mm2,
        read_mm2=seen * pixel_mm2,
        stray_mm2=stray_mm2,
        threshold=dice_above,
    )


def _reason(
    agreement: float | None, wanted: int, seen: int, both: int, stray_mm2: float, dice_above: float, stray_below_mm2: float
) -> Reason:
    if not wanted:
        return Reason.KEPT if stray_mm2 < stray_below_mm2 else Reason.INVENTED
    if agreement is not None and agreement > dice_above:
        return Reason.KEPT
    if not seen:
        return Reason.INVISIBLE
    surplus, lack = seen - both, wanted - both
    return Reason.STRAY if surplus > lack and stray_mm2 >= stray_below_mm2 else Reason.MISSED


def _percent(share: float | None) -> str:
    return "nothing" if share is None or np.isclose(share, 0) else f"{share:.0%}"
