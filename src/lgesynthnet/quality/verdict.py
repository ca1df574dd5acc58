"""The verdict on one synthetic slice: does an independent scar segmenter (the filter) find the scar that was prescribed?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import ndimage

from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.overlap import dice, dice_within
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.quality.appearance import measure_appearance
from lgesynthnet.records import Mask
from lgesynthnet.terms import DICE_ABOVE

STRAY_BELOW_MM2 = 25.0  # about a pea's cross-section; smaller islands are noise of the filter
# How far from the host's own scar the filter may find more of it. Of 155 slices with scar (EMIDEC `train`, their experts' masks, the two
# shipped filters), 25 mm² or more lie further away in 12 and 14 of 100; without a rim in 81 and 79.
OWN_RIM_MM = 5.0
# A line of two or three pixels that is read one pixel beside its place has a Dice of a half. So scars of these patterns are compared with
# a tolerance: one pixel, and at least this much. Infarcts are not.
THIN_PATTERNS = frozenset({Pattern.MID_WALL, Pattern.SUBEPICARDIAL, Pattern.PATCHY, Pattern.RV_INSERTION})
THIN_WITHIN_MM = 1.5
# In 95 of 100 slices with no-reflow (55 of EMIDEC `train`), the core is darker than the scar round it by at least this, in heart units.
CORE_DARKER_BY = 0.14
# 351 stretches of wall as a scar of the ischaemic prior would cover them, in scar-free slices (EMIDEC `train`), against the wall away from
# them: 1st and 99th percentile.
HEALED_BRIGHTNESS, HEALED_GRAIN = (-0.68, 0.47), (0.68, 1.47)


class Reason(StrEnum):
    """Why a sample was kept or rejected. The reasons are checked in this order, and the first one that applies is given."""

    KEPT = "kept"
    MISSED = "missed"
    INVISIBLE = "invisible"
    STRAY = "stray"
    NOT_REMOVED = "not-removed"
    INVENTED = "invented"
    WRONG_SEGMENT = "wrong-segment"
    EXTENT_OFF = "extent-off"
    IMPLAUSIBLE = "implausible-brightness"
    SPILLED = "spilled"
    SEAM = "seam"
    BRIGHT_CORE = "bright-core"
    UNLIKE_WALL = "unlike-wall"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The limits that a kept sample must respect; a limit of None is not checked.

    Nearly all real slices respect them. Of 167 slices with scar (EMIDEC `train`, their experts' masks, the shipped filter), those that
    pass the Dice respect each of the other limits in 98 of 100 cases. A real slice has neither spill nor seam; the limits for these
    reject the worst synthetic slices.

    Attributes:
        dice_above: the Dice of the prescribed and the found scar must be above it.
        sensitive: whether doubtful scar counts as found where a scar is prescribed, see `segmenter.base.ScarSegmenter.read`.
        thin_within_mm: tolerance of that Dice for scars that are no infarcts, at least one pixel, see `THIN_PATTERNS`.
        stray_below_mm2: where no scar is prescribed, the area found must be below it.
        segments_from: least Jaccard index of the AHA segments of the two scars.
        extent_within: largest absolute difference of their transmural extents, 0 to 1; of infarcts, because other scars do not begin at the
            endocardium, and their depth is in the Dice.
        brightness: lowest and highest mean brightness of the scar in heart units (the host's remote wall at -0.5, its blood at +0.5).
        spill_below_mm2, seam_below: largest spill and seam, see `Appearance`.
        core_darker_by: how much darker than the scar round it a no-reflow core must be, heart units.
        left_below_mm2: where scar was removed, the area found must be below it.
        healed_brightness, healed_grain: lowest and highest difference and ratio to the untouched wall, see `Appearance`.
    """

    dice_above: float = DICE_ABOVE
    sensitive: bool = True
    thin_within_mm: float | None = THIN_WITHIN_MM
    stray_below_mm2: float = STRAY_BELOW_MM2
    segments_from: float | None = 0.5
    extent_within: float | None = 0.35
    brightness: tuple[float, float] | None = (0.0, 1.9)
    spill_below_mm2: float | None = 50.0
    seam_below: float | None = 0.2
    core_darker_by: float | None = CORE_DARKER_BY
    left_below_mm2: float = STRAY_BELOW_MM2
    healed_brightness: tuple[float, float] | None = HEALED_BRIGHTNESS
    healed_grain: tuple[float, float] | None = HEALED_GRAIN

    @classmethod
    def published(cls, dice_above: float = DICE_ABOVE) -> Rules:
        """The paper's filter: the Dice coefficient, or the area that is found where none is prescribed, and nothing else."""
        return cls(
            dice_above=dice_above,
            sensitive=False,
            thin_within_mm=None,
            segments_from=None,
            extent_within=None,
            brightness=None,
            spill_below_mm2=None,
            seam_below=None,
            core_darker_by=None,
            healed_brightness=None,
            healed_grain=None,
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one sample. "Read" is what the filter found.

    Attributes:
        reason: kept, or what was wrong.
        dice: Dice coefficient of the prescribed and the found scar, 0 to 1; None where both are empty.
        dice_within: the same with the tolerance for scars that are no infarcts, which then decides; None without tolerance.
        recall: share of the prescribed scar that was found; None where none was prescribed.
        precision: share of the found scar that was prescribed; None where none was found.
        intended_mm2, read_mm2: areas of the prescribed and of the found scar.
        stray_mm2: area of the found scar outside the prescribed scar.
        threshold: the Dice that had to be exceeded.
        segments: Jaccard index of the AHA segments of both scars; None, as all that follows, where `judge` compared masks alone.
        extent_error: transmural extent found less that prescribed.
        brightness, spill_mm2, seam: see `Appearance`.
        left_mm2: area of the found scar where scar was removed; None where none was.
        core_contrast, healed_brightness, healed_grain: see `Appearance`.
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
    left_mm2: float | None = None
    core_contrast: float | None = None
    healed_brightness: float | None = None
    healed_grain: float | None = None
    dice_within: float | None = None

    @property
    def kept(self) -> bool:
        return self.reason is Reason.KEPT

    def explain(self) -> str:
        """One sentence with the numbers that decided."""
        dice = f"Dice {self.dice:.2f}" if self.dice is not None else "no scar was prescribed and none was found"
        if self.dice_within is not None:
            dice = f"Dice with one pixel of tolerance {self.dice_within:.2f}"
        share = f"the filter found {_percent(self.recall)} of the {self.intended_mm2:.0f} mm² prescribed"
        match self.reason:
            case Reason.KEPT if self.dice is None:
                return f"kept: {dice}"
            case Reason.KEPT if self.recall is None:
                return f"kept: no scar was prescribed, and the {self.stray_mm2:.0f} mm² that the filter found are within the tolerance"
            case Reason.KEPT:
                return f"kept: {dice} is above {self.threshold:g}; {share} and {self.stray_mm2:.0f} mm² elsewhere"
            case Reason.INVISIBLE:
                return f"rejected, invisible: the filter found no scar where {self.intended_mm2:.0f} mm² were prescribed"
            case Reason.STRAY:
                outside = f"{self.stray_mm2:.0f} mm² outside the prescribed scar"
                return f"rejected, stray: {dice} is not above {self.threshold:g}; the filter found {outside}"
            case Reason.MISSED:
                return f"rejected, missed: {dice} is not above {self.threshold:g}; {share}"
            case Reason.INVENTED:
                return f"rejected, invented: no scar was prescribed, but the filter found {self.stray_mm2:.0f} mm²"
            case _:
                found = f"{dice}, but " if self.recall is not None else ""
                return f"rejected, {self.reason.replace('-', ' ')}: {found}{self._fault()}"

    def _fault(self) -> str:
        """What a sample with a sufficient Dice was rejected for."""
        match self.reason:
            case Reason.WRONG_SEGMENT:
                return f"the AHA segments found and prescribed have a Jaccard index of only {self.segments:.2f}"
            case Reason.EXTENT_OFF:
                deeper = "deeper" if (self.extent_error or 0) > 0 else "less deep"
                return f"the scar found is {deeper} than prescribed, by {abs(self.extent_error or 0):.0%} of the wall thickness"
            case Reason.IMPLAUSIBLE:
                return f"the mean brightness of the scar is {self.brightness:.2f} heart units (remote wall -0.5, blood 0.5)"
            case Reason.SPILLED:
                return f"{self.spill_mm2:.0f} mm² beyond the outer border of the wall became bright"
            case Reason.SEAM:
                return f"there is a step of {self.seam:.2f} heart units at the border of the hidden region"
            case Reason.BRIGHT_CORE:
                return f"the no-reflow core is {-(self.core_contrast or 0.0):+.2f} heart units darker than the scar round it"
            case Reason.NOT_REMOVED:
                return f"the filter still finds {self.left_mm2:.0f} mm² of the scar that was removed"
            case Reason.UNLIKE_WALL:
                brighter, noise = self.healed_brightness or 0.0, self.healed_grain or 1.0
                return f"the healed wall is {brighter:+.2f} heart units brighter than other wall, and its noise {noise:.2f} times as strong"
            case _:
                raise ValueError(f"{self.reason} is decided by the Dice coefficient alone")


def inspect(sample: SyntheticSample, read: Mask, rules: Rules | None = None, *, left: Mask | None = None) -> Verdict:
    """Judge one synthetic slice by the scar that the filter found in it, and by its appearance.

    Args:
        read: (rows, cols) the scar that the filter found, no-reflow included.
        rules: None takes the default limits.
        left: the scar that counts where scar was removed; None takes `read`.
    """
    rules, frame = _rules_for(sample, rules or Rules()), sample.host.frame
    read = without_own(read, sample.kept_scar, sample.intended, frame.spacing_mm)
    verdict = judge(
        sample.intended,
        read,
        frame.spacing_mm,
        dice_above=rules.dice_above,
        stray_below_mm2=rules.stray_below_mm2,
        within_mm=None if rules.thin_within_mm is None else max(rules.thin_within_mm, *frame.spacing_mm),
    )
    appearance = measure_appearance(sample)
    verdict = replace(
        verdict,
        spill_mm2=appearance.spill_mm2,
        seam=appearance.seam,
        core_contrast=appearance.core_contrast,
        healed_brightness=appearance.healed_brightness,
        healed_grain=appearance.healed_grain,
    )
    if sample.removed.any():
        remains = (read if left is None else left) & sample.removed & ~sample.intended
        verdict = replace(verdict, left_mm2=float(remains.sum() * frame.pixel_mm2))
    if sample.intended.any():
        prescribed, found = measure_scar(sample.intended, frame), measure_scar(read, frame)
        verdict = replace(
            verdict,
            segments=len(prescribed.segments & found.segments) / max(len(prescribed.segments | found.segments), 1),
            extent_error=(found.transmurality or 0.0) - (prescribed.transmurality or 0.0),
            brightness=appearance.brightness,
        )
    return replace(verdict, reason=_first_fault(verdict, rules)) if verdict.kept or verdict.reason is Reason.INVENTED else verdict


def _rules_for(sample: SyntheticSample, rules: Rules) -> Rules:
    """The rules without those that are not for this pattern: the tolerance is for thin scars, the depth for all others."""
    prescription = sample.prescription
    if isinstance(prescription, ScarPrescription) and prescription.pattern in THIN_PATTERNS:
        return replace(rules, extent_within=None)
    return replace(rules, thin_within_mm=None)


def without_own(read: Mask, own: Mask, prescribed: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """The scar that was found, less the host's own that is still there, with a rim; what is prescribed is never left out.

    A reader seldom draws a scar exactly as its label, and what it adds round the host's own says nothing about the sample.

    Args:
        own: (rows, cols) scar of the host that was neither removed nor prescribed.
        spacing_mm: pixel size as (row, column).
    """
    if not own.any():
        return read
    beside = ndimage.distance_transform_edt(~own, sampling=spacing_mm) <= OWN_RIM_MM
    return np.asarray(read & (~beside | prescribed))


def _first_fault(verdict: Verdict, rules: Rules) -> Reason:
    def outside(value: float | None, low: float | None, high: float | None) -> bool:
        return value is not None and ((low is not None and value < low) or (high is not None and value > high))

    darkest, brightest = rules.brightness or (None, None)
    extent = rules.extent_within
    faults = {
        Reason.NOT_REMOVED: verdict.left_mm2 is not None and verdict.left_mm2 >= rules.left_below_mm2,
        Reason.INVENTED: verdict.reason is Reason.INVENTED,
        Reason.WRONG_SEGMENT: outside(verdict.segments, rules.segments_from, None),
        Reason.EXTENT_OFF: extent is not None and outside(verdict.extent_error, -extent, extent),
        Reason.IMPLAUSIBLE: outside(verdict.brightness, darkest, brightest),
        Reason.SPILLED: outside(verdict.spill_mm2, None, rules.spill_below_mm2),
        Reason.SEAM: outside(verdict.seam, None, rules.seam_below),
        Reason.BRIGHT_CORE: rules.core_darker_by is not None and outside(verdict.core_contrast, None, -rules.core_darker_by),
        Reason.UNLIKE_WALL: outside(verdict.healed_brightness, *(rules.healed_brightness or (None, None)))
        or outside(verdict.healed_grain, *(rules.healed_grain or (None, None))),
    }
    return next((reason for reason, present in faults.items() if present), Reason.KEPT)


def judge(
    intended: Mask,
    read: Mask,
    spacing_mm: tuple[float, float],
    *,
    dice_above: float = DICE_ABOVE,
    stray_below_mm2: float = STRAY_BELOW_MM2,
    within_mm: float | None = None,
) -> Verdict:
    """Compare the prescribed scar with the scar that the filter found.

    Where a scar is prescribed, the Dice coefficient alone decides, and must be above `dice_above`; the reasons distinguish how it failed.
    Where none is prescribed, the area found must be below `stray_below_mm2`.

    Args:
        intended, read: (rows, cols) the prescribed and the found scar, no-reflow included.
        spacing_mm: pixel size as (row, column).
        within_mm: tolerance of the Dice that decides; None for none.
    """
    pixel_mm2 = spacing_mm[0] * spacing_mm[1]
    intended_pixels, read_pixels, common = int(intended.sum()), int(read.sum()), int((intended & read).sum())
    verdict = Verdict(
        reason=Reason.KEPT,
        dice=dice(intended, read),
        recall=common / intended_pixels if intended_pixels else None,
        precision=common / read_pixels if read_pixels else None,
        intended_mm2=intended_pixels * pixel_mm2,
        read_mm2=read_pixels * pixel_mm2,
        stray_mm2=(read_pixels - common) * pixel_mm2,
        threshold=dice_above,
        dice_within=None if within_mm is None else dice_within(intended, read, within_mm, spacing_mm),
    )
    return replace(verdict, reason=_overlap_reason(verdict, stray_below_mm2, too_large=read_pixels > intended_pixels))


def _overlap_reason(verdict: Verdict, stray_below_mm2: float, *, too_large: bool) -> Reason:
    if verdict.recall is None:
        return Reason.KEPT if verdict.stray_mm2 < stray_below_mm2 else Reason.INVENTED
    deciding = verdict.dice if verdict.dice_within is None else verdict.dice_within
    if deciding is not None and deciding > verdict.threshold:
        return Reason.KEPT
    if verdict.precision is None:
        return Reason.INVISIBLE
    return Reason.STRAY if too_large and verdict.stray_mm2 >= stray_below_mm2 else Reason.MISSED


def _percent(share: float | None) -> str:
    return "nothing" if share is None or np.isclose(share, 0) else f"{share:.0%}"
