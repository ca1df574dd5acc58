"""What the rounds reached, held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.improve.deciding import Advice, Change, advise, change
from lgesynthnet.improve.misses import Findings
from lgesynthnet.improve.setup import TrainingSet
from lgesynthnet.segmenter.calibration import RATES
from lgesynthnet.segmenter.operating_points import least_area_mm2


@dataclass(frozen=True, kw_only=True)
class RoundResult:
    """A training set, scored on held-out patients.

    Attributes:
        samples: number of samples in it, over all rounds so far.
        slices: every slice of the training patients, scored by the segmenter that has not seen the patient.
        findings: what the segmenters miss and falsely call.
    """

    training_set: TrainingSet
    samples: int
    slices: Sequence[SliceScore]
    findings: Findings

    @property
    def least_area_mm2(self) -> float:
        return least_area_of(self.slices)


@dataclass(kw_only=True)
class LoopResult:
    """What came of the rounds.

    Attributes:
        rounds: round 0, which has no samples, and the rounds that were tried.
        chosen: number of the round whose samples the final segmenter learns from.
        stopped: why the loop stopped, as a sentence.
        control: the random prescriptions; None where they were not asked for.
    """

    rounds: list[RoundResult] = field(default_factory=list)
    chosen: int = 0
    stopped: str = ""
    control: RoundResult | None = None

    @property
    def best_with_samples(self) -> RoundResult | None:
        """The chosen round; where none gained, the one with samples that came nearest to it."""
        if self.chosen:
            return self.rounds[self.chosen]
        return self.rounds[1] if len(self.rounds) > 1 else None

    @property
    def change_by_loop(self) -> Change | None:
        """That round against the random prescriptions; None where there are none."""
        best = self.best_with_samples
        return None if best is None or self.control is None else change(best.slices, self.control.slices)

    @property
    def change(self) -> Change | None:
        """That round against no samples."""
        best = self.best_with_samples
        return None if best is None else change(best.slices, self.rounds[0].slices)

    @property
    def advice(self) -> Advice:
        best = self.best_with_samples
        return advise(self.change, 0 if best is None else best.samples)


def least_area_of(slices: Sequence[SliceScore]) -> float:
    """The expected area from which on scar is drawn, at which held-out slices have a false-positive rate of at most 0.10."""
    least = least_area_mm2(slices, RATES[0])
    if least is None:  # `require_enough` has seen to it that there are slices without scar
        raise ValueError("no slice is free of scar")
    return least
