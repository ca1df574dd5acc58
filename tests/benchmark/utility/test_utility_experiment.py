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
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from crash_points import crash_points, killed_at
from utility_experiments import ARMS, MODEL, experiment, in_this_process, run_quietly

from lgesynthnet.benchmark.utility import runs
from lgesynthnet.benchmark.utility.plan import Pool, Prepared
from lgesynthnet.benchmark.utility.runs import folds_of, training_set
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.manifest import MANIFEST, FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.phantom import cohort as cohort_module
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.segmenter.downstream import ROLE
from lgesynthnet.terms import Arm, Baseline, Prior

TABLES = ("runs.csv", "utility.csv", "utility.md")


@pytest.fixture
def jobs_in_this_process():
    with in_this_process():
        yield


def test_every_arm_and_regime_stands_in_the_tables(finished):
    done, tables, page = finished
    assert all(arm.label in tables for arm in ARMS)
    assert "2 with scar, 3 without" in tables
    assert "3 with scar, 3 without" in tables
    assert page.is_file()
    with (done.folder / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(ARMS)
    assert {(row["scarred_patients"], row["healthy_patients"], row["draw"]) for row in rows} == {("2", "3", "0"), ("3", "3", "0")}
    with (done.folder / "utility.csv").open() as file:
        changes = [row for row in csv.DictReader(file) if row["reference"] == Arm.REAL]
    assert {row["arm"] for row in changes} == {arm.value for arm in ARMS} - {"real"}


def test_the_same_command_does_nothing_twice_and_writes_the_same_bytes(finished):
    done, tables, _ = finished
    reports = []
    before = {path: path.stat().st_mtime_ns for path in done.out.rglob("record.json")}
    with in_this_process():
        assert run_quietly(done, on_job=reports.append)[0] == tables
    assert [progress.total for progress in reports] == [0]
    assert {path: path.stat().st_mtime_ns for path in done.out.rglob("record.json")} == before


def test_a_command_for_one_arm_writes_the_tables_of_all_finished_arms(finished):
    done, tables, _ = finished
    with in_this_process():
        one_arm, _ = run_quietly(replace(done, settings=replace(done.settings, arms=(Arm.REAL,))))
        assert [line for line in one_arm.splitlines() if line[:1] == "|"] == [line for line in tables.splitlines() if line[:1] == "|"]
        assert run_quietly(done)[0] == tables  # with the provenance of the models that this command uses


def hosts_of(done, pool, added):
    """Patient of the host of each added slice."""
    host = {row.id: row.host for row in RunFolder.open(done.pools.folder(pool)).rows}
    return [host[name] for name in added.patients]


def test_samples_reach_only_the_runs_whose_patients_hold_their_hosts(finished):
    done, _, _ = finished
    everyone = set()
    for run in done.plan().runs:
        real, added = training_set(done, run)
        assert set(real.patients) == set(run.patients)
        if run.pools:
            hosts = hosts_of(done, run.pools[0], added)
            assert hosts
            assert set(hosts) <= set(run.patients)
            everyone |= set(hosts)
    assert everyone <= set(done.splits["train"])
    run = next(run for run in done.plan().runs if run.arm is Arm.PASTE and run.regime.scarred == 3)
    with pytest.raises(RunError, match=r"no sample lies in a heart of P000; choose more patients with --scarred and --healthy"):
        training_set(done, replace(run, patients=("P000",)))
    first_host, *_ = hosts = hosts_of(done, run.pools[0], training_set(done, run)[1])
    alone = training_set(done, replace(run, patients=(run.patients[-1], first_host)))[1]
    assert len(alone) == hosts.count(first_host) + hosts.count(run.patients[-1])


def test_only_kept_samples_are_used_unless_the_arm_says_otherwise(finished):
    done, _, _ = finished
    with (done.pools.folder("lgesynthnet-phantom") / "samples.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["file"]]
    run = next(run for run in done.plan().runs if run.arm is Arm.RECIPE and run.regime.scarred == 3)
    kept = [row["id"] for row in rows if row["kept"] == "1"]
    assert training_set(done, run)[1].patients == kept[: done.settings.size]
    unfiltered = training_set(done, replace(run, arm=Arm.UNFILTERED))[1]
    assert unfiltered.patients == [row["id"] for row in rows][: done.settings.size]


@pytest.mark.usefixtures("jobs_in_this_process")
def test_the_arm_with_labels_as_read_has_the_same_images_and_the_labels_of_the_filter(finished):
    done, _, _ = finished
    intended_run = next(run for run in done.plan().runs if run.arm is Arm.RECIPE)
    with claimed(done.out, FolderKind.BENCHMARK):
        [pool] = [pool for pool in done.plan().pools if pool.name in intended_run.pools]
        runs.fill_pool(done, replace(pool, prepared=frozenset({Prepared.READ})))
    intended, read = (training_set(done, replace(intended_run, arm=arm))[1] for arm in (Arm.RECIPE, Arm.READ))
    assert np.array_equal(intended.image, read.image)
    assert not np.array_equal(intended.labels, read.labels)
    assert np.array_equal(intended.labels == 1, read.labels == 1)  # the cavity is the host's


def test_folds_never_train_on_the_held_out_patient_nor_on_samples_in_his_heart(finished, monkeypatch):
    done, _, _ = finished
    with_folds = replace(done, settings=replace(done.settings, folds=3))
    run = next(run for run in with_folds.plan().runs if run.arm is Arm.RECIPE and run.regime.scarred == 3)
    trained, scored = [], []
    train, score = runs.train, runs.score_stack

    def training(experiment, run, real, added, folder):
        trained.append(set(real.patients) | set(hosts_of(done, run.pools[0], added) if added else []))
        return train(experiment, run, real, added, folder)

    def scoring(segmenter, stack):
        assert stack.patient not in trained[-1]
        scored.append(stack.patient)
        return score(segmenter, stack)

    monkeypatch.setattr(runs, "train", training)
    monkeypatch.setattr(runs, "score_stack", scoring)
    path = done.record_path(run)
    before, main = json.loads(path.read_text()), path.parent / "checkpoint" / "state.safetensors"
    written = main.stat().st_mtime_ns
    assert not with_folds.is_finished(run)
    with claimed(done.out, FolderKind.BENCHMARK):
        runs.train_and_test(with_folds, run)
    assert with_folds.is_finished(run)
    assert done.is_finished(run)
    assert sorted(scored) == sorted(run.patients)  # each once, and none of the tested ones again
    assert len(trained) == 3
    assert main.stat().st_mtime_ns == written
    after = json.loads(path.read_text())
    assert {row["patient"] for row in after["training_slices"]} == set(run.patients)
    unchanged = set(before) - {"seconds", "training_slices"}
    assert {name: before[name] for name in unchanged} == {name: after[name] for name in unchanged}
    path.write_text(json.dumps(before, indent=2, sort_keys=True) + "\n")


def test_finished_segmenters_are_tested_again_for_scores_that_their_records_lack(finished):
    done, _, _ = finished
    run = next(run for run in done.plan().runs if run.arm is Arm.REAL)
    path = done.record_path(run)
    before = json.loads(path.read_text())
    old = before | {"slices": [{name: value for name, value in row.items() if "no_reflow" not in name} for row in before["slices"]]}
    path.write_text(json.dumps(old))
    again = replace(done, rescore=True)
    assert done.is_finished(run)
    assert not again.is_finished(run)
    with claimed(done.out, FolderKind.BENCHMARK):
        runs.train_and_test(again, run)
    assert again.is_finished(run)
    after = json.loads(path.read_text())
    assert after["slices"] == before["slices"]  # the stored weights are those that were tested
    path.write_text(json.dumps(before, indent=2, sort_keys=True) + "\n")


def test_folds_spread_patients_with_scar_and_hold_each_once(finished):
    done, _, _ = finished
    real = done.real_slices()
    diseased = {name for name, scarred in zip(real.patients, real.scarred, strict=True) if scarred}
    for seed in range(3):
        folds = folds_of(real, 3, seed=seed)
        assert sorted(name for fold in folds for name in fold) == sorted(set(real.patients))
        assert [len(set(fold) & diseased) for fold in folds] == [1, 1, 1]


@pytest.mark.usefixtures("jobs_in_this_process")
def test_a_cascade_takes_its_wall_from_the_finished_crop_run(finished):
    done, _, _ = finished
    cascade = replace(done, settings=replace(done.settings, arms=(Arm.REAL,), scarred=(2,), baseline=Baseline.CASCADE))
    run_quietly(cascade)
    [run] = cascade.plan().runs
    folder = cascade.record_path(run).parent
    assert folder == done.out / "cascade-tiny" / "runs" / "02-03-real-d0"
    assert not (folder / "wall").exists()
    for name in ("config.json", "model.safetensors"):
        wall = (folder / "model" / ROLE / "wall" / name).read_bytes()
        assert wall == (done.record_path(run).parent / "model" / ROLE / name).read_bytes()
    of_a_fold = replace(run, patients=run.patients[1:])
    assert runs._finished_wall(cascade, of_a_fold) is None
    assert runs._finished_wall(replace(cascade, settings=replace(cascade.settings, size=9)), run) is None
    shutil.rmtree(cascade.folder)


def test_a_folder_of_other_settings_is_refused(finished):
    done, _, _ = finished
    with in_this_process(), pytest.raises(RunError, match='begun with prior "ischaemic", not "uniform"'):
        run_quietly(replace(done, settings=replace(done.settings, prior=Prior.UNIFORM)))
    with in_this_process(), pytest.raises(RunError, match="begun with size 4, not 3"):
        run_quietly(replace(done, settings=replace(done.settings, size=3)))
    with in_this_process(), pytest.raises(RunError, match="begun with first_weights "):
        run_quietly(replace(done, first=Path("phantom")))


def test_another_way_of_training_or_painting_has_a_folder_of_its_own(finished):
    done, _, _ = finished

    def folder(**changes):
        return replace(done, settings=replace(done.settings, **changes)).folder.relative_to(done.out).as_posix()

    assert folder() == "crop-tiny"
    assert folder(steps=2) == "crop-tiny-2-steps"
    assert folder(baseline=Baseline.KNOWN_WALL) == "known-wall-tiny"
    assert folder(painter="runs/mine-model/") == "crop-mine-model-tiny"
    assert folder(painter=None) == "crop-trained-tiny"


@pytest.mark.usefixtures("jobs_in_this_process")
def test_what_a_killed_command_left_out_is_made_again_with_the_same_tables(data, finished, tmp_path):
    """The short form of the test that kills a command: one run is missing, another was trained and not tested."""
    done, _, _ = finished
    shutil.copytree(done.out, tmp_path / "run")
    resumed = experiment(data, tmp_path / "run")
    missing, untested, *_ = sorted(resumed.folder.glob("runs/*/record.json"))
    shutil.rmtree(missing.parent)
    untested.unlink()
    for name in TABLES:
        (resumed.folder / name).unlink()
    run_quietly(resumed)
    for name in TABLES[1:]:
        assert (resumed.folder / name).read_bytes() == (done.folder / name).read_bytes()
    tables = (
        [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader((e.folder / TABLES[0]).open())] for e in (resumed, done)
    )
    assert next(tables) == next(tables)


@pytest.mark.usefixtures("jobs_in_this_process")
@pytest.mark.parametrize("damage", [b"{", b'{"arm": "real"}', b'{"draw": 1e999}'])
@pytest.mark.parametrize("name", ["crop-tiny/experiment.json", "experiment.json", "record.json"])
def test_a_damaged_record_is_one_line_and_its_remedy_works(data, finished, tmp_path, name, damage):
    done, tables, _ = finished
    out = shutil.copytree(done.out, tmp_path / "run")
    path = next(iter(sorted(out.glob("crop-tiny/runs/*/record.json")))) if name == "record.json" else out / name
    path.write_bytes(damage)
    damaged = experiment(data, out)
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
    done, _, _ = finished
    command = [sys.executable, "-m", "lgesynthnet", "-q", "benchmark", "utility", "--data", str(data.root / "data")]
    command += [
        "--splits",
        str(data.root / "splits.json"),
        "--models",
        str(MODEL),
        "--first",
        str(data.first),
        "--out",
        str(tmp_path / "run"),
    ]
    command += ["--scarred", "2,all", "--draws", "1", "--size", "4", "--tested", "test", "--downstream-recipe", "tiny"]
    command += [word for arm in ARMS for word in ("--arm", arm.value)]
    for wanted in (1, 5):
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 240
        while len(list(tmp_path.glob("run/crop-tiny/runs/*/record.json"))) < wanted and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, capture_output=True, timeout=400)
    with in_this_process():  # the tables again, with as many draws as those of the other experiment
        run_quietly(experiment(data, tmp_path / "run"))
    for name in TABLES[1:]:
        assert (tmp_path / "run" / "crop-tiny" / name).read_bytes() == (done.folder / name).read_bytes()
