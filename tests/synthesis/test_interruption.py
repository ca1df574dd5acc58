"""Killed at the worst moment, the same command goes on; two processes never share a run; a full disk is one line."""

from __future__ import annotations

import csv
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from factories import run_command

from lgesynthnet.anatomy.orientation import OrderSource
from lgesynthnet.errors import RunError
from lgesynthnet.files.lock import locked
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.records import Level, Source
from lgesynthnet.run.ledger import Ledger
from lgesynthnet.run.sample_row import SampleRow

# The process kills itself, so that the moment is exact: on the given call of TARGET, before or after it has done its work.
SUICIDE = """
import os, signal, sys
from pathlib import Path
from lgesynthnet.run import ledger, sample_files
from lgesynthnet.synthesis import slices, synthesize
from lgesynthnet.data.source import CohortSource
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis

# A shell that starts the tests in the background has SIGINT ignored, and Python inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
hosts, run, target, when, fatal = sys.argv[1:]
owner, name, fatal_call = {
    "write": (sample_files, "write_slice_like", 5),
    "make": (slices.SliceMaker, "make", 5),
    "record": (ledger.Ledger, "record", 1),
}[target]
real, calls = getattr(owner, name), 0

def dying(*args, **kwargs):
    global calls
    calls += 1
    if calls == fatal_call and when == "before":
        os.kill(os.getpid(), getattr(signal, fatal))
    result = real(*args, **kwargs)
    if calls == fatal_call and when == "after":
        os.kill(os.getpid(), getattr(signal, fatal))
    return result

setattr(owner, name, dying)
request = SynthesisRequest(hosts=CohortSource(root=Path(hosts)), model="paste", count=6, prior="ischaemic", seed=11)
synthesize.synthesize(plan_synthesis(request), Path(run))
"""


@pytest.fixture(scope="module")
def hosts(labelled_hosts):
    """Hosts with a labelled RV, so that the processes which are killed here need no torch."""
    return labelled_hosts


def words(hosts, run):
    return ("synthesize", "--hosts", hosts, "--model", "paste", "--count", 6, "--prior", "ischaemic", "--seed", 11, "--out", run)


def command(hosts, run):
    return [sys.executable, "-m", "lgesynthnet", *map(str, words(hosts, run))]


