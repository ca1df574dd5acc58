"""The plan of a utility experiment, and what is refused before anything is trained or painted."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from utility_experiments import MODEL, experiment

from lgesynthnet.benchmark.utility.arms import ARMS, Added
from lgesynthnet.benchmark.utility.leaks import check_for_leaks
from lgesynthnet.benchmark.utility.plan import Regime, choose_patients, plan_experiment
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.model_store import patients_behind
from lgesynthnet.terms import Arm, Baseline, Question

NAMES = [f"{letter}{i}" for letter in "PN" for i in range(10)]
SCARRED = {name: name.startswith("P") for name in NAMES}


def plan(**changes):
    return plan_experiment(ExperimentSettings(**({"draws": 2, "size": 10} | changes)), NAMES, SCARRED)


def test_in_one_draw_fewer_patients_are_among_more_and_draws_differ():
    for draw in range(3):
        sets = [
            set(choose_patients(NAMES, SCARRED, Regime(scarred=k, healthy=h), draw=draw)) for k, h in ((1, 0), (2, 3), (4, 3), (10, 10))
        ]
        assert all(small < large for small, large in pairwise(sets))
        assert [sum(SCARRED[name] for name in chosen) for chosen in sets] == [1, 2, 4, 10]
        assert [len(chosen) for chosen in sets] == [1, 5, 7, 20]
    assert choose_patients(NAMES, SCARRED, Regime(scarred=4, healthy=4), draw=0) != choose_patients(
        NAMES, SCARRED, Regime(scarred=4, healthy=4), draw=1
    )
    assert choose_patients(NAMES, SCARRED, Regime(scarred=4, healthy=4), draw=0) == choose_patients(
        NAMES[::-1], SCARRED, Regime(scarred=4, healthy=4), draw=0
    )


def test_every_arm_of_a_draw_has_the_same_patients():
    by_set = {}
    for run in plan(arms=tuple(Arm), scarred=(2, 4)).runs:
        by_set.setdefault((run.regime, run.draw), set()).add(run.patients)
    assert len(by_set) == 4
    assert all(len(patients) == 1 for patients in by_set.values())


def test_every_pair_of_numbers_is_a_regime_and_all_is_counted_once():
    regimes = {run.regime for run in plan(scarred=(2, 10, None), healthy=(0, None)).runs}
    assert regimes == {Regime(scarred=k, healthy=h) for k in (2, 10) for h in (0, 10)}


def test_the_first_draw_of_everything_comes_first():
    assert [run.draw for run in plan(scarred=(2, 4)).runs] == [0] * 8 + [1] * 8


def test_the_names_of_runs_stay_as_they_are():
    """Records of experiments that ran for hours are found by them."""
    names = [run.name for run in plan(arms=(Arm.REAL, Arm.RECIPE), scarred=(2,)).runs]
    assert names == ["02-10-real-d0", "02-10-recipe-d0", "02-10-real-d1", "02-10-recipe-d1"]


def test_pools_are_shared_by_all_runs_and_as_large_as_the_largest_needs():
    made = plan(arms=tuple(Arm), scarred=(2, None))
    pools = {pool.name: pool for pool in made.pools}
    assert (pools["lgesynthnet-phantom"].count, pools["lgesynthnet-phantom"].kept) == (10, 10)
    assert (pools["paste"].count, pools["paste"].kept) == (10, 0)  # rivals are not filtered
    assert pools["lgesynthnet-phantom"].patients == tuple(sorted(NAMES))
    assert {pool for run in made.runs for pool in run.pools} == set(pools)


def test_arms_differ_in_what_is_added_marked_and_begun_with():
    first, marked = ({arm for arm, about in ARMS.items() if getattr(about, name)} for name in ("phantom_first", "origin"))
    assert set(ARMS) == set(Arm)
    assert set(Arm) - first == {Arm.REAL, Arm.PAINTED, Arm.ORIGIN}
    assert set(Arm) - marked == {Arm.PAINTED}
    assert {arm for arm, about in ARMS.items() if about.added is Added.NOTHING} == {Arm.REAL, Arm.PHANTOM_FIRST}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scarred": (11,)}, "--scarred: each number must be between 1 and 10"),
        ({"scarred": (0,)}, "--scarred: each number must be between 1 and 10"),
        ({"healthy": (-1,)}, "--healthy: each number must be between 0 and 10"),
        ({"healthy": (11,)}, "--healthy: each number must be between 0 and 10"),
        ({"scarred": ()}, "at least one"),
        ({"arms": ()}, "at least one"),
        ({"draws": 0}, "--draws 0: must be 1 or more"),
        ({"size": 0}, "--size 0: must be 1 or more"),
        ({"steps": 0}, "--steps 0: must be 1 or more"),
        ({"folds": 1}, "--folds 1: must be 2 or more"),
        ({"folds": -2}, "--folds -2: must be 2 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, message):
    with pytest.raises(RunError, match=message):
        plan(**changes)


def test_parts_and_recipes_that_are_not_there_are_refused(data, tmp_path):
    with pytest.raises(InputError, match="cannot be tested"):
        experiment(data, tmp_path, tested=("train",)).check()
    with pytest.raises(InputError, match="no part audit"):
        experiment(data, tmp_path, tested=("audit",)).check()
    with pytest.raises(RunError, match="unknown; choose one of tiny, cpu"):
        experiment(data, tmp_path, recipe="gpu").check()
    with pytest.raises(RunError, match="choose real and painted"):
        experiment(data, tmp_path, baseline=Baseline.PUBLISHED, arms=(Arm.REAL, Arm.RECIPE)).check()
    experiment(data, tmp_path, baseline=Baseline.PUBLISHED, arms=(Arm.PAINTED,)).check()


@pytest.fixture
def painter(tmp_path):
    """A model that paints, as the shipped one does, and whose reports a test writes: reports(names)."""
    folder = tmp_path / "painter"
    for path in MODEL.rglob("*"):
        if path.is_file() and path.name != "reports.json":
            (folder / path.relative_to(MODEL)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(MODEL)).symlink_to(path)

    def reports(names, stage="scar-segmenter-filter"):
        (folder / "reports.json").write_text(json.dumps({stage: {"patients": 1, "names": names}}))

    return folder, reports


def test_a_painter_must_have_met_no_patient_whom_a_run_does_not_know(data, tmp_path, painter):
    folder, reports = painter
    few = experiment(data, tmp_path / "run", arms=(Arm.RECIPE,), scarred=(2,), painter=str(folder))
    everyone = replace(few, settings=replace(few.settings, scarred=(None,)))
    [run] = few.plan().runs
    foreign = next(name for name in data.splits["train"] if name not in run.patients)

    def check(which):
        return check_for_leaks(which, which.plan())

    with pytest.raises(RunError, match="has no record of its training patients"):
        check(few)
    assert any("not recorded" in line for line in check(replace(few, unchecked=True)))
    reports([run.patients[0]])
    assert any("trained on 1 patients, none of them tested" in line for line in check(few))
    reports([foreign])
    with pytest.raises(RunError, match=rf"not among those of run {run.name}: {foreign} .*--scarred all --healthy all"):
        check(few)
    assert check(everyone)
    reports(data.splits["test"][:1])
    for which in (few, everyone):
        with pytest.raises(RunError, match=data.splits["test"][0]):
            check(which)
    reports([foreign])
    with_strata = replace(few, settings=replace(few.settings, questions=(Question.FEW, Question.STRATA)))
    with pytest.raises(RunError, match=rf"not among those of run {run.name}"):  # though its strata take all patients
        check(with_strata)
    reports(data.splits["test"][:1], stage="scar-segmenter-auditor")
    assert patients_behind(folder) is None  # the auditor makes and keeps no sample


def test_first_weights_must_have_met_no_foreign_patient_either(data, tmp_path):
    few = experiment(data, tmp_path / "run", arms=(Arm.REAL, Arm.PHANTOM_FIRST), scarred=(2,))
    assert check_for_leaks(few, few.plan()) == ["first weights of the segmenters: trained on simulated patients only"]
    folder = tmp_path / "first"
    folder.mkdir()
    (folder / "reports.json").write_text(json.dumps({"downstream": {"patients": 1, "names": data.splits["test"][:1]}}))
    with pytest.raises(RunError, match="used as: first weights of the segmenters"):
        check_for_leaks(replace(few, first=folder), few.plan())


def test_scars_are_not_copied_from_patients_whom_a_run_does_not_know(data, tmp_path):
    few = experiment(data, tmp_path / "run", arms=(Arm.COPY_PASTE,), scarred=(2,))
    with pytest.raises(RunError, match=r"copies scars of all training patients, and run 02-03-copy-paste-d0 knows 5 of 6"):
        check_for_leaks(few, few.plan())
    everyone = replace(few, settings=replace(few.settings, scarred=(None,)))
    check_for_leaks(everyone, everyone.plan())
