"""Nothing that somebody else wrote is replaced, emptied or removed, and what the program writes is whole or not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from lgesynthnet.errors import RunError, SetAsideNotice
from lgesynthnet.files.manifest import MANIFEST, FolderKind, Manifest
from lgesynthnet.files.owned import UNFINISHED, claimed
from lgesynthnet.files.writing import (
    SET_ASIDE,
    remove_file,
    remove_folder,
    replaced_folder,
    synced_together,
    will_grow,
    write_bytes,
    write_new,
)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included, but not the lock."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_folder_of_somebody_else_is_refused_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "thesis.tex").write_text("years")
    (tmp_path / "deep" / ".x.partial").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(RunError, match=r"not empty, and was not made by this program"), claimed(tmp_path, FolderKind.RUN):
        pytest.fail("claimed")
    assert tree(tmp_path) == before
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("place", ["file", "folder/..", "file/inside", "loop"])
def test_places_that_are_no_new_folder_are_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = tree(tmp_path)
    with pytest.raises(RunError), claimed(tmp_path / place, FolderKind.RUN):
        pytest.fail("claimed")
    assert tree(tmp_path) == before


def test_only_listed_and_unchanged_files_are_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claimed(out, FolderKind.WORK):
        write_bytes(out / "card.md", b"one")
        write_bytes(out / "card.md", b"two")
        (out / "notes.txt").write_text("mine")
        with pytest.raises(RunError, match=r"notes\.txt: was not written by this program"):
            write_bytes(out / "notes.txt", b"program")
        remove_file(out / "notes.txt")
    assert (out / "notes.txt").read_text() == "mine"
    (out / "card.md").write_text("corrected by hand")
    with (
        claimed(out, FolderKind.WORK),
        pytest.warns(SetAsideNotice, match=r"card\.md: had been changed; what it held is in card\.md\.set-aside"),
    ):
        write_bytes(out / "card.md", b"three")
    assert (out / "card.md").read_bytes() == b"three"
    assert (out / f"card.md{SET_ASIDE}").read_text() == "corrected by hand"


@pytest.mark.parametrize("left", [b"", b"thr", b"th\0\0\0"])
def test_what_a_crash_left_of_a_file_is_no_work_of_the_user(tmp_path: Path, left: bytes) -> None:
    out = tmp_path / "out"
    with claimed(out, FolderKind.WORK):
        write_bytes(out / "card.md", b"three")
        (out / "card.md").write_bytes(left)
        write_bytes(out / "card.md", b"three")
    assert sorted(tree(out)) == ["card.md", MANIFEST]


def test_a_file_outside_the_program_s_folders_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "splits.json").write_text("{}")
    with pytest.raises(RunError, match="exists already"):
        write_bytes(tmp_path / "splits.json", b"new")
    assert (tmp_path / "splits.json").read_text() == "{}"
    write_bytes(tmp_path / "splits.json", b"{}")  # equal content is no change


def test_a_replaced_folder_keeps_foreign_and_changed_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claimed(out, FolderKind.MODEL):
        with replaced_folder(out / "filter") as new:
            (new / "config.json").write_text("1")
            (new / "old.json").write_text("1")
        (out / "filter" / "notes.txt").write_text("mine")
        (out / "filter" / "config.json").write_text("edited")
        with replaced_folder(out / "filter") as new:
            (new / "config.json").write_text("2")
    content = tree(out)
    assert content.pop(MANIFEST)
    assert content == {"filter/config.json": b"2", f"filter/config.json{SET_ASIDE}": b"edited", "filter/notes.txt": b"mine"}
    assert set(Manifest(out).files) == {"filter/config.json"}


def test_a_removed_folder_keeps_foreign_files_and_is_gone_without_them(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claimed(out, FolderKind.MODEL):
        for name in ("filter", "auditor"):
            write_bytes(out / name / "deep" / "config.json", b"1")
        (out / "filter" / "deep" / "notes.txt").write_text("mine")
        for name in ("filter", "auditor", "nowhere"):
            remove_folder(out / name)
    assert sorted(tree(out)) == ["filter/deep/notes.txt", MANIFEST]
    assert not (out / "auditor").exists()


def test_a_failure_while_a_folder_is_replaced_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claimed(out, FolderKind.MODEL):
        with replaced_folder(out / "filter") as new:
            (new / "config.json").write_text("1")
        with pytest.raises(ZeroDivisionError), replaced_folder(out / "filter") as new:
            _ = (new / "config.json").write_text("2") / 0
    assert (out / "filter" / "config.json").read_text() == "1"
    assert not (out / UNFINISHED).exists()


def test_a_new_folder_whose_command_failed_is_gone_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path / "out", FolderKind.EXPORT):
        raise ZeroDivisionError
    assert not any(tmp_path.iterdir())


def test_one_process_at_a_time_and_one_content_for_each_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claimed(out, FolderKind.COHORT, settings={"seed": 0}), claimed(out, FolderKind.COHORT):
        write_bytes(out / "a", b"a")
        code = os.spawnlp(
            os.P_WAIT,
            "python3",
            "python3",
            "-c",
            f"import fcntl; fcntl.flock(open({str(out / '.lock')!r}), fcntl.LOCK_EX | fcntl.LOCK_NB)",
        )
        assert code != 0
    with pytest.raises(RunError, match="seed was 0 and is now 1"), claimed(out, FolderKind.COHORT, settings={"seed": 1}):
        pytest.fail("claimed")
    with pytest.raises(RunError, match="holds a cohort of this program, not a run"), claimed(out, FolderKind.RUN):
        pytest.fail("claimed")
    with pytest.raises(RunError, match="of this program, not drawn masks;"), claimed(out, FolderKind.MASKS):
        pytest.fail("claimed")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with claimed(out, FolderKind.WORK):
        (out / "images").symlink_to(elsewhere)
        with pytest.raises(RunError, match="is a link"):
            write_bytes(out / "images" / "a", b"a")
    assert not any(elsewhere.iterdir())


def test_a_list_from_outside_names_only_files_inside(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    out = tmp_path / "out"
    with claimed(out, FolderKind.MODEL):
        write_bytes(out / "a", b"a")
    with (out / MANIFEST).open("a") as file:
        file.write('{"file": "../thesis.tex", "bytes": 5, "sha256": null}\n')
    assert set(Manifest(out).files) == {"a"}


def test_the_list_survives_a_torn_line_and_is_equal_after_a_resume(tmp_path: Path) -> None:
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    for out in (straight, resumed):
        with claimed(out, FolderKind.RUN):
            write_bytes(out / "b", b"1")
            with synced_together():
                write_bytes(out / "a", b"2")
            will_grow(out / "log")
            (out / "log").write_text("x")
    with (resumed / MANIFEST).open("a") as file:
        file.write('{"file": "c", "byt')
    with claimed(resumed, FolderKind.RUN):
        write_bytes(resumed / "b", b"1")
    assert tree(straight) == tree(resumed)


def test_a_file_that_was_listed_but_never_written_is_forgotten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claimed(out, FolderKind.WORK):
        write_bytes(out / "a", b"old")
    manifest = Manifest(out)  # what a command leaves that is killed between the list and the file
    manifest.add({"finished": False}, {"file": "a", "bytes": 3, "sha256": "0" * 64}, {"file": "b", "bytes": 3, "sha256": "0" * 64})
    with claimed(out, FolderKind.WORK):
        pass
    assert {name: listed.bytes for name, listed in Manifest(out).files.items()} == {"a": 3}
    with claimed(out, FolderKind.WORK):
        write_bytes(out / "a", b"new")
    assert sorted(tree(out)) == ["a", MANIFEST]


class TestFoldersFromOthers:
    """A folder that somebody hands over may hold links and names that lead out of it."""

    @pytest.fixture
    def victim(self, tmp_path: Path) -> Path:
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim" / "thesis.tex").write_text("years")
        return tmp_path / "victim"

    @pytest.fixture
    def out(self, tmp_path: Path) -> Path:
        with claimed(tmp_path / "out", FolderKind.RUN):
            write_bytes(tmp_path / "out" / "card.md", b"one")
            will_grow(tmp_path / "out" / "log")
            (tmp_path / "out" / "log").write_text("x")
        return tmp_path / "out"

    def write_all(self, out: Path) -> None:
        with claimed(out, FolderKind.RUN):
            will_grow(out / "log")
            write_bytes(out / "card.md", b"two")

    @pytest.mark.parametrize("name", [f".{MANIFEST}.new", MANIFEST, "log", ".lock", UNFINISHED])
    def test_a_link_in_place_of_a_file_of_the_program_is_refused(self, victim: Path, out: Path, name: str) -> None:
        target = victim if name == UNFINISHED else victim / "thesis.tex"
        if name == MANIFEST:
            shutil.move(out / MANIFEST, victim / "list.jsonl")
            target = victim / "list.jsonl"
        (out / name).unlink(missing_ok=True)
        (out / name).symlink_to(target)
        before = tree(victim)
        with pytest.raises(RunError):
            self.write_all(out)
        assert tree(victim) == before
        assert (out / name).is_symlink()

    @pytest.mark.parametrize("absolute", [False, True])
    def test_a_folder_that_waits_to_be_put_back_stays_inside(self, victim: Path, out: Path, absolute: bool) -> None:
        place = str(victim / "pwned") if absolute else "../victim/pwned"
        waiting = out / UNFINISHED / "old" / quote(place, safe="")
        waiting.mkdir(parents=True)
        (waiting / "x").write_text("evil")
        self.write_all(out)
        assert sorted(tree(victim)) == ["thesis.tex"]

    def test_a_path_through_a_folder_that_does_not_exist_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="leads through"), claimed(tmp_path / "nowhere" / ".." / "out", FolderKind.RUN):
            pytest.fail("claimed")
        assert not any(tmp_path.iterdir())

    def test_a_file_that_the_user_named_is_the_user_s(self, out: Path) -> None:
        write_new(out / "splits.json", b"{}")
        assert "splits.json" not in Manifest(out).files
