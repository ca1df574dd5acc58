"""How a command ends: one line for every error and every signal, and nothing in it that a terminal would obey."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from factories import all_gone, run_command, write_hosts

from lgesynthnet.cli import console, inspect
from lgesynthnet.cli.failures import explain
from lgesynthnet.errors import RunError
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.scar import ScarPrescription

SENTENCE = "Transmural enhancement in the posteroseptal wall"
PROGRAM = [sys.executable, "-m", "lgesynthnet"]
NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def default_signals() -> None:
    """A shell that starts a process in the background lets it and its children ignore Ctrl-C; these children must not."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_DFL)


def start(*words: object, **settings: object) -> subprocess.Popen[bytes]:
    default = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": default_signals}
    return subprocess.Popen([*PROGRAM, *map(os.fspath, words)], **{**default, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["prescribe", "--prior", "uniform", "--seed", str(2**64)], "--seed"),
        (["prescribe", "--prior", "uniform", "--count", "1_0"], "--count 1_0: must be a whole number"),
        (["prescribe", "--prior", "uniform", "--count", "٣"], "--count"),
        (["prescribe", "--text", ""], "--text: is empty"),
        (["prescribe", "--text", "n\udcffme"], "--text 'n\\udcffme': is not UTF-8 text"),
        (["synthesize", "--hosts", "x", "-n", "1", "--prior", "uniform", "--out="], "--out: is empty"),
        (["synthesize", "--hosts", "x", "-n", "1", "--prior", "uniform", "--out", "a\0b"], "null character"),
        (["synthesize", "--hosts", "x", "-n", "1", "--prior", "uniform", "--out", "o", "--patient", ""], "--patient: is empty"),
        (["synthesize", "--hosts", "x", "-n", "1", "--prior", "uniform", "--out", "o", "--shard", "²/³"], "--shard ²/³: write i/n"),
        (["synthesize", "--hosts", "x", "-n", "1", "--prior", "uniform", "--out", "o", "--shard", "٢/٥"], "--shard"),
        (["synthesize", "--hosts", "x", "-n", "1", "--prior", "uniform", "--out", "o", "--max-seconds", "nan"], "--max-seconds nan"),
        (["synthesize", "--hosts", "x", "-n", "1", "--prior", "uniform", "--out", "o", "--max-seconds", "inf"], "--max-seconds inf"),
        (["synthesize", "--hosts", "x", "-n", "1", "--prior", "uniform", "--out", "o", "--dice-above", "nan"], "--dice-above"),
        (["synthesize", "--hosts", "/dev/stdin", "--model", "paste", "-n", "1", "--prior", "uniform", "--out", "o"], "/dev/stdin"),
        (["synthesize", "--hosts", "y" * 5000, "--model", "paste", "-n", "1", "--prior", "uniform", "--out", "o"], "choose a shorter name"),
        (["split", "x", "--out", "s.json", "--shares", "train=nan,test=1"], "--shares"),
        (["split", "x", "--out", "s.json", "--shares", "train=1,train=0"], "--shares"),
        (["benchmark", "utility", "--data", "x", "--splits", "s", "--out", "o", "--scarred", "1e9"], ""),
        (["phantom", "o", "--patients", str(10**12)], "--patients"),
        (["nonsense\x1b[31m"], "No such command"),
        (["verify", "no\x1b]0;such\u202efolder\x07"], "cannot be printed"),
    ],
)
def test_an_odd_value_is_one_line(words, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_command(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert named in line
    assert line.isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "code", "named"),
    [
        (RunError("x: y"), 2, "x: y"),
        (OSError(36, "File name too long", "abc"), 2, "abc: File name too long; choose a shorter name"),
        (NotADirectoryError(20, "Not a directory", "f/x"), 2, "f/x: Not a directory; a part of this path is a file"),
        (PermissionError(13, "Permission denied", "f"), 2, "check the permissions"),
        (ValueError("embedded null byte"), 2, "null character"),
        (UnicodeEncodeError("utf-8", "n\udcff", 1, 2, "surrogates not allowed"), 2, "is not UTF-8 text"),
        (RecursionError(), 2, "nested too deeply"),
        (MemoryError(), 2, "memory"),
        (KeyError("x"), 1, "a bug in the program: KeyError: 'x'"),
    ],
)
def test_what_a_user_can_mend_is_told_from_a_bug(fault, code, named):
    assert explain(fault)[0] == code
    assert named in explain(fault)[1]


