"""The loop on a few simulated patients: what is missed is painted, nobody is scored by what has met him, and the advice follows the numbers."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from factories import run_command, write_patient

from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.improve.jobs import read_fold
from lgesynthnet.improve.loop import run_improvement
from lgesynthnet.improve.request import ImproveRequest
from lgesynthnet.improve.setup import Improvement, TrainingSet
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.segmenter.downstream import DownstreamSegmenter
from lgesynthnet.terms import DownstreamRecipeName, WallFrom


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four training patients, two of them with scar; the files of validation and test patients hold nonsense."""
    root = tmp_path_factory.mktemp("improve")
    for seed, name in enumerate(("N1", "N2", "N3", "P1", "P2", "P3")):
        write_patient(root / "patients", name, seed, scar=name[0] == "P", slices=2, rv=True)
    write_declaration(root / "patients", labels="lgesynthnet", base_first=True)
    for name in ("P3", "N3"):
        for path in (root / "patients").rglob(f"Case_{name}.nii.gz"):
            path.write_bytes(b"nonsense")
    splits = {"train": ["P1", "P2", "N1", "N2"], "val": ["P3"], "test": ["N3"]}
    (root / "splits.json").write_text(json.dumps(splits))
    return root


def request(data, **changes):
    settings = {
        "data": CohortSource(root=data / "patients"),
        "splits": data / "splits.json",
        "rounds": 1,
        "count": 3,
        "model": "paste",
        "init": "none",
        "recipe": DownstreamRecipeName.TINY,
        "hard_below": 1.0,
        "wall_from": WallFrom.KNOWN_WALL,  # needs no heart to be found, which takes most of the time
    }
    return ImproveRequest(**(settings | changes))


@pytest.fixture(scope="module")
def finished(data):
    improvement = Improvement.of(request(data, control=True), data / "run")
    return improvement, run_improvement(improvement)


def test_it_leaves_a_segmenter_samples_tables_and_a_report(finished):
    improvement, result = finished
    out = improvement.out
    assert DownstreamSegmenter.from_pretrained(result.segmenter).settings.points
    assert len(RunFolder.open(out / "round-1").painted()) == 3
    page = (out / "report.html").read_text()
    assert result.advice.sentence in page
    assert page.count("<img") >= 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert not [name for name in improvement.patients if name in page]
    rows = list(csv.DictReader((out / "rounds.csv").open()))
    assert [row["training_set"] for row in rows] == ["round-0", "round-1", "control"]
    assert [row["samples"] for row in rows] == ["0", "3", "3"]
    cells = list(csv.DictReader((out / "cells.csv").open()))
    first = [row for row in cells if row["round"] == "0" and row["axis"] == "level"]
    assert sum(int(row["lesions"]) for row in first) == int(rows[0]["lesions"]) > 0
    assert sum(int(row["kept"]) for row in cells if row["round"] == "1" and row["axis"] == "level") == 3
