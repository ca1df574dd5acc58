"""Read contour and mask files of one patient into labels on given slices."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.data.contours.combining import combine
from lgesynthnet.data.contours.cvi42 import read_cvi42
from lgesynthnet.data.contours.dicom_seg import read_seg
from lgesynthnet.data.contours.drawings import FileDrawings, short
from lgesynthnet.data.contours.kinds import HEAD_BYTES, Kind, kind_of
from lgesynthnet.data.contours.matching import Slices
from lgesynthnet.data.contours.names import EXAMPLE, OPTION, ContourNames, plain
from lgesynthnet.data.contours.rtstruct import read_rtstruct
from lgesynthnet.data.contours.segment_mat import read_segment
from lgesynthnet.data.contours.sunnybrook import read_sunnybrook
from lgesynthnet.data.label_reading import fill_cavities
from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import opened
from lgesynthnet.records import Label, wall_of

MOST_NAMED = 12  # names in one message
PIECE_BYTES = 2**20
READERS: dict[Kind, Callable[[FileDrawings, Slices], None]] = {
    Kind.SEG: read_seg,
    Kind.RTSTRUCT: read_rtstruct,
    Kind.CVI42: read_cvi42,
    Kind.MAT: read_segment,
    Kind.SUNNYBROOK: read_sunnybrook,
}


@dataclass(frozen=True, kw_only=True)
class ContourLabels:
    """Labels of a stack of slices as contours and masks draw them.

    Attributes:
        labels: (rows, columns, slices), values of `Label`, in the orientation of the stored slices and in their order.
        notes: what was done or noticed, one sentence each.
    """

    labels: UInt8[np.ndarray, "rows columns slices"]
    notes: tuple[str, ...]


def read_contour_labels(paths: Sequence[Path], planes: Sequence[SlicePlane], names: ContourNames | None = None) -> ContourLabels:
    """Read contours and masks in any of the five formats, each found by the content of the file, into one label array.

    Contours and masks belong to the slice whose DICOM instance they name, or else to the slice at their place in the patient; the order of
    slices and of files does not matter. Each file may hold a part of the contours. A file that is there twice is read once.

    Args:
        paths: files of one patient.
        planes: the stored slices, in the order that the labels will have; all have one shape.
        names: what the names in the files mean; None takes the usual names.
    Raises:
        InputError: a file cannot be used, nothing in the files belongs to these slices, two files draw the same part of the heart in one
            slice, or no cavity or no wall is drawn.
    """
    slices = Slices(planes)
    distinct, notes = _distinct(sorted(set(paths)))
    files = [_read(path, slices, names or ContourNames()) for path in distinct]
    _require_matches(files)
    labels, noticed = combine(files, slices.shape, len(planes))
    labels, filled = fill_cavities(labels)
    if filled:
        noticed.append(f"slices {', '.join(map(str, filled))} have no cavity drawn; the hole of the wall is taken as the cavity")
    _require_parts(files, labels)
    for file in files:
        notes += [*file.notes, *_notes_on(file)]
    where = f"{distinct[0]}: " if len(distinct) == 1 else f"contours in {len(distinct)} files, the first of them {distinct[0]}: "
    return ContourLabels(labels=labels, notes=(*notes, *(where + note for note in noticed)))


def _distinct(paths: list[Path]) -> tuple[list[Path], list[str]]:
    """The files without copies of the same bytes under other names."""
    if not paths:
        raise InputError("contours: no file was given; give the files that hold the contours")
    first: dict[str, Path] = {}
    notes = []
    for path in paths:
        with opened(path) as file:
            digest = hashlib.sha256()
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
        # A Sunnybrook file says in its name to which image it belongs, so two of the same bytes are two contours.
        with opened(path) as file:
            kind = kind_of(file.read(HEAD_BYTES), path.name)
        key = f"{digest.hexdigest()} {path.name if kind is Kind.SUNNYBROOK else ''}"
        if first.setdefault(key, path) != path:
            notes.append(f"{path}: holds the same bytes as {first[key]}; it is read once")
    return list(first.values()), notes


def _read(path: Path, slices: Slices, names: ContourNames) -> FileDrawings:
    with opened(path) as file:
        kind = kind_of(file.read(HEAD_BYTES), path.name)
    if kind is None:
        raise InputError(f"{path}: holds no contours in a format that can be read; give {'; '.join(Kind)}")
    drawings = FileDrawings(path=path, names=names)
    READERS[kind](drawings, slices)
    return drawings


def _require_matches(files: Sequence[FileDrawings]) -> None:
    if any(file.drawings for file in files) or not (unmatched := sum(file.unmatched for file in files)):
        return
    file = next(file for file in files if file.unmatched)
    raise InputError(
        f"{file.path}: none of the {unmatched} contours belongs to the given slices; {file.remedy}"
        + ("" if len(files) == 1 else f" (the same is true of the other {len(files) - 1} files)")
    )


def _require_parts(files: Sequence[FileDrawings], labels: UInt8[np.ndarray, "rows columns slices"]) -> None:
    """Refuse labels without a cavity or without a wall, and say which names the files have."""
    lacking = [what for what, there in (("cavity", (labels == Label.CAVITY).any()), ("wall", wall_of(labels).any())) if not there]
    if not lacking:
        return
    found = sorted({name for file in files for name in file.found})
    names = ", ".join(f"'{short(name)}'" for name in found[:MOST_NAMED]) or "none"
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    raise InputError(
        f"{files[0].path}: no {' and no '.join(lacking)} is drawn on the given slices under a known name; "
        f"the names in the files are {names}{more}; {_remedy_for_names(files, found)}"
    )


def _remedy_for_names(files: Sequence[FileDrawings], found: Sequence[str]) -> str:
    """What to add to the option: the usual names, where the user's own names for the same meanings replaced them."""
    replaced = [(name, meaning) for name in found if (meaning := files[0].names.replaced(name)) is not None]
    if not replaced:
        return f"say what they mean with {OPTION}, e.g. {EXAMPLE}"
    added = ",".join(f"{meaning}={short(name)}" for name, meaning in replaced[:MOST_NAMED])
    return f"where {OPTION} names a meaning, the usual names no longer count; add {added} to it"


def _notes_on(file: FileDrawings) -> list[str]:
    notes = []
    if file.unknown:
        some = sorted(file.unknown)
        more = f" and {len(some) - MOST_NAMED} more" if len(some) > MOST_NAMED else ""
        names = ", ".join(f"'{short(name)}'" for name in some[:MOST_NAMED])
        notes.append(
            f"{file.path}: what is named {names}{more} is left out, because the names are not known; {OPTION} can give them a meaning"
        )
    given = {meaning for name in file.found if (meaning := file.names.given.get(plain(name))) is not None}
    replaced = {name: meaning for name in sorted(file.found) if (meaning := file.names.replaced(name)) is not None}
    for name, meaning in [pair for pair in replaced.items() if pair[1] not in given][:MOST_NAMED]:
        notes.append(
            f"{file.path}: '{short(name)}' is left out, because {OPTION} gives other names for {meaning} and this file has none of them; "
            f"add {meaning}={short(name)} if it is meant"
        )
    if file.unmatched:
        notes.append(f"{file.path}: {file.unmatched} contours or masks belong to none of the slices and are left out")
    return notes
