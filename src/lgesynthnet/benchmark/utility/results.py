"""Collects the scores of finished runs and compares groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.benchmark.utility.plan import Regime, TrainingSet
from lgesynthnet.benchmark.utility.setup import RECORD, UtilityExperiment
from lgesynthnet.errors import InputError
from lgesynthnet.evaluate.intervals import Interval, estimate
from lgesynthnet.evaluate.utility.metrics import Metric
from lgesynthnet.evaluate.utility.paired import Resampling, bootstrap_p
from lgesynthnet.evaluate.utility.scores import Draws, RunScores, SliceScore, per_patient
from lgesynthnet.terms import Arm


class StoredRun(BaseModel):
    """The record of a run, as far as it is read back."""

    arm: Arm
    scarred: Annotated[int, Field(ge=0)]
    healthy: Annotated[int, Field(ge=0)]
    draw: Annotated[int, Field(ge=0)]
    slices: list[SliceScore]
    training_slices: list[SliceScore]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class FinishedRun(TrainingSet):
    """One finished run.

    Attributes:
        seconds: how long its training and its test took.
    """

    draw: int
    name: str
    scores: RunScores
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunGroup(TrainingSet):
    """The finished runs of one arm in one regime.

    Attributes:
        scores: draw -> its scores.
    """

    scores: dict[int, RunScores]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The difference of one metric between two groups, over the draws that both have.

    Attributes:
        change: the first less the second.
        p: two-sided, not corrected.
        draws: number of draws of the training patients.
    """

    change: Interval
    p: float
    draws: int


@dataclass(frozen=True, kw_only=True)
class ExperimentResults:
    """All groups with a finished run.

    Attributes:
        provenance: one sentence for each model on the patients that it was trained on.
        tested: the tested parts and the number of patients, as text.
        patients: number of tested patients.
    """

    groups: tuple[RunGroup, ...]
    provenance: tuple[str, ...]
    tested: str
    patients: int

    @property
    def regimes(self) -> list[Regime]:
        """The regimes in the order of the tables."""
        return list(dict.fromkeys(group.regime for group in self.groups))

    def group(self, regime: Regime, arm: Arm) -> RunGroup | None:
        return next((group for group in self.groups if group.regime == regime and group.arm is arm), None)

    def value(self, group: RunGroup, metric: Metric) -> Interval | None:
        """Mean over the draws, with its interval over tested patients and draws."""
        return estimate(self._values(group, metric, sorted(group.scores)), self.patients)

    def compare(self, group: RunGroup, reference: RunGroup, metric: Metric) -> Comparison | None:
        """Paired difference, on the same bootstrap draws of patients and of training draws; None where no draw is common to both."""
        common = sorted(group.scores.keys() & reference.scores.keys())
        if not common:
            return None
        differences = self._values(group, metric, common) - self._values(reference, metric, common)
        change = estimate(differences, self.patients)
        return None if change is None else Comparison(change=change, p=bootstrap_p(differences), draws=len(common))

    def _values(self, group: RunGroup, metric: Metric, draws: Sequence[int]) -> Draws:
        resampling = Resampling.of(self.patients, len(draws))
        by_draw = [self._computed(group, metric, draw, resampling) for draw in draws]
        return np.asarray((np.stack(by_draw, axis=1) * resampling.seeds).sum(axis=1) / resampling.seeds.sum(axis=1))

    def _computed(self, group: RunGroup, metric: Metric, draw: int, resampling: Resampling) -> Draws:
        key = (group.arm, group.regime, draw, metric.name)
        if key not in self._cache:
            self._cache[key] = metric.compute(group.scores[draw], resampling.patients)
        return self._cache[key]

    @cached_property
    def _cache(self) -> dict[tuple[Arm, Regime, int, str], Draws]:
        return {}


def finished_runs(experiment: UtilityExperiment) -> list[FinishedRun]:
    """All finished runs of this variant, in the order of the tables.

    Runs of earlier commands are included: a command that adds an arm writes tables of all arms.
    """
    paths = sorted(experiment.folder.glob(f"runs/*/{RECORD}"))
    runs = [_finished_run(read_record(path, StoredRun), path, experiment) for path in paths]
    return sorted(runs, key=lambda run: (run.sort_key, run.draw))


def _finished_run(record: StoredRun, path: Path, experiment: UtilityExperiment) -> FinishedRun:
    scores = RunScores(slices=record.slices, training_slices=record.training_slices)
    if set(per_patient(scores.slices)) != set(experiment.tested):
        raise InputError(f"{path}: was tested on other patients than the splits name; delete it, and the same command makes it again")
    regime = Regime(scarred=record.scarred, healthy=record.healthy)
    return FinishedRun(arm=record.arm, regime=regime, draw=record.draw, name=path.parent.name, scores=scores, seconds=record.seconds)


def group_runs(experiment: UtilityExperiment, runs: Sequence[FinishedRun], provenance: Sequence[str]) -> ExperimentResults:
    """Group the runs by arm and regime."""
    scores: dict[tuple[Regime, Arm], dict[int, RunScores]] = {}
    for run in runs:
        scores.setdefault((run.regime, run.arm), {})[run.draw] = run.scores
    patients = len(experiment.tested)
    return ExperimentResults(
        groups=tuple(RunGroup(arm=arm, regime=regime, scores=of_group) for (regime, arm), of_group in scores.items()),
        provenance=tuple(provenance),
        tested=f"{' and '.join(experiment.settings.tested)}, {patients} patients",
        patients=patients,
    )
