"""One slice to export, real or synthetic. A case names its files; the pixels are read when the case is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.nifti_writing import copied_slice, gzip_bytes, slice_like
from lgesynthnet.data.ring import Fault, find_fault
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.origin import painted_origin
from lgesynthnet.files.names import checked_name
from lgesynthnet.files.reading import read_bytes
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.records import Image, Label, Labels, Place, ShortAxisSlice, Skipped, Stack, scar_of
from lgesynthnet.run.sample_files import READ, label_of, path_of
from lgesynthnet.terms import LabelKind

ENDING = ".nii.gz"
IMAGE_BYTES = 2**28  # no slice is larger
LONGEST_ID = 220  # bytes; file systems allow 255, and the layouts add their endings
AS_STORED = (False, False)  # nothing is mirrored, whatever the affine says
UNCHANGED = np.arange(len(Label), dtype=np.uint8)
# Nobody labels slices beyond base and apex. Such a slice would teach a network that the heart is background.
UNUSABLE = (Fault.UNLABELLED, Fault.EMPTY)


class Origin(StrEnum):
    """Where a case comes from."""

    REAL = "real"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True, kw_only=True)
class ExportCase:
    """One slice of a patient.

    Attributes:
        id: names the origin, the patient as shown, and the slice: real_patient-001_s03, syn_patient-001_s03_s0_000017.
        patient: the patient of the slice; for a synthetic case, the patient of its host. No exported file holds this name.
        shown_as: what stands for the patient in the export: a pseudonym, or the name itself.
        slice_index: position in the patient's own stack, from 0.
        image_path, label_path: the two files.
        index: position of the slice in these files, from 0.
        label_map: stored number -> `Label`.
        dicom: the patient's DICOM files, and how to read them; None for NIfTI. `image_path` is then the file of the slice.
        read_path: file with the scar that the filter read, if that scar is to be the label; None keeps the scar of `label_path`.
        present: labels that occur in the slice.
        spacing_mm: pixel size in mm as (row, column).
        step_mm: distance between slices in mm; 0 if unknown.
        digest: hash of image and labels. A changed file gives another export.
        row: more columns of the table of cases, by name.

    Raises:
        InputError: the patient has a name that cannot be part of a file's.
    """

    id: str
    origin: Origin
    patient: str
    shown_as: str
    slice_index: int
    image_path: Path
    label_path: Path
    index: int
    label_map: Mapping[int, Label]
    dicom: tuple[Cohort, CaseFiles] | None = field(default=None, repr=False)
    read_path: Path | None = None
    present: frozenset[Label] = frozenset()
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    step_mm: float = 0.0
    digest: str = ""
    row: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_name(self.shown_as, str(self.image_path))  # it becomes a part of file names
        if len(self.id.encode()) > LONGEST_ID:
            raise InputError(f"{self.image_path}: the name {self.id[:60]!r}... is too long for a file; shorten the name of the patient")

    @property
    def has_scar(self) -> bool:
        return bool(self.present & {Label.SCAR, Label.NO_REFLOW})

    @property
    def label_kind(self) -> str:
        """Where the scar label comes from: own (a real slice), intended or read."""
        if self.origin is Origin.REAL:
            return "own"
        return LabelKind.READ if self.read_path is not None else LabelKind.INTENDED

    def pixels(self) -> tuple[Image, Labels]:
        """The image and the labels, both (rows, cols), in the orientation of the files.

        Returns:
            Stored numbers of the image, and values of `Label`.
        Raises:
            InputError: a file is missing, damaged or lies on another grid.
        """
        if self.dicom is not None:
            slice_ = _stack_as_stored(*self.dicom)[self.slice_index]
            return slice_.image, slice_.labels
        slice_ = read_stack(self.image_path, self.label_path, self.patient, self.label_map, flip=AS_STORED)[self.index]
        return slice_.image, slice_.labels if self.read_path is None else _as_read(slice_.labels, self.read_path)


def real_cases(cohort: Cohort, case: CaseFiles, shown_as: str) -> Iterator[ExportCase | Skipped]:
    """Yield every labelled slice of one patient in the order of the stack, and a `Skipped` for each other slice.

    Args:
        shown_as: what stands for the patient in the export.
    Raises:
        InputError: the patient's files cannot be used, see `read_stack`.
    """
    stack = _stack_as_stored(cohort, case)
    for slice_ in stack:
        fault = find_fault(slice_)
        if fault in UNUSABLE:
            yield Skipped(name=slice_.name, reason=str(fault))
            continue
        yield ExportCase(
            id=real_id(shown_as, slice_.index),
            origin=Origin.REAL,
            patient=case.patient,
            shown_as=shown_as,
            slice_index=slice_.index,
            image_path=slice_.place.path if slice_.place else case.image_path,
            label_path=case.label_path or case.image_path,
            index=slice_.place.index if slice_.place else slice_.index,
            label_map=cohort.label_map,
            dicom=(cohort, case) if case.dicom is not None else None,
            step_mm=stack.slice_step_mm,
            **_properties(slice_, slice_.labels),
        )


def real_id(shown_as: str, slice_index: int) -> str:
    """The id of a real slice of a patient."""
    return f"real_{shown_as}_s{slice_index:02d}"


def _stack_as_stored(cohort: Cohort, case: CaseFiles) -> Stack:
    """A patient's stack in the orientation of the files."""
    return replace(cohort, flip=AS_STORED, insertions_deg={}).read(case)


