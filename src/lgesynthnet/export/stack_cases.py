"""Whole stacks as cases of an export, for networks in three dimensions: those of a run, and those of the real patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.nifti_writing import copied_volume, volume_fault, volume_like
from lgesynthnet.data.ring import find_fault
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import (
    AS_STORED,
    UNUSABLE,
    CaseBytes,
    ExportCase,
    Origin,
    StoredValues,
    as_read,
    properties,
    sample_stack,
    stack_as_stored,
)
from lgesynthnet.export.origin import painted_origin_of_stack
from lgesynthnet.records import Stack
from lgesynthnet.run.sample_files import label_of
from lgesynthnet.terms import LabelKind


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Which slices of a stack are exported: from the first to the last in which a heart is labelled.

    Nobody labels slices beyond base and apex, and they would teach a network that the heart is background. Real and synthetic stacks are
    cut alike, or the number of slices would tell which is which.

    Attributes:
        kept: the slices that are exported.
        beyond: number of slices that are left out.
        unlabelled: number of exported slices in which nobody labelled a heart.
    """

    kept: range
    beyond: int
    unlabelled: int

    @classmethod
    def of(cls, stack: Stack) -> Cut:
        """The cut of a stack.

        Raises:
            InputError: no heart is labelled in it.
        """
        labelled = [slice_.index for slice_ in stack if find_fault(slice_) not in UNUSABLE]
        if not labelled:
            place = stack.places[0].path if stack.places else stack.patient
            raise InputError(f"{place}: no slice of {stack.patient} has a heart label; label it, or take the patient out of the folder")
        kept = range(labelled[0], labelled[-1] + 1)
        return cls(kept=kept, beyond=len(stack) - len(kept), unlabelled=len(kept) - len(labelled))

    def take(self, voxels: Shaped[np.ndarray, "rows cols all"]) -> Shaped[np.ndarray, "rows cols slices"]:
        """The voxels of these slices."""
        return voxels[:, :, self.kept.start : self.kept.stop]


@dataclass(frozen=True, kw_only=True)
class StackCase(ExportCase):
    """A whole stack of a patient, cut to the slices in which a heart is labelled: real_patient-001, syn_patient-001_s0_000017.

    Attributes:
        cut: which slices of the patient's own stack it holds.
        real: how to read the patient's files; None for a synthetic stack.
    """

    NOUN = "stack"

    cut: Cut
    real: tuple[Cohort, CaseFiles] | None = field(default=None, repr=False)

    @property
    def columns(self) -> dict[str, str]:
        return {**self.row, "first_slice": str(self.cut.kept.start), "slices": str(len(self.cut.kept))}

    def pixels(self) -> tuple[Shaped[np.ndarray, "rows cols slices"], UInt8[np.ndarray, "rows cols slices"]]:
        stack = self._stack()
        return self.cut.take(stack.image), self.cut.take(stack.labels)

    def encoded(self, stored_values: StoredValues) -> CaseBytes:
        """Files of the shape (columns, rows, slices). The first slice lies where it lies in the patient's own stack."""
        stack, kept = self._stack(), self.cut.kept
        stored = stored_values[stack.labels]
        if self.real is None:
            channel = painted_origin_of_stack(read_volume(self.image_path))
            return CaseBytes(
                image=copied_volume(stack, stack.image, kept=kept),  # the texts of the run's own header say SYNTHETIC
                label=volume_like(stack, stored, np.uint8, f"SYNTHETIC scar, {self.label_kind} label", kept=kept),
                origin=volume_like(stack, channel, np.uint8, "SYNTHETIC, origin channel", kept=kept),
            )
        keep_texts = self.shown_as == self.patient
        return CaseBytes(
            image=copied_volume(stack, stack.image, kept=kept, keep_texts=keep_texts),
            label=copied_volume(stack, stored, np.uint8, kept=kept, keep_texts=keep_texts),
            origin=copied_volume(stack, np.zeros_like(stored), np.uint8, kept=kept, keep_texts=keep_texts),
        )

    def _stack(self) -> Stack:
        """All slices, in the orientation of the files."""
        if self.real is not None:
            return stack_as_stored(*self.real)
        stack = read_stack(self.image_path, self.label_path, self.patient, self.label_map, flip=AS_STORED)
        return stack if self.read_path is None else as_read(stack, self.read_path)


def real_stack_case(cohort: Cohort, case: CaseFiles, shown_as: str) -> StackCase:
    """The stack of one patient.

    Args:
        shown_as: what stands for the patient in the export.
    Raises:
        InputError: the patient's files cannot be used, hold no heart label, or are DICOM slices that one NIfTI file cannot hold.
    """
    stack = stack_as_stored(cohort, case)
    cut = Cut.of(stack)
    if case.dicom is not None:
        _require_one_grid(stack)
    return StackCase(
        id=real_stack_id(shown_as),
        origin=Origin.REAL,
        patient=case.patient,
        shown_as=shown_as,
        image_path=case.image_path,
        label_path=case.label_path or case.image_path,
        label_map=cohort.label_map,
        real=(cohort, case),
        cut=cut,
        spacing_mm=stack.spacing_mm,
        step_mm=stack.slice_step_mm,
        **properties(cut.take(stack.image), cut.take(stack.labels)),
    )


def real_stack_id(shown_as: str) -> str:
    """The id of the real stack of a patient."""
    return f"real_{shown_as}"


def synthetic_stack_case(
    image_path: Path, *, sample_id: str, patient: str, shown_as: str, kind: LabelKind, row: Mapping[str, str]
) -> StackCase:
    """A stack of a run, or its twin, given its image; see `synthetic_case`.

    Raises:
        InputError: the sample or the patient has a name that cannot be part of a file's.
        RunError: one of its files is missing, damaged or lies on another grid.
    """
    stack, read_path = sample_stack(image_path, sample_id, patient, kind)
    try:
        cut = Cut.of(stack)
    except InputError as fault:
        raise RunError(f"sample {sample_id} cannot be read back ({fault})") from None
    return StackCase(
        id=f"syn_{shown_as}_{sample_id}",
        origin=Origin.SYNTHETIC,
        patient=patient,
        shown_as=shown_as,
        image_path=image_path,
        label_path=label_of(image_path),
        label_map=LABEL_MAPS["lgesynthnet"],
        read_path=read_path,
        cut=cut,
        spacing_mm=stack.spacing_mm,
        step_mm=stack.slice_step_mm,
        row=row,
        **properties(cut.take(stack.image), cut.take(stack.labels)),
    )


def _require_one_grid(stack: Stack) -> None:
    """Check that one NIfTI file can hold the slices of a DICOM stack.

    Raises:
        InputError: it cannot.
    """
    if (fault := volume_fault(stack)) is not None:
        raise InputError(f"{fault.rpartition('; ')[0] or fault}; --dimension 2 exports its slices one by one")
