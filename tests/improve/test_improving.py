"""The loop on four tiny patients: it leaves what it should, nobody is scored by what has met him, and a killed command goes on."""

from __future__ import annotations

import csv
import json
import re

import pytest
from factories import run_command, write_patient

from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.improve import deciding
from lgesynthnet.improve.jobs import read_fold
from lgesynthnet.improve.loop import Listeners, run_improvement
from lgesynthnet.improve.request import ImproveRequest
from lgesynthnet.improve.setup import Improvement, TrainingSet
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.segmenter.downstream import DownstreamSegmenter
from lgesynthnet.segmenter.operating_points import set_points
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
        "rounds": 3,
        "count": 3,
        "model": "paste",
        "init": "none",
        "recipe": DownstreamRecipeName.TINY,
        "hard_below": 1.0,
        "wall_from": WallFrom.KNOWN_WALL,  # needs no heart to be found, which takes most of the time
    }
    return ImproveRequest(**(settings | changes))


@pytest.fixture(scope="module")
def finished(data, few_draws):
    improvement = Improvement.of(request(data, control=True), data / "run")
    return improvement, run_improvement(improvement)


def test_it_leaves_a_segmenter_samples_tables_and_a_report(finished):
    improvement, result = finished
    out = improvement.out
    folds = len(improvement.folds(improvement.real()))
    held_out = [row for fold in range(folds) for row in read_fold(improvement, TrainingSet.of_round(0), fold).slices]
    settings = DownstreamSegmenter.from_pretrained(result.segmenter).settings
    assert settings.points == set_points(held_out)
    assert settings.least_area_mm2 == next((point.least_area_mm2 for point in settings.points), 0)
    assert len(RunFolder.open(out / "round-1").painted()) == 3
    page = (out / "report.html").read_text()
    assert result.advice.sentence in page
    assert result.stopped == "round 1 gained nothing on held-out patients"  # four steps teach nothing
    assert not (out / "round-2").exists()
    assert page.count("<img") >= 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    words = set(re.findall(r"\w+", re.sub(r"data:[^\"]+", "", page)))
    assert words.isdisjoint(improvement.patients)
    rows = list(csv.DictReader((out / "rounds.csv").open()))
    assert [row["training_set"] for row in rows] == ["round-0", "round-1", "control-3"]
    assert [row["samples"] for row in rows] == ["0", "3", "3"]
    cells = list(csv.DictReader((out / "cells.csv").open()))
    first = [row for row in cells if row["round"] == "0" and row["axis"] == "level"]
    assert sum(int(row["lesions"]) for row in first) == int(rows[0]["lesions"]) > 0
    assert sum(int(row["kept"]) for row in cells if row["round"] == "1" and row["axis"] == "level") == 3


def test_a_sample_never_trains_a_fold_that_holds_out_its_hosts_patient(finished):
    improvement, _ = finished
    host_of = {row.id: row.host for row in RunFolder.open(improvement.out / "round-1").painted()}
    used = set()
    for fold in range(2):
        record = read_fold(improvement, TrainingSet.of_round(1), fold)
        assert not [name for name in record.samples if host_of[name] in record.held_out]
        used |= set(record.samples)
    assert used == set(host_of)  # or leaving all of them out would pass


def test_a_sample_is_asked_for_by_the_misses_of_its_hosts_fold(finished):
    improvement, _ = finished
    folds = [set(read_fold(improvement, TrainingSet.of_round(0), fold).held_out) for fold in range(2)]
    lines = [json.loads(line) for line in (improvement.out / "prescriptions" / "round-1.jsonl").read_text().splitlines()]
    assert lines
    assert all(any(set(line["patients"]) <= fold for fold in folds) for line in lines)
    rows = RunFolder.open(improvement.out / "round-1").rows
    assert all(row.host in lines[int(row.id.rpartition("_")[2])]["patients"] for row in rows)


def test_validation_and_test_patients_are_never_opened(finished):
    improvement, _ = finished  # their files hold nonsense, and no word is said of it
    assert {case.patient for case in improvement.cohort().cases} == {"N1", "N2", "P1", "P2"}
    assert "P3" not in (improvement.out / "round-1" / "plan.json").read_text()


def tree(out):
    """All bytes but those that hold seconds: checkpoints, ledgers, and what a run tells of its time."""
    skipped = (
        "ledger.sqlite",
        "samples.csv",
        "metrics.jsonl",
        "state.safetensors",
        "lgesynthnet-files.jsonl",
        ".lock",
        "card.md",
        "plan.json",
    )
    return {
        path.relative_to(out): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
        and path.name not in skipped
        and path.parent.name + path.name not in ("round-1report.html", "control-3report.html")
        and "tfevents" not in path.name
    }


class KilledError(Exception):
    """Stands for a kill."""


