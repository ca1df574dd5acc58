"""The radiological view of a short-axis slice, and which end of a stack is the base, from where the slices lie in the patient."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float

from lgesynthnet.data.planes import LPS_TO_RAS
from lgesynthnet.records import View, ViewSource

# A usual short axis in patient coordinates (left, back, head): where image right and image down point in the radiological view, and the way
# from the apex to the base. Hearts differ from it by some 20 degrees, and the nearest of eight views is taken, so the exact numbers do not
# matter. From the geometry of real short-axis scans (Radau et al. 2009, Sunnybrook Cardiac Data).
IMAGE_RIGHT = np.array([0.7704, 0.6184, 0.1550])
IMAGE_DOWN = np.array([-0.1516, 0.4139, -0.8976])
TO_BASE = np.cross(IMAGE_RIGHT, IMAGE_DOWN)
LEAST_TILT_DEG = 5.0  # of the slice's normal from each axis of the scanner. No short axis lies along one; exports without a position do
LARGEST_ANGLE_DEG = 65.0  # of the slice's normal from the usual long axis; beyond that the geometry is of another plane


def view_of(affine: Float[np.ndarray, "4 4"] | None, flip: tuple[bool, bool] | None = None) -> View:
    """How the rows and columns of a file are turned into the radiological view.

    Args:
        affine: (column, row, slice) to millimetres towards right, front and head (NIfTI); None where there is none.
        flip: whether the user wants the stored (rows, columns) mirrored; the affine then does not matter. None if the user did not say.
    """
    if flip is not None:
        return View(flip_rows=flip[0], flip_columns=flip[1], source=ViewSource.GIVEN)
    directions = anatomical_directions(affine) if affine is not None else None
    if directions is None:
        return View(source=ViewSource.STORED)
    along_row, along_column, _ = directions
    views = [
        View(transpose=transpose, flip_rows=flip_rows, flip_columns=flip_columns, source=ViewSource.AFFINE)
        for transpose, flip_rows, flip_columns in itertools.product((False, True), repeat=3)
    ]
    shown = [view for view in views if _into_the_screen(view, along_row, along_column) @ TO_BASE > 0]  # seen from the apex
    return max(shown, key=lambda view: _likeness(view, along_row, along_column))


def base_first_of(affine: Float[np.ndarray, "4 4"]) -> bool | None:
    """Whether slice 0 lies at the base; None where the affine says nothing about the patient."""
    directions = anatomical_directions(affine)
    return None if directions is None else bool(directions[2] @ TO_BASE < 0)


def anatomical_directions(affine: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "3 3"] | None:
    """Unit vectors (left, back, head) in which column, row and slice index grow; None where the affine says nothing about the patient.

    An affine along the axes of the scanner says nothing: it is a diagonal of spacings, as in EMIDEC, or was turned from one.
    """
    axes = (LPS_TO_RAS @ affine)[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if not (np.isfinite(axes).all() and lengths.min() > 0):
        return None
    directions = np.asarray((axes / lengths).T)
    normal = np.cross(directions[0], directions[1])
    if not np.linalg.norm(normal) > 0.5:
        return None
    normal /= np.linalg.norm(normal)
    tilt_deg = np.degrees(np.arccos(min(float(np.abs(normal).max()), 1.0)))
    angle_deg = np.degrees(np.arccos(min(abs(float(normal @ TO_BASE)) / float(np.linalg.norm(TO_BASE)), 1.0)))
    return directions if tilt_deg >= LEAST_TILT_DEG and angle_deg <= LARGEST_ANGLE_DEG else None


def shown_axes(affine: Float[np.ndarray, "4 4"], view: View) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Unit vectors (left, back, head) of image right and of image down in the radiological view of a file with this affine."""
    axes = (LPS_TO_RAS @ affine)[:3, :2]
    along_row, along_column = (axes / np.linalg.norm(axes, axis=0)).T
    return _shown(view, along_row, along_column)


def _shown(view: View, along_row: Float[np.ndarray, "3"], along_column: Float[np.ndarray, "3"]) -> tuple[np.ndarray, np.ndarray]:
    """Where image right and image down point in the patient in this view."""
    right, down = (along_column, along_row) if view.transpose else (along_row, along_column)
    return right * (-1 if view.flip_columns else 1), down * (-1 if view.flip_rows else 1)


def _into_the_screen(view: View, along_row: Float[np.ndarray, "3"], along_column: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    return np.cross(*_shown(view, along_row, along_column))


def _likeness(view: View, along_row: Float[np.ndarray, "3"], along_column: Float[np.ndarray, "3"]) -> float:
    right, down = _shown(view, along_row, along_column)
    return float(right @ IMAGE_RIGHT + down @ IMAGE_DOWN)
