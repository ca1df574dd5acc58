"""The list of the files that the program wrote into a folder. It is the folder's marker, too: it is written before anything else.

Each line is one JSON object, and lines are only ever added while a command runs, so that a killed command leaves a readable list. A file
is listed before it is written. What is not listed was written by somebody else, and no command touches it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lgesynthnet import __version__
from lgesynthnet.errors import RunError
from lgesynthnet.files.names import is_inside

MANIFEST = "lgesynthnet-files.jsonl"
BESIDE = f".{MANIFEST}.new"  # the next state of the list, until it is complete
LARGEST = 2**29  # bytes; a run of a million samples has a list of about this size


class FolderKind(StrEnum):
    """What a folder of the program holds; the words of messages."""

    RUN = "run"
    COHORT = "cohort"
    EXPORT = "export"
    WORK = "work folder"
    MODEL = "model"
    BENCHMARK = "benchmark"
    PICTURES = "contact sheet"
    MASKS = "drawn masks"
    IMPROVEMENT = "improvement"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Header(_Line):
    """The first line.

    Attributes:
        lgesynthnet: version of the program that began the folder.
        settings: what decides the content, where the folder is for one content only; a command with other settings is refused.
    """

    lgesynthnet: str
    format: Literal[1]
    kind: Annotated[FolderKind, Field(strict=False)]
    settings: dict[str, Any] = {}


class _File(_Line):
    file: str
    bytes: int | None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None


class _Removed(_Line):
    removed: str


class _State(_Line):
    finished: bool


_LINE: TypeAdapter[_File | _Removed | _State] = TypeAdapter(_File | _Removed | _State)


@dataclass
class ListedFile:
    """What the list says of one file.

    Attributes:
        bytes, sha256: of the newest content; None for a file that grows while a command runs, which has no checksum.
        earlier: checksums of the contents before it; a command that was killed may have left one of these.
    """

    bytes: int | None
    sha256: str | None
    earlier: set[str] = field(default_factory=set)

    @property
    def grows(self) -> bool:
        return self.sha256 is None


class Manifest:
    """The list of one folder, read from and added to its file.

    Raises:
        RunError: the list is damaged, or was written by a later version.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST
        self._inode = -1
        self._forget()
        self.refresh()

    @classmethod
    def create(cls, folder: Path, kind: FolderKind, settings: dict[str, Any]) -> Manifest:
        """Begin the list of an empty folder."""
        header = Header(lgesynthnet=__version__, format=1, kind=kind, settings=settings)
        _replace(folder / MANIFEST, [header.model_dump(mode="json"), {"finished": False}])
        return cls(folder)

    def refresh(self) -> None:
        """Read what other processes have added."""
        if self.path.is_symlink() or not self.path.is_file():  # a link could lead to a file of the user, and a named pipe nowhere
            raise RunError(f"{self.path}: is a link or no file, and only a file can be the list; {REPAIR}")
        with faults_named(self.path), self.path.open("rb") as file:
            about = os.fstat(file.fileno())
            if about.st_size > LARGEST:
                raise RunError(f"{self.path}: is too large for a list of files; {REPAIR}")
            if about.st_ino != self._inode or about.st_size < self._read:
                self._forget()
                self._inode = about.st_ino
            file.seek(self._read)
            content = file.read(LARGEST)
        complete = content.rfind(b"\n") + 1  # a last line without an end was being written when its command was killed
        self._read += complete
        self._torn = complete < len(content)
        for line in content[:complete].splitlines():
            self._take(line)
        if not hasattr(self, "header"):
            raise RunError(f"{self.path}: is empty; {REPAIR}")

    def add(self, *records: dict[str, Any], sync: bool = False) -> None:
        """Add lines."""
        # A command that was killed may have left a line without an end.
        content = (b"\n" if self._torn else b"") + b"".join(map(_encoded, records))
        with faults_named(self.path), self.path.open("ab") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        self.refresh()

    def fault_of(self, name: str) -> str | None:
        """What is wrong with a file of the folder; None where it is as it was written. A file that grows only has to be there."""
        listed, path = self.files.get(name), self.path.parent / name
        if listed is None:
            return "is not in the list of files"
        if path.is_symlink() or not path.is_file():
            return "is missing" if not os.path.lexists(path) else "is no longer a file"
        if listed.grows:
            return None
        size = path.stat().st_size
        if size != listed.bytes:
            return f"has {size} bytes instead of {listed.bytes}"
        return None if file_digest(path) == listed.sha256 else "has changed"

    def is_whole(self, name: str) -> bool:
        """Whether a file is listed, and is as it was written."""
        return self.fault_of(name) is None

    def compact(self) -> None:
        """Write the list anew, sorted and with one line for each file, so that equal folders have equal lists."""
        lines = [self.header.model_dump(mode="json")]
        lines += [{"file": name, "bytes": file.bytes, "sha256": file.sha256} for name, file in sorted(self.files.items())]
        lines.append({"finished": self.finished})
        _replace(self.path, lines)
        self.refresh()

    def _forget(self) -> None:
        self._read, self._torn = 0, False
        self.files: dict[str, ListedFile] = {}
        self.finished = False
        self.__dict__.pop("header", None)

    def _take(self, line: bytes) -> None:
        if not hasattr(self, "header"):
            try:
                self.header: Header = Header.model_validate_json(line)
            except ValidationError:
                raise RunError(f"{self.path}: this version cannot read this list of files; {REPAIR}") from None
            return
        try:
            record = _LINE.validate_json(line)
        except ValidationError:
            return  # the remains of a line that was being written when its command was killed; its file was not written yet
        match record:
            case _File(file=name) if is_inside(name):
                before = self.files.get(name)
                earlier = (before.earlier | {before.sha256} if before.sha256 else before.earlier) if before else set()
                self.files[name] = ListedFile(bytes=record.bytes, sha256=record.sha256, earlier=earlier)
            case _Removed():
                self.files.pop(record.removed, None)
            case _State():
                self.finished = record.finished


REPAIR = "use another folder, or move this one away"


def _replace(path: Path, lines: list[dict[str, Any]]) -> None:
    beside = path.with_name(BESIDE)
    try:
        with faults_named(path):
            if beside.is_symlink():
                raise RunError(f"{beside}: is a link, and the program made none; move it away")
            beside.unlink(missing_ok=True)  # left by a command that was killed
            with beside.open("xb") as file:
                file.write(b"".join(map(_encoded, lines)))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
    except BaseException:
        if not beside.is_symlink():
            beside.unlink(missing_ok=True)
        raise


@contextmanager
def faults_named(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an error that names the file."""
    try:
        yield
    except OSError as fault:
        why = fault.strerror or str(fault)
        raise RunError(f"{path}: cannot be written ({why}); free space or choose a writable --out folder") from None


def digest(content: bytes) -> str:
    """The checksum that the list holds."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """The checksum of a file, which is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, ensure_ascii=True, allow_nan=False).encode() + b"\n"
