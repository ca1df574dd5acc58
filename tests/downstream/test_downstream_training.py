"""`train downstream` learns from training patients alone, sets operating points on patients that it has not seen, and survives kills."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crash_points import crash_points, killed_at
from factories import run_command

from lgesynthnet.data.source import CohortSource
from lgesynthnet.downstream.card import licence_of_segmenter
from lgesynthnet.downstream.jobs import READINGS
from lgesynthnet.downstream.patients import choose_patients, choose_samples
from lgesynthnet.downstream.preparing import about_samples, painted_slices_path, plan_trainings, prepare, real_slices_path
from lgesynthnet.downstream.request import DownstreamRequest
from lgesynthnet.downstream.training import STAGE, train_downstream
from lgesynthnet.files.lock import LOCK
from lgesynthnet.files.manifest import MANIFEST
from lgesynthnet.model_store import patients_behind
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.segmenter.downstream import DownstreamSegmenter
from lgesynthnet.terms import DownstreamRecipeName, Precision, WallFrom
from lgesynthnet.train.checkpoint import read_note
from lgesynthnet.train.examples.slices import read_slice_dataset


def request(hearts: Path, out: Path, *runs: Path, **changed: object) -> DownstreamRequest:
    settings = {"recipe": DownstreamRecipeName.TINY, "init": "none", "workers": 1, "device": "cpu", "precision": Precision.NO}
    source = CohortSource(root=hearts)
    return DownstreamRequest(data=source, out=out, samples=tuple(map(str, runs)) or None, **{**settings, **changed})


def work_of(trained: Path) -> Path:
    return trained.with_name("seg-work") / STAGE


def test_the_model_folder_stands_alone_and_says_on_whom_it_was_trained(trained, reports, names, hearts):
    segmenter = DownstreamSegmenter.from_pretrained(trained)
    assert segmenter.wall_from is WallFrom.CROP
    assert patients_behind(trained) == set(names)
    card = (trained / "README.md").read_text()
    assert "not for diagnosis" in card
    assert "license: apache-2.0" in card  # simulated patients
    assert not [name for name in names if name in card]
    assert str(hearts) not in card
    assert reports["downstream-segmenter"]["origin_channel"] is True
    assert {path.name for path in trained.iterdir()} - {MANIFEST, LOCK} == {"README.md", "config.json", "model.safetensors", "reports.json"}


def test_each_fold_learns_from_other_patients_than_it_reads(trained, reports, names):
    work = work_of(trained)
    real, painted = read_slice_dataset(real_slices_path(work)), read_slice_dataset(painted_slices_path(work))
    final, *folds = reports["downstream-segmenter"]["trainings"]
    assert (final["name"], final["patients"], final["held_out"]) == ("final", names, [])
    assert Counter(name for fold in folds for name in fold["held_out"]) == dict.fromkeys(names, 1)
    for fold in folds:
        assert set(fold["patients"]) == set(names) - set(fold["held_out"])
        read = json.loads((work / fold["name"] / READINGS).read_text())["readings"]
        assert {entry["patient"] for entry in read} == set(fold["held_out"])
        plan = read_note(work / fold["name"]).plan  # what the checkpoint says that it was trained on
        assert plan["data"] == real.of(fold["patients"]).content
        assert plan["added"] == painted.of(fold["patients"]).content


def test_the_default_is_the_operating_point_of_a_false_positive_rate_of_a_tenth(trained, reports):
    settings = DownstreamSegmenter.from_pretrained(trained).settings
    rates = {point.false_positive_rate: point.least_area_mm2 for point in settings.points}
    assert settings.least_area_mm2 == rates[0.1]
    rows = reports["downstream-segmenter"]["operating_points"]
    assert all(row["called_without_scar"] <= row["false_positive_rate"] for row in rows)


def test_too_few_slices_without_scar_set_no_operating_point_and_train_no_fold(trained):
    real = read_slice_dataset(real_slices_path(work_of(trained)))
    few = real.taken(np.flatnonzero(real.scarred))
    trainings, notes = plan_trainings(few, seed=0)
    assert [training.name for training in trainings] == ["final"]
    assert "0 slices without scar" in notes[0]
    others = sorted(set(few.patients))[1:]
    trainings, notes = plan_trainings(real.of(frozenset(real.patients) - set(others)), seed=0)
    assert [training.name for training in trainings] == ["final"]
    assert "one patient with scar" in notes[0]


@pytest.mark.parametrize(
    ("scarred", "given", "advice"),
    [(2, True, None), (2, False, "give them with --samples"), (8, True, "train once without --samples, too"), (8, False, None)],
)
def test_a_user_is_told_where_samples_gained_nothing_and_where_they_gained(scarred, given, advice):
    told = about_samples(scarred, given=given)
    assert told == [] if advice is None else advice in told[0]


def test_a_sample_in_a_patient_who_is_no_training_patient_is_refused(hearts, painted_run, names, training_words, tmp_path):
    hosts = sorted({row.host for row in RunFolder.open(painted_run).painted()})
    tested = next(name for name in names if name in hosts)
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"train": [name for name in names if name != tested], "test": [tested]}))
    done = run_command(*training_words, "--splits", splits, "--out", tmp_path / "seg")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert f"was painted into {tested}, who is in the part test" in line
    assert f"synthesize --splits {splits} --part train" in line
    assert not (tmp_path / "seg").exists()


def test_rejected_samples_are_not_learnt_from(hearts, painted_run, tmp_path):
    run = RunFolder.open(painted_run)
    wanted = request(hearts, tmp_path / "seg", painted_run)
    chosen, _ = choose_samples(painted_run, choose_patients(wanted), wanted)
    assert {row.id for row in chosen.rows} == {row.id for row in run.rows if row.kept and row.file}
    assert any(row.file and not row.kept for row in run.rows)
    prepared = prepare(wanted, tmp_path / "prepared")
    assert len(prepared.painted) == len(chosen.rows)
    assert prepared.painted.scarred.all()


def test_whom_the_generator_of_the_samples_learnt_from_is_known_or_said_to_be_unknown(hearts, painted_run, tmp_path):
    wanted = request(hearts, tmp_path / "seg", painted_run)
    chosen, _ = choose_samples(painted_run, choose_patients(wanted), wanted)
    assert chosen.behind == frozenset()  # the baseline has learnt from nobody
    run = tmp_path / "run"
    shutil.copytree(painted_run, run)
    model = tmp_path / "model"
    model.mkdir()
    plan = json.loads((run / "plan.json").read_text())
    plan["request"]["model"] = str(model)
    (run / "plan.json").write_text(json.dumps(plan))
    unknown, notes = choose_samples(run, choose_patients(wanted), wanted)
    assert unknown.behind is None
    assert any("not recorded" in note for note in notes)
    (model / "reports.json").write_text(json.dumps({"control": {"patients": 1, "names": ["X1"]}}))
    (model / "README.md").write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")
    known, _ = choose_samples(run, choose_patients(wanted), wanted)
    assert known.behind == {"X1"}
    prepared = replace(prepare(wanted, tmp_path / "prepared"), samples=(known,))
    assert licence_of_segmenter(prepared, wanted) == "cc-by-nc-sa-4.0"


def test_a_dry_run_prints_plan_time_and_disk_and_writes_nothing(training_words, tmp_path):
    done = run_command(*training_words, "--out", tmp_path / "seg", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "training fold-1: 4 steps on 3 patients, then reads the 3 others" in done.stdout
    assert "minute" in done.stdout
    assert " MB in " in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [WallFrom.CASCADE, WallFrom.KNOWN_WALL])
def test_the_other_kinds_are_trained_and_loaded(kind, hearts, tmp_path):
    result = train_downstream(request(hearts, tmp_path / "seg", wall_from=kind))
    segmenter = DownstreamSegmenter.from_pretrained(result.folder)
    assert segmenter.wall_from is kind
    assert (segmenter.wall_segmenter is not None) is (kind is WallFrom.CASCADE)
    assert segmenter.settings.points == result.points


def test_first_weights_of_another_size_are_refused_before_a_patient_is_read(training_words, trained, tmp_path):
    done = run_command(*training_words, "--out", tmp_path / "seg", "--init", trained, "--wall-from", "known-wall")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "choose another --init" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_another_seed_in_the_same_work_folder_is_refused(training_words, trained, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(work_of(trained).parent, work)
    done = run_command(*training_words, "--out", tmp_path / "seg", "--work", work, "--seed", 1)
    assert done.returncode == 2
    assert "choose another --work" in done.stderr


def contents(folder: Path) -> dict[str, object]:
    """Every file of the model folder; the seconds of the reports are left out."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in (LOCK, MANIFEST):
            found[path.name] = _timeless(json.loads(path.read_text())) if path.name == "reports.json" else path.read_bytes()
    return found


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(entry) for key, entry in value.items() if key != "seconds"}
    return [_timeless(entry) for entry in value] if isinstance(value, list) else value


