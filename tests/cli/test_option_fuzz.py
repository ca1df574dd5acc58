"""Whatever value an option gets, the command ends with a known exit code and at most one line of error, and never with a traceback."""

# ruff: noqa: SIM905  (a list of odd words is easier to read without a quote at each)
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from factories import run_command, write_hosts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SENTENCE = "Transmural enhancement in the posteroseptal wall"
# HOSTS: a folder of patients. FILE/x: below a file, where no folder can be made, so that what would take long ends at once.
COMMANDS = {
    "prescribe": ("--text", SENTENCE),
    "prescribe ": ("--prior", "uniform"),
    "synthesize": ("--hosts", "HOSTS", "--model", "paste", "--prior", "ischaemic", "--count", "2", "--out", "new", "--dry-run"),
    "synthesize ": ("--hosts", "HOSTS", "--model", "paste", "--prescriptions", "p.jsonl", "--count", "2", "--out", "FILE/x"),
    "prior fit": ("HOSTS", "--out", "FILE/x.json"),
    "verify": ("HOSTS",),
    "split": ("HOSTS", "--out", "FILE/x"),
    "phantom": ("FILE/x",),
    "info": (),
    "demo": ("--out", "FILE/x"),
    "evaluate alignment": ("HOSTS",),
    "evaluate realism": ("RUN",),
    "export nnunet": ("RUN", "FILE/x", "--dataset-id", "5"),
    "export nifti": ("RUN", "FILE/x"),
    "export dicom": ("RUN", "FILE/x"),
    "export origin-channel": ("HOSTS", "FILE/x"),
    "train text": ("--work", "FILE/x", "--recipe", "tiny"),
    "train base": ("--work", "FILE/x", "--recipe", "tiny", "--data", "HOSTS"),
    "train scar-segmenter": ("--work", "FILE/x", "--recipe", "tiny", "--data", "HOSTS"),
    "train spade": ("--work", "FILE/x", "--recipe", "tiny", "--data", "HOSTS", "--context", "full"),
    "train pack": ("--work", "FILE/x", "--out", "FILE/y"),
    "benchmark published": ("--data", "HOSTS", "--splits", "splits.json", "--out", "FILE/x", "--dry-run"),
    "benchmark utility": ("--data", "HOSTS", "--splits", "splits.json", "--out", "FILE/x", "--dry-run"),
    "improve": ("--data", "HOSTS", "--splits", "splits.json", "--init", "none", "--out", "FILE/x", "--dry-run"),
}
ODD = (
    *"0|-1|1.5|5.0|1_0|1e9|1e400|nan|NaN|inf|-inf|٣|５|²|−1|+3|007|0x10|1,5|2/5|٢/٥|²/³|1/0|3/2|1/1/1|true|null|ö ♥|-".split("|"),
    *"--|-x|--out|~|*|.|..|/|/dev/null|/dev/stdin|FILE|FILE/x|HOSTS|LOOP|FIFO|DENIED|nowhere|p.jsonl|splits.json".split("|"),
    *"file:///x|train=nan|train=inf,test=-inf|train=0.5,train=0.5|=1|train|train=1,test=0|a=0.5,b=0.5,|1,2,3|1;2|300,".split("|"),
    *",|0,0|1=cavity|1=cavity,1=wall|x=wall|2=wall,999999999999=scar|cuda|cuda:99|cuda:x|mps|cpu|auto|tiny|paste".split("|"),
    *("", " ", f"1/{10**30}", str(2**63 - 1), str(2**63), str(2**64), str(10**12), "9" * 5000, "a" * 300, "b" * 5000),
    *("d/" * 3000, "x\0y", "\x1b[31mred", "a\nb", "a\rb", "\u202eabc", "n\udcffme"),
)
SLOW = ("phantom", "demo", "train text")  # they need nothing but a folder, so they keep the one that cannot be made
SWITCHES = ("--help", "-v", "--dry-run", "--json", "--explain", "--balance", "--keep-all", "--strict", "--bogus")


def options_of(command: str) -> list[str]:
    """The options of a command, as its own help lists them."""
    from typer.main import get_command

    from lgesynthnet.cli.app import app

    found = get_command(app)
    for word in command.split():
        found = found.commands[word]
    return ["--help", *(opt for parameter in found.params for opt in parameter.opts if opt.startswith("--"))]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    write_hosts(folder / "HOSTS", 1, rv=True)
    (folder / "FILE").write_text("not a folder")
    (folder / "LOOP").symlink_to("LOOP")
    os.mkfifo(folder / "FIFO")
    (folder / "DENIED").mkdir(mode=0)
    (folder / "RUN").mkdir()
    (folder / "p.jsonl").write_text(json.dumps({"text": SENTENCE}) + "\n")
    (folder / "splits.json").write_text(json.dumps({"train": ["N001"], "val": [], "audit": [], "test": []}))
    return folder


@st.composite
def command_lines(draw) -> list[str]:
    """A command with one or two odd values: in place of one that it has, for another option, or as one word more."""
    name = draw(st.sampled_from(list(COMMANDS)))
    words = list(COMMANDS[name])
    for _ in range(draw(st.integers(1, 2))):
        odd = draw(st.sampled_from(ODD) | st.text(max_size=6))
        match draw(st.integers(0, 5)):
            case 0 | 1 if words and name not in SLOW:
                words[draw(st.integers(0, len(words) - 1))] = odd
            case 2:
                words.append(draw(st.sampled_from((odd, *SWITCHES))))
            case 3:
                words.append(f"{draw(st.sampled_from(options_of(name)))}={odd}")
            case _:
                words += [draw(st.sampled_from(options_of(name))), odd]
    if name == "prescribe " and any(word.isdigit() and len(word) > 4 for word in words):
        words = [word if len(word) < 5 else word[:2] for word in words]  # so many are drawn one by one, for ever
    return [*name.split(), *words]


def check(words: list[str]) -> None:
    done = run_command(*words)
    assert done.returncode in (0, 2, 3), (words, done.stderr)
    assert "Traceback" not in done.stderr or "-v" in words
    lines = done.stderr.splitlines()
    assert all(line.isprintable() for line in lines), (words, done.stderr)
    errors = [line for line in lines if line.startswith("error: ")]
    report_of_verify = words[0] == "verify" and done.stdout
    assert len(errors) == (done.returncode == 2 and not report_of_verify), (words, done)
    assert not errors or lines[-1] == errors[0]
    assert all(len(line) < 2100 or "\\u" in line for line in errors)


def fuzz(place: Path, monkeypatch, examples: int) -> None:
    monkeypatch.chdir(place)
    checks = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
    settings(derandomize=True, deadline=None, max_examples=examples, database=None, suppress_health_check=checks)(
        given(command_lines())(check)
    )()


def test_any_option(place, monkeypatch):
    fuzz(place, monkeypatch, 12)


@pytest.mark.long
def test_any_option_of_many(place, monkeypatch):
    fuzz(place, monkeypatch, 60)
