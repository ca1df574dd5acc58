"""Collects the scores of finished runs and compares groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.benchmark.utility.plan import TrainingSet
from lgesynthnet.benchmark.utility.setup import RECORD, UtilityExperiment
from lgesynthnet.errors import InputError
from lgesynthnet.evaluate.intervals import Interval, estimate
from lgesynthnet.evaluate.utility.metrics import Metric
from lgesynthnet.evaluate.utility.paired import Resampling, at_matched_false_positive_rate
from lgesynthnet.evaluate.utility.scores import RunScores, SliceScore, per_patient
from lgesynthnet.terms import Arm


class StoredRun(BaseModel):
    """The record of a run, as far as it is read back."""

    arm: Arm
    size: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]
    patient_count: int | None
    slices: list[SliceScore]
    slice_cut_mm2: float
    patient_cut_ml: float


@dataclass(frozen=True, kw_only=True)
class FinishedRun(TrainingSet):
    """One finished run."""

    seed: int
    name: str
    scores: RunScores


@dataclass(frozen=True, kw_only=True)
class RunGroup(TrainingSet):
    """The runs of one training set, one for each seed."""

    scores: tuple[RunScores, ...]

    @property
    def slice_count(self) -> int:
        """Number of test slices."""
        return len(self.scores[0].slices)


@dataclass(frozen=True, kw_only=True)
class ExperimentResults:
    """All groups whose runs are finished for every seed. Groups with all training patients come first.

    Attributes:
        resampling: the bootstrap draws of patients and seeds; they are the same for all groups, so that differences are paired.
        provenance: one sentence for each model on the patients that it was trained on.
        tested: the tested parts and the number of patients, as text.
    """

    groups: tuple[RunGroup, ...]
    resampling: Resampling
    provenance: tuple[str, ...]
    tested: str

    def select(self, *, low_data: bool) -> list[RunGroup]:
        """The groups of the low-data runs, or those with all training patients."""
        return [group for group in self.groups if (group.patient_count is not None) is low_data]

    def baseline(self, group: RunGroup) -> RunGroup | None:
        """The group trained on the same number of real patients without synthetic slices."""
        return next((base for base in self.groups if base.arm is Arm.REAL and base.patient_count == group.patient_count), None)

    def value(self, group: RunGroup, metric: Metric) -> Interval | None:
        """Mean over seeds, with its interval."""
        return estimate(self.resampling.values(metric, group.scores), group.slice_count)

    def change(self, group: RunGroup, reference: RunGroup, metric: Metric) -> Interval | None:
        """Difference to a reference group on the same draws."""
        values = self.resampling.values(metric, group.scores) - self.resampling.values(metric, reference.scores)
        return estimate(values, group.slice_count)

    def at_matched_false_positive_rate(self, group: RunGroup, reference: RunGroup) -> tuple[Interval | None, Interval | None]:
        """Dice of a group at the threshold where its false-positive rate equals the reference's, and its difference to the reference."""
        matched = at_matched_false_positive_rate(group.scores, reference.scores, self.resampling)
        if matched is None:
            return None, None
        dice, reference_dice = matched
        return estimate(dice, group.slice_count), estimate(dice - reference_dice, group.slice_count)


def finished_runs(experiment: UtilityExperiment) -> list[FinishedRun]:
    """All finished runs of this variant, in the order of the tables.

    Runs of earlier commands are included: a command that adds an arm writes tables of all arms.
    """
    shared = experiment.out / experiment.settings.without_samples.variant
    paths = {path for folder in (experiment.folder, shared) for path in folder.glob(f"runs/*/{RECORD}")}
    runs = []
    for path in sorted(paths):
        record = read_record(path, StoredRun)
        if record.seed < experiment.settings.seeds and (path.is_relative_to(experiment.folder) or not record.size):
            runs.append(_finished_run(record, path, experiment))
    return sorted(runs, key=lambda run: (run.sort_key, run.seed))


def _finished_run(record: StoredRun, path: Path, experiment: UtilityExperiment) -> FinishedRun:
    scores = RunScores(slices=record.slices, slice_cut_mm2=record.slice_cut_mm2, patient_cut_ml=record.patient_cut_ml)
    if set(per_patient(scores.slices)) != set(experiment.tested):
        raise InputError(f"{path}: was tested on other patients than the splits name; delete it, and the same command makes it again")
    return FinishedRun(
        arm=record.arm, size=record.size, patient_count=record.patient_count, seed=record.seed, name=path.parent.name, scores=scores
    )


def group_runs(experiment: UtilityExperiment, runs: Sequence[FinishedRun], provenance: Sequence[str]) -> ExperimentResults:
    """Group the runs by training set, and drop groups in which a seed is missing."""
    by_training_set: dict[tuple[Arm, int, int | None], list[RunScores]] = {}
    for run in runs:
        by_training_set.setdefault((run.arm, run.size, run.patient_count), []).append(run.scores)
    groups = [
        RunGroup(arm=arm, size=size, patient_count=count, scores=tuple(scores))
        for (arm, size, count), scores in by_training_set.items()
        if len(scores) == experiment.settings.seeds
    ]
    patients = len(per_patient(groups[0].scores[0].slices)) if groups else 1
    return ExperimentResults(
        groups=tuple(groups),
        resampling=Resampling.of(patients, experiment.settings.seeds),
        provenance=tuple(provenance),
        tested=f"{' and '.join(experiment.settings.tested)}, {patients} patients",
    )
