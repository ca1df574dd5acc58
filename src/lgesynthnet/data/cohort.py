"""The patients of a folder or a table. Opening it reads no voxels; the stacks are then read one patient at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lgesynthnet.data.declaration import read_declaration
from lgesynthnet.data.dicom.labels import NoLabelsError
from lgesynthnet.data.dicom.reading import describe
from lgesynthnet.data.dicom.scanning import DicomSource
from lgesynthnet.data.dicom.stack import DicomOptions, Mask, read_dicom_stack
from lgesynthnet.data.label_maps import EXAMPLE, checked_label_map, label_map_of
from lgesynthnet.data.landmarks import read_landmarks
from lgesynthnet.data.layouts.content import CaseFiles, FolderContent, Layout, draw_labels
from lgesynthnet.data.layouts.find import find_cases, find_images
from lgesynthnet.data.stack import read_image, read_stack, with_insertions
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, Skipped, Stack


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The cases of one folder or table, and how to read them.

    Attributes:
        cases: patients that have both an image and a label file, sorted by name.
        skipped: files without a partner or without a unique name; `stacks` does not repeat them.
        ignored: files and folders that belong to no case.
        label_map: what each label id in the files means.
        masks_drawn_by: fingerprint of the network that drew the labels; None where people did.
        base_first: whether slice 0 is the base; None where it is not known.
        flip: whether the stored (rows, columns) are to be mirrored; None where the affine decides.
        insertions_deg: patient -> slice index -> (anterior, inferior) RV insertion angles in degrees, as the user marked them.
        dicom: what the user said about DICOM files.
    """

    root: Path
    layout: Layout
    cases: list[CaseFiles]
    skipped: list[Skipped]
    ignored: list[Skipped] = field(default_factory=list)
    label_map: dict[int, Label]
    masks_drawn_by: str | None = None
    base_first: bool | None = None
    flip: tuple[bool, bool] | None = None
    insertions_deg: dict[str, dict[int, tuple[float, float]]] = field(default_factory=dict)
    dicom: DicomOptions = field(default_factory=DicomOptions)

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def folders(self) -> list[Path]:
        """The folders that are only read, sorted: the given ones, and those of the files that a table names."""
        given = {self.root} if self.root.is_dir() else set()
        listed = [path for case in self.cases for path in (case.image_path, case.label_path) if path is not None]
        named = listed if self.layout is Layout.TABLE else []
        given |= {self.dicom.contours} if self.dicom.contours is not None else set()
        return sorted(given | {path if path.is_dir() else path.parent for path in named})

    @property
    def drawn_labels_note(self) -> str | None:
        """A warning for whoever takes the labels for the truth, where a network drew them; else None."""
        if self.masks_drawn_by is None:
            return None
        return (
            f"{self.root}: its labels were drawn by the network {self.masks_drawn_by} and are no ground truth; "
            "what learns from them learns its errors"
        )

    def read(self, case: CaseFiles) -> Stack:
        """Read the stack of one patient.

        Raises:
            InputError: the patient has no labels; or see `read_stack` and `read_dicom_stack`.
        """
        if case.dicom is not None:
            try:
                stack = self._read_dicom(case, case.dicom, Mask(path=case.label_path, label_map=self.label_map))
            except NoLabelsError as fault:
                raise InputError(f"{fault}, or {draw_labels(self.root)}") from None
            return with_insertions(stack, self.insertions_deg.get(case.patient), case.image_path)
        return read_stack(
            case.image_path,
            case.labelled(self.root),
            case.patient,
            self.label_map,
            base_first=self.base_first,
            flip=self.flip,
            insertions_deg=self.insertions_deg.get(case.patient),
        )

    def read_image(self, case: CaseFiles) -> Stack:
        """Read the image of one patient alone; every pixel is background.

        Raises:
            InputError: see `data.stack.read_image` and `read_dicom_stack`.
        """
        if case.dicom is not None:
            return self._read_dicom(case, case.dicom, None)
        return read_image(case.image_path, case.patient, base_first=self.base_first, flip=self.flip)

    def describe(self, case: CaseFiles) -> list[str]:
        """The DICOM stacks of a patient as lines of text, with the one that is taken; empty for NIfTI.

        Raises:
            InputError: see `data.dicom.reading.describe`.
        """
        return describe(case.dicom, case.series or self.dicom.series) if case.dicom is not None else []

    def _read_dicom(self, case: CaseFiles, source: DicomSource, mask: Mask | None) -> Stack:
        options = replace(self.dicom, series=case.series or self.dicom.series)
        return read_dicom_stack(source, case.patient, options, mask, flip=self.flip, base_first=self.base_first)

    def stack(self, patient: str) -> Stack:
        """Read the stack of the patient with this name.

        Raises:
            InputError: the cohort has no such patient; or see `read_stack`.
        """
        for case in self.cases:
            if case.patient == patient:
                return self.read(case)
        raise InputError(f"{self.root}: has no patient {patient}; choose one of {', '.join(case.patient for case in self.cases[:10])} ...")

    def stacks(self) -> Iterator[Stack | Skipped]:
        """Read the cases one by one, in order. A case that cannot be read comes out as `Skipped` with the reason."""
        for case in self.cases:
            try:
                yield self.read(case)
            except InputError as fault:
                yield Skipped(name=case.patient, reason=str(fault))


