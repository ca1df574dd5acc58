"""Whatever `--out` names, no file of the user is lost or changed, and nothing is written elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from factories import run_command, write_hosts

from lgesynthnet.files.lock import LOCK
from lgesynthnet.files.manifest import MANIFEST
from lgesynthnet.phantom import cohort
from lgesynthnet.phantom.cohort import simulate_patients

# Given the folder with everything and the value of --out, the words of each command that writes.
COMMANDS: dict[str, Callable[[Path, Path], tuple[object, ...]]] = {
    "phantom": lambda world, out: ("phantom", out, "--patients", 1, "--seed", 2),
    "synthesize": lambda world, out: (
        *("synthesize", "--hosts", world / "patients", "--model", "paste", "-n", 1, "--prior", "uniform", "--seed", 3, "--out", out),
    ),
    "train text": lambda world, out: ("train", "text", "--recipe", "tiny", "--work", out),
    "split": lambda world, out: ("split", world / "patients", "--shares", "train=1", "--out", out),
    "demo": lambda world, out: ("demo", "--model", "paste", "--count", 1, "--out", out),
    "export nifti": lambda world, out: ("export", "nifti", world / "run", out),
    "export dicom": lambda world, out: ("export", "dicom", world / "run", out),
    "export origin-channel": lambda world, out: ("export", "origin-channel", world / "scans", out),
    "export nnunet": lambda world, out: ("export", "nnunet", world / "run", out, "--dataset-id", 9, "--folds", 2),
    "evaluate alignment": lambda world, out: ("evaluate", "alignment", out),
    "benchmark utility": lambda world, out: (*benchmark("utility", world, out), "--downstream-recipe", "tiny", "--tested", "test"),
    "benchmark published": lambda world, out: benchmark("published", world, out),
    "improve": lambda world, out: (
        *("improve", "--data", world / "patients", "--splits", world / "splits.json", "--model", "paste", "--init", "none", "--out", out),
    ),
}
# Each value of --out, given the folder with everything.
VALUES: dict[str, Callable[[Path], Path]] = {
    "folder with files": lambda world: world / "mine",
    "parent": lambda world: Path(".."),
    "current folder": lambda world: Path("."),
    "patients": lambda world: world / "patients",
    "one patient": lambda world: world / "patients" / "Case_N001",
    "run": lambda world: world / "run",
    "images of the run": lambda world: world / "run" / "images",
    "cohort": lambda world: world / "cohort",
    "export": lambda world: world / "export",
    "home": lambda world: Path.home(),
    "file": lambda world: world / "file.txt",
    "below a file": lambda world: world / "file.txt" / "out",
    "link to a folder": lambda world: world / "link",
    "link to a file": lambda world: world / "filelink",
    "dangling link": lambda world: world / "dangling",
    "circle of links": lambda world: world / "circle",
    "read-only folder": lambda world: world / "readonly",
    "a name that is too long": lambda world: world / ("x" * 300),
}
SIMULATE = lru_cache(cohort.simulate)
LONG_WORK = ("train text", "benchmark utility", "benchmark published", "improve")  # what these accept takes minutes; other tests do that


def benchmark(name: str, world: Path, out: Path) -> tuple[object, ...]:
    return ("benchmark", name, "--data", world / "patients", "--splits", world / "splits.json", "--models", "phantom", "--out", out)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Folders of the user, and one of each kind of the program."""
    world = tmp_path_factory.mktemp("world")
    write_hosts(world / "patients", patients=2, rv=True)
    simulate_patients(world / "cohort", patients=1, seed=1)
    painted = run_command(
        "synthesize", "--hosts", world / "patients", "--model", "paste", "-n", 1, "--prior", "uniform", "--out", world / "run"
    )
    assert painted.returncode == 0, painted.stderr
    assert run_command("export", "nifti", world / "run", world / "export", "--no-real").returncode == 0
    for folder in ("mine", "home"):
        for name in (
            "thesis.tex",
            ".hidden",
            "deep/.x.partial",
            "deep/.lock",
            "hosts/scan.nii.gz",
            "run/plan.txt",
            "evaluation/alignment.csv",
        ):
            (world / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (world / folder / name).write_text(f"mine: {name}")
    (world / "scans").mkdir()
    shutil.copy(world / "patients/Case_N001/Images/Case_N001.nii.gz", world / "scans/N001_0000.nii.gz")
    (world / "splits.json").write_text(json.dumps({"train": ["N001"], "val": ["N002"], "test": ["N002"]}))
    (world / "file.txt").write_text("mine")
    (world / "link").symlink_to("mine")
    (world / "filelink").symlink_to("file.txt")
    (world / "dangling").symlink_to("nowhere")
    (world / "circle").symlink_to("circle")
    (world / "readonly").mkdir()
    (world / "readonly").chmod(0o500)
    return world


@pytest.fixture
def world(made, tmp_path, monkeypatch) -> Path:
    """A copy for one command, which starts in `mine/deep`."""
    copy = shutil.copytree(made, tmp_path / "world", symlinks=True)
    plan = copy / "run" / "plan.json"  # the copy of the run belongs to the copy of the patients
    plan.write_text(plan.read_text().replace(str(made), str(copy)))
    monkeypatch.setenv("HOME", str(copy / "home"))
    monkeypatch.setenv("MPLCONFIGDIR", str(made.parent / "matplotlib"))  # a library's cache, which follows HOME
    monkeypatch.setattr(cohort, "simulate", SIMULATE)
    monkeypatch.chdir(copy / "mine" / "deep")
    return copy


def everything(folder: Path) -> dict[Path, bytes | str]:
    """Every file and link below a folder."""
    return {
        path: os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_file_of_the_user_is_lost_or_changed_and_nothing_is_written_elsewhere(world, command, value):
    out = VALUES[value](world)
    if value == "read-only folder" and os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    if value in ("dangling link", "read-only folder") and command in LONG_WORK:
        pytest.skip("accepted, and takes minutes")
    if (command, value) == ("evaluate alignment", "run"):
        pytest.skip("accepted: it is the run that is evaluated")
    before = everything(world.parent)
    done = run_command(*COMMANDS[command](world, out))
    after = everything(world.parent)
    assert done.returncode in (0, 2), done.stderr
    if done.returncode == 2:
        [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert line == done.stderr.splitlines()[-1]
    assert {path: after.get(path) for path in before} == before
    inside = (world / "mine" / "deep" / out).resolve() if value != "circle of links" else out
    new = [path for path in after if path not in before]
    assert all(path.resolve().is_relative_to(inside) for path in new)
    assert done.returncode == 0 or not new
    ours = [path for path in new if path.name in (MANIFEST, LOCK) and path.parent in (world / "patients", world / "patients" / "Case_N001")]
    assert not ours
