"""Short-axis planes through a simulated heart: wall, cavities, fat and pericardium.

The LV is half an ellipsoid with an uneven, tapering wall, tilted against the slices. The RV is a pouch on its side that leaves
the epicardium exactly at the insertions. Every contour is a radius in each direction round the LV centre, so a plane needs only
a table look-up, and a slice can be divided into many planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from lgesynthnet.anatomy.frame import to_nominal_deg
from lgesynthnet.phantom.body import BINS, Body, Remodelling, Tissue
from lgesynthnet.records import Insertions, Label, Source

Directions = Float32[np.ndarray, " bins"]
Grid = Float32[np.ndarray, "rows cols"]

_ANGLE = ((np.arange(BINS) + 0.5) * (360.0 / BINS)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Contours:
    """The heart in one plane, as radii in mm in `BINS` directions; the first lies half a bin counter-clockwise of image right.

    Attributes:
        centre_mm: (down, right) of the LV centre from the middle of the field of view, in mm.
        endo, epi: the two surfaces of the LV wall.
        rv: outer border of the RV cavity; equal to `epi` where there is no RV.
        heart: outer border of the muscle.
        fat: outer border of the fat round the heart.
        pericardium: outer border of the pericardium with its fluid.
        nominal_deg: nominal (AHA) angle of each direction.
    """

    centre_mm: tuple[float, float]
    endo: Directions
    epi: Directions
    rv: Directions
    heart: Directions
    fat: Directions
    pericardium: Directions
    nominal_deg: Directions


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box of the fine grid.

    Attributes:
        corner: (row, column) of its first pixel.
        shape: (rows, columns) of the box.
        points: side of the fine grid in pixels.
        pixel_mm: side of a pixel in mm.
    """

    corner: tuple[int, int]
    shape: tuple[int, int]
    points: int
    pixel_mm: float

    def polar(self, centre_mm: tuple[float, float]) -> tuple[Grid, Int[np.ndarray, "rows cols"]]:
        """Distance in mm from a centre, and index of the direction, for every pixel of the box."""
        middle = (self.points - 1) / 2
        down = ((np.arange(self.shape[0]) + self.corner[0] - middle) * self.pixel_mm - centre_mm[0]).astype(np.float32)[:, None]
        right = ((np.arange(self.shape[1]) + self.corner[1] - middle) * self.pixel_mm - centre_mm[1]).astype(np.float32)[None, :]
        turn = np.arctan2(-down, right) * np.float32(BINS / (2 * np.pi))
        return np.hypot(down, right), np.floor(turn).astype(np.int32) % BINS


def compute_contours(
    body: Body, index: float, remodelling: Remodelling | None = None, shift_mm: tuple[float, float] = (0.0, 0.0)
) -> Contours:
    """The borders of the heart in the plane at slice position `index`, where 0 is the base and fractions lie between slices.

    Args:
        remodelling: how an infarct changed the wall; None for a heart without infarct.
        shift_mm: (down, right) displacement of this slice in mm, as from a different breath-hold.
    """
    z = body.position(index)
    radians = np.radians(_ANGLE)
    # One side of a tilted plane lies nearer to the apex, so each direction meets the ventricle at another height.
    length_mm = max(body.slices - 1, 1) * body.slice_step_mm
    height = z + np.tan(np.radians(body.tilt_deg)) * body.endo_mm / length_mm * np.cos(radians - np.radians(body.tilt_towards_deg))
    anterior, inferior = body.insertions_deg(index)
    septum_middle = anterior + ((inferior - anterior) % 360.0) / 2
    ellipsoid = np.sqrt(1 - np.clip(height * body.reach_to_apex, 0, 0.97) ** 2)
    endo = body.endo_mm * ellipsoid * (1 + _harmonics(body.lumps, radians, 2)) * (1 - body.septal_flattening * _bump(septum_middle, 40))
    wall = body.wall_mm * (1 - body.wall_taper * np.clip(height, 0, 1.1)) * np.clip(1 + _harmonics(body.wall_lumps, radians, 1), 0.55, 1.6)
    insertions = Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.LANDMARKS, confidence=1.0)
    nominal = to_nominal_deg(_ANGLE.astype(np.float64), insertions)
    epi = endo + wall
    if remodelling is not None:
        infarct_share = _infarct_share(remodelling, nominal, index)
        epi = epi + remodelling.bulge_mm * infarct_share
        endo = epi - wall * (1 + (remodelling.thickness - 1) * infarct_share)
    rv = epi + _rv_depth(body, z, anterior, inferior)
    heart = np.where(rv > epi, rv + body.rv_wall_mm, epi)
    groove = 1.2 * _bump(anterior, 25) + 1.2 * _bump(inferior, 25)
    fat = heart + body.fat_mm * np.clip(0.5 + 0.6 * max(z, 0.0) + groove + _harmonics(body.fat_lumps, radians, 1), 0, None)
    pericardium = fat + body.pericardium_mm * np.clip(1 + _harmonics(body.fluid_lumps, radians, 1), 0, 3)
    drift = (body.drift_mm[0] * (z - 0.5), body.drift_mm[1] * (z - 0.5))
    return Contours(
        centre_mm=(body.centre_mm[0] + drift[0] + shift_mm[0], body.centre_mm[1] + drift[1] + shift_mm[1]),
        endo=np.maximum(endo, 3.0).astype(np.float32),
        epi=np.maximum(epi, 6.0).astype(np.float32),
        rv=rv.astype(np.float32),
        heart=heart.astype(np.float32),
        fat=fat.astype(np.float32),
        pericardium=pericardium.astype(np.float32),
        nominal_deg=nominal.astype(np.float32),
    )


