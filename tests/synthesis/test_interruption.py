"""Killed at the worst moment, the same command goes on; two processes never share a run; a full disk is one line."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from factories import run_command

from lgesynthnet.anatomy.orientation import OrderSource
from lgesynthnet.errors import RunError
from lgesynthnet.files.lock import locked
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.records import Level, Source
from lgesynthnet.run.ledger import Ledger
from lgesynthnet.run.sample_row import COLUMNS, SampleRow

# The process kills itself, so that the moment is exact: on the fifth call of TARGET, before or after it has done its work.
SUICIDE = """
import os, signal, sys
from pathlib import Path
from lgesynthnet.run import ledger, sample_files
from lgesynthnet.synthesis import synthesize
from lgesynthnet.data.source import CohortSource
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.synthesis.planning import plan_synthesis

# A shell that starts the tests in the background has SIGINT ignored, and Python inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
hosts, run, target, when, fatal = sys.argv[1:]
owner, name = {"write": (sample_files, "write_slice_like"), "record": (ledger.Ledger, "record")}[target]
real, calls = getattr(owner, name), 0

def dying(*args, **kwargs):
    global calls
    calls += 1
    if calls == 5 and when == "before":
        os.kill(os.getpid(), getattr(signal, fatal))
    result = real(*args, **kwargs)
    if calls == 5 and when == "after":
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
@pytest.mark.parametrize("target", ["write", "record"])
def test_kill_9_loses_nothing_and_doubles_nothing(hosts, uninterrupted, tmp_path, target, when, contents):
    run = tmp_path / "run"
    died = subprocess.run([sys.executable, "-c", SUICIDE, str(hosts), str(run), target, when, "SIGKILL"], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    with sqlite3.connect(run / "ledger.sqlite") as ledger:
        [[entered]] = ledger.execute("SELECT count(*) FROM attempts")
    assert entered == {"write": 0, "record": 4 + (when == "after")}[target]
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
    subprocess.run([sys.executable, "-c", SUICIDE, str(hosts), str(run), "record", "before", "SIGINT"], capture_output=True)
    rows = contents(run)["samples.csv"]
    assert len(rows) == 4
    assert {p.name.removesuffix(".nii.gz") for p in run.rglob("images/*.nii.gz")} == {row["id"] for row in rows if row["file"]}
    assert run_command(*words(hosts, run)).returncode == 0
    assert contents(run) == contents(uninterrupted)


def test_two_processes_never_share_a_run(hosts, tmp_path):
    run = tmp_path / "run"
    with locked(run):
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


class TestLedger:
    attempt = SampleRow(
        id="s0_000003", host="N001", slice_index=2, level=Level.MID, level_source=OrderSource.AREAS, insertion_source=Source.ASSUMED,
        insertion_confidence=0.0, generator="g", filter="f", seed=1, caption='a "quoted", caption', sentence="s", file="images/x",
        kept=True, reason="kept", why="ä\nb",
        prescription=prescribe("Transmural enhancement in the septal wall"),
    )  # fmt: skip

    def test_a_row_is_entered_once(self, tmp_path):
        ledger = Ledger(tmp_path, "hash")
        ledger.record(3, self.attempt)
        with pytest.raises(RunError, match="UNIQUE"):
            ledger.record(3, self.attempt)
        assert ledger.attempted() == {3}

    def test_the_table_is_a_print_of_the_ledger(self, tmp_path):
        import csv

        ledger = Ledger(tmp_path, "hash")
        ledger.record(3, self.attempt)
        with ledger.write_table(tmp_path).open(newline="", encoding="utf-8") as lines:
            [row] = csv.DictReader(lines)
        assert tuple(row) == COLUMNS
        assert (row["caption"], row["why"], row["dice"], row["kept"]) == (self.attempt.caption, self.attempt.why, "", "1")

    def test_another_plan_beside_it_is_noticed(self, tmp_path):
        Ledger(tmp_path, "hash").close()
        with pytest.raises(RunError, match="another plan"):
            Ledger(tmp_path, "other")

    def test_a_damaged_ledger_is_one_line(self, tmp_path):
        (tmp_path / "ledger.sqlite").write_bytes(b"not a database, " * 100)
        with pytest.raises(RunError, match=r"ledger\.sqlite"):
            Ledger(tmp_path, "hash")