def open_cohort(
    folder: Path,
    *,
    dataset: str | None = None,
    label_map: dict[int, Label] | None = None,
    base_first: bool | None = None,
    flip: tuple[bool, bool] | None = None,
    landmarks: Path | None = None,
    dicom: DicomOptions | None = None,
) -> Cohort:
    """Find the cases of a folder or a table, and decide what its labels mean before any voxel is read.

    Args:
        dataset: name of a data set in `LABEL_MAPS`.
        label_map: meaning of each label id; give either this or `dataset`.
        base_first: whether slice 0 is the base (True) or the apex (False); None where it is not known.
        flip: whether to mirror the stored (rows, columns) to reach the radiological view, with the RV on the viewer's left; None lets the
            affine decide.
        landmarks: CSV file of RV insertion angles, see `read_landmarks`.
        dicom: what the user said about DICOM files.
    Raises:
        InputError: there are no cases, the meaning of the labels is not known, or the landmarks cannot be read or name no
            patient of the folder.
    """
    folder_content = find_cases(folder)
    declaration = read_declaration(folder if folder.is_dir() else folder.parent)
    insertions_deg = read_landmarks(landmarks) if landmarks is not None else {}
    patients = {case.patient for case in folder_content.cases}
    if insertions_deg and not patients & set(insertions_deg):
        raise InputError(
            f"{landmarks}: names no patient of {folder}; its column case must hold names such as {min(patients, default='CASE')}"
        )
    strangers = sorted(set(insertions_deg) - patients - {each.name for each in folder_content.skipped})
    return Cohort(
        root=folder,
        layout=folder_content.layout,
        cases=folder_content.cases,
        skipped=folder_content.skipped,
        ignored=[*folder_content.ignored, *(Skipped(name=name, reason="only the landmarks name this patient") for name in strangers)],
        label_map=_choose_label_map(folder, folder_content, dataset, label_map, declaration.labels),
        masks_drawn_by=declaration.drawn_by,
        base_first=base_first if base_first is not None else declaration.base_first,
        flip=flip,
        insertions_deg=insertions_deg,
        dicom=replace(dicom or DicomOptions(), several=len(folder_content.cases) + len(folder_content.skipped) > 1),
    )


def open_images(
    folder: Path,
    *,
    base_first: bool | None = None,
    flip: tuple[bool, bool] | None = None,
    dicom: DicomOptions | None = None,
) -> Cohort:
    """Find the images of a folder or a table, whether they have labels or not, for `Cohort.read_image`.

    Raises:
        InputError: there are no images.
    """
    content = find_images(folder)
    declaration = read_declaration(folder if folder.is_dir() else folder.parent)
    return Cohort(
        root=folder,
        layout=content.layout,
        cases=content.cases,
        skipped=content.skipped,
        ignored=content.ignored,
        label_map={},
        base_first=base_first if base_first is not None else declaration.base_first,
        flip=flip,
        dicom=dicom or DicomOptions(),
    )


def _choose_label_map(
    folder: Path, folder_content: FolderContent, dataset: str | None, given: dict[int, Label] | None, declared: str | None
) -> dict[int, Label]:
    """What the user states comes first, then what the folder states, then what the layout defines. Nothing is guessed."""
    if dataset is not None and given is not None:
        raise InputError(f"{folder}: --dataset and --labels both state what the labels mean; give one of them")
    if given is not None:
        return checked_label_map(given, place=f"{folder}: the label map")
    for name in (dataset, declared):
        if name is not None:
            return label_map_of(name)
    if folder_content.label_map is not None:
        return folder_content.label_map
    if folder_content.layout is Layout.EMIDEC:
        return label_map_of("emidec")
    if folder_content.cases and all(case.dicom is not None and case.label_path is None for case in folder_content.cases):
        return {}  # contours have names
    raise InputError(f"{folder}: the meaning of its label ids is not known; add --dataset emidec (or acdc, mnms, ...), or {EXAMPLE}")