def test_a_bug_is_one_line_with_its_place_and_a_traceback_with_v(monkeypatch):
    monkeypatch.setattr(inspect, "gather_facts", lambda ask_torch: {}["absent"])
    done = run_command("info")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: a bug in the program: KeyError: 'absent' (cli/inspect.py, line ")
    assert "lgesynthnet -v" in line
    told = run_command("-v", "info")
    assert told.returncode == 1
    assert "Traceback" in told.stderr
    assert told.stderr.splitlines()[-1] == line


def test_names_of_files_reach_the_terminal_as_text(tmp_path, capsys):
    write_hosts(tmp_path / "hosts", 1)
    (tmp_path / "hosts" / "Case_N001").rename(tmp_path / "hosts" / "Case_\x1b[2J\u202eN")
    for words in (("verify", tmp_path / "hosts"), ("verify", "--json", tmp_path / "hosts")):
        done = run_command(*words)
        assert "\x1b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr
    json.loads(done.stdout or "{}")
    console.result("a\x9bb\n5\u00a0%")
    assert capsys.readouterr().out == "a\\u009bb\n5\u00a0%\n"


def test_json_stays_json_where_the_terminal_knows_no_umlaut(tmp_path):
    hosts = write_hosts(tmp_path / "hösts ♥", 1, rv=True)
    words = ("synthesize", "--hosts", hosts, "--model", "paste", "-n", "1", "--prior", "uniform", "--out", tmp_path / "o", "--dry-run")
    for env in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}):
        out, err = start(*words, env=os.environ | env).communicate()
        assert err == b""
        assert json.loads(out)["request"]["hosts"]["root"] == str(hosts)
    ascii_alone = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # Python itself cannot decode the name
    _, err = start(*words, env=os.environ | ascii_alone).communicate()
    assert err.startswith(b"error: --hosts ")
    assert err.count(b"\n") == 1


def test_a_name_that_is_not_utf8_is_one_line_in_any_terminal(tmp_path):
    for env in ({}, {"PYTHONIOENCODING": "ascii"}, {"LANG": "C", "LC_ALL": "C"}):
        process = subprocess.Popen([*map(os.fsencode, PROGRAM), b"verify", b"/h\xf6sts"], stderr=subprocess.PIPE, env=os.environ | env)
        _, err = process.communicate()
        assert process.returncode == 2
        assert err == b"error: FOLDER '/h\\udcf6sts': is not UTF-8 text; rename the file or the folder\n"


def test_a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one():
    process = start("prescribe", "--prior", "uniform", "--count", "100000")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0
    if Path("/dev/full").exists():
        with open("/dev/full", "wb") as full:
            process = start("info", stdout=full)
            assert process.communicate()[1].startswith(b"error: reading or writing: No space left on device; free space")
            assert process.returncode == 2


def test_many_prescriptions_need_no_memory():
    process = start("prescribe", "--prior", "uniform", "--count", str(10**12))
    assert process.stdout is not None
    assert ScarPrescription.from_json(process.stdout.readline().decode()) != prescribe(SENTENCE)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, b"interrupted\n")


WORDS = {
    "help": ["--help"],
    "info": ["info"],
    "dry run": ["synthesize", "--hosts", "HOSTS", "--model", "paste", "-n", "2", "--prior", "ischaemic", "--out", "OUT", "--dry-run"],
    "phantom": ["phantom", "OUT", "--patients", "40"],
}
# What the entry of the program runs first, and a sign that it begins: until then a signal meets Python's own start.
ENTRY = "import os, sys; from lgesynthnet.__main__ import main; os.write(2, b'.'); sys.exit(main())"


def stop_after(delay: float, number: signal.Signals, words: list[str], folder: Path) -> None:
    places = {"HOSTS": str(folder / "hosts"), "OUT": str(folder / f"out-{delay}-{number}")}
    command = [sys.executable, "-c", ENTRY, *(places.get(word, word) for word in words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=default_signals)
    assert process.stderr is not None
    assert process.stderr.read(1) == b"."
    time.sleep(delay)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    lines = err.decode().splitlines()
    assert process.returncode in (0, 128 + number, -number), err  # it may be done, or about to leave
    assert [line for line in lines if line.startswith("interrupted")] == lines
    assert len(lines) == (process.returncode == 128 + number)
    assert all_gone(process.pid)


@pytest.mark.parametrize("command", ["info", "phantom"])
def test_a_signal_ends_a_command_with_one_line(command, tmp_path):
    for delay, number in ((0.05, signal.SIGINT), (1.0, signal.SIGTERM)):
        stop_after(delay, number, WORDS[command], tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_a_signal_ends_any_command_at_any_time(number, tmp_path):
    write_hosts(tmp_path / "hosts", 2, rv=True)
    for words in WORDS.values():
        for delay in (0.05, 0.2, 0.5, 1.0):
            stop_after(delay, number, words, tmp_path)


def test_an_ignored_hang_up_stays_ignored():
    """`nohup lgesynthnet ...` goes on when the terminal closes."""
    process = start("prescribe", "--prior", "uniform", "--count", "3000", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert len(out.splitlines()) == 3000
