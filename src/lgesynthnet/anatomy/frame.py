"""The local coordinates of one short-axis slice: angle round the LV, depth through the wall, AHA segment of every wall pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from lgesynthnet.anatomy.aha import ANTERIOR_INSERTION_DEG, INFERIOR_INSERTION_DEG, segment_at
from lgesynthnet.errors import AnatomyError
from lgesynthnet.records import Field, Insertions, Level, Mask, ShortAxisSlice, Source

NOMINAL_SEPTUM_DEG = INFERIOR_INSERTION_DEG - ANTERIOR_INSERTION_DEG
ASSUMED = Insertions(anterior_deg=ANTERIOR_INSERTION_DEG, inferior_deg=INFERIOR_INSERTION_DEG, source=Source.ASSUMED, confidence=0.0)
# Mean distance from a digital contour to the first pixel centre beyond it, in pixels, over all directions (0.5 straight, less
# on diagonals); measured on rings of 10 to 40 mm radius.
OVERREAD = 0.31
GAP_DEG = 15.0  # a wall that is missing over more than this is not a ring


@dataclass(frozen=True, kw_only=True)
class HeartFrame:
    """One slice's heart in its own coordinates.

    Attributes:
        name: the slice it belongs to.
        level: basal, mid or apical.
        insertions: where the RV meets the LV, with source and confidence.
        centre: (row, column) of the LV cavity's centroid, pixels.
        spacing_mm: (row, column).
        wall, cavity: (rows, cols) masks; the wall holds scar and no-reflow too.
        nominal_deg: (rows, cols) angle bent so that the insertions lie at 120 and 240 degrees, in [0, 360); defined everywhere.
        depth: (rows, cols) 0 at the endocardium to 1 at the epicardium; NaN off the wall.
        thickness_mm: (rows, cols) local wall thickness; NaN off the wall.
        segments: (rows, cols) AHA number 1-16 on the wall, 0 elsewhere.
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
    thickness_mm: Field
    segments: Int[np.ndarray, "rows cols"]

    @property
    def pixel_mm2(self) -> float:
        return self.spacing_mm[0] * self.spacing_mm[1]


def locate(slice_: ShortAxisSlice, level: Level, insertions: Insertions = ASSUMED) -> HeartFrame:
    """Read a slice's labels into heart coordinates.

    Raises:
        AnatomyError: no cavity, no wall, or the wall is not a closed ring.
    """
    wall, cavity = slice_.wall, slice_.cavity
    if not cavity.any():
        raise AnatomyError(f"{slice_.name}: no LV cavity in the labels, so the wall has no inner side")
    if not wall.any():
        raise AnatomyError(f"{slice_.name}: no myocardium in the labels")
    rows, cols = np.nonzero(cavity)
    centre = (float(rows.mean()), float(cols.mean()))
    angle = angle_deg(wall.shape, centre, slice_.spacing_mm)
    gap = _widest_gap_deg(angle[wall])
    if gap > GAP_DEG:
        raise AnatomyError(f"{slice_.name}: the wall is open over {gap:.0f} degrees; a prescription needs a closed ring")
    depth, thickness = wall_depth(cavity, wall, slice_.spacing_mm)
    nominal = bend(angle, insertions)
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
        thickness_mm=thickness,
        segments=np.where(wall, segment_at(nominal, level), 0),
    )


def angle_deg(shape: tuple[int, int], centre: tuple[float, float], spacing_mm: tuple[float, float]) -> Float[np.ndarray, "rows cols"]:
    """Degrees counter-clockwise from image right round `centre`, in [0, 360); rows grow downwards."""
    up_mm = -(np.arange(shape[0]) - centre[0])[:, None] * spacing_mm[0]
    right_mm = (np.arange(shape[1]) - centre[1])[None, :] * spacing_mm[1]
    return np.degrees(np.arctan2(up_mm, right_mm)) % 360.0


def bend(angle: Float[np.ndarray, "*shape"], insertions: Insertions) -> Float[np.ndarray, "*shape"]:
    """Image angles to nominal ones: the measured septum onto 120-240, the free wall onto the rest, linearly in each.

    So the septum splits in two and the free wall in four equal parts, which is what the AHA map means in a heart whose
    septal arc is not 120 degrees.
    """
    septum = insertions.septum_deg
    past = (angle - insertions.anterior_deg) % 360.0
    in_septum = past < septum
    bent = np.where(
        in_septum,
        past / septum * NOMINAL_SEPTUM_DEG,
        NOMINAL_SEPTUM_DEG + (past - septum) / (360.0 - septum) * (360.0 - NOMINAL_SEPTUM_DEG),
    )
    return (ANTERIOR_INSERTION_DEG + bent) % 360.0


def unbend(nominal: float, insertions: Insertions) -> float:
    """Nominal degrees back to image degrees; the inverse of `bend` for one angle."""
    past = (nominal - ANTERIOR_INSERTION_DEG) % 360.0
    septum = insertions.septum_deg
    if past < NOMINAL_SEPTUM_DEG:
        return (insertions.anterior_deg + past / NOMINAL_SEPTUM_DEG * septum) % 360.0
    rest = (past - NOMINAL_SEPTUM_DEG) / (360.0 - NOMINAL_SEPTUM_DEG)
    return (insertions.anterior_deg + septum + rest * (360.0 - septum)) % 360.0


def wall_depth(cavity: Mask, wall: Mask, spacing_mm: tuple[float, float]) -> tuple[Field, Field]:
    """Depth (0 to 1) and local thickness in mm of every wall pixel; NaN off the wall.

    Distances run between pixel centres and so reach past each surface; the mean excess is taken off, so a 10 mm ring reads 10 mm.

    Source: sum of the distances to both surfaces, the straight-line limit of the Laplace thickness of Yezzi and Prince (2003).
    """
    rows, cols = np.nonzero(wall | cavity)
    box = np.s_[max(rows.min() - 2, 0) : rows.max() + 3, max(cols.min() - 2, 0) : cols.max() + 3]
    excess = OVERREAD * float(np.sqrt(spacing_mm[0] * spacing_mm[1]))
    # Padding keeps the outside reachable where a wall touches the image border.
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
    """Local thickness of the myocardium in millimetres; NaN off the wall."""
    return wall_depth(cavity, wall, spacing_mm)[1]


def _widest_gap_deg(angles: Float[np.ndarray, " n"]) -> float:
    present = np.zeros(120, bool)
    present[(angles / 3.0).astype(int) % 120] = True
    if present.all():
        return 0.0
    runs = np.diff(np.flatnonzero(np.concatenate([present, present]))) - 1
    return float(min(runs.max(initial=0), 120) * 3.0)
