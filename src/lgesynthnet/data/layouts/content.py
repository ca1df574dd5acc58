"""What was found in a folder or a table: the files of each patient, and what was left out and why."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lgesynthnet.data.dicom.scanning import DicomSource, files_of
from lgesynthnet.data.layouts.listing import printable
from lgesynthnet.errors import InputError
from lgesynthnet.files.names import checked_name
from lgesynthnet.records import Label, Skipped


class Layout(StrEnum):
    """The ways of keeping files that can be read."""

    EMIDEC = "CASE/Images/CASE.nii.gz + CASE/Contours/CASE.nii.gz (EMIDEC)"
    NNUNET = "imagesTr/CASE_0000.nii.gz + labelsTr/CASE.nii.gz (nnU-Net raw)"
    BIDS = "sub-CASE/anat/sub-CASE_LGE.nii.gz + sub-CASE_mask.nii.gz there or in derivatives (BIDS)"
    TWO_FOLDERS = "images/CASE.nii.gz + labels/CASE.nii.gz"
    CASE_FOLDERS = "CASE/images/CASE.nii.gz + CASE/labels/CASE.nii.gz"
    ONE_FOLDER = "CASE_image.nii.gz or CASE.nii.gz + CASE_label.nii.gz or CASE_gt.nii.gz"
    PATIENT_FOLDERS = "PATIENT/image.nii.gz + PATIENT/label.nii.gz"
    SEVERAL = "folders of these kinds below one folder"
    DICOM = "PATIENT/ with DICOM series, and contours or a label.nii.gz; or DICOM files of several patients in one folder"
    TABLE = "a table patients.csv with the columns patient,image,label"


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """The image and the label file of one patient.

    Attributes:
        image_path: a NIfTI file, or a folder of DICOM files.
        label_path: None where nobody labelled the image, and where the labels of DICOM images are contours.
        series: which series of the folder, where a table names one.
        dicom: where the DICOM files lie; None for NIfTI.
    """

    patient: str
    image_path: Path
    label_path: Path | None = None
    series: str | None = None
    dicom: DicomSource | None = None

    def files(self, root: Path) -> list[Path]:
        """All files of the patient: image and label, or the DICOM files and whatever lies beside them.

        Raises:
            InputError: a NIfTI image has no label, see `labelled`.
        """
        if self.dicom is None:
            return [self.image_path, self.labelled(root)]
        return [*files_of(self.dicom), *([self.label_path] if self.label_path is not None else [])]

    def labelled(self, root: Path) -> Path:
        """The label file.

        Args:
            root: what the user gave as the place of the patients, for the message.
        Raises:
            InputError: there is none.
        """
        if self.label_path is None:
            raise InputError(f"{self.image_path}: has no label file; add one, or {draw_labels(root)}")
        return self.label_path


@dataclass(kw_only=True)
class FolderContent:
    """The cases of one folder or table, and what makes no case.

    Attributes:
        cases: patients with an image and a label.
        unlabelled: patients with an image alone.
        skipped: what looks like a case and cannot be used, with what to do.
        ignored: files that belong to no case and folders that were not looked into, with the reason; those with one reason are of one kind.
        label_map: meaning of the label ids, where the folder states it.
        named: the files that stand in one of these lists.
    """

    layout: Layout
    cases: list[CaseFiles] = field(default_factory=list)
    unlabelled: list[CaseFiles] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    ignored: list[Skipped] = field(default_factory=list)
    label_map: dict[int, Label] | None = None
    named: set[Path] = field(default_factory=set, repr=False)

    def pair(
        self,
        case: str,
        images: Sequence[Path],
        labels: Sequence[Path],
        *,
        patient: str | None = None,
        named_in: Path | None = None,
    ) -> None:
        """Add a case if it has one image and at most one label and its name can be used; otherwise record what is wrong.

        Args:
            patient: name of the patient; None takes it from the case.
            named_in: the file that names the case; None where the image does.
        """
        self.named.update(images, labels)
        for files, what in ((images, "image"), (labels, "label")):
            if len(files) > 1:
                self.skip(case, several(files, what))
                return
        if not images:
            if labels:
                self.skip(case, f"{printable(labels[0])}: its image file is missing; add it or move the label away")
            return
        name = patient_name(patient or case)
        if fault := name_fault(name, named_in or images[0], *images, *labels):
            self.skip(case, fault)
            return
        files_of = CaseFiles(patient=name, image_path=images[0], label_path=labels[0] if labels else None)
        (self.cases if labels else self.unlabelled).append(files_of)

    def skip(self, case: str, reason: str, *files: Path) -> None:
        """Record a case that cannot be used, and the files that the reason speaks of."""
        self.named.update(files)
        self.skipped.append(Skipped(name=printable(case), reason=reason))

    def ignore(self, name: str, reason: str) -> None:
        """Record a file or folder that is not used."""
        self.ignored.append(Skipped(name=name, reason=reason))

    def add(self, other: FolderContent) -> None:
        """Take over everything that was found in a part of the folder."""
        for name in ("cases", "unlabelled", "skipped", "ignored"):
            getattr(self, name).extend(getattr(other, name))
        self.named |= other.named

    @property
    def is_empty(self) -> bool:
        """Whether nothing looks like a case."""
        return not (self.cases or self.unlabelled or self.skipped)


def patient_name(case: str) -> str:
    """The name of the patient of a case: the EMIDEC folder Case_N006 holds patient N006."""
    return case.removeprefix("Case_") or case


def draw_labels(root: Path) -> str:
    """How to get labels of images that have none."""
    return f"let the program draw cavity and wall: lgesynthnet segment {shlex.quote(str(root))} --out MASKS"


def several(files: Sequence[Path], what: str) -> str:
    """Why a case with several images, or several labels, cannot be used."""
    names = " and ".join(printable(path.name) for path in files[1:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    verb = "is" if len(files) == 2 else "are"
    return (
        f"{printable(files[0])}: {names} {verb} the {what} of the same case; keep one of them, and move the others away "
        "or give them the name of another case"
    )


def name_fault(patient: str, place: Path, *paths: Path) -> str | None:
    """Why a patient or its files cannot be used under these names; None where they can."""
    unprintable = next((path for path in paths if printable(path) != str(path)), None)
    try:
        checked_name(patient, printable(place))
    except InputError as fault:
        return str(fault)
    if unprintable is not None:
        return f"{printable(unprintable)}: the file name holds characters that cannot be printed; rename it"
    return None
