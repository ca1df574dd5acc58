"""The utility experiment on a few simulated patients: planned, killed, resumed, written; and what it refuses."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from crash_points import crash_points, killed_at

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.benchmark.trained_methods import TrainedMethods
from lgesynthnet.benchmark.utility.experiment import run_experiment
from lgesynthnet.benchmark.utility.leaks import check_for_leaks
from lgesynthnet.benchmark.utility.plan import Pool, Run, choose_patients, plan_experiment
from lgesynthnet.benchmark.utility.pools import SamplePools
from lgesynthnet.benchmark.utility.results import StoredRun
from lgesynthnet.benchmark.utility.runs import training_set
from lgesynthnet.benchmark.utility.settings import ExperimentSettings
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.evaluate.utility.scores import HALF
from lgesynthnet.files.manifest import MANIFEST, FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import write_json
from lgesynthnet.model_store import patients_behind, weights_folder
from lgesynthnet.phantom import cohort as cohort_module
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.terms import Arm, Prior

ARMS = (Arm.REAL, Arm.RESAMPLED, Arm.PASTE, Arm.UNFILTERED, Arm.LGESYNTHNET, Arm.READ)
MODEL = weights_folder() / "phantom"
TABLES = ("runs.csv", "utility.csv", "utility.md")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("utility")
    cohort = open_cohort(simulate_patients(root / "data", patients=8, seed=2, positive=0.5, non_ischaemic=0.0))
    sick, sound = ([case.patient for case in cohort.cases if case.patient[0] == letter] for letter in "PN")
    splits = {"train": [*sick[:2], *sound[:2]], "val": [sick[2], sound[2]], "test": [sick[3], sound[3]]}
    write_json(root / "splits.json", splits)
    return root, cohort, splits


def experiment(data, out, **changes):
    _, cohort, splits = data
    methods = TrainedMethods(source=CohortSource(root=cohort.root), splits=splits, work=out / "work", models=MODEL, device="cpu")
    settings = {"arms": ARMS, "sizes": (2, 3), "seeds": 2, "tested": ("test",), "downstream": "tiny"}
    return UtilityExperiment(pools=SamplePools(methods=methods, out=out), settings=ExperimentSettings(**(settings | changes)))


def run_quietly(experiment, **options):
    return run_experiment(experiment, **({"note": lambda _: None, "on_job": lambda progress: None} | options))


class InThisProcess:
    """An executor that needs no new process, which would import torch again."""

    def submit(self, function, /, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture
def jobs_in_this_process(monkeypatch):
    @contextmanager
    def executor(workers, *, ray):
        yield InThisProcess()

    monkeypatch.setattr("lgesynthnet.benchmark.utility.experiment.executor", executor)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("experiment") / "run"
    done = experiment(data, out, low_data=(2,))
    tables, page = run_quietly(done, workers=2)
    return done, tables, page


def test_every_arm_stands_in_the_table_beside_the_published_row(finished):
    done, tables, page = finished
    assert all(arm.label in tables for arm in ARMS)
    assert "0.72 | 0.32 | 0.77 | 0.73" in tables
    assert "2 patients, real only" in tables
    assert page.is_file()
    with (done.folder / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (len(ARMS) + 1) + 4  # two seeds; LGESynthNet at two sizes; two patients with and without
    assert all(int(row["TN"]) + int(row["FP"]) + int(row["FN"]) + int(row["TP"]) == 2 for row in rows)


def test_the_same_command_does_nothing_twice_and_writes_the_same_bytes(finished):
    done, tables, _ = finished
    reports = []
    before = {path: path.stat().st_mtime_ns for path in done.out.rglob("record.json")}
    assert run_quietly(done, workers=1, on_job=reports.append)[0] == tables
    assert [progress.total for progress in reports] == [0]
    assert {path: path.stat().st_mtime_ns for path in done.out.rglob("record.json")} == before


def test_the_areas_at_one_half_are_those_of_the_mask_and_a_higher_threshold_finds_no_more(finished):
    done, _, _ = finished
    for path in done.out.rglob("record.json"):
        for row in read_record(path, StoredRun).slices:
            assert row.predicted_at_mm2[HALF] == pytest.approx(row.predicted_mm2, rel=0.02, abs=10)
            assert row.overlap_at_mm2[HALF] == pytest.approx(row.overlap_mm2, rel=0.02, abs=10)
            assert sorted(row.predicted_at_mm2, reverse=True) == list(row.predicted_at_mm2)
            assert all(overlap <= area for overlap, area in zip(row.overlap_at_mm2, row.predicted_at_mm2, strict=True))


def test_a_command_for_one_arm_writes_the_tables_of_all_finished_arms(finished):
    done, tables, _ = finished
    one_arm, _ = run_quietly(replace(done, settings=replace(done.settings, arms=(Arm.REAL,), low_data=())))
    assert [line for line in one_arm.splitlines() if line.startswith("|")] == [line for line in tables.splitlines() if line.startswith("|")]
    assert run_quietly(done)[0] == tables  # with the provenance of the models that this command uses


def test_synthetic_slices_come_from_training_patients_and_the_filter_decides(finished):
    done, _, _ = finished
    pool = json.loads((done.pools.folder("lgesynthnet") / "plan.json").read_text())
    assert sorted(pool["patients"]) == sorted(done.splits["train"])
    with (done.pools.folder("lgesynthnet") / "samples.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["file"]]
    assert {row["host"] for row in rows} <= set(done.splits["train"])
    kept = [row["id"] for row in rows if row["kept"] == "1"]
    run = Run(arm=Arm.LGESYNTHNET, size=3, seed=0, patients=tuple(done.splits["train"]), pool="lgesynthnet")
    _, filtered = training_set(done, run)
    assert filtered.patients == kept[:3]
    _, unfiltered = training_set(done, replace(run, arm=Arm.UNFILTERED, size=2))
    assert unfiltered.patients == [row["id"] for row in rows][:2]


def test_the_arm_with_labels_as_read_has_the_same_images_and_the_labels_of_the_filter(finished):
    done, _, _ = finished
    run = Run(arm=Arm.LGESYNTHNET, size=2, seed=0, patients=tuple(done.splits["train"]), pool="lgesynthnet")
    _, intended = training_set(done, run)
    _, read = training_set(done, replace(run, arm=Arm.READ))
    assert np.array_equal(intended.image, read.image)
    assert not np.array_equal(intended.labels, read.labels)
    assert np.array_equal(intended.labels == 1, read.labels == 1)  # the cavity is the host's


def test_a_low_data_run_knows_its_own_patients_only(finished):
    done, _, _ = finished
    for seed in (0, 1):
        pool = json.loads((done.pools.folder(f"low-data-02-s{seed}") / "plan.json").read_text())
        assert len(pool["patients"]) == 2
        assert {name[0] for name in pool["patients"]} == {"P", "N"}


def test_a_folder_of_other_settings_is_refused(finished):
    done, _, _ = finished
    changed = replace(done, settings=replace(done.settings, prior=Prior.UNIFORM))
    with pytest.raises(RunError, match='begun with prior "ischaemic", not "uniform"'):
        run_quietly(changed)


@pytest.mark.usefixtures("jobs_in_this_process")
def test_another_way_of_training_shares_the_samples_and_has_a_folder_of_its_own(finished):
    done, _, _ = finished
    arms = (Arm.REAL, Arm.PASTE)
    variant = replace(done, settings=replace(done.settings, arms=arms, sizes=(2,), low_data=(), steps=2, share=0.5))
    before = (done.pools.folder("paste") / "samples.csv").stat().st_mtime_ns
    run_quietly(variant)
    assert variant.folder == done.out / "tiny-2-steps-share-0.5"
    assert (variant.folder / "runs.csv").is_file()
    runs = {path.parent.relative_to(done.out).as_posix() for path in done.out.glob("tiny-2-steps*/runs/*/record.json")}
    assert {name.rpartition("-s")[0] for name in runs} == {"tiny-2-steps/runs/real", "tiny-2-steps-share-0.5/runs/paste-2"}
    assert (done.pools.folder("paste") / "samples.csv").stat().st_mtime_ns == before


def test_lgesynthnet_minus_real_only_is_the_change_of_the_first_table(finished):
    _, tables, _ = finished
    lines = tables.splitlines()
    minus = next(i for i, line in enumerate(lines) if line.startswith("| LGESynthNet minus"))
    real = next(line for line in lines[minus:] if line.startswith("| real only |"))
    ours = next(line for line in lines if line.startswith("| + LGESynthNet 2 |"))
    assert real.split(" | ")[1] in ours
    others = [line for line in lines[minus + 2 : minus + 2 + len(ARMS)] if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in others if line.startswith("| + LGESynthNet")] == [
        "| + LGESynthNet, unfiltered 2",
        "| + LGESynthNet, labels as read 2",
    ]


def test_a_model_trained_on_a_tested_patient_is_refused(data, tmp_path):
    leak_free = experiment(data, tmp_path / "run", arms=(Arm.LGESYNTHNET,))
    pools = leak_free.plan().pools
    assert any("simulated patients only" in line for line in check_for_leaks(leak_free, pools))
    _, _, splits = data
    leaky = tmp_path / "model"
    (leaky / "filter").mkdir(parents=True)
    for path in MODEL.rglob("*"):
        if path.is_file() and path.name != "reports.json":
            (leaky / path.relative_to(MODEL)).parent.mkdir(parents=True, exist_ok=True)
            (leaky / path.relative_to(MODEL)).symlink_to(path)
    methods = replace(leak_free.pools.methods, models=leaky)
    with_leaky_model = replace(leak_free, pools=replace(leak_free.pools, methods=methods))
    with pytest.raises(RunError, match="has no record of its training patients"):
        check_for_leaks(with_leaky_model, pools)
    (leaky / "reports.json").write_text(json.dumps({"scar-segmenter-filter": {"patients": 1, "names": splits["test"][:1]}}))
    with pytest.raises(RunError, match=f"trained on patients of the test set: {splits['test'][0]}"):
        check_for_leaks(with_leaky_model, pools)
    (leaky / "reports.json").write_text(json.dumps({"scar-segmenter-filter": {"patients": 1, "names": splits["train"][:1]}}))
    assert check_for_leaks(with_leaky_model, pools)
    (leaky / "reports.json").write_text(
        json.dumps({"scar-segmenter-auditor": {"patients": 1, "names": splits["test"][:1]}, "text": {"steps": 3}})
    )
    assert patients_behind(leaky) is None  # the auditor makes and keeps no sample, and no other stage names patients


def test_parts_that_are_learnt_from_cannot_be_tested(data, tmp_path):
    with pytest.raises(InputError, match="cannot be tested"):
        experiment(data, tmp_path, tested=("val",)).check()
    with pytest.raises(InputError, match="no part audit"):
        experiment(data, tmp_path, tested=("audit",)).check()


def test_fewer_patients_are_among_more_and_hold_both_kinds():
    names = [f"{letter}{i}" for letter in "PN" for i in range(10)]
    scarred = {name: name.startswith("P") for name in names}
    for seed in range(3):
        three, six = (set(choose_patients(names, scarred, count, seed=seed)) for count in (3, 6))
        assert three < six
        assert {name[0] for name in three} == {"P", "N"}
    assert choose_patients(names, scarred, 6, seed=0) != choose_patients(names, scarred, 6, seed=1)


def test_only_filtered_samples_are_scaled_and_pools_are_as_large_as_their_largest_run():
    settings = ExperimentSettings(arms=tuple(Arm), sizes=(10, 20), seeds=1)
    plan = plan_experiment(settings, ["P1", "N1"], {"P1": True, "N1": False})
    sizes = {(run.arm, run.size) for run in plan.runs}
    assert {(Arm.LGESYNTHNET, 10), (Arm.LGESYNTHNET, 20), (Arm.PASTE, 10), (Arm.REAL, 0)} <= sizes
    assert (Arm.PASTE, 20) not in sizes
    pool = next(pool for pool in plan.pools if pool.name == "lgesynthnet")
    assert (pool.count, pool.kept) == (20, 20)


@pytest.mark.usefixtures("jobs_in_this_process")
def test_what_a_killed_command_left_out_is_made_again_with_the_same_tables(data, finished, tmp_path):
    """The short form of the test that kills a command: one run is missing, another was trained and not tested."""
    done, _, _ = finished
    shutil.copytree(done.out, tmp_path / "run")
    resumed = experiment(data, tmp_path / "run", low_data=(2,))
    missing, untested, *_ = sorted(resumed.folder.glob("runs/*/record.json"))
    shutil.rmtree(missing.parent)
    untested.unlink()
    for name in TABLES:
        (resumed.folder / name).unlink()
    run_quietly(resumed)
    for name in TABLES:
        assert (resumed.folder / name).read_bytes() == (done.folder / name).read_bytes()


@pytest.mark.usefixtures("jobs_in_this_process")
@pytest.mark.parametrize("damage", [b"", b"{", b'{"arm": "real"}', b"[]", b'{"seed": 1e999}'])
@pytest.mark.parametrize("name", ["tiny/experiment.json", "experiment.json", "record.json"])
def test_a_damaged_record_is_one_line_and_its_remedy_works(data, finished, tmp_path, name, damage):
    done, tables, _ = finished
    out = shutil.copytree(done.out, tmp_path / "run")
    path = next(iter(sorted(out.glob("tiny/runs/*/record.json")))) if name == "record.json" else out / name
    path.write_bytes(damage)
    damaged = experiment(data, out, low_data=(2,))
    if name.endswith("experiment.json") and damage.startswith(b'{"arm'):
        with pytest.raises(RunError, match=r"experiment was begun with"):
            run_quietly(damaged)
    else:
        with pytest.raises(InputError, match=rf"{path.name}: .*; delete it, and the same command makes it again$"):
            run_quietly(damaged)
    if damage == b"{":
        path.unlink()
        assert run_quietly(damaged)[0] == tables


def test_a_pool_that_was_killed_or_damaged_is_filled_again_with_the_same_bytes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(cohort_module, "simulate", lru_cache(cohort_module.simulate))
    pool = Pool(name="phantom", method=None, count=2)

    def fill(out):
        with claimed(out, FolderKind.BENCHMARK):
            experiment(data, out).pools.fill(pool)

    def tree(out):
        contents = {
            path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".lock"
        }
        prepared = contents.pop("prepared/phantom.safetensors")  # its words come in any order
        words = json.loads(prepared[8 : 8 + int.from_bytes(prepared[:8], "little")])
        names = sorted(json.loads(line).get("file", "") for line in contents.pop(MANIFEST).splitlines())
        return contents | {"prepared": (words, prepared[8 + int.from_bytes(prepared[:8], "little") :]), "listed": names}

    fill(tmp_path / "whole")
    wanted = tree(tmp_path / "whole")
    points = crash_points(lambda: fill(tmp_path / "listed"), tmp_path / "listed")
    for number in range(0, len(points), len(points) // 5):
        out = tmp_path / str(number)
        assert killed_at(lambda out=out: fill(out), out, number) is not None
        fill(out)
        assert tree(out) == wanted, points[number]
    out = tmp_path / "listed"
    prepared = out / "prepared" / "phantom.safetensors"
    next(out.glob("pools/*/Case_P001/Images/*.gz")).unlink()
    prepared.write_bytes(b"")  # as a crash leaves it
    fill(out)
    assert tree(out) == wanted
    experiment(data, out).pools.fill(replace(pool, count=9))  # a larger pool, which has more patients
    assert len(list(out.glob("pools/phantom-*"))) == 2


@pytest.mark.long
def test_killed_twice_it_ends_with_the_same_tables(data, finished, tmp_path):
    root, _, _ = data
    done, _, _ = finished
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
    for name in TABLES:
        assert (tmp_path / "run" / "tiny" / name).read_bytes() == (done.folder / name).read_bytes()
