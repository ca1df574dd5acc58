"""Find the slice that a contour or a mask belongs to: by the DICOM instance that it names, or else by its place in the patient."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.errors import InputError
from lgesynthnet.records import Mask

LARGEST_DISTANCE_MM = 1.5  # from a contour to its slice; contours are drawn on slices, so what is more is another slice
SAME_PLACE_MM = 1e-2
GRID_TOLERANCE = 0.1  # of a pixel, at each corner of a mask


class Slices:
    """The given slices, and which of them a contour belongs to.

    Raises:
        InputError: there are none, or they have different shapes.
    """

    def __init__(self, planes: Sequence[SlicePlane]) -> None:
        self.planes = tuple(planes)
        if not planes:
            raise InputError("contours: no slices were given that contours could belong to; give the images")
        shapes = {plane.shape: plane for plane in planes}
        if len(shapes) > 1:
            one, other = list(shapes.values())[:2]
            raise InputError(f"{other.path}: has {_size(other)}, but {one.path} has {_size(one)}; give one series of slices of one size")

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of each slice."""
        return self.planes[0].shape

    @property
    def have_uids(self) -> bool:
        """Whether every slice is a DICOM instance."""
        return all(plane.sop_instance_uid is not None for plane in self.planes)

    @cached_property
    def tolerance_mm(self) -> float:
        """How far a contour may lie from its slice: less than half the distance between two slices, and at most 1.5 mm."""
        origins = np.array([plane.origin_mm for plane in self.planes])
        gaps = [np.abs(np.delete(plane.to_pixels(origins)[:, 2], k)) for k, plane in enumerate(self.planes)]
        apart = [gap for gap in itertools.chain.from_iterable(gaps) if gap > SAME_PLACE_MM]
        return min(LARGEST_DISTANCE_MM, 0.499 * min(apart)) if apart else LARGEST_DISTANCE_MM

    def of_uid(self, uid: str) -> list[int]:
        """The slices that are stored in a DICOM instance; several for one with several frames."""
        return [index for index, plane in enumerate(self.planes) if plane.sop_instance_uid == uid]

    def find(self, points_mm: Float[np.ndarray, "points 3"], uid: str | None, frame: int | None, place: str) -> int | None:
        """The slice that a contour belongs to; None where it belongs to none.

        The DICOM instance decides where the contour names one and the slices are DICOM instances: contours of another series may lie at
        the same place. Otherwise the place decides.

        Args:
            points_mm: of the contour, in patient coordinates.
            frame: of the instance, from 0.
            place: file and name, which begin the error message.
        Raises:
            InputError: the contour lies away from the image that it names, or several slices lie at its place.
        """
        if uid is None or not self.have_uids:
            near = self._near(points_mm, range(len(self.planes)))
        else:
            named = [k for k in self.of_uid(uid) if frame is None or self.planes[k].frame == frame]
            if not named:
                return None
            near = self._near(points_mm, named)
            if not near:
                away = min(self._distance_mm(points_mm, k) for k in named)
                raise InputError(f"{place}: lies {away:.1f} mm away from the image that it names; export contours and images together")
        if len(near) > 1:
            paths = f"{self.planes[near[0]].path} and {self.planes[near[1]].path}"
            raise InputError(f"{place}: lies on several slices at one place ({paths}); give the images of one series only")
        return near[0] if near else None

    def at(self, plane: SlicePlane) -> int | None:
        """The slice at the place of another slice or mask; None where there is none, or it has another direction."""
        near = self._near(corners_mm(plane), range(len(self.planes)))
        if len(near) > 1:
            paths = f"{self.planes[near[0]].path} and {self.planes[near[1]].path}"
            raise InputError(f"{plane.path}: lies on several slices at one place ({paths}); give the images of one series only")
        return near[0] if near else None

    def near(self, plane: SlicePlane, among: Sequence[int]) -> list[int]:
        """Those of some slices that lie at the place of another slice or mask."""
        return self._near(corners_mm(plane), among)

    def _near(self, points_mm: Float[np.ndarray, "points 3"], among: Sequence[int]) -> list[int]:
        return [k for k in among if self._distance_mm(points_mm, k) <= self.tolerance_mm]

    def _distance_mm(self, points_mm: Float[np.ndarray, "points 3"], index: int) -> float:
        return float(np.abs(self.planes[index].to_pixels(points_mm)[:, 2]).max())


def corners_mm(plane: SlicePlane) -> Float[np.ndarray, "4 3"]:
    """The centres of the four corner pixels in patient coordinates."""
    rows, columns = plane.shape
    return plane.to_patient(np.array([[0, 0], [rows - 1, 0], [0, columns - 1], [rows - 1, columns - 1]], dtype=np.float64))


def onto_slice(mask: Bool[np.ndarray, "mask_rows mask_cols"], of: SlicePlane, slice_: SlicePlane) -> Mask | None:
    """A mask on the grid of a slice, where its pixels are those of the slice in another order, or a part of them; None where they are not.

    Args:
        of: the place of the mask in the patient.
    """
    rows, columns = mask.shape
    corners = slice_.to_pixels(corners_mm(of))[:, :2]
    if np.abs(corners - np.rint(corners)).max() > GRID_TOLERANCE:
        return None
    origin, down, across, _ = np.rint(corners).astype(np.int64)
    steps = np.array([(down - origin) / max(rows - 1, 1), (across - origin) / max(columns - 1, 1)])
    if sorted(np.abs(steps).ravel().tolist()) != [0, 0, 1, 1] or abs(np.linalg.det(steps)) != 1:
        return None
    target = np.argwhere(mask) @ steps.astype(np.int64) + origin
    inside = ((target >= 0) & (target < slice_.shape)).all(axis=1)
    if not inside.all():
        return None
    placed = np.zeros(slice_.shape, dtype=bool)
    placed[target[:, 0], target[:, 1]] = True
    return placed


def _size(plane: SlicePlane) -> str:
    return f"{plane.shape[0]} rows and {plane.shape[1]} columns"
