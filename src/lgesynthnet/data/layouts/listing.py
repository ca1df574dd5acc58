"""What lies in a folder and below it. Each folder is listed once, and a folder with too much in it is refused."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lgesynthnet.data.declaration import DECLARATION
from lgesynthnet.errors import InputError
from lgesynthnet.files.manifest import MANIFEST

ENDINGS = (".nii.gz", ".nii")
DEEPEST = 6  # folders below the given one
MOST_ENTRIES = 100_000  # files and folders in one folder
MOST_BELOW = 1_000_000  # in all folders together
_LEFT_BY_OTHERS = ("__MACOSX",)  # hidden files and folders begin with a dot


class TooMuchBelowError(InputError):
    """All folders together hold too much, so that a folder must be given that holds less."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One folder, each list sorted by name. Hidden files are leftovers of other programs and are left out.

    Attributes:
        files: NIfTI files. A pipe or a broken link with such a name counts: reading it fails, and the case is named.
        others: the other files.
        folders: the folders that can be read.
        closed: those that cannot.
    """

    files: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    closed: tuple[Path, ...] = ()


@dataclass(kw_only=True)
class Tree:
    """A folder and what lies below it, read when it is asked for."""

    root: Path
    _listings: dict[Path, Listing] = field(default_factory=dict, repr=False)
    _entries: int = 0

    def __getitem__(self, folder: Path) -> Listing:
        """What lies in a folder.

        Raises:
            InputError: it cannot be read, or it holds too much.
        """
        if folder not in self._listings:
            self._listings[folder] = self._list(folder)
        return self._listings[folder]

    def files(self, folder: Path) -> tuple[Path, ...]:
        """The NIfTI files of a folder."""
        return self[folder].files

    def folders(self, folder: Path) -> tuple[Path, ...]:
        """The folders in a folder that may hold patients of this data set; none below the deepest level."""
        if len(folder.relative_to(self.root).parts) >= DEEPEST:
            return ()
        return tuple(inside for inside in self[folder].folders if not is_data_set(inside))

    def holds_files(self, folder: Path) -> bool:
        """Whether there is a NIfTI file in a folder or below it."""
        return bool(self.files(folder)) or any(map(self.holds_files, self.folders(folder)))

    def walk(self, folder: Path | None = None) -> Iterator[tuple[Path, Listing]]:
        """Every folder that can be reached, the given one first, with what lies in it."""
        folder = folder or self.root
        yield folder, self[folder]
        for inside in self.folders(folder):
            yield from self.walk(inside)

    def relative(self, path: Path) -> str:
        """The path as messages name it, from the root."""
        return printable(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def _list(self, folder: Path) -> Listing:
        files: list[Path] = []
        others: list[Path] = []
        folders: list[Path] = []
        closed: list[Path] = []
        for path, is_folder in self._scanned(folder):
            if is_folder:
                if not _leads_back(path):
                    (folders if _is_open(path) else closed).append(path)
            else:
                (files if stem_of(path) is not None else others).append(path)
        return Listing(files=tuple(files), others=tuple(others), folders=tuple(folders), closed=tuple(closed))

    def _scanned(self, folder: Path) -> list[tuple[Path, bool]]:
        found: list[tuple[Path, bool]] = []
        try:
            with os.scandir(folder) as entries:
                for count, entry in enumerate(entries, start=1):
                    if count > MOST_ENTRIES or self._entries + count > MOST_BELOW:
                        most, where = (MOST_ENTRIES, folder) if count > MOST_ENTRIES else (MOST_BELOW, self.root)
                        kind = InputError if where is folder else TooMuchBelowError
                        raise kind(
                            f"{printable(where)}: holds more than {most} files; give the folder of the cases, or divide it into several"
                        )
                    if not entry.name.startswith(".") and entry.name not in _LEFT_BY_OTHERS:
                        found.append((folder / entry.name, _is_folder(entry)))
        except OSError as fault:
            raise InputError(f"{printable(folder)}: cannot be read: {fault.strerror or fault}; check its permissions") from None
        self._entries += len(found)
        return sorted(found)


def stem_of(path: Path) -> str | None:
    """The name of a NIfTI file without its ending, in any case; None for other files."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    return None if ending is None else path.name[: -len(ending)]


def is_data_set(folder: Path) -> bool:
    """Whether a folder says by a file of its own what it holds; it is then read alone, or not at all."""
    names = (MANIFEST, DECLARATION, "dataset.json", "dataset_description.json")
    return any(os.path.lexists(folder / name) for name in names) or (folder / "imagesTr").is_dir()


def is_there(path: Path) -> bool:
    """Whether something stands at this path; whether it can be read is found when it is read."""
    try:
        return os.path.lexists(path)
    except ValueError:  # a null character
        return False


def printable(name: Path | str) -> str:
    """The name in one line that every screen and file can hold: escapes for line breaks, and for bytes that are not UTF-8."""
    text = str(name)
    return repr(text) if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text) else text


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _leads_back(folder: Path) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return folder.is_symlink() and Path(os.path.realpath(folder.parent)).is_relative_to(os.path.realpath(folder))


def _is_open(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)
