"""Killed at any change that it makes to the disk, the same command ends with the bytes of a command that was left alone."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pytest
from crash_points import crash_points, killed_at
from factories import run_command

from lgesynthnet.evaluate import alignment
from lgesynthnet.evaluate import run as evaluation
from lgesynthnet.phantom import cohort
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.run.folder import RunFolder


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Attributes:
        words: given the folder of inputs and the folder that it may write into, the words of the command.
        changes: the inputs that it adds to, copied anew for each crash.
        sampled: number of crash points of the short form.
    """

    words: Callable[[Path, Path], tuple[object, ...]]
    changes: str | None = None
    sampled: int = 6


CASES = {
    "phantom": Case(lambda data, out: ("phantom", out / "cohort", "--patients", 1, "--seed", 5)),
    "split": Case(lambda data, out: ("split", data / "hosts", "--shares", "train=1", "--out", out / "new" / "splits.json")),
    "export nifti": Case(lambda data, out: ("export", "nifti", data / "run", out / "pairs")),
    "export dicom": Case(lambda data, out: ("export", "dicom", data / "run", out / "dicom")),
    "export nnunet": Case(
        lambda data, out: ("export", "nnunet", data / "run", out / "raw", "--dataset-id", 7, "--folds", 2, "--origin-channel")
    ),
    "export origin-channel": Case(lambda data, out: ("export", "origin-channel", data / "images", out / "with-channel")),
    "demo": Case(lambda data, out: ("demo", "--model", "paste", "--count", 1, "--out", out / "demo"), sampled=3),
    "evaluate alignment": Case(lambda data, out: ("evaluate", "alignment", out / "run"), changes="run"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two small patients, and a run of two samples."""
    folder = tmp_path_factory.mktemp("inputs")
    simulate_patients(folder / "hosts", patients=2, seed=4, positive=0.5)
    painted = run_command(
        "synthesize", "--hosts", folder / "hosts", "--model", "paste", "-n", 2, "--prior", "uniform", "--out", folder / "run"
    )
    assert painted.returncode == 0, painted.stderr
    (folder / "images").mkdir()
    shutil.copy(folder / "hosts/Case_P001/Images/Case_P001.nii.gz", folder / "images/P001_0000.nii.gz")
    return folder


@pytest.fixture(autouse=True)
def fast(monkeypatch, few_draws):
    """Patients are simulated, and cases gathered and judged, once for all crashes: the children that die have them from this process."""
    monkeypatch.setattr(cohort, "simulate", lru_cache(cohort.simulate))
    gather, compared, known = evaluation.gather_cases, alignment.compared, {}

    def gathered(request, on_case=None):
        if "cases" not in known:
            known["cases"] = gather(request, on_case)
        return replace(known["cases"], run=RunFolder.open(request.run))

    def once(name, compute):
        return lambda *arguments: known[name] if name in known else known.setdefault(name, compute(*arguments))

    monkeypatch.setattr(evaluation, "gather_cases", gathered)
    monkeypatch.setattr(alignment, "score", lambda case, auditor, score=alignment.score: once(case.name, score)(case, auditor))
    monkeypatch.setattr(alignment, "compared", once("rows", compared))


def tree(folder: Path) -> dict[str, object]:
    """What two folders with the same content have in common: all bytes but the seconds and paths that a run records."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name in (".lock", "ledger.sqlite", "report.html", "card.md"):
            continue
        found[name] = path.read_bytes()
        if path.name == "samples.csv":
            found[name] = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(io.StringIO(path.read_text()))]
        elif path.name == "lgesynthnet-files.jsonl":
            found[name] = sorted(str(json.loads(line).get("file")) for line in path.read_text().splitlines())
        elif path.name == "plan.json":
            found[name] = path.read_text().replace(str(folder), "OUT")
    return found


def killed_everywhere(case: Case, data: Path, room: Path, numbers: Callable[[int], range | list[int]]) -> int:
    """Kill the command at the crash points of these numbers, each time in a new folder, and let it go on; returns how many there are."""

    def begin(name: str) -> tuple[Path, Callable[[], None]]:
        out = room / name / "out"
        out.mkdir(parents=True)
        if case.changes is not None:
            shutil.copytree(data / case.changes, out / case.changes)

        def command() -> None:
            done = run_command(*case.words(data, out))
            assert done.returncode == 0, done.stderr

        return out, command

    whole, command = begin("whole")
    command()
    wanted = tree(whole)
    points = crash_points(*reversed(begin("listed")))
    assert len(points) > 3
    for number in numbers(len(points)):
        out, command = begin(str(number))
        point = killed_at(command, out, number)
        assert point is not None
        command()
        assert tree(out) == wanted, f"killed at {number}, {point}"
        shutil.rmtree(out)
    return len(points)


@pytest.mark.parametrize("name", CASES)
def test_killed_at_some_moments_the_same_command_ends_with_the_same_bytes(data, tmp_path, name):
    last = CASES[name].sampled - 1
    killed_everywhere(CASES[name], data, tmp_path, lambda count: sorted({round(i * (count - 1) / last) for i in range(last + 1)}))


MOST = 8  # moments of one command in the long form, evenly spaced; all of them take half an hour


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_killed_at_many_moments_the_same_command_ends_with_the_same_bytes(data, tmp_path, name):
    def numbers(count: int) -> list[int]:
        return sorted({round(i * (count - 1) / (MOST - 1)) for i in range(MOST)})

    print(f"{name}: {killed_everywhere(CASES[name], data, tmp_path, numbers)} changes, killed at {MOST} of them")
