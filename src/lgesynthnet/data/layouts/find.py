"""Find the patients in whatever a user hands over: the structure decides, never the name of the folder."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from lgesynthnet.data.dicom.files import is_dicom
from lgesynthnet.data.layouts.bids import find_bids
from lgesynthnet.data.layouts.content import CaseFiles, FolderContent, Layout, draw_labels
from lgesynthnet.data.layouts.dicom import find_dicom
from lgesynthnet.data.layouts.folders import find_in_folders
from lgesynthnet.data.layouts.foreign import list_unused, without_nifti
from lgesynthnet.data.layouts.listing import Tree, is_data_set, printable
from lgesynthnet.data.layouts.naming import IMAGE_FOLDERS, LABEL_FOLDERS
from lgesynthnet.data.layouts.nnunet import find_nnunet
from lgesynthnet.data.layouts.table import NAME, is_table, read_table
from lgesynthnet.errors import InputError


def find_cases(root: Path) -> FolderContent:
    """Pair the images and labels of a folder, or of a table of patients.

    Raises:
        InputError: there is no such folder, nothing in it fits a layout, or no image has a label; the message says what to do.
    """
    content = _find(root)
    if content.unlabelled and not content.cases and not content.skipped:
        number = len(content.unlabelled)
        raise InputError(
            f"{root}: holds images of {number} patient{'s' if number > 1 else ''} and no labels; {_above(root)}add them, or "
            f"{draw_labels(root)}"
        )
    content.cases = _unique(content, content.cases)
    for case in content.unlabelled:
        content.skip(case.patient, f"{case.image_path}: its label file is missing; add it or move the image away")
    return content


def find_images(root: Path) -> FolderContent:
    """The image of each patient of a folder or a table, whether it has a label or not: the `cases` of the result.

    Raises:
        InputError: there is no such folder, or nothing in it fits a layout.
    """
    content = _find(root)
    content.cases, content.unlabelled = _unique(content, [*content.cases, *content.unlabelled]), []
    return content


def _unique(content: FolderContent, cases: list[CaseFiles]) -> list[CaseFiles]:
    """The cases with a name of their own, sorted by it. Those that share one are skipped: one patient must not count twice."""
    named: defaultdict[str, list[CaseFiles]] = defaultdict(list)
    for case in cases:
        named[case.patient].append(case)
    for patient, same in named.items():
        for case in same if len(same) > 1 else ():
            other = next(each for each in same if each is not case)
            content.skip(patient, f"{case.image_path}: {other.image_path} names the same patient, {patient}; rename one")
    return [same[0] for _, same in sorted(named.items()) if len(same) == 1]


def _find(root: Path) -> FolderContent:
    if printable(root) != str(root):
        raise InputError(f"{printable(root)}: the path holds characters that cannot be printed; rename the folder")
    if is_dicom(root):
        raise InputError(f"{root}: is a single DICOM file; give the folder that holds the series, {root.parent}")
    if root.is_file():
        return read_table(root)
    if not root.is_dir():
        why = "is not a folder" if os.path.lexists(root) else "does not exist"
        raise InputError(f"{root}: {why}; give the folder that holds the cases, or a table of them (CSV)")
    tree = Tree(root=root)
    content = _detect(tree)
    if (content is None or not (content.cases or content.unlabelled)) and (dicom := find_dicom(root)) is not None:
        return dicom
    if content is None:
        raise InputError(f"{root}: no cases were found; {_hint(tree)}the known layouts are: " + "; ".join(Layout))
    list_unused(content, tree)
    return content


def _detect(tree: Tree) -> FolderContent | None:
    for path in tree[tree.root].others:
        if path.name.lower() == NAME and is_table(path):
            return read_table(path)
    return find_nnunet(tree) or find_bids(tree) or find_in_folders(tree)


def _hint(tree: Tree) -> str:
    """What may be meant where no case is found: a folder inside, or files in another format."""
    for _, listing in tree.walk():
        for inside in listing.folders:
            try:
                if is_data_set(inside) and _detect(Tree(root=inside)) is not None:
                    return f"did you mean {inside}? "
            except InputError:
                continue
    return f"{found}; " if (found := _without_nifti(tree.root)) else ""


def _without_nifti(folder: Path) -> str:
    """What a folder without NIfTI files holds, and what to do about it."""
    return without_nifti(Tree(root=folder))


def _above(root: Path) -> str:
    """The common mistake of giving the folder of the images alone."""
    place = Path(os.path.abspath(root))
    if place.name.lower() not in IMAGE_FOLDERS and place.name != "imagesTr":
        return ""
    beside = {entry.name.lower() for entry in os.scandir(place.parent) if entry.is_dir()}
    return f"did you mean {place.parent}? or " if beside & {*LABEL_FOLDERS, "labelstr"} else ""
