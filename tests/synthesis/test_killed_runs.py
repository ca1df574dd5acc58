"""Killed at any change that it makes to its folder, `synthesize` goes on to the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from crash_points import crash_points, killed_at

from lgesynthnet.data.source import CohortSource
from lgesynthnet.files.manifest import MANIFEST
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import Prior
from lgesynthnet.verification.folders import verify_folder


@pytest.mark.parametrize(
    "points", [pytest.param(slice(4, None, 9), id="some"), pytest.param(slice(0, None, 3), id="many", marks=pytest.mark.long)]
)
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(labelled_hosts, tmp_path, points, contents):
    out = tmp_path / "run"
    request = SynthesisRequest(hosts=CohortSource(root=labelled_hosts), model="paste", count=1, prior=Prior.ISCHAEMIC, seed=4)
    planned = plan_synthesis(request)  # a plan writes nothing, so every run may share it

    def command() -> None:
        synthesize(planned, out)

    changes = crash_points(command, out)
    wanted, listed = contents(out), names(out)
    assert len(changes) > 100
    for number in range(len(changes))[points]:
        shutil.rmtree(out)
        assert killed_at(command, out, number) is not None
        command()
        assert contents(out) == wanted, changes[number]
        assert names(out) == listed, changes[number]
        assert not verify_folder(out).damages, changes[number]


def names(out: Path) -> list[str]:
    """Every file of the run; the list of files must name them all, and no more."""
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() or path.name == MANIFEST)
