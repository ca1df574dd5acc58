"""Folders of images and labels, and folders of patients, at any depth: what one folder is, follows from what lies in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.layouts.content import FolderContent, Layout
from lgesynthnet.data.layouts.listing import TooMuchBelowError, Tree, printable, stem_of
from lgesynthnet.data.layouts.naming import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    LATE_WORDS,
    by_case,
    images_and_labels,
    is_late,
    patient_folder,
)
from lgesynthnet.errors import InputError


def find_in_folders(tree: Tree) -> FolderContent | None:
    """The cases of a folder and of the folders below it; None where there is no NIfTI file.

    Raises:
        InputError: the given folder cannot be read.
    """
    content = _read(tree, tree.root)
    return None if content.is_empty else content


def _read(tree: Tree, folder: Path) -> FolderContent:
    """The cases of one folder. Its own files come first; folders below it are read where its own files make no pair."""
    if (parts := _parts(tree, folder)) is not None:
        return _read_parts(tree, folder, parts)
    images, labels = images_and_labels(tree.files(folder))
    pairs = set(by_case(images)) & set(by_case(labels))
    below = FolderContent(layout=Layout.SEVERAL)
    if not pairs:
        below = _read_below(tree, folder)
        if below.cases or below.unlabelled or not (images or labels):
            return below
    whose = patient_folder(folder, tree.root)
    content = _one_folder(tree, images, labels) if whose is None else _patient_folder(whose, folder, images, labels)
    content.skipped += below.skipped
    content.named |= below.named
    return content


def _read_below(tree: Tree, folder: Path) -> FolderContent:
    content = FolderContent(layout=Layout.SEVERAL)
    layouts: set[Layout] = set()
    for inside in tree.folders(folder):
        try:
            found = _read(tree, inside)
        except TooMuchBelowError:
            raise
        except InputError as fault:  # it cannot be listed; the others go on
            content.skip(inside.name, str(fault))
            continue
        if not found.is_empty:
            layouts.add(found.layout)
            content.add(found)
    content.layout = layouts.pop() if len(layouts) == 1 else Layout.SEVERAL
    return content


@dataclass(frozen=True)
class _Parts:
    """The folders of images and of labels inside one folder."""

    images: tuple[Path, ...]
    labels: tuple[Path, ...]

    @property
    def is_emidec(self) -> bool:
        return {*(folder.name for folder in self.images), *(folder.name for folder in self.labels)} <= {"Images", "Contours"}


def _parts(tree: Tree, folder: Path) -> _Parts | None:
    """The parts of a folder that keeps images and labels apart; None where it does not."""
    inside = tree.folders(folder)
    images = tuple(part for part in inside if part.name.lower() in IMAGE_FOLDERS)
    labels = tuple(part for part in inside if part.name.lower() in LABEL_FOLDERS)
    if labels and not images:
        images = tuple(part for part in inside if part.name.lower() in LATE_WORDS)
    parts = _Parts(images, labels)
    if not (images or labels):
        return None
    if parts.is_emidec and not tree.files(folder):
        return parts  # even where they are empty: the case is then named
    if images and labels:
        return parts if any(map(tree.holds_files, (*images, *labels))) else None
    return parts if images and not tree.files(folder) and any(map(tree.holds_files, images)) else None


def _read_parts(tree: Tree, folder: Path, parts: _Parts) -> FolderContent:
    for same in (parts.images, parts.labels):
        if len(same) > 1:
            content = FolderContent(layout=Layout.TWO_FOLDERS)
            names = " and ".join(printable(part.name) for part in same)
            content.skip(folder.name, f"{printable(folder)}: it is not clear which of {names} to read; move one of them away")
            return content
    images, labels = (tree.files(same[0]) if same else () for same in (parts.images, parts.labels))
    if _is_one_case(tree, folder, parts, images, labels):
        content = FolderContent(layout=Layout.EMIDEC if parts.is_emidec else Layout.CASE_FOLDERS)
        _pair_one_case(content, _whose(tree, folder), folder, images, labels)
        return content
    content = FolderContent(layout=Layout.TWO_FOLDERS)
    _pair_files(content, images, labels)
    _pair_subfolders(content, tree, parts)
    return content


def _is_one_case(tree: Tree, folder: Path, parts: _Parts, images: Sequence[Path], labels: Sequence[Path]) -> bool:
    """Whether the two parts hold the files of one patient, called after the folder, and not one file of each of many patients."""
    stems = {stem_of(path) for path in (*images, *labels)}
    if folder.name in stems:
        return True
    if any(map(tree.holds_files, (inside for part in (*parts.images, *parts.labels) for inside in tree.folders(part)))):
        return False
    if folder == tree.root:
        return parts.is_emidec and max(len(images), len(labels)) <= 1
    pairs = {stem_of(path) for path in images} & {stem_of(path) for path in labels} or set(by_case(images)) & set(by_case(labels))
    return len(pairs) < 2


def _pair_one_case(content: FolderContent, patient: str, folder: Path, images: Sequence[Path], labels: Sequence[Path]) -> None:
    """The file that is called like its case, or the only file."""
    chosen: list[Sequence[Path]] = []
    for files, what in ((images, "images"), (labels, "labels")):
        own = [path for path in files if stem_of(path) in (folder.name, patient)] or _late(files, what) or files
        if len({stem_of(path) for path in own}) > 1:
            names = " and ".join(printable(path.name) for path in own[:2])
            reason = f"holds {len(own)} {what} ({names}{' ...' if len(own) > 2 else ''}), and none is called like the case"
            remedy = f"call the right one {printable(patient)}.nii.gz, or move the others away"
            content.skip(patient, f"{printable(own[0].parent)}: {reason}; {remedy}", *images, *labels)
            return
        chosen.append(own)
    if not (chosen[0] or chosen[1]):
        content.skip(patient, f"{printable(folder)}: its folders of images and labels hold no file named like the case; add them")
    content.pair(patient, chosen[0], chosen[1])


def _late(files: Sequence[Path], what: str) -> list[Path]:
    """The only image that is called late enhancement, among others that are not."""
    late = [path for path in files if is_late(path)] if what == "images" else []
    return late if len(late) == 1 else []


def _whose(tree: Tree, folder: Path) -> str:
    """The name of the patient whose files lie in a folder."""
    return (patient_folder(folder, tree.root) or Path(os.path.abspath(tree.root))).name


def _pair_files(content: FolderContent, images: Sequence[Path], labels: Sequence[Path]) -> None:
    """Pair two lists of files, first those with equal names, then the rest by what stands before _image, _label and the like."""
    by_stem = _by_stem(images), _by_stem(labels)
    equal = set(by_stem[0]) & set(by_stem[1])
    for stem in sorted(equal):
        content.pair(stem, by_stem[0][stem], by_stem[1][stem])
    left, right = ([path for path in files if stem_of(path) not in equal] for files in (images, labels))
    _pair_cases(content, by_case(left), by_case(right))


def _by_stem(paths: Sequence[Path]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in paths:
        files.setdefault(stem_of(path) or "", []).append(path)
    return files


def _pair_cases(content: FolderContent, images: dict[str, list[Path]], labels: dict[str, list[Path]]) -> None:
    for case in sorted({*images, *labels}):
        content.pair(case, images.get(case, []), labels.get(case, []))


def _pair_subfolders(content: FolderContent, tree: Tree, parts: _Parts) -> None:
    """images/CASE/FILE + labels/CASE/FILE: the folders of one name belong together."""
    inside = [{folder.name: folder for part in same for folder in tree.folders(part)} for same in (parts.images, parts.labels)]
    for case in sorted({*inside[0], *inside[1]}):
        images, labels = (tree.files(folders[case]) if case in folders else () for folders in inside)
        if images or labels:
            _pair_one_case(content, case, inside[0].get(case) or inside[1][case], images, labels)


def _one_folder(tree: Tree, images: list[Path], labels: list[Path]) -> FolderContent:
    """One folder with the files of many patients. A single pair without a case name is called after the given folder."""
    content = FolderContent(layout=Layout.ONE_FOLDER)
    cases = by_case(images), by_case(labels)
    for case in sorted({*cases[0], *cases[1]}):
        content.pair(case or _whose(tree, tree.root), cases[0].get(case, []), cases[1].get(case, []))
    return content


def _patient_folder(whose: Path, folder: Path, images: list[Path], labels: list[Path]) -> FolderContent:
    """The folder of one patient: never more than one stack of it is read."""
    content = FolderContent(layout=Layout.PATIENT_FOLDERS)
    cases = by_case(images), by_case(labels)
    pairs = sorted(set(cases[0]) & set(cases[1]))
    if len(pairs) > 1:
        _choose_stack(content, whose, folder, pairs, cases)
    elif pairs:
        content.pair(f"{whose.name}/{pairs[0]}", cases[0][pairs[0]], cases[1][pairs[0]], patient=whose.name)
    elif len(images := _late(images, "images") or images) > 1:
        names = " and ".join(printable(path.name) for path in images[:2]) + (" ..." if len(images) > 2 else "")
        like = "_".join(filter(None, (next(iter(cases[1])) if len(cases[1]) == 1 else whose.name, "LGE")))
        remedy = f"call the right one {printable(like)}.nii.gz, or move the others away"
        content.skip(whose.name, f"{printable(folder)}: holds {len(images)} images ({names}); {remedy}", *images, *labels)
    else:
        content.pair(whose.name, images, labels, patient=whose.name)
    return content


def _choose_stack(
    content: FolderContent, whose: Path, folder: Path, pairs: list[str], cases: tuple[dict[str, list[Path]], dict[str, list[Path]]]
) -> None:
    """The first of several stacks of a patient, e.g. two heart phases: reading all would count one patient twice."""
    is_one_patient = all(pair.lower().startswith((whose.name.lower(), folder.name.lower())) for pair in pairs)
    for number, pair in enumerate(pairs):
        files = cases[0][pair], cases[1][pair]
        if is_one_patient and number == 0:
            content.pair(f"{whose.name}/{pair}", *files, patient=whose.name)
        elif is_one_patient:
            reason = f"{printable(folder)}: holds several stacks and only the first one is read; move this one to a folder of its own"
            content.skip(f"{whose.name}/{pair}", reason, *files[0], *files[1])
        elif number == 0:
            reason = (
                f"{printable(folder)}: holds {len(pairs)} pairs of image and label; if each is a patient, give this folder itself, "
                "or list them in a table (patient,image,label); if all are one patient, move all but one pair away"
            )
            content.skip(whose.name, reason, *(path for files in cases for paths in files.values() for path in paths))
