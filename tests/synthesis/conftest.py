"""Hosts, requests and runs that the workflow's tests share."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from ring_hosts import write_hosts


@pytest.fixture(scope="session")
def hosts(tmp_path_factory) -> Path:
    """Three healthy patients: int16, float32 and uint8."""
    return write_hosts(tmp_path_factory.mktemp("cohort") / "hösts ♥")


@pytest.fixture
def contents():
    """contents(run): every byte that a run promises to repeat, by path; the seconds are left out of the table."""

    def read(run: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for path in [*sorted(run.rglob("*.nii.gz")), run / "plan.json", run / "lgesynthnet.json"]:
            found[path.relative_to(run).as_posix()] = path.read_bytes()
        with (run / "samples.csv").open(newline="", encoding="utf-8") as lines:
            found["samples.csv"] = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(lines)]
        return found

    return read
