"""Find the image and the label file of each patient. The structure of the folder decides, never the name of its root."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from lgesynthnet.data.label_maps import label_map_from_names
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import read_json
from lgesynthnet.records import Label, Skipped

ENDINGS = (".nii.gz", ".nii")
# Endings of file names after the case name. The empty one comes last, so that X_gt is never taken for an image named X_gt.
LABEL_SUFFIXES = ("_label", "_labels", "_gt", "_mask", "_seg")
IMAGE_SUFFIXES = ("_image", "_img", "")
LATE_ENHANCEMENT = ("lge", "de", "lge-mri", "late enhancement", "late gadolinium enhancement", "psir")


class Layout(StrEnum):
    """The folder structures that can be read."""

    EMIDEC = "CASE/Images/CASE.nii.gz + CASE/Contours/CASE.nii.gz (EMIDEC)"
    NNUNET = "imagesTr/CASE_0000.nii.gz + labelsTr/CASE.nii.gz (nnU-Net raw)"
    TWO_FOLDERS = "images/CASE.nii.gz + labels/CASE.nii.gz"
    ONE_FOLDER = "CASE_image.nii.gz or CASE.nii.gz + CASE_label.nii.gz or CASE_gt.nii.gz"
    PATIENT_FOLDERS = "PATIENT/image.nii.gz + PATIENT/label.nii.gz"


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """The image file and the label file of one patient."""

    patient: str
    image_path: Path
    label_path: Path


@dataclass(kw_only=True)
class FolderContent:
    """The cases of one folder, and the files that make no case."""

    layout: Layout
    cases: list[CaseFiles] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    label_map: dict[int, Label] | None = None

    def pair(self, case: str, image: Path | None, label: Path | None, *, patient: str | None = None) -> None:
        """Add a case if both files exist; otherwise record which one is missing."""
        if image is not None and label is not None:
            self.cases.append(CaseFiles(patient=patient_name(patient or case), image_path=image, label_path=label))
        elif image is not None:
            self.skipped.append(Skipped(name=case, reason=f"{image}: its label file is missing; add it or move the image away"))
        elif label is not None:
            self.skipped.append(Skipped(name=case, reason=f"{label}: its image file is missing; add it or move the label away"))


def patient_name(case: str) -> str:
    """The name of the patient of a case: the EMIDEC folder Case_N006 holds patient N006."""
    return case.removeprefix("Case_") or case


def find_cases(folder: Path) -> FolderContent:
    """Detect the layout of a folder and pair its files.

    Raises:
        InputError: the folder does not exist, or nothing in it fits a layout; the message lists the layouts.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give the folder that holds the cases")
    try:
        content = _detect(folder)
    except OSError as fault:
        raise InputError(f"{folder}: cannot be read: {fault.strerror or fault}; check its permissions") from None
    if content is None:
        raise InputError(f"{folder}: no cases were found; {_hint(folder)}the known layouts are: " + "; ".join(Layout))
    files_of = Counter(case.patient for case in content.cases)
    for case in [case for case in content.cases if files_of[case.patient] > 1]:
        content.cases.remove(case)
        content.skipped.append(Skipped(name=case.patient, reason=f"{case.image_path}: another file names the same patient; rename one"))
    content.cases.sort(key=lambda case: case.patient)
    return content


def _hint(folder: Path) -> str:
    """The most common mistake is to give the parent folder."""
    for inside in _folders(folder):
        try:
            if _detect(inside) is not None:
                return f"did you mean {inside}? "
        except (InputError, OSError):
            continue
    return ""


def _detect(folder: Path) -> FolderContent | None:
    card = read_json(folder / "dataset.json") if (folder / "dataset.json").is_file() else {}
    if _has(folder, "imagesTr") or isinstance(card.get("dataset"), dict):
        return _nnunet(folder, card)
    official = [sub for sub in (folder, *_folders(folder)) if _has(sub, "Images") or _has(sub, "Contours")]
    if official:
        return _emidec(official)
    if _has(folder, "images") and _has(folder, "labels"):
        return _two_folders(folder)
    if any(_files(folder)):
        return _one_folder(folder)
    patients = [sub for sub in _folders(folder) if any(_files(sub))]
    return _patient_folders(patients) if patients else None


def _emidec(folders: list[Path]) -> FolderContent:
    content = FolderContent(layout=Layout.EMIDEC)
    for case in folders:
        image, label = (_only(case / part, case.name) for part in ("Images", "Contours"))
        if image is None and label is None:
            content.skipped.append(Skipped(name=case.name, reason=f"{case}: Images and Contours hold no {case.name}.nii.gz"))
        content.pair(case.name, image, label)
    return content