def heart_box(planes: list[Contours], points: int, pixel_mm: float, margin_mm: float = 1.0) -> Box:
    """The smallest box of the fine grid that holds the heart of all planes with its fat and a margin."""
    radians = np.radians(_ANGLE)
    reach = np.max([plane.pericardium for plane in planes], axis=0) + margin_mm
    down, right = -reach * np.sin(radians), reach * np.cos(radians)
    middle = (points - 1) / 2
    edges = []
    for axis, along in ((0, down), (1, right)):
        centres = [plane.centre_mm[axis] for plane in planes]
        low = int(np.floor(middle + (min(centres) + along.min()) / pixel_mm))
        high = int(np.ceil(middle + (max(centres) + along.max()) / pixel_mm))
        edges.append((max(low, 0), min(high, points - 1) + 1))
    (top, bottom), (left, right_edge) = edges
    return Box(corner=(top, left), shape=(bottom - top, right_edge - left), points=points, pixel_mm=pixel_mm)


def cut_plane(body: Body, index: float, plane: Contours, box: Box, scene: UInt8[np.ndarray, "rows cols"]) -> UInt8[np.ndarray, "rows cols"]:
    """Tissues of a box of the plane at slice position `index`. Outside the heart they are those of `scene`, the same box of the thorax."""
    radius, direction = box.polar(plane.centre_mm)
    endo, epi = plane.endo[direction], plane.epi[direction]
    tissue = scene.copy()
    tissue[radius < plane.pericardium[direction]] = Tissue.PERICARDIUM
    tissue[radius < plane.fat[direction]] = Tissue.FAT
    tissue[radius < plane.heart[direction]] = Tissue.RV_WALL
    tissue[radius < plane.rv[direction]] = Tissue.RV_BLOOD
    tissue[radius < epi] = Tissue.MYOCARDIUM
    cavity = radius < endo
    tissue[cavity] = Tissue.BLOOD
    tissue[cavity & _papillary_muscles(body, index, plane, radius, direction)] = Tissue.PAPILLARY
    _outflow(body, index, plane, box, tissue)
    return tissue


def outflow_mm(body: Body, index: float) -> float:
    """Radius of the RV outflow tract in this plane, in mm; 0 below the basal third."""
    size = body.outflow_mm * (1 - body.position(index) / 0.35)
    return size if size >= 3 else 0.0


def draw_labels(plane: Contours, box: Box) -> UInt8[np.ndarray, "rows cols"]:
    """Labels of the pixels of a box: cavity, wall and RV. Papillary muscles belong to the cavity, as experts draw them."""
    radius, direction = box.polar(plane.centre_mm)
    labels = np.where(radius < plane.rv[direction], np.uint8(Label.RV), np.uint8(0))
    labels[radius < plane.epi[direction]] = Label.WALL
    labels[radius < plane.endo[direction]] = Label.CAVITY
    return labels


