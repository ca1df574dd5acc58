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
from lgesynthnet.benchmark.utility.questions.strata import Strata, read_strata
from lgesynthnet.benchmark.utility.setup import RECORD, UtilityExperiment
from lgesynthnet.errors import InputError
from lgesynthnet.evaluate.intervals import Interval, estimate
from lgesynthnet.evaluate.utility.metrics import Metric
from lgesynthnet.evaluate.utility.paired import Resampling, bootstrap_p
from lgesynthnet.evaluate.utility.scores import Draws, RunScores, SliceScore, per_patient
from lgesynthnet.terms import Arm, RealSlices


class StoredRun(BaseModel):
    """The record of a run, as far as it is read back."""

    arm: Arm
    scarred: Annotated[int, Field(ge=0)]
    healthy: Annotated[int, Field(ge=0)]
    draw: Annotated[int, Field(ge=0)]
    real: RealSlices = RealSlices.AS_LABELLED
    fold: Annotated[int, Field(ge=0)] | None = None
    slices: list[SliceScore]
    training_slices: list[SliceScore]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class FinishedRun(TrainingSet):
    """One finished run.

    Attributes:
        fold: in a cross-validation, the part of the patients that was tested; else None.
        seconds: how long its training and its test took.
    """

    draw: int
    fold: int | None
    name: str
    scores: RunScores
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunGroup(TrainingSet):
    """The finished runs of one arm in one regime, with the same choice of its real slices.

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
        strata: the slices with each kind of scar; None where no kind was left out.
    """

    groups: tuple[RunGroup, ...]
    provenance: tuple[str, ...]
    tested: str
    patients: int
    strata: Strata | None = None

    @property
    def as_labelled(self) -> list[RunGroup]:
        """The groups with all real slices and their own labels."""
        return [group for group in self.groups if group.real is RealSlices.AS_LABELLED]

    @property
    def regimes(self) -> list[Regime]:
        """The regimes in the order of the tables."""
        return list(dict.fromkeys(group.regime for group in self.groups))

    def group(self, regime: Regime, arm: Arm, real: RealSlices = RealSlices.AS_LABELLED) -> RunGroup | None:
        wanted = (regime, arm, real)
        return next((group for group in self.groups if (group.regime, group.arm, group.real) == wanted), None)

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

    def recovered(self, painted: RunGroup, without: RunGroup, everything: RunGroup, metric: Metric) -> Interval | None:
        """Share of what was lost without some slices that painted ones bring back, over the draws that all three have.

        None where nothing was lost. A draw of patients in which nothing was lost has no share and is left out of the interval.
        """
        common = sorted(painted.scores.keys() & without.scores.keys() & everything.scores.keys())
        if not common:
            return None
        gained, kept, whole = (self._values(group, metric, common) for group in (painted, without, everything))
        loss = whole - kept
        return estimate(np.where(loss > 0, (gained - kept) / np.where(loss > 0, loss, 1), np.nan), self.patients)

    def _values(self, group: RunGroup, metric: Metric, draws: Sequence[int]) -> Draws:
        resampling = Resampling.of(self.patients, len(draws))
        by_draw = [self._computed(group, metric, draw, resampling) for draw in draws]
        return np.asarray((np.stack(by_draw, axis=1) * resampling.seeds).sum(axis=1) / resampling.seeds.sum(axis=1))

    def _computed(self, group: RunGroup, metric: Metric, draw: int, resampling: Resampling) -> Draws:
        key = (group.arm, group.regime, group.real, draw, metric.name)
        if key not in self._cache:
            self._cache[key] = metric.compute(group.scores[draw], resampling.patients)
        return self._cache[key]

    @cached_property
    def _cache(self) -> dict[tuple[Arm, Regime, RealSlices, int, str], Draws]:
        return {}


def finished_runs(experiment: UtilityExperiment) -> list[FinishedRun]:
    """All finished runs of this variant, in the order of the tables.

    Runs of earlier commands are included: a command that adds an arm writes tables of all arms.
    """
    paths = sorted(experiment.folder.glob(f"runs/*/{RECORD}"))
    runs = [_finished_run(read_record(path, StoredRun), path, experiment) for path in paths]
    return sorted(runs, key=lambda run: (run.sort_key, run.draw, run.fold or 0))


def _finished_run(record: StoredRun, path: Path, experiment: UtilityExperiment) -> FinishedRun:
    scores = RunScores(slices=record.slices, training_slices=record.training_slices)
    tested, wanted = set(per_patient(scores.slices)), set(experiment.tested)
    if not tested <= wanted if record.fold is not None else tested != wanted:
        raise InputError(f"{path}: was tested on other patients than the splits name; delete it, and the same command makes it again")
    regime = Regime(scarred=record.scarred, healthy=record.healthy)
    return FinishedRun(
        arm=record.arm,
        regime=regime,
        real=record.real,
        draw=record.draw,
        fold=record.fold,
        name=path.parent.name,
        scores=scores,
        seconds=record.seconds,
    )


def group_runs(experiment: UtilityExperiment, runs: Sequence[FinishedRun], provenance: Sequence[str]) -> ExperimentResults:
    """Group the runs by arm, regime and real slices. In a cross-validation, a draw counts once all its parts are tested."""
    settings, patients = experiment.settings, len(experiment.tested)
    parts: dict[tuple[Regime, Arm, RealSlices], dict[int, list[RunScores]]] = {}
    for run in runs:
        parts.setdefault((run.regime, run.arm, run.real), {}).setdefault(run.draw, []).append(run.scores)
    groups = []
    for (regime, arm, real), of_draws in parts.items():
        scores = {draw: _pooled(runs) for draw, runs in of_draws.items() if len(runs) == max(settings.cross_validate, 1)}
        groups += [RunGroup(arm=arm, regime=regime, real=real, scores=scores)] if scores else []
    tested = f"{' and '.join(settings.tested)}, {patients} patients"
    if settings.cross_validate:
        tested = f"all {patients} patients, each by a segmenter that was trained without him, in {settings.cross_validate} parts"
    return ExperimentResults(
        groups=tuple(groups), provenance=tuple(provenance), tested=tested, patients=patients, strata=read_strata(experiment.folder)
    )


def _pooled(runs: Sequence[RunScores]) -> RunScores:
    """The scores of the runs of one draw together: one run, or one for each part of a cross-validation."""
    return RunScores(
        slices=[row for run in runs for row in run.slices], training_slices=[row for run in runs for row in run.training_slices]
    )
