"""`verify` of what the program wrote: every file is compared, damage is named with what repairs it, and the repair works."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import run_command

from lgesynthnet.files.manifest import MANIFEST


@pytest.fixture(scope="module")
def whole(labelled_hosts, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("verified") / "run"
    done = run_command("synthesize", "--hosts", labelled_hosts, "--model", "paste", "--count", 3, "--prior", "ischaemic", "--out", run)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def run(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def first_of(run: Path, part: str) -> Path:
    return sorted((run / part).iterdir())[0]


def test_a_whole_run_has_nothing_to_say_but_its_size(run):
    report = run_command("verify", run)
    assert report.returncode == 0, report.stdout
    [line] = report.stdout.splitlines()
    assert line.startswith(f"{run}: run, ")
    assert line.endswith("nothing is damaged")


def flip_a_byte(run: Path) -> Path:
    path = first_of(run, "images")
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    return path


def lose_a_label(run: Path) -> Path:
    first_of(run, "labels").unlink()
    return Path("labels")


def cut_the_hidden_region(run: Path) -> Path:
    os.truncate(first_of(run, "hidden"), 40)
    return Path("hidden")


def lose_the_table(run: Path) -> Path:
    (run / "samples.csv").unlink()
    return Path("samples.csv")


def lose_the_ledger(run: Path) -> Path:
    (run / "ledger.sqlite").unlink()
    return Path("ledger.sqlite")


def lose_the_report(run: Path) -> Path:
    (run / "report.html").unlink()
    return Path("report.html")


@pytest.mark.parametrize("damage", [flip_a_byte, lose_a_label, cut_the_hidden_region, lose_the_table, lose_the_ledger, lose_the_report])
def test_damage_to_a_run_is_named_and_the_command_that_is_printed_repairs_it(run, damage: Callable[[Path], Path], contents, whole):
    name = damage(run)
    report = run_command("verify", run)
    assert report.returncode == 2
    assert any(line.startswith("error: ") and name.name in line for line in report.stdout.splitlines()), report.stdout
    [repair] = [line.removeprefix("to repair: lgesynthnet ") for line in report.stdout.splitlines() if line.startswith("to repair: ")]
    repaired = run_command(*shlex.split(repair))
    assert repaired.returncode == 0, repaired.stderr
    assert run_command("verify", run).returncode == 0
    assert contents(run) == contents(whole)


def test_files_of_the_user_are_named_and_are_no_damage(run):
    (run / "notes.txt").write_text("mine")
    report = run_command("verify", run)
    assert report.returncode == 0
    assert "not written by this program, and left alone: notes.txt" in report.stdout


def test_a_run_without_a_list_is_read_file_by_file(run):
    (run / MANIFEST).unlink()
    assert "version 0.1.0 kept no checksums" in run_command("verify", run).stdout
    cut_the_hidden_region(run)
    report = run_command("verify", "--json", run)
    assert report.returncode == 2
    [folder] = json.loads(report.stdout)["folders"]
    assert folder["version"] is None
    assert len(folder["damages"]) == 1


def test_a_run_without_a_list_is_not_continued(run, labelled_hosts):
    (run / MANIFEST).unlink()
    words = ("--hosts", labelled_hosts, "--model", "paste", "--count", 3, "--prior", "ischaemic", "--out", run)
    refused = run_command("synthesize", *words)
    assert refused.returncode == 2
    assert "version 0.1.0 wrote none, and what it wrote is read but not continued" in refused.stderr


def test_the_folders_inside_a_folder_are_checked_together(run):
    shutil.copytree(run, run.parent / "another")
    cut_the_hidden_region(run)
    report = run_command("verify", run.parent)
    assert report.returncode == 2
    assert "nothing is damaged" in report.stdout
    assert "1 damaged" not in report.stdout.split(f"{run.parent / 'another'}")[0]
