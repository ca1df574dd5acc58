"""Training and packing are killed at each change that they make to a folder; the same command then goes on to the same bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from crash_points import crash_points, killed_at
from training_requests import tiny_request

from lgesynthnet.files.lock import LOCK
from lgesynthnet.files.manifest import MANIFEST, FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import replaced_folder
from lgesynthnet.terms import Role, Stage
from lgesynthnet.train.packing import pack, pack_parts
from lgesynthnet.train.segmenters.scar import train_scar_segmenter
from lgesynthnet.train.stages import train_generator

STAGES = (Stage.AUTOENCODER, Stage.TEXT, Stage.BASE, Stage.CONTROL)


def contents(folder: Path) -> dict[str, object]:
    """Every file, with the seconds of reports and logs left out, and without checkpoints, which hold seconds, and lists."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name in (LOCK, MANIFEST, "state.safetensors"):
            continue
        if path.suffix == ".jsonl":
            found[name] = [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.name in ("report.json", "reports.json"):
            found[name] = _timeless(json.loads(path.read_text()))
        else:
            found[name] = path.read_bytes()
    return found


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(entry) for key, entry in value.items() if key != "seconds"}
    return [_timeless(entry) for entry in value] if isinstance(value, list) else value


def survives(command: Callable[[], object], start: Callable[[], object], folder: Path, tries: int) -> tuple[int, int]:
    """Kill at `tries` evenly spaced changes; returns the number of kills and of changes."""
    start()
    points = crash_points(command, folder)
    wanted = contents(folder)
    chosen = sorted({round(i * (len(points) - 1) / (tries - 1)) for i in range(tries)})
    for number in chosen:
        start()
        assert killed_at(command, folder, number) is not None
        command()
        found = contents(folder)
        assert {name for name in wanted.keys() | found if wanted.get(name) != found.get(name)} == set(), (number, points[number])
    print(f"{folder.name}: {len(chosen)} of {len(points)} changes were killed at, and all went on to the same bytes")
    return len(chosen), len(points)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("tries", [4, pytest.param(16, marks=pytest.mark.long)])
def test_text_goes_on_from_every_kill(tmp_path, tries):
    work = tmp_path / "text"
    survives(lambda: train_generator(tiny_request(work), Stage.TEXT), lambda: remove(work), work, tries)


@pytest.fixture(scope="module")
def packable(cohort, tiny_stages, tmp_path_factory) -> Path:
    work = tiny_stages.copy_of(*tiny_stages.reports, to=tmp_path_factory.mktemp("packable") / "work")
    train_scar_segmenter(tiny_request(work, cohort), Role.FILTER)
    return work


@pytest.fixture(scope="module")
def another_model(packable, tmp_path_factory) -> Path:
    """A model folder with other words in its parts, a part that is gone since, and a file of the user."""
    work, out = tmp_path_factory.mktemp("another") / "work", tmp_path_factory.mktemp("another") / "model"
    shutil.copytree(packable, work)
    path = work / "control" / "model" / "conditioning.json"
    path.write_text(path.read_text().replace("0.", "1.", 1))
    (work / MANIFEST).unlink()  # as version 0.1.0 left a work folder, which nobody checks
    pack(work, out, card="# old\n")
    with claimed(out, FolderKind.MODEL), replaced_folder(out / "auditor") as new:
        (new / "config.json").write_text("{}")
    (out / "notes.txt").write_text("mine")
    return out


@pytest.mark.parametrize("tries", [3, pytest.param(8, marks=pytest.mark.long)])
def test_packing_over_another_model_goes_on_from_every_kill(packable, another_model, tmp_path, tries):
    out = tmp_path / "pack"

    def start() -> None:
        remove(out)
        shutil.copytree(another_model, out)

    survives(lambda: pack(packable, out, card="# new\n"), start, out, tries)
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "auditor").exists()


@pytest.mark.parametrize("tries", [2, pytest.param(6, marks=pytest.mark.long)])
def test_packing_parts_goes_on_from_every_kill(packable, tmp_path, tries):
    out = tmp_path / "pack-parts"
    survives(lambda: pack_parts(packable, out), lambda: remove(out), out, tries)


@pytest.mark.parametrize("tries", [pytest.param(2, marks=pytest.mark.long)])
def test_every_stage_of_a_model_goes_on_from_a_kill(cohort, monkeypatch, tmp_path, tries):
    """The stages as `train all` has them. The reward is weighed once: the tiny recipe of its stage is shortened."""
    shorten_reward(monkeypatch)
    work, out = tmp_path / "all" / "work", tmp_path / "all" / "model"

    def command() -> None:
        request = tiny_request(work, cohort)
        for stage in STAGES:
            train_generator(request, stage)
        for role in (Role.REWARD, Role.FILTER):
            train_scar_segmenter(request, role)
        train_generator(request, Stage.REWARD)
        pack(work, out, card="# all\n")

    survives(command, lambda: remove(tmp_path / "all"), tmp_path / "all", tries)


def shorten_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    from lgesynthnet.train.recipes import RECIPES

    short = replace(RECIPES["tiny"].reward, monitor_every=4, policy_steps=2)
    monkeypatch.setitem(RECIPES, "tiny", replace(RECIPES["tiny"], reward=short))
