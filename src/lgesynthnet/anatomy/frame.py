"""Heart coordinates of one short-axis slice: angle round the LV, depth in the wall, and AHA segment of every wall pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from lgesynthnet.anatomy.aha import ANTERIOR_INSERTION_DEG, INFERIOR_INSERTION_DEG, segment_at
from lgesynthnet.errors import AnatomyError
from lgesynthnet.records import Field, Insertions, Level, Mask, ShortAxisSlice, Source

NOMINAL_SEPTUM_DEG = INFERIOR_INSERTION_DEG - ANTERIOR_INSERTION_DEG
ASSUMED_INSERTIONS = Insertions(
    anterior_deg=ANTERIOR_INSERTION_DEG, inferior_deg=INFERIOR_INSERTION_DEG, source=Source.ASSUMED, confidence=0.0
)
# Mean distance in pixels from a contour to the first pixel centre beyond it, over all directions (0.5 along an axis, less on
# diagonals). Measured on rings of 10 to 40 mm radius.
MEAN_EXCESS_PX = 0.31
MAX_GAP_DEG = 15.0  # a wall with a wider gap is not a closed ring


@dataclass(frozen=True, kw_only=True)
class HeartFrame:
    """The heart coordinates of one slice.

    Attributes:
        name: name of the slice.
        level: basal, mid or apical.
        insertions: the RV insertions, with source and confidence.
        centre: (row, column) of the centroid of the LV cavity, in pixels.
        spacing_mm: pixel size in mm as (row, column).
        wall, cavity: (rows, cols) masks; the wall includes scar and no-reflow.
        nominal_deg: (rows, cols) nominal angle, in [0, 360): the insertions lie at 120 and 240 degrees. Defined everywhere.
        depth: (rows, cols) 0 at the endocardium to 1 at the epicardium; NaN outside the wall.
        segments: (rows, cols) AHA segment number 1-16 on the wall, 0 elsewhere.
    """

    name: str
    level: Level
    insertions: Insertions
    centre: tuple[float, float]
    spacing_mm: tuple[float, float]
    wall: Mask
    cavity: Mask
    nominal_deg: Field
    depth: Field
    segments: Int[np.ndarray, "rows cols"]

    @property
    def pixel_mm2(self) -> float:
        """Area of one pixel in mm2."""
        return self.spacing_mm[0] * self.spacing_mm[1]


def compute_heart_frame(slice_: ShortAxisSlice, level: Level, insertions: Insertions = ASSUMED_INSERTIONS) -> HeartFrame:
    """Compute the heart coordinates of a slice from its labels.

    Raises:
        AnatomyError: there is no cavity or no wall, or the wall is not a closed ring.
    """
    wall, cavity = slice_.wall, slice_.cavity
    if not cavity.any():
        raise AnatomyError(f"{slice_.name}: the labels have no LV cavity, so the wall has no inner side; label the cavity")
    if not wall.any():
        raise AnatomyError(f"{slice_.name}: the labels have no myocardium; label the wall")
    rows, cols = np.nonzero(cavity)
    centre = (float(rows.mean()), float(cols.mean()))
    angle = angle_deg(wall.shape, centre, slice_.spacing_mm)
    gap = _widest_gap_deg(angle[wall])
    if gap > MAX_GAP_DEG:
        raise AnatomyError(f"{slice_.name}: the wall is open over {gap:.0f} degrees, a prescription needs a closed ring; close the wall")
    depth, _ = wall_depth(cavity, wall, slice_.spacing_mm)
    nominal = to_nominal_deg(angle, insertions)
    return HeartFrame(
        name=slice_.name,
        level=level,
        insertions=insertions,
        centre=centre,
        spacing_mm=slice_.spacing_mm,
        wall=wall,
        cavity=cavity,
        nominal_deg=nominal,
        depth=depth,
        segments=np.where(wall, segment_at(nominal, level), 0),
    )


def angle_deg(shape: tuple[int, int], centre: tuple[float, float], spacing_mm: tuple[float, float]) -> Float[np.ndarray, "rows cols"]:
    """(rows, cols) angle of every pixel round `centre` (row, column): degrees counter-clockwise from image right, in [0, 360)."""
    up_mm = -(np.arange(shape[0]) - centre[0])[:, None] * spacing_mm[0]
    right_mm = (np.arange(shape[1]) - centre[1])[None, :] * spacing_mm[1]
    return np.asarray(np.degrees(np.arctan2(up_mm, right_mm)) % 360.0)


def to_nominal_deg(angle: Float[np.ndarray, "*shape"], insertions: Insertions) -> Float[np.ndarray, "*shape"]:
    """Image angles to nominal angles, both in degrees: the septum to 120-240 and the free wall to the rest, each linearly.

    So the septum is divided into two and the free wall into four equal parts. This applies the AHA model to a heart whose
    septum does not extend over 120 degrees.
    """
    septum = insertions.septum_deg
    from_anterior = (angle - insertions.anterior_deg) % 360.0
    in_septum = from_anterior < septum
    nominal = np.where(
        in_septum,
        from_anterior / septum * NOMINAL_SEPTUM_DEG,
        NOMINAL_SEPTUM_DEG + (from_anterior - septum) / (360.0 - septum) * (360.0 - NOMINAL_SEPTUM_DEG),
    )
    return (ANTERIOR_INSERTION_DEG + nominal) % 360.0


def to_image_deg(nominal: float, insertions: Insertions) -> float:
    """One nominal angle to an image angle, both in degrees; the inverse of `to_nominal_deg`."""
    from_anterior = (nominal - ANTERIOR_INSERTION_DEG) % 360.0
    septum = insertions.septum_deg
    if from_anterior < NOMINAL_SEPTUM_DEG:
        return (insertions.anterior_deg + from_anterior / NOMINAL_SEPTUM_DEG * septum) % 360.0
    rest = (from_anterior - NOMINAL_SEPTUM_DEG) / (360.0 - NOMINAL_SEPTUM_DEG)
    return (insertions.anterior_deg + septum + rest * (360.0 - septum)) % 360.0


def wall_depth(cavity: Mask, wall: Mask, spacing_mm: tuple[float, float]) -> tuple[Field, Field]:
    """Depth (0 to 1) and local thickness (mm) of every wall pixel, both (rows, cols) and NaN outside the wall.

    Distances are measured between pixel centres and are therefore too long at each surface. The mean excess is subtracted, so
    that a ring of 10 mm measures 10 mm.

    Args:
        spacing_mm: pixel size in mm as (row, column).

    Source: the sum of the distances to both surfaces, the straight-line limit of the Laplace thickness of Yezzi and Prince (2003).
    """
    rows, cols = np.nonzero(wall | cavity)
    box = np.s_[max(rows.min() - 2, 0) : rows.max() + 3, max(cols.min() - 2, 0) : cols.max() + 3]
    excess = MEAN_EXCESS_PX * float(np.sqrt(spacing_mm[0] * spacing_mm[1]))
    # Padding keeps the outside reachable where the wall touches the border of the image.
    inner = np.pad(cavity[box], 1)
    heart = np.pad(wall[box] | cavity[box], 1)
    heart = ndimage.binary_fill_holes(heart)
    to_endo = np.maximum(ndimage.distance_transform_edt(~inner, sampling=spacing_mm) - excess, 0.0)[1:-1, 1:-1]
    to_epi = np.maximum(ndimage.distance_transform_edt(heart, sampling=spacing_mm) - excess, 0.0)[1:-1, 1:-1]
    thickness = np.full(wall.shape, np.nan)
    depth = np.full(wall.shape, np.nan)
    here = wall[box]
    total = np.maximum(to_endo + to_epi, 1e-6)
    thickness[box] = np.where(here, total, np.nan)
    depth[box] = np.where(here, to_endo / total, np.nan)
    return depth, thickness


def wall_thickness_mm(cavity: Mask, wall: Mask, spacing_mm: tuple[float, float]) -> Field:
    """(rows, cols) local thickness of the myocardium in mm; NaN outside the wall."""
    return wall_depth(cavity, wall, spacing_mm)[1]


def _widest_gap_deg(angles: Float[np.ndarray, " n"]) -> float:
    present = np.zeros(120, bool)
    present[(angles / 3.0).astype(int) % 120] = True
    if present.all():
        return 0.0
    runs = np.diff(np.flatnonzero(np.concatenate([present, present]))) - 1
    return float(min(runs.max(initial=0), 120) * 3.0)
