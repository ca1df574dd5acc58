"""An experiment with everything that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet.benchmark.utility.plan import ExperimentSettings, Run, UtilityPlan, plan
from lgesynthnet.benchmark.utility.pools import SamplePools
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.train.examples.slices import SliceDataset, slice_dataset
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamRecipe

REAL, RECORD = "real", "record.json"


@dataclass(frozen=True, kw_only=True)
class UtilityExperiment:
    """One experiment on one data set, in one folder.

    Attributes:
        unchecked: go on where a model does not say which patients it learnt from.
    """

    shelf: SamplePools
    experiment: ExperimentSettings
    unchecked: bool = False

    @property
    def out(self) -> Path:
        return self.shelf.out

    @property
    def folder(self) -> Path:
        """Runs and tables of this way of training."""
        return self.out / self.experiment.variant

    @property
    def splits(self) -> Mapping[str, list[str]]:
        return self.shelf.workshop.splits

    @property
    def tested(self) -> list[str]:
        return [name for part in self.experiment.tested for name in self.splits[part]]

    @property
    def recipe(self) -> DownstreamRecipe:
        recipe = DOWNSTREAM[self.experiment.downstream]
        return recipe if self.experiment.steps is None else replace(recipe, loop=replace(recipe.loop, steps=self.experiment.steps))

    @property
    def init(self) -> str | None:
        """First weights of every segmenter."""
        return self.experiment.init or self.recipe.init

    def check(self) -> None:
        """See that parts are there and apart, before anything is painted.

        Raises:
            RunError: an unknown downstream segmenter.
            InputError: a part is missing, or is trained on and tested.
        """
        if self.experiment.downstream not in DOWNSTREAM:
            raise RunError(f"--downstream {self.experiment.downstream}: known are {', '.join(DOWNSTREAM)}")
        for part in ("train", "val", *self.experiment.tested):
            if part not in self.splits or not self.splits[part]:
                raise InputError(f"the splits have no part {part}; they have {', '.join(self.splits)}")
        if {"train", "val"} & set(self.experiment.tested):
            raise InputError("train and val cannot be tested: the first is learnt from, the second sets the thresholds")

    def real(self) -> SliceDataset:
        """The training patients' slices."""
        return slice_dataset(self.shelf.workshop.cohort, self.out / "prepared" / f"{REAL}.safetensors", patients=self.splits["train"])

    def plan(self) -> UtilityPlan:
        real = self.real()
        scarred = {name: bool(real.scarred[[who == name for who in real.patients]].any()) for name in self.splits["train"]}
        return plan(self.experiment, self.splits["train"], scarred)

    def record_of(self, run: Run) -> Path:
        experiment = self.experiment if run.size else self.experiment.without_samples
        return self.out / experiment.variant / "runs" / run.name / RECORD

    def done(self, run: Run) -> bool:
        return self.record_of(run).is_file()