def test_a_killed_training_goes_on_to_the_same_bytes(hearts, painted_run, trained, tmp_path):
    place, tries = tmp_path / "place", 3
    wanted = contents(trained)

    def command() -> None:
        train_downstream(request(hearts, place / "seg", painted_run))

    points = crash_points(command, place)
    assert contents(place / "seg") == wanted  # also: the same request gives the same bytes
    for number in sorted({round((i + 0.5) * (len(points) - 1) / tries) for i in range(tries)}):
        shutil.rmtree(place)
        assert killed_at(command, place, number) is not None
        command()
        assert contents(place / "seg") == wanted, points[number]


def test_trainings_side_by_side_give_the_same_bytes(training_words, trained, tmp_path):
    words = [word if word != 1 else 2 for word in training_words]
    done = run_command(*words, "--out", tmp_path / "seg")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "seg") == contents(trained)


def test_damage_of_the_model_folder_is_found_with_the_command_that_repairs_it(trained, tmp_path):
    folder = tmp_path / "seg"
    shutil.copytree(trained, folder)
    whole = run_command("verify", folder)
    assert whole.returncode == 0, whole.stdout
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-4])
    damaged = run_command("verify", folder)
    assert damaged.returncode == 2
    assert "model.safetensors" in damaged.stdout
    assert "`lgesynthnet train downstream`" in damaged.stdout
