"""DICOM RT structure sets: closed contours in patient coordinates. Source: DICOM PS3.3, sections C.8.8.5 and C.8.8.6."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from lgesynthnet.data.contours.dicom_files import dicom_dataset, items
from lgesynthnet.data.contours.drawings import FileDrawings, short
from lgesynthnet.data.contours.matching import Slices
from lgesynthnet.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def read_rtstruct(file: FileDrawings, slices: Slices) -> None:
    """Read the closed contours of the regions of interest that have a meaning.

    Several contours of one region in one slice are combined by exclusive-or, so a contour inside another is a hole.

    Raises:
        InputError: the file cannot be read, holds too many points, or a contour lies away from the image that it names.
    """
    with dicom_dataset(file.path) as dataset:
        names = {int(item.ROINumber): str(item.get("ROIName", "")) for item in items(dataset, "StructureSetROISequence")}
        not_closed = 0
        for region in items(dataset, "ROIContourSequence"):
            contours = items(region, "ContourSequence")
            name = names.get(int(region.ReferencedROINumber), "")
            meaning = file.meaning_of(name, count=len(contours))
            if meaning is None:
                continue
            place = f"{file.path}: '{short(name)}'"
            of_slice: dict[int, list[Float[np.ndarray, "points 2"]]] = defaultdict(list)
            for contour in contours:
                if contour.get("ContourGeometricType", _CLOSED[0]) not in _CLOSED:
                    not_closed += 1
                    continue
                points_mm = _points_mm(file, contour, name)
                uid, frame = _image_of(contour)
                index = slices.find(points_mm, uid, frame, place)
                if index is None:
                    file.unmatched += 1
                else:
                    of_slice[index].append(slices.planes[index].to_pixels(points_mm)[:, :2])
            for index, outlines in of_slice.items():
                file.outline(name, meaning, index, outlines)
    if not_closed:
        file.notes.append(f"{file.path}: {not_closed} contours are not closed (points or open lines); they are left out")


def _image_of(contour: Dataset) -> tuple[str | None, int | None]:
    """The DICOM instance that a contour was drawn on, and its frame from 0."""
    images = items(contour, "ContourImageSequence")
    if len(images) != 1 or not images[0].get("ReferencedSOPInstanceUID"):
        return None, None
    frame = images[0].get("ReferencedFrameNumber")
    number = frame if frame is None or isinstance(frame, int | str) else frame[0]
    return str(images[0].ReferencedSOPInstanceUID), None if number is None else int(number) - 1


def _points_mm(file: FileDrawings, contour: Dataset, name: str) -> Float[np.ndarray, "points 3"]:
    """(points, 3) of one contour, counted before they are decoded."""
    element = contour.get_item("ContourData")
    raw = None if element is None else element.value
    words = (raw.split(b"\\") if raw.strip() else []) if isinstance(raw, bytes) else list(raw or [])
    file.count_points(len(words) // 3, name)
    points_mm = np.array([float(word) for word in words], dtype=np.float64)
    if points_mm.size == 0 or points_mm.size % 3 or not np.isfinite(points_mm).all():
        raise InputError(f"{file.path}: '{short(name)}' has a contour that is not a list of points in the patient; export it again")
    return points_mm.reshape(-1, 3)
