"""The utility experiment on a few simulated patients: planned, killed, resumed, written; and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.benchmark.trained_methods import TrainedMethods
from lgesynthnet.benchmark.utility.experiment import measure
from lgesynthnet.benchmark.utility.leaks import refuse_leaks
from lgesynthnet.benchmark.utility.plan import Choice, ExperimentSettings, Run, plan, some_patients
from lgesynthnet.benchmark.utility.pools import SamplePools
from lgesynthnet.benchmark.utility.runs import training_set
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.cli.benchmark import ArmName
from lgesynthnet.data import open_cohort
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.evaluate.utility.scores import HALF, RunScores
from lgesynthnet.files import write_json
from lgesynthnet.model_store import patients_behind, weights_folder
from lgesynthnet.phantom.cohort import write_cohort
from lgesynthnet.terms import Arm

ARMS = (Arm.REAL, Arm.RESAMPLED, Arm.PASTE, Arm.UNFILTERED, Arm.LGESYNTHNET, Arm.READ)
MODEL = weights_folder() / "phantom"


def quietly(state: object) -> None:
    return None


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("utility")
    cohort = open_cohort(write_cohort(root / "data", patients=8, seed=2, positive=0.5, non_ischaemic=0.0))
    sick, sound = ([case.patient for case in cohort.cases if case.patient[0] == letter] for letter in "PN")
    splits = {"train": [*sick[:2], *sound[:2]], "val": [sick[2], sound[2]], "test": [sick[3], sound[3]]}
    write_json(root / "splits.json", splits)
    return root, cohort, splits


def bench(data, out, **settings):
    _, cohort, splits = data
    workshop = TrainedMethods(cohort=cohort, splits=splits, work=out / "work", models=MODEL, device="cpu")
    known = {"arms": ARMS, "sizes": (2, 3), "seeds": 2, "tested": ("test",), "downstream": "tiny"}
    return UtilityExperiment(shelf=SamplePools(workshop=workshop, out=out), experiment=ExperimentSettings(**(known | settings)))


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("experiment") / "run"
    one = bench(data, out, few=(2,))
    table, page = measure(one, workers=2, note=lambda _: None, on_job=quietly)
    return one, table, page


def test_the_command_knows_every_arm():
    assert [name.value for name in ArmName] == [arm.value for arm in Arm]


def test_every_arm_stands_in_the_table_beside_the_published_row(finished):
    one, table, page = finished
    assert all(arm.words in table for arm in ARMS)
    assert "0.72 | 0.32 | 0.77 | 0.73" in table
    assert "2 patients, real only" in table
    assert page.is_file()
    with (one.folder / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (len(ARMS) + 1) + 4  # two seeds; LGESynthNet at two sizes; two patients with and without
    assert all(int(row["TN"]) + int(row["FP"]) + int(row["FN"]) + int(row["TP"]) == 2 for row in rows)


def test_the_same_command_does_nothing_twice_and_writes_the_same_bytes(finished):
    one, table, _ = finished
    jobs = []
    before = {path: path.stat().st_mtime_ns for path in one.out.rglob("record.json")}
    again, _ = measure(one, workers=1, note=lambda _: None, on_job=jobs.append)
    assert again == table
    assert [state.total for state in jobs] == [0]
    assert {path: path.stat().st_mtime_ns for path in one.out.rglob("record.json")} == before


def test_the_areas_at_one_half_are_those_of_the_mask_and_a_higher_threshold_finds_no_more(finished):
    one, _, _ = finished
    for path in one.out.rglob("record.json"):
        for row in RunScores.of_record(json.loads(path.read_text())).slices:
            assert row.found_at_mm2[HALF] == pytest.approx(row.found_mm2, rel=0.02, abs=10)
            assert row.overlap_at_mm2[HALF] == pytest.approx(row.overlap_mm2, rel=0.02, abs=10)
            assert sorted(row.found_at_mm2, reverse=True) == list(row.found_at_mm2)
            assert all(both <= found for both, found in zip(row.overlap_at_mm2, row.found_at_mm2, strict=True))


def test_a_command_for_one_arm_more_writes_of_all_that_is_finished(finished):
    one, table, _ = finished
    few, _ = measure(replace(one, experiment=replace(one.experiment, arms=(Arm.REAL,), few=())), note=lambda _: None, on_job=quietly)
    assert [line for line in few.splitlines() if line.startswith("|")] == [line for line in table.splitlines() if line.startswith("|")]
    assert measure(one, note=lambda _: None, on_job=quietly)[0] == table  # whose painters are named follows from what was asked


def test_synthetic_slices_come_from_training_patients_and_the_filter_decides(finished):
    one, _, _ = finished
    pool = json.loads((one.shelf.run("lgesynthnet") / "plan.json").read_text())
    assert sorted(pool["patients"]) == sorted(one.splits["train"])
    with (one.shelf.run("lgesynthnet") / "samples.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["file"]]
    assert {row["host"] for row in rows} <= set(one.splits["train"])
    kept = [row["id"] for row in rows if row["kept"] == "1"]
    run = Run(arm=Arm.LGESYNTHNET, size=3, seed=0, patients=tuple(one.splits["train"]), pool="lgesynthnet")
    _, made = training_set(one, run)
    assert made.patients == kept[:3]
    _, every = training_set(one, replace(run, arm=Arm.UNFILTERED, size=2))
    assert every.patients == [row["id"] for row in rows][:2]


def test_labels_as_read_are_the_readers_and_the_pictures_the_same(finished):
    one, _, _ = finished
    run = Run(arm=Arm.LGESYNTHNET, size=2, seed=0, patients=tuple(one.splits["train"]), pool="lgesynthnet")
    _, intended = training_set(one, run)
    _, read = training_set(one, replace(run, arm=Arm.READ))
    assert np.array_equal(intended.image, read.image)
    assert not np.array_equal(intended.labels, read.labels)
    assert np.array_equal(intended.labels == 1, read.labels == 1)  # the cavity is the host's


def test_a_low_data_run_knows_its_own_patients_only(finished):
    one, _, _ = finished
    for seed in (0, 1):
        plan_ = json.loads((one.shelf.run(f"few-02-s{seed}") / "plan.json").read_text())
        assert len(plan_["patients"]) == 2
        assert {name[0] for name in plan_["patients"]} == {"P", "N"}


def test_a_folder_of_other_settings_is_refused(finished):
    one, _, _ = finished
    other = replace(one, experiment=replace(one.experiment, prior="uniform"))
    with pytest.raises(RunError, match='begun with prior "ischaemic", now "uniform"'):
        measure(other, note=lambda _: None, on_job=quietly)


def test_another_way_of_training_shares_the_samples_and_has_a_folder_of_its_own(finished):
    one, _, _ = finished
    arms = (Arm.REAL, Arm.PASTE)
    other = replace(one, experiment=replace(one.experiment, arms=arms, sizes=(2,), few=(), steps=2, share=0.5))
    before = (one.shelf.run("paste") / "samples.csv").stat().st_mtime_ns
    measure(other, note=lambda _: None, on_job=quietly)
    assert other.folder == one.out / "tiny-2-steps-share-0.5"
    assert (other.folder / "runs.csv").is_file()
    runs = {path.parent.relative_to(one.out).as_posix() for path in one.out.glob("tiny-2-steps*/runs/*/record.json")}
    assert {name.rpartition("-s")[0] for name in runs} == {"tiny-2-steps/runs/real", "tiny-2-steps-share-0.5/runs/paste-2"}
    assert (one.shelf.run("paste") / "samples.csv").stat().st_mtime_ns == before


def test_only_samples_that_were_asked_to_be_bright_are_used_and_more_are_painted_until_there_are_enough(finished):
    one, _, _ = finished
    experiment = replace(one.experiment, arms=(Arm.REAL, Arm.LGESYNTHNET), sizes=(3,), seeds=1, steps=1, brightness=(60, 100))
    other = replace(one, experiment=experiment)
    measure(other, note=lambda _: None, on_job=quietly)
    assert other.folder.name == "tiny-1-steps-brightness-60-100"
    run = next(run for run in other.plan().runs if run.size == 3 and run.few is None)
    _, bright = training_set(other, run)
    _, any_ = training_set(one, replace(run, choice=Choice()))
    with (one.shelf.run("lgesynthnet") / "samples.csv").open() as file:
        asked = {row["id"]: json.loads(row["prescription"])["intensity_percentile"] for row in csv.DictReader(file)}
    assert min(asked[name] for name in bright.patients) >= 60
    assert min(asked[name] for name in any_.patients) < 60


def test_hosts_of_scarred_patients_alone_when_asked(data, tmp_path):
    one = bench(data, tmp_path, arms=(Arm.LGESYNTHNET, Arm.REAL), scarred_hosts=True)
    work = one.plan()
    run = next(run for run in work.runs if run.arm is Arm.LGESYNTHNET)
    assert {name[0] for name in run.choice.hosts} == {"P"}
    assert run.choice == next(pool.choice for pool in work.pools)
    assert run.choice.takes(run.choice.hosts[0], 5.0)
    assert not run.choice.takes(next(name for name in run.patients if name[0] == "N"), 50.0)
    assert {path.parts[-4] for path in map(one.record_of, work.runs)} == {"tiny", "tiny-scarred-hosts"}


def test_lgesynthnet_less_real_only_is_the_change_of_the_first_table(finished):
    _, table, _ = finished
    lines = table.splitlines()
    less = next(i for i, line in enumerate(lines) if line.startswith("| LGESynthNet less"))
    real = next(line for line in lines[less:] if line.startswith("| real only |"))
    ours = next(line for line in lines if line.startswith("| + LGESynthNet 2 |"))
    assert real.split(" | ")[1] in ours
    others = [line for line in lines[less + 2 : less + 2 + len(ARMS)] if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in others if line.startswith("| + LGESynthNet")] == [
        "| + LGESynthNet, unfiltered 2",
        "| + LGESynthNet, labels as read 2",
    ]


def test_who_learnt_from_a_tested_patient_is_refused(data, tmp_path):
    one = bench(data, tmp_path / "run", arms=(Arm.LGESYNTHNET,))
    pools = one.plan().pools
    assert any("simulated patients only" in line for line in refuse_leaks(one, pools))
    _, _, splits = data
    leaky = tmp_path / "model"
    (leaky / "filter").mkdir(parents=True)
    for path in MODEL.rglob("*"):
        if path.is_file() and path.name != "reports.json":
            (leaky / path.relative_to(MODEL)).parent.mkdir(parents=True, exist_ok=True)
            (leaky / path.relative_to(MODEL)).symlink_to(path)
    one = replace(one, shelf=replace(one.shelf, workshop=replace(one.shelf.workshop, models=leaky)))
    with pytest.raises(RunError, match="does not say which patients"):
        refuse_leaks(one, pools)
    write_json(leaky / "reports.json", {"scar-segmenter-filter": {"patients": 1, "names": splits["test"][:1]}})
    with pytest.raises(RunError, match=f"learnt from {splits['test'][0]}, who are tested"):
        refuse_leaks(one, pools)
    write_json(leaky / "reports.json", {"scar-segmenter-filter": {"patients": 1, "names": splits["train"][:1]}})
    assert refuse_leaks(one, pools)
    write_json(leaky / "reports.json", {"scar-segmenter-auditor": {"patients": 1, "names": splits["test"][:1]}, "text": {"steps": 3}})
    assert patients_behind(leaky) is None  # an auditor paints and keeps nothing, and nobody else says a name


def test_parts_that_are_learnt_from_cannot_be_tested(data, tmp_path):
    with pytest.raises(InputError, match="cannot be tested"):
        bench(data, tmp_path, tested=("val",)).check()
    with pytest.raises(InputError, match="no part audit"):
        bench(data, tmp_path, tested=("audit",)).check()


def test_fewer_patients_are_among_more_and_hold_both_kinds():
    names = [f"{letter}{i}" for letter in "PN" for i in range(10)]
    scarred = {name: name.startswith("P") for name in names}
    for seed in range(3):
        three, six = (set(some_patients(names, scarred, count, seed=seed)) for count in (3, 6))
        assert three < six
        assert {name[0] for name in three} == {"P", "N"}
    assert some_patients(names, scarred, 6, seed=0) != some_patients(names, scarred, 6, seed=1)


def test_only_filtered_samples_are_scaled_and_pools_are_as_large_as_their_largest_run():
    experiment = ExperimentSettings(arms=tuple(Arm), sizes=(10, 20), seeds=1)
    made = plan(experiment, ["P1", "N1"], {"P1": True, "N1": False})
    sizes = {(run.arm, run.size) for run in made.runs}
    assert {(Arm.LGESYNTHNET, 10), (Arm.LGESYNTHNET, 20), (Arm.PASTE, 10), (Arm.REAL, 0)} <= sizes
    assert (Arm.PASTE, 20) not in sizes
    pool = next(pool for pool in made.pools if pool.name == "lgesynthnet")
    assert (pool.count, pool.kept) == (20, 20)


def test_killed_twice_it_ends_with_the_same_tables(data, finished, tmp_path):
    root, _, _ = data
    one, _, _ = finished
    command = [sys.executable, "-m", "lgesynthnet", "-q", "benchmark", "utility", "--data", str(root / "data")]
    command += ["--splits", str(root / "splits.json"), "--models", str(MODEL), "--out", str(tmp_path / "run")]
    command += ["--sizes", "2,3", "--seeds", "2", "--tested", "test", "--downstream", "tiny", "--low-data", "2"]
    command += [word for arm in ARMS for word in ("--arm", arm.value)]
    for wanted in (1, 5):
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 240
        while len(list(tmp_path.glob("run/tiny/runs/*/record.json"))) < wanted and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, capture_output=True, timeout=400)
    for name in ("runs.csv", "utility.csv", "utility.md"):
        assert (tmp_path / "run" / "tiny" / name).read_bytes() == (one.folder / name).read_bytes()
