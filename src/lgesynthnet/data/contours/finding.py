"""Find the files in a folder that hold contours or masks, by what they contain."""

from __future__ import annotations

import os
import re
from collections.abc import Set
from functools import lru_cache
from pathlib import Path

from lgesynthnet.data.contours.kinds import HEAD_BYTES, kind_of
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import opened, read_bytes

MAX_DEPTH = 8  # folders below the given one
MAX_ENTRIES = 100_000  # files and folders in all of them together
MAX_BYTES = 2**28
_UID = re.compile(rb"(?<![\d.])[0-2](?:\.\d{1,39}){2,31}(?![\d.])")


def find_contour_files(folder: Path) -> list[Path]:
    """The contour and mask files in a folder and in the folders below it, sorted by path. Hidden files and folders are left out.

    Links to folders are not followed, and pipes and devices are not opened. A file that cannot be read is left out.

    Raises:
        InputError: the folder cannot be read, or it holds too many files or too many levels of folders.
    """
    files: list[Path] = []
    folders = [(folder, 0)]
    entries = 0
    while folders:
        here, depth = folders.pop()
        if depth > MAX_DEPTH:
            raise InputError(f"{here}: lies more than {MAX_DEPTH} folders below {folder}; give the folder of one patient")
        try:
            with os.scandir(here) as found:
                for entry in found:
                    entries += 1
                    if entries > MAX_ENTRIES:
                        raise InputError(f"{folder}: holds more than {MAX_ENTRIES} files; give the folder of one patient")
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((Path(entry.path), depth + 1))
                    elif entry.is_file() and is_contour_file(Path(entry.path)):
                        files.append(Path(entry.path))
        except OSError as fault:
            raise InputError(f"{here}: cannot be read: {fault.strerror or fault}; check its permissions") from None
    return sorted(files)


def names_an_instance(path: Path, uids: Set[str]) -> bool:
    """Whether one of these SOP instance UIDs stands anywhere in a file, as in RTSTRUCT, SEG and cvi42 files of these images.

    Raises:
        InputError: the file cannot be read, or is too large.
    """
    about = path.stat()
    return not uids.isdisjoint(_uids_in(path, about.st_size, about.st_mtime_ns))


@lru_cache(maxsize=1024)
def _uids_in(path: Path, size: int, changed_ns: int) -> frozenset[str]:
    """Every UID in a file. It is remembered, because each patient of a folder asks; `size` and `changed_ns` say whether it has changed."""
    return frozenset(uid.decode() for uid in _UID.findall(read_bytes(path, MAX_BYTES)))


def is_contour_file(path: Path) -> bool:
    """Whether a file holds contours or masks in one of the five formats, by its content; False also where it cannot be read."""
    try:
        with opened(path) as file:
            return kind_of(file.read(HEAD_BYTES), path.name) is not None
    except InputError:
        return False
