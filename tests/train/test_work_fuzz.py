"""Damaged work folders: whatever is damaged, a command ends with a result or with one line, and what the line advises works."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from training_requests import tiny_request

from lgesynthnet.errors import LGESynthNetError
from lgesynthnet.files.lock import LOCK
from lgesynthnet.terms import Role, Stage
from lgesynthnet.train.packing import pack
from lgesynthnet.train.segmenters.scar import train_scar_segmenter
from lgesynthnet.train.stages import train_generator

DAMAGES = ("delete", "empty", "truncate", "flip", "folder", "pipe")
LONGEST_S = 120


@pytest.fixture(scope="module")
def finished(cohort, tiny_stages, tmp_path_factory) -> Path:
    """A work folder with everything that a model without reward needs."""
    work = tiny_stages.copy_of(*tiny_stages.reports, to=tmp_path_factory.mktemp("finished") / "work")
    train_scar_segmenter(tiny_request(work, cohort), Role.FILTER)
    return work


def damage(path: Path, kind: str, at: float) -> None:
    content = path.read_bytes()
    path.unlink()
    place = int(at * max(len(content) - 1, 0))
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "truncate":
            path.write_bytes(content[:place])
        case "flip":
            path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :] if content else b"x")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)


class Trainings:
    """The commands on one work folder, and what their error messages advise."""

    def __init__(self, work: Path, cohort) -> None:
        self.work, self.cohort = work, cohort

    def train(self, stage: str) -> None:
        if stage.startswith("scar-segmenter"):
            train_scar_segmenter(tiny_request(self.work, self.cohort), Role.FILTER)
        else:
            train_generator(tiny_request(self.work, None if stage == "text" else self.cohort), Stage(stage))

    def pack(self) -> None:
        pack(self.work, self.work.parent / "model", card="# tiny\n")

    def start_from_it(self) -> None:
        train_generator(tiny_request(self.work.parent / "mine", self.cohort, init=self.work), Stage.CONTROL)

    def ends_well(self, command: Callable[[], None], advices: int = 6) -> bool:
        """Run a command until it gives a result, and follow the advice of each error on the way; returns whether an error came first."""
        erred = False
        for _ in range(advices):
            try:
                _in_time(command)
                return erred
            except LGESynthNetError as fault:
                erred = True
                message = str(fault)
                assert "\n" not in message
                if "choose another folder, which is new or empty" in message or "use another folder" in message:
                    return True  # its list is lost: it can be read, and another folder is begun for the next training
                self.follow(message)
        pytest.fail(f"after {advices} advices: {message}")

    def follow(self, message: str) -> None:
        done = False
        for path in re.findall(r"delete (/\S+?)(?=[,;]|\s|$)", message):
            assert Path(path).is_relative_to(self.work.parent)
            shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink(missing_ok=True)
            done = True
        if "move it away" in message:
            os.rename(path := message.split(": ")[0], f"{path}.away")
            done = True
        if command := re.search(r"run `lgesynthnet train ([a-z-]+)", message):
            self.ends_well(lambda: self.train(command[1]))
            done = True
        assert done, f"no advice: {message}"


def _in_time(command: Callable[[], None]) -> None:
    def stop(number: int, frame: object) -> None:
        raise TimeoutError("hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_S)
    try:
        command()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(finished: Path, cohort, tmp_path: Path, examples: int) -> None:
    files = sorted(path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file() and path.name != LOCK)
    count = {"tried": 0, "errors": 0}

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        name=st.sampled_from(files), kind=st.sampled_from(DAMAGES), at=st.floats(0, 1), command=st.sampled_from(["train", "pack", "init"])
    )
    def run(name: str, kind: str, at: float, command: str) -> None:
        folder = tmp_path / str(count["tried"])
        trainings = Trainings(folder / "work", cohort)
        shutil.copytree(finished, trainings.work)
        damage(trainings.work / name, kind, at)
        stage = name.split("/")[0] if "/" in name else "control"
        commands = {"train": lambda: trainings.train(stage), "pack": trainings.pack, "init": trainings.start_from_it}
        count["tried"] += 1
        count["errors"] += trainings.ends_well(commands[command])
        shutil.rmtree(folder)

    run()
    print(f"{count['tried']} damaged work folders: {count['errors']} ended in one line whose advice works, the others in a result")


def test_a_damaged_work_folder_gives_a_result_or_one_line_that_helps(finished, cohort, tmp_path):
    fuzz(finished, cohort, tmp_path, 5)


@pytest.mark.long
def test_many_damaged_work_folders_give_a_result_or_one_line_that_helps(finished, cohort, tmp_path):
    fuzz(finished, cohort, tmp_path, 20)
