"""Where the image and the label of each patient lie: found by how folders are built, never by what the root is called."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lgesynthnet.data.label_maps import label_map_from_names
from lgesynthnet.errors import InputError
from lgesynthnet.files import read_json
from lgesynthnet.records import Label, Skipped

ENDINGS = (".nii.gz", ".nii")
# What a file is called after its case; the empty one last, so that X_gt is never taken for an image called X_gt.
LABEL_SUFFIXES = ("_label", "_labels", "_gt", "_mask", "_seg")
IMAGE_SUFFIXES = ("_image", "_img", "")
LATE_ENHANCEMENT = ("lge", "de", "lge-mri", "late enhancement", "late gadolinium enhancement", "psir")


class Layout(StrEnum):
    """How a folder holds its cases."""

    EMIDEC = "CASE/Images/CASE.nii.gz + CASE/Contours/CASE.nii.gz (EMIDEC)"
    NNUNET = "imagesTr/CASE_0000.nii.gz + labelsTr/CASE.nii.gz (nnU-Net raw)"
    TWO_FOLDERS = "images/CASE.nii.gz + labels/CASE.nii.gz"
    ONE_FOLDER = "CASE_image.nii.gz or CASE.nii.gz + CASE_label.nii.gz or CASE_gt.nii.gz"
    PATIENT_FOLDERS = "PATIENT/image.nii.gz + PATIENT/label.nii.gz"


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """The two files of one patient."""

    patient: str
    image_path: Path
    label_path: Path


@dataclass(kw_only=True)
class Found:
    """Cases of one folder, and what could not become a case."""

    layout: Layout
    cases: list[CaseFiles] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    label_map: dict[int, Label] | None = None

    def pair(self, case: str, image: Path | None, label: Path | None, *, patient: str | None = None) -> None:
        """Add a case where both files are there; else say which one is missing."""
        if image is not None and label is not None:
            self.cases.append(CaseFiles(patient=patient_name(patient or case), image_path=image, label_path=label))
        elif image is not None:
            self.skipped.append(Skipped(name=case, reason=f"{image}: its label file is missing; add it or move the image away"))
        elif label is not None:
            self.skipped.append(Skipped(name=case, reason=f"{label}: its image file is missing; add it or move the label away"))


def patient_name(case: str) -> str:
    """The patient's name behind a case's name: EMIDEC's folder Case_N006 is patient N006."""
    return case.removeprefix("Case_") or case


