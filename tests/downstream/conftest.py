"""Six simulated patients, samples that were painted into some of them, and a tiny segmenter that learnt from all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import run_command


@pytest.fixture(scope="session")
def hearts(tmp_path_factory) -> Path:
    """Six patients, two of them with scar."""
    from lgesynthnet.phantom.cohort import simulate_patients

    return simulate_patients(tmp_path_factory.mktemp("downstream") / "hearts", patients=6, seed=2, positive=0.34)


@pytest.fixture(scope="session")
def painted_run(hearts) -> Path:
    """A run of the baseline without a network; some of its samples were rejected."""
    run = hearts.parent / "run"
    words = (
        "synthesize",
        "--hosts",
        hearts,
        "--model",
        "paste",
        "--prior",
        "ischaemic",
        "-n",
        8,
        "--keep-all",
        "--dice-above",
        0.9,
        "--out",
        run,
    )
    assert run_command(*words).returncode == 0
    return run


@pytest.fixture(scope="session")
def names(hearts) -> list[str]:
    from lgesynthnet.data.cohort import open_cohort

    return [case.patient for case in open_cohort(hearts).cases]


@pytest.fixture(scope="session")
def training_words(hearts, painted_run):
    """The words of a tiny training, without --out."""
    words = ("train", "downstream", "--data", hearts, "--samples", painted_run, "--init", "none", "--recipe", "tiny")
    return (*words, "--workers", 1, "--device", "cpu", "--precision", "no")


@pytest.fixture(scope="session")
def trained(training_words, tmp_path_factory) -> Path:
    """The folder of a trained segmenter; its work folder stands beside it."""
    out = tmp_path_factory.mktemp("trained") / "seg"
    done = run_command(*training_words, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def reports(trained) -> dict:
    return json.loads((trained / "reports.json").read_text())
