"""What the name of a file or folder says: an image or a label, and of which case. Upper and lower case do not matter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lgesynthnet.data.layouts.listing import stem_of

LATE_WORDS = ("lge", "de", "psir")  # late enhancement, also in the words of BIDS and of scanners
IMAGE_WORDS = ("image", "img", *LATE_WORDS)
LABEL_WORDS = (
    *("label", "labels", "gt", "mask", "masks", "seg", "segmentation", "segmentations", "contour", "contours", "manual", "dseg"),
    *("groundtruth", "annotation", "annotations"),
)
IMAGE_FOLDERS = ("images", "image", "imgs", "img")
LABEL_FOLDERS = (
    *("labels", "label", "masks", "mask", "contours", "contour", "segmentations", "segmentation", "seg", "gt", "manual"),
    *("groundtruth", "annotations"),
)
# Folders that say what lies in them, and not whose it is.
_KINDS = frozenset(
    (*LATE_WORDS, "sax", "short_axis", "nifti", "nii", "dicom", "dcm", "anat", "cardiac", "heart", "cmr", "mri", "mr", "data")
)


def _ending_in(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:(?P<case>.*)[-_. ])?(?:{'|'.join(words)})", re.IGNORECASE | re.DOTALL)


_IMAGE, _LABEL, _LATE = _ending_in(IMAGE_WORDS), _ending_in(LABEL_WORDS), _ending_in(LATE_WORDS)


def is_label(stem: str) -> bool:
    """Whether a file is a label by its name, such as X_gt or label."""
    return _LABEL.fullmatch(stem) is not None


def is_late(path: Path) -> bool:
    """Whether a file is called a late-enhancement image, such as X_LGE.nii.gz."""
    return _LATE.fullmatch(stem_of(path) or "") is not None


def case_of(stem: str) -> str:
    """The case of an image or a label: its name without the words at its end, so X of X_LGE and of X_LGE_seg; empty for image or label."""
    while (found := _LABEL.fullmatch(stem)) is not None:
        stem = found["case"] or ""
    found = _IMAGE.fullmatch(stem)
    return stem if found is None else found["case"] or ""


def by_case(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Case -> its files, by name."""
    files: dict[str, list[Path]] = {}
    for path in paths:
        files.setdefault(case_of(stem_of(path) or ""), []).append(path)
    return files


def images_and_labels(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The files of one folder, divided by what their names say."""
    images: list[Path] = []
    labels: list[Path] = []
    for path in paths:
        (labels if is_label(stem_of(path) or "") else images).append(path)
    return images, labels


def names_a_patient(folder: Path) -> bool:
    """Whether a folder is called after a patient, and not after what lies in it or after a visit."""
    name = folder.name.lower()
    return not (name in _KINDS or name in IMAGE_FOLDERS or name in LABEL_FOLDERS or name.startswith("ses-"))


def patient_folder(folder: Path, root: Path) -> Path | None:
    """The nearest folder, from here upwards, that is called after a patient; None where there is none below the root."""
    while folder != root:
        if names_a_patient(folder):
            return folder
        folder = folder.parent
    return None
