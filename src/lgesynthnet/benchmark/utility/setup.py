"""A utility experiment: its settings, patients, pools and folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.benchmark.utility.arms import ARMS
from lgesynthnet.benchmark.utility.plan import Run, UtilityPlan, plan_experiment
from lgesynthnet.benchmark.utility.pools import SamplePools
from lgesynthnet.benchmark.utility.questions.remade import DEVIATIONS, VERSION, remade_stacks
from lgesynthnet.benchmark.utility.questions.strata import read_strata, sort_slices, write_strata
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.model_store import exists, fingerprint, part_folder
from lgesynthnet.records import Stack
from lgesynthnet.segmenter.downstream import ROLE, first_weights_part
from lgesynthnet.terms import Baseline, Question, WallFrom
from lgesynthnet.train.examples.slices import SliceDataset, slice_dataset, write_slice_dataset
from lgesynthnet.train.recipes import StageRecipe
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM
from lgesynthnet.train.segmenters.published import PUBLISHED

RECORD = "record.json"


class _Finished(BaseModel):
    """What a finished run has.

    Attributes:
        folds: number of folds over its training patients.
    """

    folds: int = 0
    slices: list[SliceScore]

    @property
    def has_no_reflow(self) -> bool:
        """Whether no-reflow was scored by itself; earlier versions did not."""
        return all(row.no_reflow_mm2 is not None for row in self.slices)


@dataclass(frozen=True, kw_only=True)
class UtilityExperiment:
    """One experiment on one cohort, in one folder.

    Attributes:
        unchecked: accept models without a record of their training patients.
        first: the model that holds the first weights of `phantom-first`.
        rescore: test finished segmenters again where their records lack scores that this version has.
        prepared: folder of the training patients' prepared slices; None for `OUT/prepared`.
    """

    pools: SamplePools
    settings: ExperimentSettings
    unchecked: bool = False
    first: Path = Path("phantom")
    rescore: bool = False
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
        """Names of the patients to test on; in a cross-validation all patients."""
        if self.settings.cross_validate:
            return self.trained_on
        return [name for part in self.settings.tested for name in self.splits[part]]

    @property
    def trained_on(self) -> list[str]:
        """Names of the patients to train on: those of the part train, in a cross-validation those of all parts."""
        if self.settings.cross_validate:
            return sorted({name for part in self.splits.values() for name in part})
        return self.splits["train"]

    def tested_in(self, run: Run) -> list[str]:
        """Names of the patients to test one run on."""
        return self.tested if run.fold is None else list(run.tested)

    @property
    def loop(self) -> StageRecipe:
        """The training loop of every segmenter."""
        recipes = PUBLISHED if self.settings.baseline is Baseline.PUBLISHED else DOWNSTREAM
        loop = recipes[self.settings.recipe].loop
        return loop if self.settings.steps is None else replace(loop, steps=self.settings.steps)

    @property
    def first_weights(self) -> str | None:
        """Fingerprint of the weights that `phantom-first` starts from; None where `first` holds none for this segmenter."""
        if self.settings.baseline is Baseline.PUBLISHED:
            return None
        folder = part_folder(self.first, first_weights_part(WallFrom(self.settings.baseline.value)))
        return fingerprint(folder, role=ROLE) if exists(folder / "config.json") else None

    @property
    def training_settings(self) -> dict[str, Any]:
        """Everything that a run depends on, beside its arm, its patients and the samples."""
        parts = self.splits if self.settings.cross_validate else ("train", *self.settings.tested)
        patients = {part: sorted(self.splits[part]) for part in parts}
        return self.settings.training | {"first_weights": self.first_weights, "patients": patients}

    @property
    def real_slices_path(self) -> Path:
        """File of the training patients' prepared slices."""
        return self._prepared("real")

    @property
    def remade_slices_path(self) -> Path:
        """The same slices with labels that a threshold has made."""
        return self._prepared(f"real-remade-{VERSION}")

    def _prepared(self, name: str) -> Path:
        of_all = "-all-patients" if self.settings.cross_validate else ""
        return (self.prepared or self.out / "prepared") / f"{name}{of_all}.safetensors"

    def check(self) -> None:
        """Check the settings before anything is trained or painted.

        Raises:
            RunError: the recipe is unknown, or the published segmenter has no such arm or answers no such question.
            InputError: a part of the splits is missing or empty, or the training patients are tested.
        """
        if self.settings.recipe not in DOWNSTREAM:
            raise RunError(f"--downstream-recipe {self.settings.recipe}: unknown; choose one of {', '.join(DOWNSTREAM)}")
        if self.settings.baseline is Baseline.PUBLISHED:
            if self.settings.asks(Question.STRATA):
                raise RunError(
                    "--regime strata: starts from phantom first weights, which the published segmenter has not; use --baseline crop"
                )
            only = [arm for arm in self.settings.arms if ARMS[arm].marks_samples or ARMS[arm].phantom_first]
            if only:
                raise RunError(
                    f"--arm {only[0]}: the published segmenter has no origin channel and starts from random weights; choose "
                    + " and ".join(arm for arm, about in ARMS.items() if not (about.marks_samples or about.phantom_first))
                )
        for part in ("train", *(() if self.settings.cross_validate else self.settings.tested)):
            if part not in self.splits or not self.splits[part]:
                raise InputError(
                    f"--splits: there is no part {part}, or it is empty (the file has {', '.join(self.splits)}); "
                    "add it to the file, or choose other parts with --tested"
                )
        if "train" in self.settings.tested and not self.settings.cross_validate:
            raise InputError("--tested: the part train cannot be tested, because segmenters are trained on it")

    def real_slices(self) -> SliceDataset:
        """The training patients' slices, prepared on the first call."""
        return slice_dataset(self.pools.methods.cohort, self.real_slices_path, patients=self.trained_on)

    def prepare_questions(self) -> None:
        """Make what the questions beside `few` need, where it is not there yet: the kinds of scar, and labels by a threshold."""
        cohort = self.pools.methods.cohort
        if self.settings.asks(Question.STRATA) and read_strata(self.folder) is None:
            names = list(dict.fromkeys([*self.trained_on, *self.tested]))
            write_strata(sort_slices((cohort.stack(name) for name in names), self.trained_on), self.folder)
        if self.settings.asks(Question.LABELS) and not self.remade_slices_path.is_file():
            # In the order of `slice_dataset`, so that the same seed draws the same slices with both kinds of labels.
            chosen = (stack for stack in cohort.stacks() if isinstance(stack, Stack) and stack.patient in self.trained_on)
            stacks = remade_stacks(chosen)
            source = f"{cohort.root}: labels remade by {DEVIATIONS} standard deviations"
            write_slice_dataset(stacks, self.remade_slices_path, source=source, place=str(cohort.root))

    def plan(self) -> UtilityPlan:
        """All pools and runs of the experiment."""
        has_scar = self.real_slices().has_scar
        return plan_experiment(self.settings, self.trained_on, {name: has_scar.get(name, False) for name in self.trained_on})

    def record_path(self, run: Run) -> Path:
        """File with the scores of a run; it exists once the run is trained and tested."""
        return self.folder / "runs" / run.name / RECORD

    def is_finished(self, run: Run) -> bool:
        """Whether a run is trained and tested, with every score, and has the wanted folds over its training patients."""
        path = self.record_path(run)
        if not path.is_file():
            return False
        return not self.lacks_scores(run) and self.settings.folds in (0, read_record(path, _Finished).folds)

    def lacks_scores(self, run: Run) -> bool:
        """Whether a finished run is to be tested again, for scores that its record lacks."""
        return self.rescore and not read_record(self.record_path(run), _Finished).has_no_reflow
