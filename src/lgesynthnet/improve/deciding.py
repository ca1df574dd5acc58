"""Whether a round gained anything, and what to advise: both from paired comparisons on patients that no segmenter had seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lgesynthnet.evaluate.intervals import Interval, estimate
from lgesynthnet.evaluate.utility.metrics import AUC, Metric, at_rate, metrics_named
from lgesynthnet.evaluate.utility.paired import Resampling
from lgesynthnet.evaluate.utility.scores import RunScores, SliceScore, per_patient
from lgesynthnet.segmenter.calibration import RATES

SMALLEST_GAIN, LARGEST_LOSS = 0.02, 0.01
DICE_METRIC, AUC_METRIC = at_rate(RATES[0]), metrics_named([AUC])[0]
DICE_NAME, AUC_NAME = f"Dice of patients with scar at a false-positive rate of {RATES[0]:.2f}", "AUC of slices"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A paired change between two training sets, over the held-out patients.

    Attributes:
        dice: of patients with scar, at a matched false-positive rate of 0.10; None where it is not defined.
        auc: of slices.
        scarred: number of held-out patients with scar.
    """

    dice: Interval | None
    auc: Interval | None
    scarred: int

    @property
    def gain(self) -> Interval | None:
        """The change that is a gain: 0.02 or more of either, while the other is not lower by more than 0.01; None where there is none."""
        for mine, other in ((self.dice, self.auc), (self.auc, self.dice)):
            if mine is not None and mine.value >= SMALLEST_GAIN and (other is None or other.value >= -LARGEST_LOSS):
                return mine
        return None


class Verdict(StrEnum):
    """What to do with the samples."""

    USE = "use"
    CHECK = "use with care"
    LEAVE = "do not use"


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The advice, in one sentence."""

    verdict: Verdict
    sentence: str


def value(slices: Sequence[SliceScore], metric: Metric) -> Interval | None:
    """A metric over the held-out patients, with its interval."""
    patients = len(per_patient(slices))
    resampling = Resampling.of(patients, 1)
    return estimate(metric.compute(RunScores(slices=slices), resampling.patients), patients)


def change(slices: Sequence[SliceScore], reference: Sequence[SliceScore]) -> Change:
    """The first less the second, on the same bootstrap draws of the same patients.

    Raises:
        ValueError: the two are scores of different patients.
    """
    mine, theirs = per_patient(slices), per_patient(reference)
    if list(mine) != list(theirs):
        raise ValueError("both must be scores of the same patients")
    resampling = Resampling.of(len(mine), 1)

    def difference(metric: Metric) -> Interval | None:
        first, second = (metric.compute(RunScores(slices=each), resampling.patients) for each in (slices, reference))
        return estimate(first - second, len(mine))

    scarred = sum(any(row.has_scar for row in rows) for rows in mine.values())
    return Change(dice=difference(DICE_METRIC), auc=difference(AUC_METRIC), scarred=scarred)


def advise(best: Change | None, samples: int) -> Advice:
    """The advice, from the change of the best round with samples against none.

    Args:
        best: None where no round had any sample.
        samples: number of samples of that round's training set.
    """
    if best is None:
        return Advice(
            verdict=Verdict.LEAVE,
            sentence="Do not use samples: none was painted that the filter confirmed and the segmenter in training missed.",
        )
    told = f"with {samples} samples, {_told(DICE_NAME, best.dice)}, and {_told(AUC_NAME, best.auc)}, over {best.scarred} patients with scar"
    gain = best.gain
    if gain is None:
        return Advice(
            verdict=Verdict.LEAVE,
            sentence=f"Do not use the samples, because they did not help in patients that the segmenter had not seen: {told}, "
            f"where a gain is {SMALLEST_GAIN:+g} of either while the other does not fall by more than {LARGEST_LOSS:g}.",
        )
    if gain.low <= 0:
        return Advice(
            verdict=Verdict.CHECK,
            sentence=f"Use the samples, but test them on patients of your own first, because the gain may be chance: {told}; "
            "an interval that includes 0 is no proof.",
        )
    return Advice(verdict=Verdict.USE, sentence=f"Use the samples, because they help in patients that the segmenter had not seen: {told}.")


def _told(name: str, interval: Interval | None) -> str:
    if interval is None:
        return f"the {name} is not defined"
    return f"the {name} changes by {interval.value:+.3f} (95 % interval {interval.low:+.3f} to {interval.high:+.3f})"
