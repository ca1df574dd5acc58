"""A utility experiment: its settings, patients, pools and folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.benchmark.utility.arms import ARMS
from lgesynthnet.benchmark.utility.plan import Run, UtilityPlan, plan_experiment
from lgesynthnet.benchmark.utility.pools import SamplePools
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.terms import Baseline
from lgesynthnet.train.examples.slices import SliceDataset, slice_dataset
from lgesynthnet.train.recipes import StageRecipe
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM
from lgesynthnet.train.segmenters.published import PUBLISHED

RECORD = "record.json"


class _Folds(BaseModel):
    """The number of folds over the training patients that a finished run has."""

    folds: int = 0


@dataclass(frozen=True, kw_only=True)
class UtilityExperiment:
    """One experiment on one cohort, in one folder.

    Attributes:
        unchecked: accept models without a record of their training patients.
        first: the model that holds the first weights of `phantom-first`.
        prepared: folder of the training patients' prepared slices; None for `OUT/prepared`.
    """

    pools: SamplePools
    settings: ExperimentSettings
    unchecked: bool = False
    first: Path = Path("phantom")
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
    def loop(self) -> StageRecipe:
        """The training loop of every segmenter."""
        recipes = PUBLISHED if self.settings.baseline is Baseline.PUBLISHED else DOWNSTREAM
        loop = recipes[self.settings.recipe].loop
        return loop if self.settings.steps is None else replace(loop, steps=self.settings.steps)

    @property
    def real_slices_path(self) -> Path:
        """File of the training patients' prepared slices."""
        return (self.prepared or self.out / "prepared") / "real.safetensors"

    def check(self) -> None:
        """Check the settings before anything is trained or painted.

        Raises:
            RunError: the recipe is unknown, or the published segmenter has no such arm.
            InputError: a part of the splits is missing or empty, or the training patients are tested.
        """
        if self.settings.recipe not in DOWNSTREAM:
            raise RunError(f"--downstream-recipe {self.settings.recipe}: unknown; choose one of {', '.join(DOWNSTREAM)}")
        if self.settings.baseline is Baseline.PUBLISHED:
            only = [arm for arm in self.settings.arms if ARMS[arm].origin or ARMS[arm].phantom_first]
            if only:
                raise RunError(
                    f"--arm {only[0]}: the published segmenter has no origin channel and starts from random weights; choose "
                    + " and ".join(arm for arm, about in ARMS.items() if not (about.origin or about.phantom_first))
                )
        for part in ("train", *self.settings.tested):
            if part not in self.splits or not self.splits[part]:
                raise InputError(
                    f"--splits: there is no part {part}, or it is empty (the file has {', '.join(self.splits)}); "
                    "add it to the file, or choose other parts with --tested"
                )
        if "train" in self.settings.tested:
            raise InputError("--tested: the part train cannot be tested, because segmenters are trained on it")

    def real_slices(self) -> SliceDataset:
        """The training patients' slices, prepared on the first call."""
        return slice_dataset(self.pools.methods.cohort, self.real_slices_path, patients=self.splits["train"])

    def plan(self) -> UtilityPlan:
        """All pools and runs of the experiment."""
        real = self.real_slices()
        scarred = {name: bool(real.scarred[[patient == name for patient in real.patients]].any()) for name in self.splits["train"]}
        return plan_experiment(self.settings, self.splits["train"], scarred)

    def record_path(self, run: Run) -> Path:
        """File with the scores of a run; it exists once the run is trained and tested."""
        return self.folder / "runs" / run.name / RECORD

    def is_finished(self, run: Run) -> bool:
        """Whether a run is trained and tested, and has the wanted folds over its training patients."""
        path = self.record_path(run)
        return path.is_file() and self.settings.folds in (0, read_record(path, _Folds).folds)
