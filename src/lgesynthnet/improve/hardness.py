"""Which of the samples that the filter kept are hard: the segmenter in training, which does not know the answer, does not find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.errors import InputError
from lgesynthnet.improve.misses import called_scar
from lgesynthnet.overlap import dice
from lgesynthnet.records import Stack
from lgesynthnet.run.sample_row import EASY
from lgesynthnet.segmenter.downstream import DownstreamSegmenter
from lgesynthnet.synthesis.selecting import Choice


@dataclass(frozen=True, kw_only=True)
class HardSelector:
    """Keeps a sample where the segmenter of its host's fold, which has not met the host's patient, finds it with too low a Dice.

    Attributes:
        segmenters: one for each fold, at the operating point of the round.
        fold_of: patient -> the fold that holds the patient out.
        below: the Dice below which a sample is hard.
    """

    segmenters: Sequence[DownstreamSegmenter]
    fold_of: Mapping[str, int]
    below: float

    @property
    def fingerprint(self) -> str:
        segmenters = " ".join(f"{segmenter.fingerprint} from {segmenter.least_area_mm2:g} mm2 on" for segmenter in self.segmenters)
        return f"hard: Dice below {self.below:g} of {segmenters}"

    def choose(self, sample: SyntheticSample) -> Choice:
        host = sample.host.slice_
        stack = Stack(
            patient=host.patient,
            image=sample.image[:, :, None],
            labels=sample.labels[:, :, None],
            spacing_mm=host.spacing_mm,
            slice_step_mm=0.0,
        )
        try:
            called = called_scar(self.segmenters[self.fold_of[host.patient]], stack)[:, :, 0]
        except InputError:
            return Choice(
                wanted=False, reason=EASY, why="the segmenter in training finds no heart in the slice, which says nothing of the scar"
            )
        found = dice(np.asarray(called), sample.intended) or 0.0
        told = f"the segmenter in training finds it with Dice {found:.2f}"
        if found < self.below:
            return Choice(wanted=True, reason="hard", why=f"hard: {told}, below {self.below:g}")
        return Choice(wanted=False, reason=EASY, why=f"{told}, not below {self.below:g}")
