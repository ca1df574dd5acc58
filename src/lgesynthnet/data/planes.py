"""Where a slice lies in the patient. DICOM images and contours are matched by this, never by the order of files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lgesynthnet.errors import InputError

Vector = tuple[float, float, float]
UNIT_TOLERANCE = 1e-3  # of the length of a direction, and of the cosine between the two
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM points to the patient's left and back, NIfTI to the right and front


@dataclass(frozen=True, kw_only=True)
class SlicePlane:
    """One stored slice in patient coordinates: millimetres towards the patient's left, back and head (LPS, as in DICOM).

    Attributes:
        shape: (rows, columns) of the stored slice.
        origin_mm: centre of the pixel in row 0 and column 0 (DICOM ImagePositionPatient).
        along_row: unit vector in which the column index grows (the first three numbers of ImageOrientationPatient).
        along_column: unit vector in which the row index grows (its last three numbers).
        spacing_mm: distance from (row to row, column to column), as in DICOM PixelSpacing.
        path: file of the slice.
        frame: slice of a NIfTI file or frame of a DICOM file, from 0.
        sop_instance_uid: of the DICOM instance; None for NIfTI.

    Raises:
        InputError: the two directions are no unit vectors at right angles, the spacing is not positive, or a number is not finite.
    """

    shape: tuple[int, int]
    origin_mm: Vector
    along_row: Vector
    along_column: Vector
    spacing_mm: tuple[float, float]
    path: Path
    frame: int = 0
    sop_instance_uid: str | None = None

    def __post_init__(self) -> None:
        numbers = (*self.origin_mm, *self.along_row, *self.along_column, *self.spacing_mm)
        if not all(map(math.isfinite, numbers)) or not min(self.spacing_mm) > 0:
            raise InputError(f"{self.path}: its position or pixel size in the patient is not a number; export it again")
        lengths = (math.dist((0, 0, 0), self.along_row), math.dist((0, 0, 0), self.along_column))
        cosine = sum(a * b for a, b in zip(self.along_row, self.along_column, strict=True))
        if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(cosine)) > UNIT_TOLERANCE:
            raise InputError(f"{self.path}: the directions of its rows and columns are not at right angles; export it again")

    @classmethod
    def from_affine(
        cls, affine: Float[np.ndarray, "4 4"], shape: tuple[int, int], spacing_mm: tuple[float, float], path: Path
    ) -> SlicePlane:
        """The plane of slice 0 of a NIfTI file: the inverse of `affine`.

        Args:
            affine: (column, row, slice) to millimetres towards right, front and head.
            shape: (rows, columns).
            spacing_mm: as pixdim states it, (row to row, column to column); the affine gives the directions alone.
        Raises:
            InputError: see the class.
        """
        lps = LPS_TO_RAS @ affine
        along_row, along_column = (tuple((lps[:3, axis] / np.linalg.norm(lps[:3, axis])).tolist()) for axis in range(2))
        origin_mm = tuple(lps[:3, 3].tolist())
        return cls(shape=shape, origin_mm=origin_mm, along_row=along_row, along_column=along_column, spacing_mm=spacing_mm, path=path)

    @property
    def normal(self) -> Float[np.ndarray, "3"]:
        """Unit vector at right angles to the slice: along the rows x along the columns."""
        return np.cross(self.along_row, self.along_column)

    @property
    def affine(self) -> Float[np.ndarray, "4 4"]:
        """(column, row, 0) of the stored slice to NIfTI's millimetres towards right, front and head; the third axis is the unit normal."""
        lps = np.eye(4)
        lps[:3, 0] = np.array(self.along_row) * self.spacing_mm[1]
        lps[:3, 1] = np.array(self.along_column) * self.spacing_mm[0]
        lps[:3, 2] = self.normal
        lps[:3, 3] = self.origin_mm
        return np.asarray(LPS_TO_RAS @ lps)

    def to_pixels(self, points_mm: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
        """Patient coordinates to (row, column, distance from the plane in mm); pixel centres have whole numbers."""
        away = np.asarray(points_mm, dtype=np.float64) - self.origin_mm
        return np.stack(
            [
                away @ np.array(self.along_column) / self.spacing_mm[0],
                away @ np.array(self.along_row) / self.spacing_mm[1],
                away @ self.normal,
            ],
            axis=1,
        )

    def to_patient(self, pixels: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 3"]:
        """(row, column) to patient coordinates in mm."""
        rows, columns = np.asarray(pixels, dtype=np.float64).T
        return (
            np.array(self.origin_mm)
            + np.outer(rows * self.spacing_mm[0], self.along_column)
            + np.outer(columns * self.spacing_mm[1], self.along_row)
        )
