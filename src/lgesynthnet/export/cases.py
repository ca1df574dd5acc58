"""One slice to export, real or synthetic, as the files it comes from; its pixels are read when they are written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.layout import CaseFiles
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.nifti_writing import write_copied_slice, write_slice_like
from lgesynthnet.data.ring import Fault, find_fault
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files import write_bytes
from lgesynthnet.records import Image, Label, Labels, ShortAxisSlice, Skipped, scar_of
from lgesynthnet.terms import LabelKind

ENDING = ".nii.gz"
UNCHANGED = np.arange(len(Label), dtype=np.uint8)
# Beyond base and apex nobody draws: as a training case such a slice would teach that a heart is background.
NO_CASE = (Fault.UNLABELLED, Fault.EMPTY)


class Origin(StrEnum):
    """Where a case comes from."""

    REAL = "real"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True, kw_only=True)
class ExportCase:
    """One slice of a patient.

    Attributes:
        id: carries origin, patient and slice: real_P001_s03, syn_P001_s03_s0_000017.
        patient: whose heart it shows; of a synthetic case, its host's.
        slice_index: in the patient's own stack.
        image_path, label_path, index: the two files, and which of their slices; label_map says what the labels mean.
        read_path: the filter's reading, where it shall become the label.
        present: labels that occur; step_mm, spacing_mm: distance of slices (0 where unknown), pixel size as (row, column).
        digest: over image and labels, so that a changed file makes another export.
        row: what a table of cases also says, by column.
    """

    id: str
    origin: Origin
    patient: str
    slice_index: int
    image_path: Path
    label_path: Path
    index: int
    label_map: Mapping[int, Label]
    read_path: Path | None = None
    present: frozenset[Label] = frozenset()
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    step_mm: float = 0.0
    digest: str = ""
    row: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_scar(self) -> bool:
        return bool(self.present & {Label.SCAR, Label.NO_REFLOW})

    @property
    def label_kind(self) -> str:
        """own, intended or read."""
        if self.origin is Origin.REAL:
            return "own"
        return LabelKind.READ if self.read_path is not None else LabelKind.INTENDED

    def pixels(self) -> tuple[Image, Labels]:
        """Image (rows, cols) in stored numbers and labels (rows, cols) of `Label`, in the files' own view.

        Raises:
            InputError: a file is gone, damaged or lies on another grid.
        """
        slice_ = read_stack(self.image_path, self.label_path, self.patient, self.label_map)[self.index]
        return slice_.image, slice_.labels if self.read_path is None else _as_read(slice_.labels, self.read_path)


def real_cases(cohort: Cohort, case: CaseFiles) -> Iterator[ExportCase | Skipped]:
    """Every slice of one patient that somebody labelled, in the stack's order; the others come out as Skipped.

    Raises:
        InputError: the patient's files cannot be used, see `read_stack`.
    """
    stack = read_stack(case.image_path, case.label_path, case.patient, cohort.label_map)
    for slice_ in stack:
        fault = find_fault(slice_)
        if fault in NO_CASE:
            yield Skipped(name=slice_.name, reason=str(fault))
            continue
        yield ExportCase(
            id=f"real_{slice_.name}",
            origin=Origin.REAL,
            patient=case.patient,
            slice_index=slice_.index,
            image_path=case.image_path,
            label_path=case.label_path,
            index=slice_.index,
            label_map=cohort.label_map,
            step_mm=stack.slice_step_mm,
            **_facts(slice_, slice_.labels),
        )


def synthetic_case(
    image_path: Path, *, sample_id: str, patient: str, slice_index: int, kind: LabelKind, row: Mapping[str, str]
) -> ExportCase:
    """A sample of a run: `images/ID.nii.gz`, with `labels/` and `read/` beside it.

    Raises:
        RunError: one of its files is missing, damaged or lies on another grid.
    """
    label_path, read_path = (image_path.parent.parent / part / image_path.name for part in ("labels", "read"))
    try:
        stack = read_stack(image_path, label_path, patient, LABEL_MAPS["lgesynthnet"])
        labels = stack[0].labels if kind is LabelKind.INTENDED else _as_read(stack[0].labels, read_path)
    except InputError as fault:
        raise RunError(f"sample {sample_id} cannot be read back ({fault})") from None
    return ExportCase(
        id=f"syn_{patient}_s{slice_index:02d}_{sample_id}",
        origin=Origin.SYNTHETIC,
        patient=patient,
        slice_index=slice_index,
        image_path=image_path,
        label_path=label_path,
        index=0,
        label_map=LABEL_MAPS["lgesynthnet"],
        read_path=read_path if kind is LabelKind.READ else None,
        step_mm=stack.slice_step_mm,
        row=row,
        **_facts(stack[0], labels),
    )


def write_case(case: ExportCase, image_out: Path, label_out: Path, number_of: UInt8[np.ndarray, " labels"] = UNCHANGED) -> None:
    """Write image and label as (columns, rows, 1) with one affine, in the case's own place in space.

    A synthetic image is the run's file, byte for byte, and its label carries the same mark; a real one keeps its header's words.

    Args:
        number_of: `Label` -> the number to store.
    Raises:
        InputError, RunError: a file cannot be read, or written.
    """
    like, index = case.image_path, case.index
    image, labels = case.pixels()
    stored = number_of[labels]
    if case.origin is Origin.SYNTHETIC:
        try:
            write_bytes(image_out, like.read_bytes())
        except OSError as fault:
            raise InputError(f"{like}: cannot be read: {fault.strerror or fault}") from None
        write_slice_like(label_out, stored, like, index, dtype=np.uint8, descrip=f"SYNTHETIC scar, {case.label_kind} label")
        return
    write_copied_slice(image_out, image, like, index)
    write_copied_slice(label_out, stored, like, index, dtype=np.uint8)


def _facts(slice_: ShortAxisSlice, labels: Labels) -> dict[str, Any]:
    content = hashlib.sha256(slice_.image.tobytes())
    content.update(labels.tobytes())
    return {
        "present": frozenset(Label(value) for value in np.unique(labels).tolist()),
        "spacing_mm": slice_.spacing_mm,
        "digest": content.hexdigest()[:16],
    }


def _as_read(labels: Labels, read_path: Path) -> Labels:
    """The labels with the filter's scar and no-reflow in the place of those that were intended."""
    read = read_volume(read_path).stored
    if read.shape != (labels.shape[1], labels.shape[0], 1) or not np.isin(read, (Label.BACKGROUND, Label.SCAR, Label.NO_REFLOW)).all():
        raise InputError(f"{read_path}: is no reading of the slice beside it: shape {read.shape}, 0, 3 and 4 alone may occur")
    seen = read[:, :, 0].T
    return np.where(seen > 0, seen, np.where(scar_of(labels), Label.WALL, labels)).astype(np.uint8)
