"""The frames and the other files of a patient whose DICOM files lie in a folder. No pixel is read."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lgesynthnet.data.dicom.files import NotInstalledError
from lgesynthnet.data.dicom.headers import Frame, frames_of
from lgesynthnet.errors import InputError

MOST_FILES = 200_000  # in all sub-folders of one folder
DEEPEST = 32  # levels of sub-folders


@dataclass(frozen=True, kw_only=True)
class DicomSource:
    """Where the DICOM files of one patient lie.

    Attributes:
        folder: it and its sub-folders are searched.
        patient_id: only files with this PatientID; None where the folder is the patient's own.
        shared: whether the folder holds other patients too, so that contours must name the patient's images, or lie in a
            sub-folder with the patient's name.
    """

    folder: Path
    patient_id: str | None = None
    shared: bool = False

    @property
    def place(self) -> str:
        """The folder, and the patient where it holds several, as messages begin."""
        return f"{self.folder} ({self.patient_id})" if self.shared else str(self.folder)


@dataclass(kw_only=True)
class Scan:
    """What a folder holds.

    Attributes:
        frames: of all MR images, by file.
        others: regular files that hold no MR image, such as contours.
        faults: what could not be used, one sentence each.
    """

    frames: list[Frame] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def scan(source: DicomSource) -> Scan:
    """Read the headers of all files of one patient. A file that cannot be used is noted, and the others are read.

    Raises:
        InputError: the folder holds far too many files, or pydicom is missing.
    """
    found = Scan()
    for path in walk(source.folder, found.faults):
        try:
            frames = frames_of(path)
        except NotInstalledError:
            raise
        except InputError as fault:
            found.faults.append(str(fault))
            continue
        if not frames:
            found.others.append(path)
        elif source.patient_id is None or frames[0].series.patient_id == source.patient_id:
            found.frames.extend(frames)
    return found


def files_of(source: DicomSource) -> list[Path]:
    """The files of one patient that can be used, and those that hold no MR image, sorted.

    Raises:
        InputError: see `scan`.
    """
    found = scan(source)
    return sorted({*(frame.plane.path for frame in found.frames), *found.others})


def walk(folder: Path, faults: list[str]) -> Iterator[Path]:
    """The regular files of a folder and its sub-folders, sorted by name; each once, also where links lead in circles.

    Hidden files are leftovers of other programs and are left out. What is no regular file is added to `faults`.

    Raises:
        InputError: there are far too many.
    """
    seen = _inode(folder)
    count = 0
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        below: list[tuple[Path, int]] = []
        for path in entries(place, faults):
            try:
                about = path.stat()
            except (OSError, ValueError) as fault:
                faults.append(f"{path}: cannot be read ({getattr(fault, 'strerror', None) or fault}); it was left out")
                continue
            if stat.S_ISDIR(about.st_mode):
                if (about.st_dev, about.st_ino) not in seen and depth < DEEPEST:
                    seen.add((about.st_dev, about.st_ino))
                    below.append((path, depth + 1))
            elif not stat.S_ISREG(about.st_mode):
                faults.append(f"{path}: is not a regular file; it was left out")
            else:
                count += 1
                if count > MOST_FILES:
                    raise InputError(f"{folder}: holds more than {MOST_FILES} files; divide it into several folders")
                yield path
        waiting += reversed(below)


def _inode(folder: Path) -> set[tuple[int, int]]:
    try:
        about = folder.stat()
    except OSError:
        return set()
    return {(about.st_dev, about.st_ino)}


def entries(folder: Path, faults: list[str]) -> list[Path]:
    """What lies in a folder, sorted by name, without hidden entries; where it cannot be read, that is added to `faults`."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as fault:
        faults.append(f"{folder}: cannot be read ({fault.strerror or fault}); it was left out")
        return []