def _harmonics(parts: np.ndarray, radians: np.ndarray, first: int) -> np.ndarray:
    k = np.arange(first, first + len(parts))[:, None]
    return np.asarray((parts[:, :1] * np.cos(k * radians) + parts[:, 1:] * np.sin(k * radians)).sum(axis=0))


def _bump(at_deg: float, width_deg: float) -> np.ndarray:
    away = (_ANGLE - at_deg + 180.0) % 360.0 - 180.0
    return np.asarray(np.exp(-((away / width_deg) ** 2)))


def _infarct_share(infarct: Remodelling, nominal: np.ndarray, index: float) -> np.ndarray:
    """How much each direction belongs to the infarct: 1 in its middle, falling smoothly to 0."""
    middle = infarct.start_deg + infarct.extent_deg / 2
    away = np.abs((nominal - middle + 180.0) % 360.0 - 180.0) / (infarct.extent_deg / 2 + 12.0)
    along = abs(index - infarct.middle) / (infarct.reach + 0.5)
    return np.clip(1.25 * (1 - away**2), 0, 1) * max(1 - along**2, 0.0)


def _rv_depth(body: Body, z: float, anterior: float, inferior: float) -> np.ndarray:
    """Width of the RV cavity in each direction in mm. It is 0 at and beyond the insertions, so that these are exact."""
    arc = (inferior - anterior) % 360.0
    along = ((_ANGLE - anterior) % 360.0) / arc
    depth = body.rv_depth_mm * max(1 - (max(z, 0.0) / body.rv_end) ** 1.6, 0.0)
    profile = np.where(along < 1, np.sin(np.pi * np.clip(along, 0, 1) ** body.rv_skew), 0.0)
    return np.asarray(depth * np.clip(profile, 0, 1) ** body.rv_shape)


def _papillary_muscles(body: Body, index: float, plane: Contours, radius: Grid, direction: np.ndarray) -> Bool[np.ndarray, "rows cols"]:
    """Mask of the two papillary muscles, which join the wall towards the apex, and of the trabeculae along the endocardium."""
    z = body.position(index)
    rng = np.random.default_rng([body.thorax_seed, 7])
    waves = sum(np.cos(np.radians(_ANGLE) * k + rng.uniform(0, 6)) * rng.uniform(0.2, 0.7) for k in rng.integers(3, 26, 5))
    ridge = (body.trabeculae_mm * np.clip(waves, 0, 1.3) * (0.3 + max(z, 0.0))).astype(np.float32)
    inside = np.asarray(radius > (plane.endo - ridge)[direction])
    x = radius * np.cos(np.radians(_ANGLE))[direction]
    y = radius * np.sin(np.radians(_ANGLE))[direction]
    for deg, size_mm in zip(body.papillary_deg, body.papillary_mm, strict=True):
        size = size_mm * np.exp(-(((z - 0.5) / 0.32) ** 2))
        if size < 0.8:
            continue
        reach = float(plane.endo[int(deg % 360.0 * BINS / 360)]) * (0.6 + 0.3 * min(max(z, 0.0), 1.0))
        inside |= np.hypot(x - reach * np.cos(np.radians(deg)), y - reach * np.sin(np.radians(deg))) < size
    return inside


def _outflow(body: Body, index: float, plane: Contours, box: Box, tissue: UInt8[np.ndarray, "rows cols"]) -> None:
    """Add the RV outflow tract to basal planes, beside the anterior insertion and with a wall of its own. It has no label."""
    size = outflow_mm(body, index)
    if size == 0:
        return
    anterior, _ = body.insertions_deg(index)
    deg = anterior + 8.0
    reach = float(plane.epi[int(deg % 360.0 * BINS / 360)]) + size + body.rv_wall_mm + 1.0
    centre = (
        plane.centre_mm[0] - reach * float(np.sin(np.radians(deg))),
        plane.centre_mm[1] + reach * float(np.cos(np.radians(deg))),
    )
    radius, _ = box.polar(centre)
    free = ~np.isin(tissue, (Tissue.MYOCARDIUM, Tissue.BLOOD, Tissue.PAPILLARY, Tissue.RV_BLOOD))
    tissue[free & (radius < size + body.rv_wall_mm)] = Tissue.RV_WALL
    tissue[free & (radius < size)] = Tissue.RV_BLOOD
