"""Where the cavity and the wall of each image come from, for a segmenter that must be given them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.declaration import read_declaration
from lgesynthnet.data.label_maps import EXAMPLE, label_map_of, parse_label_map
from lgesynthnet.data.layouts.content import CaseFiles, patient_name
from lgesynthnet.data.layouts.listing import Tree
from lgesynthnet.data.layouts.naming import by_case
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, Stack
from lgesynthnet.segment.request import SegmentRequest


@dataclass(frozen=True, kw_only=True)
class KnownWalls:
    """The labels or contours of the wall.

    Attributes:
        place: what the user gave.
        images: the images, with the meaning of the label ids.
        label_paths: patient -> label file.
        contours: patients whose contours lie in the folder, read with the images; None for label files.
    """

    place: Path
    images: Cohort
    label_paths: dict[str, Path]
    contours: Cohort | None = None

    def read(self, files: CaseFiles) -> Stack:
        """The image of one patient with the labels of the wall, on the image's grid.

        Raises:
            InputError: there is no wall for the patient, or it lies on another grid.
        """
        if self.contours is not None:
            return self.contours.stack(files.patient)
        if files.patient not in self.label_paths:
            known = ", ".join(sorted(self.label_paths)[:5])
            raise InputError(f"--wall {self.place}: holds no wall of {files.patient}; add a file of this name (it has {known} ...)")
        return self.images.read(replace(files, label_path=self.label_paths[files.patient]))


def open_walls(request: SegmentRequest, images: Cohort) -> KnownWalls:
    """Find the walls that `request.wall` holds: patients with labels in any layout, label files named after the patients, or contours.

    Args:
        images: the images of the request.
    Raises:
        InputError: nothing is found, or the meaning of the label ids is not known.
    """
    place = request.wall
    if place is None:
        raise InputError("--wall: is missing; give the labels or the contours of the wall")
    if place.is_dir() and any(case.dicom is not None for case in images.cases) and not _holds_nifti(place) and not _is_table(place):
        meaning = replace(request.source, contour_names=request.contour_names, labels=request.labels, dataset=request.dataset)
        contours = replace(meaning, contours=place)
        return KnownWalls(place=place, images=images, label_paths={}, contours=contours.open())
    given = parse_label_map(request.labels) if request.labels else None
    try:
        cohort = open_cohort(place, dataset=request.dataset, label_map=given)
        paths = {case.patient: case.label_path for case in cohort.cases if case.label_path is not None}
        label_map = cohort.label_map
    except InputError as fault:
        paths = _label_files(place)
        if not paths:
            raise InputError(f"--wall {place}: holds no label files or contours ({fault})") from None
        label_map = _label_map(request, given)
    if not paths:
        raise InputError(f"--wall {place}: holds no label files; give a folder of labels named after the patients, or of contours")
    return KnownWalls(place=place, images=replace(images, label_map=label_map), label_paths=paths)


def _is_table(place: Path) -> bool:
    return (place / "patients.csv").is_file()


def _holds_nifti(place: Path) -> bool:
    return any(listing.files for _, listing in Tree(root=place).walk())


def _label_files(place: Path) -> dict[str, Path]:
    """Patient -> the one label file that is named after the patient, with or without a word such as _label at its end."""
    if not place.is_dir():
        return {}
    found = by_case(path for _, listing in Tree(root=place).walk() for path in listing.files)
    return {patient_name(case): paths[0] for case, paths in found.items() if case and len(paths) == 1}


def _label_map(request: SegmentRequest, given: dict[int, Label] | None) -> dict[int, Label]:
    if given is not None:
        return given
    declared = read_declaration(request.wall).labels if request.wall is not None and request.wall.is_dir() else None
    name = request.dataset or declared
    if name is None:
        raise InputError(f"--wall {request.wall}: the meaning of its label ids is not known; add {EXAMPLE}, or --dataset")
    return label_map_of(name)
