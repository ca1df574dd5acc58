"""Read the chosen stack of a patient's DICOM files: the stored numbers, and where each slice lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from lgesynthnet.data.dicom.choosing import choose, table
from lgesynthnet.data.dicom.frame_stack import FrameStack
from lgesynthnet.data.dicom.grouping import group_frames
from lgesynthnet.data.dicom.headers import Frame
from lgesynthnet.data.dicom.pixels import read_pixels
from lgesynthnet.data.dicom.scanning import DicomSource, scan
from lgesynthnet.data.nifti import LIMIT_OPTION, MAX_SLICES, most_voxels
from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.errors import InputError

SAME_PLACE_MM = 0.05  # of the corners of two images of one slice; positions are often rounded to two digits
MOST_NAMED = 3  # files that were left out, in one note


@dataclass(frozen=True, kw_only=True)
class DicomImage:
    """The images of one stack.

    Attributes:
        stored: (rows, columns, slices), the stored integers in the orientation of the files, sorted along the normal of the slices.
        stack: the frames, one for each slice.
        twins: planes of other stacks of the same slices, such as the magnitude beside PSIR, in the order of the slices.
        others: files of the patient's folder that hold no MR image, such as contours.
        notes: what was chosen and what is unusual, one sentence each.
    """

    stored: Shaped[np.ndarray, "rows columns slices"]
    stack: FrameStack
    twins: tuple[tuple[SlicePlane, ...], ...]
    others: tuple[Path, ...]
    notes: tuple[str, ...]

    @property
    def planes(self) -> list[SlicePlane]:
        return [frame.plane for frame in self.stack.frames]


def read_dicom_image(source: DicomSource, series: str | None = None) -> DicomImage:
    """Choose a stack among the DICOM files of a patient, and read its pixels; nothing is scaled or resampled.

    Args:
        series: which stack the user wants, see `choose`; None where the user did not say.
    Raises:
        InputError: no stack fits or several do, or the files of the chosen one are too large, damaged, or cannot be decoded.
    """
    found = scan(source)
    if not found.frames:
        why = f": {found.faults[0]}" if found.faults else ""
        raise InputError(f"{source.folder}: holds no MR image that can be used{why}")
    stacks = group_frames(_of_one_patient(found.frames, source, series))
    choice = choose(stacks, series, source.folder)
    stack = choice.stack
    rows, columns = stack.first.plane.shape
    if len(stack) > MAX_SLICES or rows * columns * len(stack) > most_voxels():
        raise InputError(
            f"{source.folder}: {stack} has {rows} x {columns} x {len(stack)} voxels, usable are {MAX_SLICES} slices and "
            f"{most_voxels()} voxels; choose another stack with --series, or raise the limit with the environment variable {LIMIT_OPTION}"
        )
    stored = np.stack(read_pixels(stack.frames), axis=2)
    notes = [
        f"{source.place}: {note}" for note in (*choice.notes, *(f"{stack}: {note}" for note in stack.notes()), *_left_out(found.faults))
    ]
    twins = tuple(twin for other in stacks if other is not stack and (twin := _twin(stack, other)))
    return DicomImage(stored=stored, stack=stack, twins=twins, others=tuple(found.others), notes=tuple(notes))


def _of_one_patient(frames: list[Frame], source: DicomSource, series: str | None) -> list[Frame]:
    """The frames of the only patient, or of the one whose series the user named by its UID.

    Raises:
        InputError: the folder should be one patient's own, and holds files of several.
    """
    whose = {frame.series.patient_id for frame in frames if frame.series.uid == series}
    names = sorted(whose or {frame.series.patient_id for frame in frames})
    if len(names) > 1:
        raise InputError(
            f"{source.folder}: holds files of {len(names)} patients (PatientID {', '.join(map(repr, names[:4]))}); "
            "give each a folder of its own"
        )
    return [frame for frame in frames if frame.series.patient_id in names]


def _twin(stack: FrameStack, other: FrameStack) -> tuple[SlicePlane, ...]:
    """The planes of another stack where they are those of the slices, and the slices' own where not; empty where none is."""
    if other.phases > 1:
        return ()
    planes = [next((frame.plane for frame in other.frames if _is_same(frame.plane, own.plane)), None) for own in stack.frames]
    if not any(planes):
        return ()
    return tuple(plane or own.plane for plane, own in zip(planes, stack.frames, strict=True))


def _is_same(one: SlicePlane, other: SlicePlane) -> bool:
    if one.shape != other.shape:
        return False
    corners = np.array([[0, 0], [one.shape[0] - 1, 0], [0, one.shape[1] - 1]], dtype=np.float64)
    return float(np.abs(one.to_patient(corners) - other.to_patient(corners)).max()) < SAME_PLACE_MM


def largest_voxels(source: DicomSource) -> int:
    """Number of voxels of the largest stack of a patient.

    Raises:
        InputError: see `scan`.
    """
    stacks = group_frames(scan(source).frames)
    return max((len(stack) * stack.first.plane.shape[0] * stack.first.plane.shape[1] for stack in stacks), default=0)


def describe(source: DicomSource, series: str | None = None) -> list[str]:
    """The stacks of a patient as lines of text, with the one that is taken; no pixel is read.

    Raises:
        InputError: see `read_dicom_image`.
    """
    found = scan(source)
    stacks = group_frames(_of_one_patient(found.frames, source, series))
    try:
        picked = choose(stacks, series, source.folder).stack if stacks else None
    except InputError:
        picked = None
    return [*table(stacks, picked), *_left_out(found.faults)]


def _left_out(faults: Sequence[str]) -> list[str]:
    """A note on the files that could not be used."""
    if not faults:
        return []
    more = f" (and {len(faults) - MOST_NAMED} more)" if len(faults) > MOST_NAMED else ""
    return [f"{len(faults)} {'file was' if len(faults) == 1 else 'files were'} left out: {'; '.join(faults[:MOST_NAMED])}{more}"]
