"""A utility experiment on eight simulated patients, with segmenters that are trained for four steps."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lgesynthnet.benchmark.trained_methods import TrainedMethods
from lgesynthnet.benchmark.utility.experiment import run_experiment
from lgesynthnet.benchmark.utility.pools import SamplePools
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.source import CohortSource
from lgesynthnet.files.writing import write_json
from lgesynthnet.model_store import weights_folder
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.segmenter.downstream import ROLE
from lgesynthnet.terms import Arm
from lgesynthnet.train.examples.slices import slice_dataset
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining, train_downstream_segmenter

ARMS = (Arm.REAL, Arm.PAINTED, Arm.RECIPE, Arm.PASTE)
MODEL = weights_folder() / "phantom"


@dataclass(frozen=True)
class World:
    """Eight simulated patients, half of them with scar, and first weights of the size that tests train.

    Attributes:
        root: folder with `data/` and `splits.json`.
        first: a model with the first weights of tiny crop segmenters.
    """

    root: Path
    cohort: Cohort
    splits: dict[str, list[str]]
    first: Path

    @classmethod
    def simulated(cls, root: Path) -> World:
        cohort = open_cohort(simulate_patients(root / "data", patients=8, seed=2, positive=0.5, non_ischaemic=0.0))
        sick, sound = ([case.patient for case in cohort.cases if case.patient[0] == letter] for letter in "PN")
        splits = {"train": [*sick[:3], *sound[:3]], "test": [sick[3], sound[3]]}
        write_json(root / "splits.json", splits)
        real = slice_dataset(cohort, root / "first.safetensors", patients=sick[:1])
        training = DownstreamTraining(recipe=DOWNSTREAM["tiny"], device="cpu")
        train_downstream_segmenter(real, None, root / "training", training).save(root / "first" / f"{ROLE}-crop")
        write_json(root / "first" / "reports.json", {f"{ROLE}-crop": {"names": []}})
        return cls(root, cohort, splits, root / "first")


def experiment(data: World, out: Path, **changes: object) -> UtilityExperiment:
    source = CohortSource(root=data.cohort.root)
    methods = TrainedMethods(source=source, splits=data.splits, work=out / "work", models=MODEL, device="cpu")
    settings = {"arms": ARMS, "scarred": (2, None), "draws": 1, "size": 4, "tested": ("test",), "recipe": "tiny"} | changes
    return UtilityExperiment(pools=SamplePools(methods=methods, out=out), settings=ExperimentSettings(**settings), first=data.first)


def run_quietly(experiment: UtilityExperiment, **options: object) -> tuple[str, Path]:
    return run_experiment(experiment, **({"note": lambda _: None, "on_job": lambda progress: None} | options))


class InThisProcess:
    """An executor that needs no new process, which would import torch again."""

    def submit(self, function, /, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


@contextmanager
def in_this_process() -> Iterator[None]:
    """Inside, the jobs of an experiment run in this process, one after the other, and intervals have 200 draws in place of 2000."""

    @contextmanager
    def executor(workers, *, ray):
        yield InThisProcess()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lgesynthnet.benchmark.utility.experiment.executor", executor)
        patch.setattr("lgesynthnet.evaluate.intervals.DRAWS", 200)
        yield
