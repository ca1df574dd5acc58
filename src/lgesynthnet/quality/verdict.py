"""The judge of one painted slice: is the scar that was asked for the scar that an independent reader sees?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.quality.appearance import measure_appearance
from lgesynthnet.records import Mask

DICE_ABOVE = 0.6  # the paper's filter: a sample is kept when Dice(intended, read) is above 0.6
STRAY_BELOW_MM2 = 25.0  # about a pea's cross-section; smaller islands are a reader's noise, not a scar that nobody asked for


class Reason(StrEnum):
    """Why a sample was kept or rejected; the first that holds, in this order."""

    KEPT = "kept"
    MISSED = "missed"
    INVISIBLE = "invisible"
    STRAY = "stray"
    INVENTED = "invented"
    WRONG_SEGMENT = "wrong-segment"
    EXTENT_OFF = "extent-off"
    IMPLAUSIBLE = "implausible-brightness"
    SPILLED = "spilled"
    SEAM = "seam"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a sample must keep to; a limit of None is not looked at.

    The limits are where 167 real slices with scar (EMIDEC `train`, their experts' masks, the shipped filter) nearly all pass: of those that
    pass the Dice, 98 in 100 lie within each. Spill and seam a real slice cannot have; these limits cut off the worst of the painted.

    Attributes:
        dice_above: Dice of intended and read scar.
        stray_below_mm2: where no scar is intended, area that may be read all the same.
        segments_from: Jaccard of the AHA segments that the two scars cover.
        extent_within: difference of their transmural extents.
        brightness: mean of the painted scar in heart units, the host's own remote wall at -0.5 and its blood at +0.5.
        spill_below_mm2, seam_below: see `Appearance`.
    """

    dice_above: float = DICE_ABOVE
    stray_below_mm2: float = STRAY_BELOW_MM2
    segments_from: float | None = 0.5
    extent_within: float | None = 0.35
    brightness: tuple[float, float] | None = (0.0, 1.9)
    spill_below_mm2: float | None = 50.0
    seam_below: float | None = 0.2

    @classmethod
    def published(cls, dice_above: float = DICE_ABOVE) -> Rules:
        """The paper's filter: Dice and nothing else."""
        return cls(dice_above=dice_above, segments_from=None, extent_within=None, brightness=None, spill_below_mm2=None, seam_below=None)


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
        segments: Jaccard of intended and read AHA segments; this and what follows is None where `judge` compared masks alone.
        extent_error: read minus intended transmural extent.
        brightness, spill_mm2, seam: see `Appearance`.
    """

    reason: Reason
    dice: float | None
    recall: float | None
    precision: float | None
    intended_mm2: float
    read_mm2: float
    stray_mm2: float
    threshold: float
    segments: float | None = None
    extent_error: float | None = None
    brightness: float | None = None
    spill_mm2: float | None = None
    seam: float | None = None

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
            case Reason.WRONG_SEGMENT:
                return f"rejected, wrong segment: {score}, but the AHA segments agree by {self.segments:.2f} only (Jaccard)"
            case Reason.EXTENT_OFF:
                return f"rejected, extent off: {score}, but the scar read is {abs(self.extent_error or 0):.0%} of the wall {self._deeper()}"
            case Reason.IMPLAUSIBLE:
                level = f"{self.brightness:.2f} heart units (remote wall -0.5, blood 0.5)"
                return f"rejected, implausible brightness: {score}, but the scar's mean is {level}"
            case Reason.SPILLED:
                return f"rejected, spilled: {score}, but {self.spill_mm2:.0f} mm² beyond the wall became bright"
            case Reason.SEAM:
                return f"rejected, seam: {score}, but the border of the repainted region is a step of {self.seam:.2f} heart units"

    def _deeper(self) -> str:
        return "deeper than asked" if (self.extent_error or 0) > 0 else "less deep than asked"


def inspect(sample: SyntheticSample, read: Mask, rules: Rules | None = None) -> Verdict:
    """Judge one painted slice by what an independent reader saw in it, and by what the picture itself shows.

    Args:
        read: (rows, cols) the reader's scar, no-reflow included.
    """
    rules = rules or Rules()
    host, frame = sample.host.slice_, sample.host.frame
    verdict = judge(
        sample.intended,
        read,
        host.spacing_mm,
        existing=host.scar,
        dice_above=rules.dice_above,
        stray_below_mm2=rules.stray_below_mm2,
    )
    if not sample.intended.any():
        return verdict
    wished, found = measure_scar(sample.intended, frame), measure_scar(read & ~(host.scar & ~sample.intended), frame)
    seen = measure_appearance(sample)
    verdict = replace(
        verdict,
        segments=len(wished.segments & found.segments) / max(len(wished.segments | found.segments), 1),
        extent_error=(found.transmurality or 0.0) - (wished.transmurality or 0.0),
        brightness=seen.brightness,
        spill_mm2=seen.spill_mm2,
        seam=seen.seam,
    )
    return replace(verdict, reason=_first_fault(verdict, rules)) if verdict.kept else verdict


def _first_fault(verdict: Verdict, rules: Rules) -> Reason:
    def beyond(value: float | None, low: float | None, high: float | None) -> bool:
        return value is not None and ((low is not None and value < low) or (high is not None and value > high))

    dim, bright = rules.brightness or (None, None)
    deep = rules.extent_within
    faults = {
        Reason.WRONG_SEGMENT: beyond(verdict.segments, rules.segments_from, None),
        Reason.EXTENT_OFF: deep is not None and beyond(verdict.extent_error, -deep, deep),
        Reason.IMPLAUSIBLE: beyond(verdict.brightness, dim, bright),
        Reason.SPILLED: beyond(verdict.spill_mm2, None, rules.spill_below_mm2),
        Reason.SEAM: beyond(verdict.seam, None, rules.seam_below),
    }
    return next((reason for reason, wrong in faults.items() if wrong), Reason.KEPT)


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
