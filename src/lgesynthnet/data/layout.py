"""Find the image and the label file of each patient. The structure of the folder decides, never the name of its root."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path

from pydantic import BaseModel

from lgesynthnet.data.label_maps import label_map_from_names
from lgesynthnet.errors import InputError
from lgesynthnet.files.names import checked_name
from lgesynthnet.files.reading import checked, read_json
from lgesynthnet.records import Label, Skipped

ENDINGS = (".nii.gz", ".nii")
# Endings of file names after the case name. The empty one comes last, so that X_gt is never taken for an image named X_gt.
LABEL_SUFFIXES = ("_label", "_labels", "_gt", "_mask", "_seg")
IMAGE_SUFFIXES = ("_image", "_img", "")
MOST_ENTRIES = 100_000  # files and folders in one folder
LATE_ENHANCEMENT = ("lge", "de", "lge-mri", "late enhancement", "late gadolinium enhancement", "psir")


# nnU-Net's own environment variables are the only ones that paths in dataset.json may name: a file must not learn of others.
_VARIABLE = re.compile(r"\$(?:\{(nnUNet_(?:raw|preprocessed|results))\}|(nnUNet_(?:raw|preprocessed|results))\b)")


class Layout(StrEnum):
    """The folder structures that can be read."""

    EMIDEC = "CASE/Images/CASE.nii.gz + CASE/Contours/CASE.nii.gz (EMIDEC)"
    NNUNET = "imagesTr/CASE_0000.nii.gz + labelsTr/CASE.nii.gz (nnU-Net raw)"
    TWO_FOLDERS = "images/CASE.nii.gz + labels/CASE.nii.gz"
    ONE_FOLDER = "CASE_image.nii.gz or CASE.nii.gz + CASE_label.nii.gz or CASE_gt.nii.gz"
    PATIENT_FOLDERS = "PATIENT/image.nii.gz + PATIENT/label.nii.gz"


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """The image file and the label file of one patient; `label_path` is None where nobody labelled the image."""

    patient: str
    image_path: Path
    label_path: Path | None = None

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


def draw_labels(root: Path) -> str:
    """How to get labels of images that have none."""
    return f"let the program draw cavity and wall: lgesynthnet segment {shlex.quote(str(root))} --out MASKS"


@dataclass(kw_only=True)
class FolderContent:
    """The cases of one folder, and the files that make no case."""

    layout: Layout
    cases: list[CaseFiles] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    label_map: dict[int, Label] | None = None

    def pair(self, case: str, image: Path | None, label: Path | None, *, patient: str | None = None, named_in: Path | None = None) -> None:
        """Add a case if both files exist and its name can be used; otherwise record what is wrong.

        Args:
            patient: name of the patient; None takes it from the case.
            named_in: the file that names the case; None where the image does.
        """
        if image is not None and label is not None:
            name = patient_name(patient or case)
            if fault := _name_fault(name, named_in or image, image, label):
                self.skip(case, fault)
            else:
                self.cases.append(CaseFiles(patient=name, image_path=image, label_path=label))
        elif image is not None:
            self.skip(case, f"{_printable(image)}: its label file is missing; add it or move the image away")
        elif label is not None:
            self.skip(case, f"{_printable(label)}: its image file is missing; add it or move the label away")

    def skip(self, case: str, reason: str) -> None:
        """Record a case that cannot be used."""
        self.skipped.append(Skipped(name=_printable(case), reason=reason))


class _ListedCase(BaseModel):
    """An entry of "dataset" in dataset.json."""

    images: list[str]
    label: str


class _Card(BaseModel):
    """What is read of nnU-Net's dataset.json; it may hold more."""

    labels: dict[str, int | str | list[int]] | None = None
    channel_names: dict[str, str] | None = None
    modality: dict[str, str] | str | None = None
    dataset: dict[str, _ListedCase] | None = None


def patient_name(case: str) -> str:
    """The name of the patient of a case: the EMIDEC folder Case_N006 holds patient N006."""
    return case.removeprefix("Case_") or case


def find_cases(folder: Path) -> FolderContent:
    """Detect the layout of a folder and pair its files.

    Raises:
        InputError: the folder does not exist, or nothing in it fits a layout; the message lists the layouts.
    """
    if _printable(folder) != str(folder):
        raise InputError(f"{_printable(folder)}: the path holds characters that cannot be printed; rename the folder")
    if not folder.is_dir():
        why = "is not a folder" if os.path.lexists(folder) else "does not exist"
        raise InputError(f"{folder}: {why}; give the folder that holds the cases")
    try:
        content = _detect(folder)
    except OSError as fault:
        raise InputError(f"{folder}: cannot be read: {fault.strerror or fault}; check its permissions") from None
    if content is None:
        raise InputError(f"{folder}: no cases were found; {_hint(folder)}the known layouts are: " + "; ".join(Layout))
    files_of = Counter(case.patient for case in content.cases)
    for case in content.cases:
        if files_of[case.patient] > 1:
            content.skip(case.patient, f"{case.image_path}: another file names the same patient; rename one")
    content.cases = sorted((case for case in content.cases if files_of[case.patient] == 1), key=lambda case: case.patient)
    for sub in _entries(folder):
        if not sub.name.startswith(".") and sub.is_dir() and not _is_open(sub):
            content.skip(sub.name, f"{_printable(sub)}: the folder cannot be read; check its permissions")
    return content