def test_killed_twice_the_same_command_ends_with_the_same_bytes(data, finished):
    whole, _ = finished
    again = Improvement.of(whole.request, data / "killed" / "run")
    for job in (2, 7):  # in the first folds, and after a painting

        def die(what, done, total, job=job):
            if done == job:
                raise KilledError

        with pytest.raises(KilledError):
            run_improvement(again, listeners=Listeners(on_job=die))
        assert not (again.out / "report.html").exists()
    run_improvement(again)
    ours, theirs = tree(again.out), tree(whole.out)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_a_finished_command_does_nothing_twice(finished):
    improvement, result = finished
    before = {path: path.stat().st_mtime_ns for path in (improvement.out / "work").rglob("*.json")}
    assert run_improvement(improvement) == result
    assert {path: path.stat().st_mtime_ns for path in (improvement.out / "work").rglob("*.json")} == before


def test_the_samples_can_be_exported(finished, tmp_path):
    improvement, _ = finished
    done = run_command("export", "nifti", improvement.out / "round-1", tmp_path / "pairs")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "pairs").glob("*_image.nii.gz"))) >= 3


def test_what_it_refuses_in_one_line_with_the_remedy(data, finished, tmp_path):
    improvement, _ = finished

    def splits(name, **parts):
        (tmp_path / name).write_text(json.dumps(parts))
        return tmp_path / name

    with pytest.raises(InputError, match=r"has no patients in \"train\".*add the part"):
        Improvement.of(request(data, splits=splits("a.json", test=["P1"])), tmp_path / "run")
    with pytest.raises(InputError, match=r"P9 of train is not in .*give the folder that was split"):
        Improvement.of(request(data, splits=splits("b.json", train=["P1", "P9"])), tmp_path / "run")
    with pytest.raises(InputError, match=r"1 of the patients in train have scar, and 2 are needed.*label the scar of more patients"):
        run_improvement(Improvement.of(request(data, splits=splits("c.json", train=["P1", "N1"])), tmp_path / "run"))
    with pytest.raises(InputError, match=r"every labelled slice of train holds scar.*add patients"):
        run_improvement(Improvement.of(request(data, splits=splits("d.json", train=["P1", "P2"])), tmp_path / "run2"))
    with pytest.raises(InputError, match=r"--folds 3: only 2 patients have scar.*give fewer"):
        run_improvement(Improvement.of(request(data, folds=3), tmp_path / "run3"))
    with pytest.raises(RunError, match=r"was begun with other settings: count was 3 and is now 4"):
        run_improvement(Improvement.of(request(data, count=4), improvement.out))
    with pytest.raises(RunError, match=r"lies in the folder of the patients"):
        Improvement.of(request(data), data / "patients" / "run")
    with pytest.raises(RunError, match=r"--rounds 0"):
        request(data, rounds=0)


def test_a_model_that_has_met_a_patient_of_the_splits_is_refused(data, tmp_path):
    model = tmp_path / "model"
    for part in ("inpainter", "filter"):
        (model / part).mkdir(parents=True)
    (model / "reports.json").write_text(json.dumps({"control": {"patients": 1, "names": ["N3"]}}))
    with pytest.raises(RunError, match=r"was trained on patients of the splits: N3.*such as phantom"):
        Improvement.of(request(data, model=str(model)), tmp_path / "run")
    (model / "reports.json").unlink()
    with pytest.raises(RunError, match=r"has no record of its training patients"):
        Improvement.of(request(data, model=str(model)), tmp_path / "run")


def test_a_dry_run_says_how_long_it_takes_and_writes_nothing(data, tmp_path):
    words = ("--data", data / "patients", "--splits", data / "splits.json", "--recipe", "tiny", "--init", "none", "--model", "paste")
    done = run_command("improve", *words, "--out", tmp_path / "run", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "4 training patients, 2 of them with scar, in 2 folds" in done.stdout
    assert "at most 9 trainings of 4 steps" in done.stdout
    assert re.search(r"at most \d+ minutes in all on 1 idle cores", done.stdout)
    assert not (tmp_path / "run").exists()


def test_rounds_go_on_for_as_long_as_they_gain_and_their_samples_add_up(data, few_draws, monkeypatch):
    monkeypatch.setattr(deciding, "SMALLEST_GAIN", -1.0)  # so that any change is a gain
    monkeypatch.setattr(deciding, "LARGEST_LOSS", 1.0)
    improvement = Improvement.of(request(data, rounds=2, count=1), data / "gaining" / "run")
    result = run_improvement(improvement)
    assert result.stopped == "all 2 rounds were made"
    assert result.samples == 2
    assert not result.advice.sentence.startswith("Do not")
    [row] = [row for row in csv.DictReader((improvement.out / "rounds.csv").open()) if row["chosen"] == "yes"]
    assert row["training_set"] == "round-2"
    report = json.loads((improvement.out / "segmenter" / "reports.json").read_text())["downstream-segmenter"]
    assert report["names"] == ["N1", "N2", "P1", "P2"]
    assert len(set(report["samples"])) == 2


@pytest.mark.long  # two new processes import torch
def test_two_workers_end_with_the_same_bytes(data, finished):
    whole, _ = finished
    side_by_side = Improvement.of(whole.request, data / "workers" / "run")
    run_improvement(side_by_side, workers=2)
    ours, theirs = tree(side_by_side.out), tree(whole.out)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