@pytest.fixture(scope="module")
def uninterrupted(hosts, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(hosts, run), check=True, capture_output=True)
    return run


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("target", ["write", "make", "record"])
def test_kill_9_loses_nothing_and_doubles_nothing(hosts, uninterrupted, tmp_path, target, when, contents):
    run = tmp_path / "run"
    died = subprocess.run([sys.executable, "-c", SUICIDE, str(hosts), str(run), target, when, "SIGKILL"], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    with sqlite3.connect(run / "ledger.sqlite") as ledger:
        [[entered]] = ledger.execute("SELECT count(*) FROM attempts")
    assert bool(entered) is (target == "record" and when == "after")  # rows are entered when the files of a batch are on the disk
    done = run_command(*words(hosts, run))
    assert done.returncode == 0, done.stderr
    assert contents(run) == contents(uninterrupted)


def test_kill_9_at_any_moment(hosts, uninterrupted, tmp_path, contents):
    run = tmp_path / "run"
    process = subprocess.Popen(command(hosts, run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list(run.glob("images/*.nii.gz")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert run_command(*words(hosts, run)).returncode == 0
    assert contents(run) == contents(uninterrupted)


def test_ctrl_c_leaves_a_table_that_tells_of_every_file(hosts, uninterrupted, tmp_path, contents):
    run = tmp_path / "run"
    subprocess.run([sys.executable, "-c", SUICIDE, str(hosts), str(run), "make", "before", "SIGINT"], capture_output=True)
    rows = contents(run)["samples.csv"]
    assert len(rows) == 4
    assert {p.name.removesuffix(".nii.gz") for p in run.rglob("images/*.nii.gz")} == {row["id"] for row in rows if row["file"]}
    assert run_command(*words(hosts, run)).returncode == 0
    assert contents(run) == contents(uninterrupted)


def test_two_processes_never_share_a_run(hosts, tmp_path):
    run = tmp_path / "run"
    with locked(run, shown_as=run):
        second = subprocess.run(command(hosts, run), capture_output=True, text=True)
    assert second.returncode == 2
    assert "another process is writing to it" in second.stderr
    assert not (run / "plan.json").exists()
    assert run_command(*words(hosts, run)).returncode == 0


@pytest.mark.parametrize("place", ["/proc/no-such-place/run", "a file in the way", "below a file"])
def test_an_output_that_cannot_be_written_is_one_line(hosts, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    out = {"a file in the way": tmp_path / "file", "below a file": tmp_path / "file/run"}.get(place, place)
    failed = run_command(*words(hosts, out))
    assert failed.returncode == 2
    [line] = [line for line in failed.stderr.splitlines() if not line.startswith("skipped")]
    assert line.startswith("error: ")
    assert str(out) in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("limit_bytes", [100, 3_000, 9_000, 20_000])
def test_a_disk_that_takes_no_more_is_one_line_and_the_run_goes_on_later(hosts, uninterrupted, tmp_path, limit_bytes, contents):
    """A limit on the size of a file stands in for the full disk: writing fails in the middle, wherever it is."""
    run = tmp_path / "run"

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    failed = subprocess.run(command(hosts, run), capture_output=True, text=True, preexec_fn=limit)
    assert failed.returncode == 2, failed.stderr
    [line] = failed.stderr.splitlines()
    assert line.startswith("error: ")
    assert not list(run.rglob("*.partial"))
    assert run_command(*words(hosts, run)).returncode == 0
    assert contents(run) == contents(uninterrupted)


@pytest.fixture
def finished(uninterrupted, tmp_path):
    """A copy of a finished run, to be damaged."""
    return Path(shutil.copytree(uninterrupted, tmp_path / "run"))


def lose(path):
    path.unlink()


def cut_off(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    path.write_bytes(b"")


def zero_the_end(path):
    content = path.read_bytes()
    path.write_bytes(content[:100].ljust(len(content), b"\0"))


@pytest.mark.parametrize("part", ["images", "labels", "read", "intended", "hidden"])
@pytest.mark.parametrize("damage", [lose, cut_off, empty, zero_the_end])
def test_a_sample_that_is_missing_or_torn_is_painted_again(hosts, uninterrupted, finished, part, damage, contents):
    name = sorted((finished / part).iterdir())[1].name
    damage(finished / part / name)
    done = run_command(*words(hosts, finished))
    assert done.returncode == 0, done.stderr
    assert f"{part}/{name}" in done.stderr
    assert "painted again" in done.stderr
    assert contents(finished) == contents(uninterrupted)
    assert not list(finished.rglob("*.set-aside*"))


def test_all_samples_gone_are_all_painted_again(hosts, uninterrupted, finished, contents):
    shutil.rmtree(finished / "images")
    assert run_command(*words(hosts, finished)).returncode == 0
    assert contents(finished) == contents(uninterrupted)


def test_a_damaged_ledger_is_one_line_whose_remedy_works(hosts, uninterrupted, finished, contents):
    (finished / "ledger.sqlite").write_bytes(b"not a database, " * 100)
    failed = run_command(*words(hosts, finished))
    assert failed.returncode == 2
    assert "ledger.sqlite: is damaged" in failed.stderr
    assert "delete this file, and the same command makes the run again" in failed.stderr
    (finished / "ledger.sqlite").unlink()
    assert run_command(*words(hosts, finished)).returncode == 0
    assert contents(finished) == contents(uninterrupted)


def test_files_of_the_user_stay_in_a_run(hosts, finished, contents):
    own = [finished / name for name in ("images/s11_notes.nii.gz", "images/s11_000999.nii.gz", ".x.partial", "rejected/read/.y.partial")]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    corrected = sorted((finished / "labels").iterdir())[0]
    corrected.write_text("corrected by hand")
    assert run_command(*words(hosts, finished)).returncode == 0
    assert {path.read_text() for path in own} == {"mine"}
    assert corrected.with_name(f"{corrected.name}.set-aside").read_text() == "corrected by hand"


def test_a_folder_that_is_no_run_keeps_every_file(hosts, tmp_path):
    thesis = tmp_path / "thesis"
    (thesis / "deep").mkdir(parents=True)
    (thesis / "deep" / ".chapter.partial").write_text("mine")
    failed = run_command(*words(hosts, thesis))
    assert failed.returncode == 2
    assert [path.name for path in thesis.rglob("*") if path.is_file()] == [".chapter.partial"]


class TestLedger:
    attempt = SampleRow(
        id="s0_000003", host="N001", slice_index=2, level=Level.MID, level_source=OrderSource.AREAS, insertion_source=Source.ASSUMED,
        insertion_confidence=0.0, generator="g", filter="f", seed=1, caption='a "quoted", caption', sentence="s", file="images/x",
        kept=True, reason="kept", why="ä\nb",
        prescription=prescribe("Transmural enhancement in the septal wall"),
    )  # fmt: skip

    @pytest.fixture
    def run(self, tmp_path):
        """A folder that the ledger may be written into."""
        with claimed(tmp_path / "run", FolderKind.RUN):
            yield tmp_path / "run"

    def test_an_attempt_that_is_made_again_replaces_its_row(self, run):
        ledger = Ledger(run, "hash")
        ledger.record({3: self.attempt})
        ledger.record({3: replace(self.attempt, kept=False), 5: replace(self.attempt, id="s0_000005")})
        assert ledger.attempted() == {3, 5}
        assert ledger.kept() == {5}

    def test_a_ledger_of_other_columns_is_refused(self, run):
        Ledger(run, "hash").close()
        with sqlite3.connect(run / "ledger.sqlite") as ledger:
            ledger.execute("ALTER TABLE attempts DROP COLUMN seam")
        with pytest.raises(RunError, match=r"another version, whose columns differ \(seam\)"):
            Ledger(run, "hash")

    def test_the_table_is_a_print_of_the_ledger(self, run):
        ledger = Ledger(run, "hash")
        ledger.record({3: self.attempt})
        ledger.write_tables(run)
        with (run / "samples.csv").open(newline="", encoding="utf-8") as lines:
            [row] = csv.DictReader(lines)
        assert tuple(row) == SampleRow.columns()
        assert (row["caption"], row["why"], row["dice"], row["kept"]) == (self.attempt.caption, self.attempt.why, "", "1")

    def test_another_plan_beside_it_is_noticed(self, run):
        Ledger(run, "hash").close()
        with pytest.raises(RunError, match="another plan"):
            Ledger(run, "other")
