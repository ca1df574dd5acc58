"""The arms with edits: twins, removed scars and moved scars beside the samples of the recipe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from utility_experiments import experiment

from lgesynthnet.benchmark.utility import runs
from lgesynthnet.benchmark.utility.plan import Prepared, plan_experiment
from lgesynthnet.benchmark.utility.runs import training_set
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.terms import Arm, Edit

EDITS = {Arm.REMOVED: Edit.REMOVE, Arm.MOVED: Edit.MOVE}


@pytest.fixture(scope="module")
def filled(data, tmp_path_factory):
    """An experiment whose pools are painted, and its run of each arm."""
    made = experiment(data, tmp_path_factory.mktemp("edits") / "run", arms=(Arm.RECIPE, Arm.TWINS, *EDITS), scarred=(None,))
    with claimed(made.out, FolderKind.BENCHMARK):
        plan = made.plan()
        for pool in plan.pools:
            runs.fill_pool(made, pool)
    return made, {run.arm: run for run in plan.runs}


def test_an_arm_with_an_edit_has_a_pool_of_its_own_that_is_a_quarter_as_large():
    scarred = {f"{letter}{i}": letter == "P" for letter in "PN" for i in range(4)}
    made = plan_experiment(ExperimentSettings(arms=(Arm.TWINS, *EDITS), scarred=(2,), draws=1, size=20), list(scarred), scarred)
    pools = {pool.name: pool for pool in made.pools}
    assert {name: (pool.edit, pool.count, pool.kept) for name, pool in pools.items()} == {
        "lgesynthnet-phantom": (Edit.ADD, 20, 20),
        "lgesynthnet-phantom-remove": (Edit.REMOVE, 5, 5),
        "lgesynthnet-phantom-move": (Edit.MOVE, 5, 5),
    }
    assert pools["lgesynthnet-phantom"].prepared == {Prepared.INTENDED, Prepared.TWINS}
    for run in made.runs:
        edit = EDITS.get(run.arm)
        assert run.pools == ("lgesynthnet-phantom", *((f"lgesynthnet-phantom-{edit}",) if edit else ()))


def test_twins_are_the_scar_free_hosts_of_the_samples(filled):
    made, of = filled
    real, samples = training_set(made, of[Arm.RECIPE])
    _, added = training_set(made, of[Arm.TWINS])
    count = len(samples)
    assert len(added) == 2 * count
    assert np.array_equal(added.image[:count], samples.image)
    assert added.patients[count:] == samples.patients
    assert samples.scarred.all()
    assert not added.scarred[count:].any()
    real_slices = {image.tobytes() for image in real.image}
    assert all(image.tobytes() in real_slices for image in added.image[count:])


@pytest.mark.parametrize("arm", EDITS)
def test_slices_of_an_edit_are_added_to_the_samples_and_lie_in_scarred_slices(filled, arm):
    made, of = filled
    real, samples = training_set(made, of[Arm.RECIPE])
    _, added = training_set(made, of[arm])
    count = len(samples)
    assert np.array_equal(added.image[:count], samples.image)
    assert len(added) == count + count // 4
    edited = added.scarred[count:]
    assert edited.all() if arm is Arm.MOVED else not edited.any()
    host_of = {row.id: row.host for row in RunFolder.open(made.pools.folder(of[arm].pools[1])).rows}
    with_scar = {name for name, scarred in real.has_scar.items() if scarred}
    assert {host_of[name] for name in added.patients[count:]} <= with_scar


def test_a_patient_without_scar_brings_samples_and_no_edits(filled):
    """As in a fold that holds out the patients whose scars were removed."""
    made, of = filled
    run = of[Arm.REMOVED]
    sound = replace(run, patients=tuple(name for name in run.patients if name.startswith("N")))
    _, added = training_set(made, sound, samples_needed=False)
    assert added.scarred.all()