def _name_fault(patient: str, place: Path, *paths: Path) -> str | None:
    """Why a patient or its files cannot be used under these names; None where they can."""
    unprintable = next((path for path in paths if _printable(path) != str(path)), None)
    try:
        checked_name(patient, _printable(place))
    except InputError as fault:
        return str(fault)
    if unprintable is not None:
        return f"{_printable(unprintable)}: the file name holds characters that cannot be printed; rename it"
    return None


def _printable(name: Path | str) -> str:
    """The name in one line that every screen and file can hold: escapes for line breaks, and for bytes that are not UTF-8."""
    text = str(name)
    return repr(text) if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text) else text


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
    place = folder / "dataset.json"
    card = read_json(place) if os.path.lexists(place) else {}
    if _has(folder, "imagesTr") or isinstance(card.get("dataset"), dict):
        return _nnunet(folder, checked(_Card, card, str(place)))
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
        try:
            image, label = (_only(case / part, case.name) for part in ("Images", "Contours"))
        except (InputError, OSError) as fault:
            content.skip(case.name, _reason(case, fault))
            continue
        if image is None and label is None:
            content.skip(case.name, f"{_printable(case)}: Images and Contours hold no file named like the case")
        content.pair(case.name, image, label)
    return content


def _reason(folder: Path, fault: Exception) -> str:
    """Why the files of one patient cannot be listed. The others go on."""
    return str(fault) if isinstance(fault, InputError) else f"{_printable(folder)}: cannot be read; check its permissions"


def _nnunet(folder: Path, card: _Card) -> FolderContent:
    content = FolderContent(layout=Layout.NNUNET)
    content.label_map = label_map_from_names(card.labels) if card.labels is not None else None
    place = folder / "dataset.json"
    channel = _late_enhancement_channel(place, card)
    if card.dataset is not None:  # nnU-Net combines data sets in this way without copying files; they may lie anywhere and are only read
        for case, entry in card.dataset.items():
            if len(entry.images) <= channel:
                content.skip(case, f'{place}: the case lists no image of channel {channel}; correct "images"')
                continue
            image, label = (folder / _expanded(part) for part in (entry.images[channel], entry.label))
            if not (_is_there(image) or _is_there(label)):
                content.skip(case, f"{place}: neither {_printable(image)} nor {_printable(label)} is there; correct the entry")
            content.pair(case, image if _is_there(image) else None, label if _is_there(label) else None, named_in=place)
        return content
    ending = f"_{channel:04d}"
    images = {stem.removesuffix(ending): path for stem, path in _by_stem(folder / "imagesTr").items() if stem.endswith(ending)}
    _pair_by_case(content, images, _by_stem(folder / "labelsTr"))
    return content


def _late_enhancement_channel(place: Path, card: _Card) -> int:
    """The channel to read: the only one, or the one that dataset.json names as late enhancement."""
    channels = card.channel_names if card.channel_names is not None else card.modality
    if not isinstance(channels, dict) or len(channels) <= 1:
        return 0
    late = [number for number, name in channels.items() if name.lower() in LATE_ENHANCEMENT]
    if len(late) != 1:
        raise InputError(
            f"{place}: it is not clear which of the channels {str(list(channels.values()))[:200]} is late enhancement; "
            'name that channel "LGE"'
        )
    if not re.fullmatch(r"[0-9]{1,4}", late[0]):
        raise InputError(f"{place}: the channel {late[0][:40]!r} must be a number from 0 to 9999; correct it")
    return int(late[0])


def _expanded(path: str) -> str:
    return _VARIABLE.sub(lambda found: os.environ.get(found[1] or found[2], found[0]), path)


def _is_there(path: Path) -> bool:
    """Whether something stands at this path; whether it can be read is found when it is read."""
    try:
        return os.path.lexists(path)
    except ValueError:  # a null character
        return False


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
        try:
            images, labels = _images_and_labels(folder)
        except (InputError, OSError) as fault:
            content.skip(folder.name, _reason(folder, fault))
            continue
        whole = sorted(set(images) & set(labels))
        for case in sorted(set(images) | set(labels)):
            if case in whole[1:]:  # e.g. two heart phases: reading both would count one patient twice
                content.skip(
                    f"{folder.name}/{case}",
                    f"{_printable(folder)}: holds several stacks and only the first one is read; move this one to a folder of its own",
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
        raise InputError(f"{_printable(path)}: {_printable(files[case].name)} in the same folder is the same case; keep one of them")
    files[case] = path


def _files(folder: Path) -> list[Path]:
    """NIfTI files of a folder, sorted by name. Hidden files are leftovers of other programs and are ignored.

    A pipe or a broken link with such a name counts: reading it fails, and the case is named.
    """
    if not folder.is_dir():
        return []
    return sorted(p for p in _entries(folder) if p.name.endswith(ENDINGS) and not p.name.startswith(".") and not p.is_dir())


def _folders(folder: Path) -> list[Path]:
    """The sub-folders that can be read, sorted by name."""
    return sorted(p for p in _entries(folder) if p.is_dir() and not p.name.startswith(".") and _is_open(p))


def _entries(folder: Path) -> list[Path]:
    entries = list(islice(folder.iterdir(), MOST_ENTRIES + 1))
    if len(entries) > MOST_ENTRIES:
        raise InputError(f"{_printable(folder)}: holds more than {MOST_ENTRIES} files; divide it into several folders")
    return entries


def _is_open(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def _has(folder: Path, name: str) -> bool:
    """Whether the folder has a sub-folder of exactly this name. `Path.is_dir` ignores upper and lower case on some disks."""
    return any(entry.name == name for entry in _folders(folder))