def synthetic_case(
    image_path: Path,
    *,
    sample_id: str,
    patient: str,
    shown_as: str,
    slice_index: int,
    kind: LabelKind,
    row: Mapping[str, str],
) -> ExportCase:
    """A sample of a run, or its twin, given its image; its label and what the filter read lie beside it.

    Args:
        shown_as: what stands for the patient in the export.
        kind: whether the label holds the intended scar or the scar that the filter read.
        row: more columns of the table of cases, by name.
    Raises:
        InputError: the sample or the patient has a name that cannot be part of a file's.
        RunError: one of its files is missing, damaged or lies on another grid.
    """
    checked_name(sample_id, str(image_path))
    label_path, read_path = label_of(image_path), path_of(image_path, READ)
    try:
        stack = read_stack(image_path, label_path, patient, LABEL_MAPS["lgesynthnet"], flip=AS_STORED)
        labels = stack[0].labels if kind is LabelKind.INTENDED else _as_read(stack[0].labels, read_path)
    except InputError as fault:
        raise RunError(f"sample {sample_id} cannot be read back ({fault})") from None
    return ExportCase(
        id=f"syn_{shown_as}_s{slice_index:02d}_{sample_id}",
        origin=Origin.SYNTHETIC,
        patient=patient,
        shown_as=shown_as,
        slice_index=slice_index,
        image_path=image_path,
        label_path=label_path,
        index=0,
        label_map=LABEL_MAPS["lgesynthnet"],
        read_path=read_path if kind is LabelKind.READ else None,
        step_mm=stack.slice_step_mm,
        row=row,
        **_properties(stack[0], labels),
    )


def write_case(
    case: ExportCase,
    image_out: Path,
    label_out: Path,
    origin_out: Path | None = None,
    *,
    stored_values: UInt8[np.ndarray, " labels"] = UNCHANGED,
) -> None:
    """Write image and label as (columns, rows, 1) with one affine, at the position of the slice in the scanner.

    A synthetic image is a byte-for-byte copy of the run's file, and its label is marked as synthetic too. A real image keeps the texts of
    its header only where the export keeps the names of the patients.

    Args:
        origin_out: file of the origin channel, see `painted_origin`; None writes none.
        stored_values: `Label` -> the number to store.
    Raises:
        InputError: a file cannot be read.
        RunError: a file cannot be written.
    """
    source, place = case.image_path, Place(path=case.image_path, index=case.index)
    image, labels = case.pixels()
    stored = stored_values[labels]
    if case.origin is Origin.SYNTHETIC:
        write_bytes(image_out, read_bytes(source, IMAGE_BYTES))
        label = slice_like(stored, place, dtype=np.uint8, descrip=f"SYNTHETIC scar, {case.label_kind} label")
        origin = slice_like(painted_origin(read_volume(source)), place, dtype=np.uint8, descrip="SYNTHETIC, origin channel")
    else:
        keep_texts = case.shown_as == case.patient
        write_bytes(image_out, gzip_bytes(copied_slice(image, place, keep_texts=keep_texts)))
        label = copied_slice(stored, place, dtype=np.uint8, keep_texts=keep_texts)
        origin = copied_slice(np.zeros_like(labels), place, dtype=np.uint8, keep_texts=keep_texts)
    write_bytes(label_out, gzip_bytes(label))
    if origin_out is not None:
        write_bytes(origin_out, gzip_bytes(origin))


def _properties(slice_: ShortAxisSlice, labels: Labels) -> dict[str, Any]:
    content = hashlib.sha256(slice_.image.tobytes())
    content.update(labels.tobytes())
    return {
        "present": frozenset(Label(value) for value in np.unique(labels).tolist()),
        "spacing_mm": slice_.spacing_mm,
        "digest": content.hexdigest()[:16],
    }


def _as_read(labels: Labels, read_path: Path) -> Labels:
    """The labels with the scar and no-reflow that the filter read, instead of the intended ones."""
    read = read_volume(read_path).stored
    if read.shape != (labels.shape[1], labels.shape[0], 1) or not np.isin(read, (Label.BACKGROUND, Label.SCAR, Label.NO_REFLOW)).all():
        raise InputError(
            f"{read_path}: has the shape {read.shape}; it needs the shape of its label and only 0, 3 and 4 as values; make the run again"
        )
    read_labels = read[:, :, 0].T
    return np.where(read_labels > 0, read_labels, np.where(scar_of(labels), Label.WALL, labels)).astype(np.uint8)