def find_cases(folder: Path) -> Found:
    """Detect the layout of a folder and pair its files.

    Raises:
        InputError: no such folder, or nothing in it fits a layout; the message lists the layouts.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give the folder that holds the cases")
    try:
        found = _detect(folder)
    except OSError as fault:
        raise InputError(f"{folder}: cannot be read: {fault.strerror or fault}") from None
    if found is None:
        raise InputError(f"{folder}: no cases found; {_hint(folder)}looked for " + "; ".join(Layout))
    seen = Counter(case.patient for case in found.cases)
    for case in [case for case in found.cases if seen[case.patient] > 1]:
        found.cases.remove(case)
        found.skipped.append(Skipped(name=case.patient, reason=f"{case.image_path}: another file has the same patient name; rename one"))
    found.cases.sort(key=lambda case: case.patient)
    return found


def _hint(folder: Path) -> str:
    """The usual slip is to give the folder above."""
    for inside in _folders(folder):
        try:
            if _detect(inside) is not None:
                return f"did you mean {inside}? "
        except (InputError, OSError):
            continue
    return ""


def _detect(folder: Path) -> Found | None:
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


def _emidec(folders: list[Path]) -> Found:
    found = Found(layout=Layout.EMIDEC)
    for case in folders:
        image, label = (_only(case / part, case.name) for part in ("Images", "Contours"))
        if image is None and label is None:
            found.skipped.append(Skipped(name=case.name, reason=f"{case}: Images and Contours hold no {case.name}.nii.gz"))
        found.pair(case.name, image, label)
    return found


def _nnunet(folder: Path, card: dict) -> Found:
    found = Found(layout=Layout.NNUNET)
    names = card.get("labels")
    found.label_map = label_map_from_names(names) if isinstance(names, dict) else None
    channel = _late_enhancement_channel(folder, card)
    listed = card.get("dataset")
    if isinstance(listed, dict):  # nnU-Net's way to mix data sets without copying them
        for case, entry in listed.items():
            try:
                parts = (entry["images"][channel], entry["label"])
            except (KeyError, IndexError, TypeError):
                raise InputError(f'{folder / "dataset.json"}: "dataset" entry {case} needs "images": [...] and "label"') from None
            paths = [folder / os.path.expandvars(str(part)) for part in parts]
            found.pair(case, *(path if path.is_file() else None for path in paths))
        return found
    ending = f"_{channel:04d}"
    images = {stem.removesuffix(ending): path for stem, path in _by_stem(folder / "imagesTr").items() if stem.endswith(ending)}
    _match(found, images, _by_stem(folder / "labelsTr"))
    return found


def _late_enhancement_channel(folder: Path, card: dict) -> int:
    """Which channel to read: the only one, or the one that the data card calls late enhancement."""
    channels = card.get("channel_names", card.get("modality", {"0": "only"}))
    if not isinstance(channels, dict) or len(channels) <= 1:
        return 0
    late = [int(number) for number, name in channels.items() if str(name).lower() in LATE_ENHANCEMENT]
    if len(late) != 1:
        raise InputError(f'{folder / "dataset.json"}: which of the channels {list(channels.values())} is late enhancement? name it "LGE"')
    return late[0]


def _two_folders(folder: Path) -> Found:
    found = Found(layout=Layout.TWO_FOLDERS)
    _match(found, _by_stem(folder / "images"), _by_stem(folder / "labels"))
    return found


def _one_folder(folder: Path) -> Found:
    found = Found(layout=Layout.ONE_FOLDER)
    _match(found, *_images_and_labels(folder))
    return found


def _patient_folders(folders: list[Path]) -> Found:
    found = Found(layout=Layout.PATIENT_FOLDERS)
    for folder in folders:
        images, labels = _images_and_labels(folder)
        whole = sorted(set(images) & set(labels))
        for case in sorted(set(images) | set(labels)):
            if case in whole[1:]:  # e.g. two heart phases: read both and one patient would stand in two places
                found.skipped.append(Skipped(name=f"{folder.name}/{case}", reason=f"{folder}: holds several stacks; the first one is read"))
            else:
                found.pair(f"{folder.name}/{case}" if case else folder.name, images.get(case), labels.get(case), patient=folder.name)
    return found


def _match(found: Found, images: dict[str, Path], labels: dict[str, Path]) -> None:
    for case in sorted(set(images) | set(labels)):
        found.pair(case, images.get(case), labels.get(case))


def _images_and_labels(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Files of one folder by case, told apart by the suffix tables; a bare `image` or `label` has the empty case name."""
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for stem, path in _by_stem(folder).items():
        for suffixes, files in ((LABEL_SUFFIXES, labels), (IMAGE_SUFFIXES, images)):
            suffix = next((s for s in suffixes if stem.endswith(s) or (s and stem == s[1:])), None)
            if suffix is not None:
                _add(files, "" if stem == suffix[1:] else stem.removesuffix(suffix), path)
                break
    return images, labels


def _only(folder: Path, case: str) -> Path | None:
    """The file named like its case, or the only file that is there."""
    files = _by_stem(folder)
    return files.get(case) or (next(iter(files.values())) if len(files) == 1 else None)


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in _files(folder):
        ending = next(ending for ending in ENDINGS if path.name.endswith(ending))
        _add(files, path.name.removesuffix(ending), path)
    return files


def _add(files: dict[str, Path], case: str, path: Path) -> None:
    if case in files:
        raise InputError(f"{path}: {files[case].name} beside it is the same case; keep one of them")
    files[case] = path


def _files(folder: Path) -> list[Path]:
    """NIfTI files of a folder, sorted; hidden ones are leftovers of other programs."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.name.endswith(ENDINGS) and not p.name.startswith(".") and p.is_file())


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _has(folder: Path, name: str) -> bool:
    """Whether a sub-folder of exactly this name is there; Path.is_dir would not tell Images from images on some disks."""
    return any(entry.name == name for entry in _folders(folder))
