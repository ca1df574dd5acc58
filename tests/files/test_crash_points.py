"""The driver of the kill tests: it sees every change, and a command that is killed at one of them goes on to the same bytes."""

from __future__ import annotations

import os
from pathlib import Path

from crash_points import CrashPoint, crash_points, killed_at

from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import replaced_folder, write_bytes


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_names_and_writes_are_seen_in_order_and_the_process_dies_there(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def command() -> None:
        out.mkdir(exist_ok=True)
        with (out / "a").open("w") as file:
            file.write("whole")
        (tmp_path / "elsewhere").write_text("not counted")
        os.replace(out / "a", out / "b")

    assert [f"{point.event} {point.place}" for point in crash_points(command, out)] == ["os.mkdir .", "open a", "torn a", "os.rename b"]
    (out / "b").unlink()
    assert killed_at(command, out, 2) == CrashPoint("torn", "a")
    assert (out / "a").read_bytes() == b'{"to'
    assert killed_at(command, out, 3) == CrashPoint("os.rename", "b")
    assert (out / "a").read_text() == "whole"
    assert killed_at(command, out, 9) is None


def test_a_folder_of_the_program_goes_on_from_any_change_to_the_same_bytes(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def command() -> None:
        with claimed(out, FolderKind.MODEL):
            write_bytes(out / "card.md", b"two")
            with replaced_folder(out / "filter") as new:
                (new / "weights").write_bytes(b"2")

    def start() -> None:
        import shutil

        shutil.rmtree(out, ignore_errors=True)
        with claimed(out, FolderKind.MODEL):
            write_bytes(out / "card.md", b"one")
            with replaced_folder(out / "filter") as new:
                (new / "weights").write_bytes(b"1")
                (new / "more").write_bytes(b"1")
        (out / "filter" / "notes.txt").write_text("mine")

    start()
    points = crash_points(command, out)
    wanted = tree(out)
    assert {"card.md", "filter/weights", "filter/notes.txt"} < set(wanted)
    for number, point in enumerate(points):
        start()
        killed = killed_at(command, out, number)
        assert killed is not None
        assert killed.event == point.event
        assert "filter/notes.txt" in tree(out) or any(name.endswith("/notes.txt") for name in tree(out)), point
        command()
        assert tree(out) == wanted, (number, point)
