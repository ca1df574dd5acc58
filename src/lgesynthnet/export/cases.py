"""One case of an export, and the slices among them, real or synthetic. A case names its files; the pixels are read when it is written."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Shaped, UInt8

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
from lgesynthnet.records import Image, Label, Labels, Place, Skipped, Stack, scar_of
from lgesynthnet.run.sample_files import HIDDEN, READ, label_of, path_of
from lgesynthnet.terms import LabelKind

ENDING = ".nii.gz"
IMAGE_BYTES = 2**28  # no slice is larger
LONGEST_ID = 220  # bytes; file systems allow 255, and the layouts add their endings
AS_STORED = (False, False)  # nothing is mirrored, whatever the affine says
UNCHANGED = np.arange(len(Label), dtype=np.uint8)
# Nobody labels slices beyond base and apex. Such a slice would teach a network that the heart is background.
UNUSABLE = (Fault.UNLABELLED, Fault.EMPTY)
StoredValues = UInt8[np.ndarray, " labels"]  # `Label` -> the number to store


class Origin(StrEnum):
    """Where a case comes from."""

    REAL = "real"
    SYNTHETIC = "synthetic"


class CaseBytes(NamedTuple):
    """The files of a case as .nii.gz, with one affine: the image, the label, and the origin channel (see `painted_origin`)."""

    image: bytes
    label: bytes
    origin: bytes


@dataclass(frozen=True, kw_only=True)
class ExportCase(ABC):
    """One case of an export: a slice (`SliceCase`) or a stack (`StackCase`) of a patient.

    Attributes:
        NOUN: what such a case is called, in the singular.
        id: names the origin, the patient as shown, and the slice or the sample.
        patient: the patient; for a synthetic case, the patient of its host. No exported file holds this name.
        shown_as: what stands for the patient in the export: a pseudonym, or the name itself.
        image_path, label_path: the two files; of DICOM stacks, their folder.
        label_map: stored number -> `Label`.
        read_path: file with the scar that the filter read, if that scar is to be the label; None keeps the scar of `label_path`.
        present: labels that occur in the case.
        spacing_mm: pixel size in mm as (row, column).
        step_mm: distance between slices in mm; 0 if unknown.
        digest: hash of image and labels. A changed file gives another export.
        row: more columns of the table of cases, by name; see `columns`.

    Raises:
        InputError: the patient has a name that cannot be part of a file's.
    """

    NOUN: ClassVar[str]

    id: str
    origin: Origin
    patient: str
    shown_as: str
    image_path: Path
    label_path: Path
    label_map: Mapping[int, Label]
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
        """Where the scar label comes from: own (a real case), intended or read."""
        if self.origin is Origin.REAL:
            return "own"
        return LabelKind.READ if self.read_path is not None else LabelKind.INTENDED

    @property
    def columns(self) -> Mapping[str, str]:
        """What the table of cases says besides of the case, by name of the column."""
        return self.row

    @property
    def sample(self) -> str:
        """What a sample and its twin share; the id of a real case."""
        return self.row.get("sample", self.id)

    @abstractmethod
    def pixels(self) -> tuple[Shaped[np.ndarray, "rows cols *slices"], UInt8[np.ndarray, "rows cols *slices"]]:
        """The image and the labels, in the orientation of the files.

        Returns:
            Stored numbers of the image, and values of `Label`.
        Raises:
            InputError: a file is missing, damaged or lies on another grid.
        """

    @abstractmethod
    def encoded(self, stored_values: StoredValues) -> CaseBytes:
        """The files of the case, at the position of the slice or stack in the scanner.

        A synthetic image is the run's own, and its label is marked as synthetic too. A real image keeps the texts of its header only where
        the export keeps the names of the patients.

        Raises:
            InputError: a file cannot be read.
        """


@dataclass(frozen=True, kw_only=True)
class SliceCase(ExportCase):
    """One slice of a patient. Its id names the slice: real_patient-001_s03, syn_patient-001_s03_s0_000017.

    Attributes:
        slice_index: position in the patient's own stack, from 0.
        index: position of the slice in its files, from 0.
        dicom: the patient's DICOM files, and how to read them; None for NIfTI. `image_path` is then the file of the slice.
    """

    NOUN = "slice"

    slice_index: int
    index: int
    dicom: tuple[Cohort, CaseFiles] | None = field(default=None, repr=False)

    def pixels(self) -> tuple[Image, Labels]:
        if self.dicom is not None:
            slice_ = stack_as_stored(*self.dicom)[self.slice_index]
            return slice_.image, slice_.labels
        stack = read_stack(self.image_path, self.label_path, self.patient, self.label_map, flip=AS_STORED)
        if self.read_path is not None:
            stack = as_read(stack, self.read_path)
        return stack[self.index].image, stack[self.index].labels

    def encoded(self, stored_values: StoredValues) -> CaseBytes:
        """Files of the shape (columns, rows, 1). A synthetic image that is a file of its own is copied byte for byte."""
        source, place = self.image_path, Place(path=self.image_path, index=self.index)
        image, labels = self.pixels()
        stored = stored_values[labels]
        if self.origin is Origin.REAL:
            keep_texts = self.shown_as == self.patient
            copied = copied_slice(image, place, keep_texts=keep_texts)
            label = copied_slice(stored, place, dtype=np.uint8, keep_texts=keep_texts)
            channel = copied_slice(np.zeros_like(labels), place, dtype=np.uint8, keep_texts=keep_texts)
            return CaseBytes(gzip_bytes(copied), gzip_bytes(label), gzip_bytes(channel))
        volume = read_volume(source)
        is_alone = volume.stored.shape[2] == 1
        copied = read_bytes(source, IMAGE_BYTES) if is_alone else gzip_bytes(copied_slice(image, place))  # its texts say SYNTHETIC
        label = slice_like(stored, place, dtype=np.uint8, descrip=f"SYNTHETIC scar, {self.label_kind} label")
        channel = slice_like(painted_origin(volume, self.index), place, dtype=np.uint8, descrip="SYNTHETIC, origin channel")
        return CaseBytes(copied, gzip_bytes(label), gzip_bytes(channel))


def real_cases(cohort: Cohort, case: CaseFiles, shown_as: str) -> Iterator[SliceCase | Skipped]:
    """Yield every labelled slice of one patient in the order of the stack, and a `Skipped` for each other slice.

    Args:
        shown_as: what stands for the patient in the export.
    Raises:
        InputError: the patient's files cannot be used, see `read_stack`.
    """
    stack = stack_as_stored(cohort, case)
    for slice_ in stack:
        fault = find_fault(slice_)
        if fault in UNUSABLE:
            yield Skipped(name=slice_.name, reason=str(fault))
            continue
        yield SliceCase(
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
            spacing_mm=stack.spacing_mm,
            step_mm=stack.slice_step_mm,
            **properties(slice_.image, slice_.labels),
        )


def real_id(shown_as: str, slice_index: int) -> str:
    """The id of a real slice of a patient."""
    return f"real_{shown_as}_s{slice_index:02d}"


def stack_as_stored(cohort: Cohort, case: CaseFiles) -> Stack:
    """A patient's stack in the orientation of the files.

    Raises:
        InputError: see `Cohort.read`.
    """
    return replace(cohort, flip=AS_STORED, insertions_deg={}).read(case)


def synthetic_case(
    place: Place,
    *,
    sample_id: str,
    patient: str,
    shown_as: str,
    slice_index: int,
    kind: LabelKind,
    row: Mapping[str, str],
) -> SliceCase:
    """A slice of a run, or its twin, given its image; its label and what the filter read lie beside it.

    Args:
        place: the image file, and which of its slices it is.
        shown_as: what stands for the patient in the export.
        kind: whether the label holds the intended scar or the scar that the filter read.
        row: more columns of the table of cases, by name.
    Raises:
        InputError: the sample or the patient has a name that cannot be part of a file's.
        RunError: one of its files is missing, damaged or lies on another grid.
    """
    stack, read_path = sample_stack(place.path, sample_id, patient, kind)
    if not place.index < len(stack):
        raise RunError(f"sample {sample_id} cannot be read back ({place.path}: has no slice {place.index})")
    return SliceCase(
        id=f"syn_{shown_as}_s{slice_index:02d}_{sample_id}",
        origin=Origin.SYNTHETIC,
        patient=patient,
        shown_as=shown_as,
        slice_index=slice_index,
        image_path=place.path,
        label_path=label_of(place.path),
        index=place.index,
        label_map=LABEL_MAPS["lgesynthnet"],
        read_path=read_path,
        spacing_mm=stack.spacing_mm,
        step_mm=stack.slice_step_mm,
        row=row,
        **properties(stack[place.index].image, stack[place.index].labels),
    )


def sample_stack(image_path: Path, sample_id: str, patient: str, kind: LabelKind) -> tuple[Stack, Path | None]:
    """The volume of a sample or of a twin, labelled as asked for, in the orientation of its files.

    Returns:
        The stack; and the file of the scar that the filter read, if that scar is in its labels.
    Raises:
        InputError: the sample has a name that cannot be part of a file's.
        RunError: one of its files is missing, damaged or lies on another grid.
    """
    checked_name(sample_id, str(image_path))
    read_path = path_of(image_path, READ) if kind is LabelKind.READ else None
    try:
        stack = read_stack(image_path, label_of(image_path), patient, LABEL_MAPS["lgesynthnet"], flip=AS_STORED)
        return (stack if read_path is None else as_read(stack, read_path)), read_path
    except InputError as fault:
        raise RunError(f"sample {sample_id} cannot be read back ({fault})") from None


def write_case(
    case: ExportCase,
    image_out: Path,
    label_out: Path,
    origin_out: Path | None = None,
    *,
    stored_values: StoredValues = UNCHANGED,
) -> None:
    """Write image and label of a case, see `ExportCase.encoded`.

    Args:
        origin_out: file of the origin channel, see `painted_origin`; None writes none.
        stored_values: `Label` -> the number to store.
    Raises:
        InputError: a file cannot be read.
        RunError: a file cannot be written.
    """
    content = case.encoded(stored_values)
    write_bytes(image_out, content.image)
    write_bytes(label_out, content.label)
    if origin_out is not None:
        write_bytes(origin_out, content.origin)


def properties(image: Shaped[np.ndarray, "rows cols *slices"], labels: UInt8[np.ndarray, "rows cols *slices"]) -> dict[str, Any]:
    """What a case keeps of its pixels: `present` and `digest`."""
    content = hashlib.sha256(image.tobytes())
    content.update(labels.tobytes())
    return {"present": frozenset(Label(value) for value in np.unique(labels).tolist()), "digest": content.hexdigest()[:16]}


def as_read(stack: Stack, read_path: Path) -> Stack:
    """The stack with the scar and no-reflow that the filter read, instead of the intended ones.

    In slices of a stack that were not painted the filter read nothing, and the host's own labels stay.

    Raises:
        InputError: the file of that scar is missing or damaged, or lies on another grid.
    """
    read, labels = read_volume(read_path).stored, stack.labels
    rows, cols, slices = labels.shape
    if read.shape != (cols, rows, slices) or not np.isin(read, (Label.BACKGROUND, Label.SCAR, Label.NO_REFLOW)).all():
        raise InputError(
            f"{read_path}: has the shape {read.shape}; it needs the shape of its label and only 0, 3 and 4 as values; make the run again"
        )
    scar = read.transpose(1, 0, 2)
    in_place = np.where(scar > 0, scar, np.where(scar_of(labels), Label.WALL, labels)).astype(np.uint8)
    if slices == 1:
        return replace(stack, labels=in_place)
    painted = read_volume(path_of(read_path, HIDDEN)).stored.any(axis=(0, 1))
    return replace(stack, labels=np.where(painted, in_place, labels))
