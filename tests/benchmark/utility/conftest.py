"""One finished experiment on a few simulated patients, once for all its tests."""

from __future__ import annotations

import pytest
from utility_experiments import World, experiment, in_this_process, run_quietly


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> World:
    return World.simulated(tmp_path_factory.mktemp("utility"))


@pytest.fixture(scope="session")
def finished(data, tmp_path_factory):
    """The experiment, its tables in Markdown and its page. A test that changes its folder puts everything back."""
    done = experiment(data, tmp_path_factory.mktemp("experiment") / "run")
    with in_this_process():
        tables, page = run_quietly(done)
    return done, tables, page
