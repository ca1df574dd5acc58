"""Files that are no NIfTI: what they are, and how they become readable."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from lgesynthnet.data.conversion import CONVERTIBLE, convert
from lgesynthnet.data.dicom.headers import frames_of
from lgesynthnet.data.layouts.content import FolderContent
from lgesynthnet.data.layouts.listing import DEEPEST, Tree, is_data_set, printable
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import open_regular

DICOM_ENDINGS = (".dcm", ".ima", ".dicom")
MATLAB = ".mat"
MOST_LOOKED_AT = 200  # files without a known ending whose first bytes are read


def without_nifti(tree: Tree) -> str:
    """What a folder without NIfTI files holds, and what to do; empty where that is not known."""
    others = [path for _, listing in tree.walk() for path in listing.others]
    dicom = sorted(path for path in others if path.suffix.lower() in DICOM_ENDINGS) or list(_that_begin_as_dicom(others))
    if dicom:
        return (
            f"it holds DICOM files (first: {tree.relative(dicom[0])}), but no MR image that can be used{_why_not(dicom[0])}; export the "
            "series again"
        )
    for path in others:
        if path.suffix.lower() in CONVERTIBLE:
            return f"it holds {path.suffix.lower()} files, and NIfTI files are read; convert each, e.g. with SimpleITK: {convert(path)}"
    for path in others:
        if path.suffix.lower() == MATLAB:
            return (
                f"it holds .mat files of MATLAB (first: {tree.relative(path)}), and NIfTI files are read; write each array as "
                "NIfTI with its pixel size, e.g. in MATLAB with niftiwrite"
            )
    return ""


def _why_not(path: Path) -> str:
    try:
        frames_of(path)
    except InputError as fault:
        return f" ({fault})"
    return ""


def list_unused(content: FolderContent, tree: Tree) -> None:
    """Add what no rule used to the content: NIfTI files, images in other formats, and folders that were not looked into."""
    try:
        for _, listing in tree.walk():
            for path in listing.files:
                if path not in content.named:
                    content.ignore(tree.relative(path), "part of no case")
            for path in listing.others:
                if path.suffix.lower() in DICOM_ENDINGS:
                    content.ignore(tree.relative(path), "DICOM, beside NIfTI files")
                elif path.suffix.lower() in CONVERTIBLE:
                    content.ignore(tree.relative(path), "in a format that is not read; convert them to NIfTI")
            for inside in listing.folders:
                if is_data_set(inside) and not any(path.is_relative_to(inside) for path in content.named):
                    content.ignore(tree.relative(inside), "a data set of its own; give that folder alone")
                elif len(inside.relative_to(tree.root).parts) > DEEPEST:
                    content.ignore(tree.relative(inside), f"more than {DEEPEST} folders deep")
            for inside in listing.closed:
                content.skip(inside.name, f"{printable(inside)}: the folder cannot be read; check its permissions")
    except InputError as fault:  # too much lies beside the cases
        content.ignore(tree.relative(tree.root), f"not looked through to the end ({fault})")


def _that_begin_as_dicom(paths: list[Path]) -> Iterator[Path]:
    unknown = (path for path in paths if path.suffix.lower() not in (*CONVERTIBLE, MATLAB))
    for path in islice(unknown, MOST_LOOKED_AT):
        try:
            with open_regular(path) as file:
                if file.read(132)[128:] == b"DICM":
                    yield path
        except (InputError, OSError):
            continue