def _nnunet(folder: Path, card: dict[str, Any]) -> FolderContent:
    content = FolderContent(layout=Layout.NNUNET)
    names = card.get("labels")
    content.label_map = label_map_from_names(names) if isinstance(names, dict) else None
    channel = _late_enhancement_channel(folder, card)
    listed = card.get("dataset")
    if isinstance(listed, dict):  # nnU-Net combines data sets in this way without copying files
        for case, entry in listed.items():
            try:
                parts = (entry["images"][channel], entry["label"])
            except (KeyError, IndexError, TypeError):
                raise InputError(f'{folder / "dataset.json"}: "dataset" entry {case} needs "images": [...] and "label"') from None
            paths = [folder / os.path.expandvars(str(part)) for part in parts]
            content.pair(case, *(path if path.is_file() else None for path in paths))
        return content
    ending = f"_{channel:04d}"
    images = {stem.removesuffix(ending): path for stem, path in _by_stem(folder / "imagesTr").items() if stem.endswith(ending)}
    _pair_by_case(content, images, _by_stem(folder / "labelsTr"))
    return content


def _late_enhancement_channel(folder: Path, card: dict[str, Any]) -> int:
    """The channel to read: the only one, or the one that dataset.json names as late enhancement."""
    channels = card.get("channel_names", card.get("modality", {"0": "only"}))
    if not isinstance(channels, dict) or len(channels) <= 1:
        return 0
    late = [int(number) for number, name in channels.items() if str(name).lower() in LATE_ENHANCEMENT]
    if len(late) != 1:
        raise InputError(
            f"{folder / 'dataset.json'}: it is not clear which of the channels {list(channels.values())} is late enhancement; "
            'name that channel "LGE"'
        )
    return late[0]


def _two_folders(folder: Path) -> FolderContent:
    content = FolderContent(layout=Layout.TWO_FOLDERS)
    _pair_by_case(content, _by_stem(folder / "images"), _by_stem(folder / "labels"))
    return content


def _one_folder(folder: Path) -> FolderContent:
    content = FolderContent(layout=Layout.ONE_FOLDER)
    _pair_by_case(content, *_images_and_labels(folder))
    return content


def _patient_folders(folders: list[Path]) -> FolderContent:
    content = FolderContent(layout=Layout.PATIENT_FOLDERS)
    for folder in folders:
        images, labels = _images_and_labels(folder)
        whole = sorted(set(images) & set(labels))
        for case in sorted(set(images) | set(labels)):
            if case in whole[1:]:  # e.g. two heart phases: reading both would count one patient twice
                content.skipped.append(
                    Skipped(
                        name=f"{folder.name}/{case}",
                        reason=f"{folder}: holds several stacks and only the first one is read; move this one to a folder of its own",
                    )
                )
            else:
                content.pair(f"{folder.name}/{case}" if case else folder.name, images.get(case), labels.get(case), patient=folder.name)
    return content


def _pair_by_case(content: FolderContent, images: dict[str, Path], labels: dict[str, Path]) -> None:
    for case in sorted(set(images) | set(labels)):
        content.pair(case, images.get(case), labels.get(case))


def _images_and_labels(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Images and labels of one folder by case, recognised by suffix. A file named only `image` or `label` has an empty case name."""
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for stem, path in _by_stem(folder).items():
        for suffixes, files in ((LABEL_SUFFIXES, labels), (IMAGE_SUFFIXES, images)):
            suffix = next((s for s in suffixes if stem.endswith(s) or (s and stem == s[1:])), None)
            if suffix is not None:
                _add_file(files, "" if stem == suffix[1:] else stem.removesuffix(suffix), path)
                break
    return images, labels


def _only(folder: Path, case: str) -> Path | None:
    """The file that is named like its case, or the only file in the folder."""
    files = _by_stem(folder)
    return files.get(case) or (next(iter(files.values())) if len(files) == 1 else None)


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in _files(folder):
        ending = next(ending for ending in ENDINGS if path.name.endswith(ending))
        _add_file(files, path.name.removesuffix(ending), path)
    return files


def _add_file(files: dict[str, Path], case: str, path: Path) -> None:
    if case in files:
        raise InputError(f"{path}: {files[case].name} in the same folder is the same case; keep one of them")
    files[case] = path


def _files(folder: Path) -> list[Path]:
    """NIfTI files of a folder, sorted by name. Hidden files are leftovers of other programs and are ignored."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.name.endswith(ENDINGS) and not p.name.startswith(".") and p.is_file())


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _has(folder: Path, name: str) -> bool:
    """Whether the folder has a sub-folder of exactly this name. `Path.is_dir` ignores upper and lower case on some disks."""
    return any(entry.name == name for entry in _folders(folder))
