"""One simulated cohort, and what is prepared and trained from it, once for all the tests of training."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    """Three simulated patients, two of them with scar."""
    from lgesynthnet.data.cohort import open_cohort
    from lgesynthnet.phantom.cohort import simulate_patients

    return open_cohort(simulate_patients(tmp_path_factory.mktemp("phantom") / "cohort", patients=3, seed=4))


@pytest.fixture(scope="session")
def examples(cohort, tmp_path_factory):
    """Heart-sized examples of the cohort; no test may change their arrays."""
    from lgesynthnet.train.examples.prepare import ExampleFile

    return ExampleFile(tmp_path_factory.mktemp("prepared") / "examples.safetensors").build(cohort)


@pytest.fixture(scope="session")
def slices(cohort, tmp_path_factory):
    """Whole slices of the cohort; no test may change their arrays."""
    from lgesynthnet.train.examples.slices import slice_dataset

    return slice_dataset(cohort, tmp_path_factory.mktemp("prepared") / "whole.safetensors")


@dataclass(frozen=True)
class TinyStages:
    """The stages up to the control branch, trained with the recipe `tiny`."""

    work: Path
    reports: dict[str, dict[str, object]]

    def copy_of(self, *stages: str, to: Path) -> Path:
        """A work folder that holds the prepared examples and these stages, and that a test may change."""
        to.mkdir(parents=True, exist_ok=True)
        for path in self.work.iterdir():
            if path.is_dir() and path.name in stages:
                shutil.copytree(path, to / path.name)
            elif path.is_file():
                shutil.copy(path, to)
        return to


@pytest.fixture(scope="session")
def tiny_stages(cohort, tmp_path_factory) -> TinyStages:
    from training_requests import tiny_request

    from lgesynthnet.terms import Stage
    from lgesynthnet.train.stages import train_generator

    work = tmp_path_factory.mktemp("trained") / "work"
    order = (Stage.AUTOENCODER, Stage.TEXT, Stage.BASE, Stage.CONTROL)
    return TinyStages(work, {stage.value: train_generator(tiny_request(work, cohort), stage) for stage in order})
