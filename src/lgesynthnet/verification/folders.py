"""Check a folder of the program against its own list of files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lgesynthnet.data.layouts.find import find_cases
from lgesynthnet.data.layouts.table import NAME as TABLE
from lgesynthnet.errors import InputError, LGESynthNetError
from lgesynthnet.files.manifest import MANIFEST, FolderKind
from lgesynthnet.files.owned import IGNORED, UNFINISHED, is_owned, manifest_of
from lgesynthnet.records import OnCase
from lgesynthnet.run.folder import PLAN
from lgesynthnet.segment.request import LABELS
from lgesynthnet.verification.contents import check_content, repair_of

SHOWN = 20  # files that are named of each kind of damage; the JSON report names all


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """The state of one folder of the program.

    Attributes:
        kind: what it holds.
        version: of the program that began it; None where the folder has no list of files, as version 0.1.0 left it.
        files: number of files that were compared with what was written.
        damages: what is wrong, one sentence each, with the file.
        edited: files that a person may correct, and that have changed since they were written; they are used as they are.
        foreign: files that the program did not write; no command touches them.
        repair: what repairs the damage; None where there is none.
    """

    root: Path
    kind: FolderKind
    version: str | None
    files: int
    damages: tuple[str, ...]
    edited: tuple[str, ...] = ()
    foreign: tuple[str, ...]
    repair: str | None

    def record(self) -> dict[str, Any]:
        """The whole report, as JSON holds it."""
        return asdict(self) | {"root": str(self.root)}

    def lines(self) -> list[str]:
        """The report as lines of text: the damage, how to repair it, and a summary."""
        lines = [f"error: {damage}" for damage in self.damages[:SHOWN]]
        if len(self.damages) > SHOWN:
            lines.append(f"error: and {len(self.damages) - SHOWN} more; --json lists all")
        if self.repair is not None:
            lines.append(f"to repair: {self.repair}")
        if self.edited:
            lines.append(f"changed since the program wrote it, and used as it is now: {_some(self.edited)}")
        if self.foreign:
            lines.append(f"not written by this program, and left alone: {_some(self.foreign)}")
        if self.version is None:
            lines.append(f"{self.root}: version 0.1.0 kept no checksums (there is no {MANIFEST}), so the files were only read")
        state = f"{len(self.damages)} damaged" if self.damages else "nothing is damaged"
        if self.version is None and not self.damages:
            return [*lines, f"{self.root}: {self.kind}, could be read, but not compared with what was written"]
        return [*lines, f"{self.root}: {self.kind}, {self.files} files compared, {state}"]


def folders_of_the_program(folder: Path) -> list[Path]:
    """The folders to check: the given one and those of the program inside it; empty where it holds patients of the user, or nothing known.

    Raises:
        RunError: a list of files cannot be read.
    """
    inside = sorted(path.parent for path in folder.glob(f"**/{MANIFEST}") if UNFINISHED not in path.parts and path.parent != folder)
    if is_owned(folder) or _kind_without_list(folder) is not None:
        return [folder, *inside]
    return [] if _holds_patients(folder) else inside


def _holds_patients(folder: Path) -> bool:
    try:
        return bool(find_cases(folder).cases)
    except InputError:
        return False


def verify_folder(folder: Path, *, on_file: OnCase | None = None) -> FolderReport:
    """Compare every file of a folder of the program with what was written, then the files with each other.

    Args:
        on_file: gets (done, total) after each file.
    Raises:
        RunError: its list of files cannot be read.
    """
    if not is_owned(folder):
        kind = _kind_without_list(folder) or FolderKind.RUN
        faults = tuple(_faults_of_content(folder, kind))
        repair = repair_of(folder, kind) if faults else None
        return FolderReport(root=folder, kind=kind, version=None, files=0, damages=faults, foreign=(), repair=repair)
    manifest = manifest_of(folder)
    header, listed = manifest.header, sorted(manifest.files)
    damages = [] if manifest.finished else [f"{folder}: the command that wrote this folder did not end"]
    edited = []
    for done, name in enumerate(listed, start=1):
        if (fault := manifest.fault_of(name)) is None:
            pass
        elif (folder / name).is_file() and _may_be_edited(header.kind, name):
            edited.append(name)
        else:
            damages.append(f"{folder / name}: {fault}")
        if on_file is not None:
            on_file(done, len(listed))
    damages += _faults_of_content(folder, header.kind)
    return FolderReport(
        root=folder,
        kind=header.kind,
        version=header.lgesynthnet,
        files=len(listed),
        damages=tuple(damages),
        edited=tuple(edited),
        foreign=tuple(_foreign(folder, set(listed))),
        repair=repair_of(folder, header.kind, header.settings) if damages else None,
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _may_be_edited(kind: FolderKind, name: str) -> bool:
    """Whether a person is asked to correct a file: the masks that a network drew, and the table in which patients are dropped."""
    return kind is FolderKind.MASKS and (name == TABLE or PurePosixPath(name).parent == PurePosixPath(LABELS))


def _faults_of_content(folder: Path, kind: FolderKind) -> Iterator[str]:
    try:
        yield from check_content(folder, kind)
    except LGESynthNetError as fault:
        yield str(fault)


def _foreign(folder: Path, listed: Collection[str]) -> Iterator[str]:
    """Files that are neither listed nor in a folder with a list of its own."""
    paths = sorted(folder.rglob("*"))
    nested = [path.parent for path in paths if path.name == MANIFEST and path.parent != folder]
    for path in paths:
        relative = path.relative_to(folder)
        if path.is_dir() or path.name in IGNORED or path.name == MANIFEST or UNFINISHED in relative.parts:
            continue
        if relative.as_posix() not in listed and not any(path.is_relative_to(inner) for inner in nested):
            yield relative.as_posix()


def _kind_without_list(folder: Path) -> FolderKind | None:
    """What version 0.1.0 wrote there; None where it is none of its folders that hold more than patients."""
    if (folder / PLAN).is_file():
        return FolderKind.RUN
    if (folder / "inpainter").is_dir() and (folder / "reports.json").is_file():
        return FolderKind.MODEL
    return None
