"""Results of finished runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from lgesynthnet.benchmark.utility.plan import TrainingSet
from lgesynthnet.benchmark.utility.setup import RECORD, UtilityExperiment
from lgesynthnet.evaluate.intervals import Interval, estimate
from lgesynthnet.evaluate.utility.metrics import Metric
from lgesynthnet.evaluate.utility.paired import Resampling, at_matched_false_positive_rate
from lgesynthnet.evaluate.utility.scores import RunScores, per_patient
from lgesynthnet.terms import Arm


@dataclass(frozen=True, kw_only=True)
class Group(TrainingSet):
    """All seeds of one arm at one size."""

    readings: tuple[RunScores, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Every finished group, those of all patients first, with the draws that they share."""

    groups: tuple[Group, ...]
    resampling: Resampling
    learnt: tuple[str, ...]
    tested: str

    def baseline(self, group: Group) -> Group | None:
        """Real only, of as many patients."""
        return next((one for one in self.groups if one.arm is Arm.REAL and one.few == group.few), None)

    def value(self, group: Group, figure: Metric) -> Interval | None:
        return estimate(self.resampling.values(figure, group.readings), _count(group))

    def change(self, group: Group, other: Group, figure: Metric) -> Interval | None:
        """Difference to another group on the same draws."""
        values = self.resampling.values(figure, group.readings) - self.resampling.values(figure, other.readings)
        return estimate(values, _count(group))

    def at_matched_false_positive_rate(self, group: Group, other: Group) -> tuple[Interval | None, Interval | None]:
        """Dice of a group where its false alarm is the other's, and the difference to the other there."""
        found = at_matched_false_positive_rate(group.readings, other.readings, self.resampling)
        if found is None:
            return None, None
        ours, others = found
        return estimate(ours, _count(group)), estimate(ours - others, _count(group))


@dataclass(frozen=True, kw_only=True)
class Finished(TrainingSet):
    """One finished run, whichever command made it."""

    seed: int
    name: str
    reading: RunScores


def finished(bench: UtilityExperiment) -> list[Finished]:
    """Every finished run of this way of training, in the order of the tables: a command for a few arms more writes of all of them."""
    shared = bench.out / bench.experiment.without_samples.variant
    paths = {path for folder in (bench.folder, shared) for path in folder.glob(f"runs/*/{RECORD}")}
    found = []
    for path in paths:
        record = json.loads(path.read_text())
        if record["seed"] < bench.experiment.seeds and (path.is_relative_to(bench.folder) or not record["size"]):
            about = {"size": record["size"], "seed": record["seed"], "few": record["few"], "name": path.parent.name}
            found.append(Finished(arm=Arm(record["arm"]), reading=RunScores.of_record(record), **about))
    return sorted(found, key=lambda run: (run.place, run.seed))


def gather(bench: UtilityExperiment, runs: Sequence[Finished], learnt: Sequence[str]) -> Found:
    """The groups of which all seeds are finished."""
    by_group: dict[tuple[Arm, int, int | None], list[RunScores]] = {}
    for run in runs:
        by_group.setdefault((run.arm, run.size, run.few), []).append(run.reading)
    groups = [
        Group(arm=arm, size=size, few=few, readings=tuple(readings))
        for (arm, size, few), readings in by_group.items()
        if len(readings) == bench.experiment.seeds
    ]
    patients = len(per_patient(groups[0].readings[0].slices)) if groups else 1
    return Found(
        groups=tuple(groups),
        resampling=Resampling.of(patients, bench.experiment.seeds),
        learnt=tuple(learnt),
        tested=f"{' and '.join(bench.experiment.tested)}, {patients} patients",
    )


def _count(group: Group) -> int:
    return len(group.readings[0].slices)
