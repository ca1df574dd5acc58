"""A utility experiment: its settings, patients, pools and folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet.benchmark.utility.plan import Run, UtilityPlan, plan_experiment
from lgesynthnet.benchmark.utility.pools import SamplePools
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.train.examples.slices import SliceDataset, slice_dataset
from lgesynthnet.train.segmenters.published import DOWNSTREAM, DownstreamRecipe

RECORD = "record.json"


@dataclass(frozen=True, kw_only=True)
class UtilityExperiment:
    """One experiment on one cohort, in one folder.

    Attributes:
        unchecked: accept models without a record of their training patients.
        prepared: folder of the training patients' prepared slices; None for `OUT/prepared`.
    """

    pools: SamplePools
    settings: ExperimentSettings
    unchecked: bool = False
    prepared: Path | None = None

    @property
    def out(self) -> Path:
        return self.pools.out

    @property
    def folder(self) -> Path:
        """Folder of the runs and tables of this variant."""
        return self.out / self.settings.variant

    @property
    def splits(self) -> Mapping[str, list[str]]:
        return self.pools.methods.splits

    @property
    def tested(self) -> list[str]:
        """Names of the patients to test on."""
        return [name for part in self.settings.tested for name in self.splits[part]]

    @property
    def recipe(self) -> DownstreamRecipe:
        """How a segmenter is trained."""
        recipe = DOWNSTREAM[self.settings.downstream]
        return recipe if self.settings.steps is None else replace(recipe, loop=replace(recipe.loop, steps=self.settings.steps))

    @property
    def init(self) -> str | None:
        """First weights of every segmenter."""
        return self.settings.init or self.recipe.init

    @property
    def real_slices_path(self) -> Path:
        """File of the training patients' prepared slices."""
        return (self.prepared or self.out / "prepared") / "real.safetensors"

    def check(self) -> None:
        """Check the settings before anything is trained or painted.

        Raises:
            RunError: the downstream segmenter is unknown.
            InputError: a part of the splits is missing or empty, or a part is used for training and for testing.
        """
        if self.settings.downstream not in DOWNSTREAM:
            raise RunError(f"--downstream {self.settings.downstream}: unknown; choose one of {', '.join(DOWNSTREAM)}")
        for part in ("train", "val", *self.settings.tested):
            if part not in self.splits or not self.splits[part]:
                raise InputError(
                    f"--splits: there is no part {part}, or it is empty (the file has {', '.join(self.splits)}); "
                    "add it to the file, or choose other parts with --tested"
                )
        if {"train", "val"} & set(self.settings.tested):
            raise InputError(
                "--tested: the parts train and val cannot be tested, because segmenters are trained on train and thresholds are set on val"
            )

    def real_slices(self) -> SliceDataset:
        """The training patients' slices, prepared on the first call."""
        return slice_dataset(self.pools.methods.cohort, self.real_slices_path, patients=self.splits["train"])

    def plan(self) -> UtilityPlan:
        """All pools and runs of the experiment."""
        real = self.real_slices()
        scarred = {name: bool(real.scarred[[patient == name for patient in real.patients]].any()) for name in self.splits["train"]}
        return plan_experiment(self.settings, self.splits["train"], scarred)

    def record_path(self, run: Run) -> Path:
        """File with the scores of a run; it exists once the run is finished."""
        settings = self.settings if run.size else self.settings.without_samples
        return self.out / settings.variant / "runs" / run.name / RECORD

    def is_finished(self, run: Run) -> bool:
        return self.record_path(run).is_file()
