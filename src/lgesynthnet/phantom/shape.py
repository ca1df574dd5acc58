"""One simulated patient's anatomy: numbers drawn once, then any plane of the body as a map of tissues.

Sizes are broad normal distributions round published adult ranges (Kawel-Boehm et al., JCMR 2020: LV diameter, wall
thickness; Selvadurai et al., 2018) widened to take in dilated and hypertrophied hearts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float, UInt8

from lgesynthnet.anatomy.frame import angle_deg

Grid = Float[np.ndarray, "rows cols"]
Down = Float[np.ndarray, "rows 1"]  # mm below the LV centre
Right = Float[np.ndarray, "1 cols"]  # mm to the right of it


class Tissue(IntEnum):
    """What a point of the body is made of; `signal.py` gives each its T1 and proton density."""

    AIR = 0
    LUNG = 1
    BLOOD = 2
    MYOCARDIUM = 3
    RV_BLOOD = 4
    RV_WALL = 5
    FAT = 6
    MUSCLE = 7
    LIVER = 8
    SPLEEN = 9
    STOMACH = 10
    BONE = 11
    PAPILLARY = 12
    SCAR = 13
    NO_REFLOW = 14


@dataclass(frozen=True, kw_only=True)
class Body:
    """Everything that is fixed for one patient; lengths in mm, angles in image degrees, position 0 base to 1 apex."""

    slices: int
    slice_step_mm: float
    spacing_mm: float
    matrix: int
    endo_mm: float
    wall_mm: float
    taper: float
    wall_taper: float
    lumps: Float[np.ndarray, "harmonics two"]
    wall_lumps: Float[np.ndarray, "harmonics two"]
    anterior_deg: float
    septum_deg: float
    anterior_drift_deg: float
    inferior_drift_deg: float
    rv_depth_mm: float
    rv_shape: float
    rv_wall_mm: float
    fat_mm: float
    centre_mm: tuple[float, float]
    tilt_mm: tuple[float, float]
    papillary_deg: tuple[float, float]
    papillary_mm: float
    skin_mm: float
    skin_deg: float
    subcutaneous_mm: float
    chest_muscle_mm: float
    diaphragm_mm: float
    diaphragm_deg: float
    liver_share: float
    scene_seed: int

    def position(self, index: float) -> float:
        return index / max(self.slices - 1, 1)

    def insertions_deg(self, index: float) -> tuple[float, float]:
        """Exact RV insertion angles of a slice; towards the base both turn clockwise, the anterior one faster."""
        from_middle = index - (self.slices - 1) / 2
        anterior = self.anterior_deg + self.anterior_drift_deg * from_middle
        inferior = self.anterior_deg + self.septum_deg + self.inferior_drift_deg * from_middle
        return anterior % 360.0, inferior % 360.0


def draw_body(rng: np.random.Generator) -> Body:
    """Draw one patient's anatomy."""
    spacing = float(rng.uniform(0.95, 1.8))
    field_of_view = float(rng.uniform(165.0, 235.0))
    dilated, hypertrophied = rng.random() < 0.2, rng.random() < 0.15
    turned = rng.random() < 0.17  # about one heart in six lies with the RV up-left
    anterior = float(rng.normal(67.0, 12.0) if turned else rng.normal(137.0, 13.0))
    return Body(
        slices=int(rng.integers(5, 10)),
        slice_step_mm=10.0,
        spacing_mm=spacing,
        matrix=int(np.clip(round(field_of_view / spacing), 112, 208)),
        endo_mm=float(np.clip(rng.normal(24.0, 3.0) + (rng.uniform(3, 9) if dilated else 0), 16, 38)),
        wall_mm=float(np.clip(rng.normal(9.8, 1.3) + (rng.uniform(2, 5) if hypertrophied else 0), 6.0, 16.0)),
        taper=float(rng.uniform(0.38, 0.58)),
        wall_taper=float(rng.uniform(0.1, 0.32)),
        lumps=rng.normal(0, [[0.035], [0.018], [0.01]], (3, 2)),
        wall_lumps=rng.normal(0, [[0.09], [0.07], [0.05]], (3, 2)),
        anterior_deg=anterior,
        septum_deg=float(np.clip(rng.normal(117.0, 10.0), 88, 145)),
        anterior_drift_deg=float(rng.normal(8.0, 3.0)),
        inferior_drift_deg=float(rng.normal(2.0, 2.0)),
        rv_depth_mm=float(np.clip(rng.normal(36.0, 7.0), 20, 58)),
        rv_shape=float(rng.uniform(0.55, 0.9)),
        rv_wall_mm=float(rng.uniform(2.0, 4.0)),
        fat_mm=float(rng.uniform(0.5, 6.0)),
        centre_mm=(float(rng.normal(0, 7)), float(rng.normal(0, 7))),
        tilt_mm=(float(rng.normal(0, 6)), float(rng.normal(0, 6))),
        papillary_deg=(anterior + 180 + float(rng.normal(-35, 12)), anterior + 180 + float(rng.normal(75, 12))),
        papillary_mm=float(rng.uniform(2.0, 4.5)),
        skin_mm=float(rng.uniform(75, 115)),
        skin_deg=float(rng.normal(115, 15)),
        subcutaneous_mm=float(rng.uniform(6, 28)),
        chest_muscle_mm=float(rng.uniform(5, 12)),
        diaphragm_mm=float(rng.uniform(2, 16)),
        diaphragm_deg=float(rng.normal(258, 14)),
        liver_share=float(rng.uniform(0.3, 0.8)),
        scene_seed=int(rng.integers(2**31)),
    )


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One plane of the body: tissue of every point, and the LV centre in mm from the plane's centre."""

    tissue: UInt8[np.ndarray, "rows cols"]
    wall: np.ndarray
    cavity: np.ndarray
    rv: np.ndarray


def cut(body: Body, index: float, points: int, pixel_mm: float, shift_mm: tuple[float, float] = (0.0, 0.0)) -> Plane:
    """Tissues of a short-axis plane at slice position `index` (fractions lie between slices; 0 is the base).

    Args:
        points, pixel_mm: the square grid's side and pixel size.
        shift_mm: (down, right) displacement of this slice, as from an uneven breath-hold.
    """
    z = float(np.clip(body.position(index), -0.1, 1.1))
    middle = (points - 1) / 2
    centre_mm = (
        body.centre_mm[0] + body.tilt_mm[0] * (z - 0.5) + shift_mm[0],
        body.centre_mm[1] + body.tilt_mm[1] * (z - 0.5) + shift_mm[1],
    )
    centre = (middle + centre_mm[0] / pixel_mm, middle + centre_mm[1] / pixel_mm)
    angle = angle_deg((points, points), centre, (pixel_mm, pixel_mm))
    down = (np.arange(points) - centre[0])[:, None] * pixel_mm
    right = (np.arange(points) - centre[1])[None, :] * pixel_mm
    radius = np.hypot(down, right)
    endo, epi = _contours(body, z, angle)
    anterior, inferior = body.insertions_deg(index)
    rv_out = _rv_outer(body, z, angle, epi, anterior, inferior)

    tissue = _surroundings(body, down, right)
    heart_out = np.where(rv_out > epi, rv_out + body.rv_wall_mm, epi)
    fat = body.fat_mm * (0.4 + 1.2 * _bump(angle, anterior, 30) + 1.2 * _bump(angle, inferior, 30) + 0.5 * _bump(angle, anterior - 120, 60))
    tissue[radius < heart_out + fat] = Tissue.FAT
    tissue[radius < heart_out] = Tissue.RV_WALL
    rv = (radius < rv_out) & (radius >= epi)
    tissue[rv] = Tissue.RV_BLOOD
    wall = (radius < epi) & (radius >= endo)
    cavity = radius < endo
    tissue[wall] = Tissue.MYOCARDIUM
    tissue[cavity] = Tissue.BLOOD
    tissue[cavity & _papillary(body, z, down, right, endo, angle)] = Tissue.PAPILLARY
    return Plane(tissue=tissue, wall=wall, cavity=cavity, rv=rv)


def _contours(body: Body, z: float, angle: Grid) -> tuple[Grid, Grid]:
    """Endo- and epicardial radius in mm as functions of the image angle."""
    radians = np.radians(angle)
    harmonic = np.arange(2, 5)[:, None, None]
    lump = (body.lumps[:, :1, None] * np.cos(harmonic * radians) + body.lumps[:, 1:, None] * np.sin(harmonic * radians)).sum(0)
    thick = np.arange(1, 4)[:, None, None]
    wall_lump = (body.wall_lumps[:, :1, None] * np.cos(thick * radians) + body.wall_lumps[:, 1:, None] * np.sin(thick * radians)).sum(0)
    endo = body.endo_mm * (1 - body.taper * max(z, 0) ** 2.2) * (1 + lump)
    wall = body.wall_mm * (1 - body.wall_taper * max(z, 0)) * np.clip(1 + wall_lump, 0.6, 1.5)
    return endo, endo + wall


def _rv_outer(body: Body, z: float, angle: Grid, epi: Grid, anterior: float, inferior: float) -> Grid:
    """Radius of the RV's free wall; equal to the epicardium at and beyond the insertions, so these are exact."""
    arc = (inferior - anterior) % 360.0
    along = ((angle - anterior) % 360.0) / arc
    depth = body.rv_depth_mm * max(1 - 0.85 * max(z, 0.0) ** 1.3, 0.0)
    skew = along ** (0.85 + 0.3 * body.rv_shape)
    profile = np.where(along < 1, np.sin(np.pi * np.clip(skew, 0, 1)), 0.0)
    return epi + depth * np.clip(profile, 0, 1) ** body.rv_shape


def _bump(angle: Grid, at: float, width: float) -> Grid:
    away = (angle - at + 180.0) % 360.0 - 180.0
    return np.exp(-((away / width) ** 2))


def _papillary(body: Body, z: float, down: Down, right: Right, endo: Grid, angle: Grid) -> np.ndarray:
    """Two papillary muscles standing free in the mid cavity, and small trabeculae along the endocardium."""
    inside = np.zeros(angle.shape, bool)
    size = body.papillary_mm * np.exp(-(((z - 0.5) / 0.28) ** 2))
    if size > 1.0:
        for deg in body.papillary_deg:
            reach = body.endo_mm * (1 - body.taper * z**2.2) * 0.72
            at = (-np.sin(np.radians(deg)) * reach, np.cos(np.radians(deg)) * reach)
            inside |= np.hypot(down - at[0], right - at[1]) < size
    rng = np.random.default_rng([body.scene_seed, 7])
    depth = 1.2 * np.clip(np.cos(np.radians(angle) * rng.integers(7, 13) + rng.uniform(0, 6)), 0, 1)
    return inside | (np.hypot(down, right) > endo - depth * (0.3 + z))


def _surroundings(body: Body, down: Down, right: Right) -> UInt8[np.ndarray, "rows cols"]:
    """Chest wall, lungs, and what lies under the diaphragm, in coordinates centred on the LV."""
    rng = np.random.default_rng([body.scene_seed, 1])
    tissue = np.full(down.shape[:1] + right.shape[1:], Tissue.LUNG, np.uint8)
    for _ in range(int(rng.integers(5, 25))):  # lung vessels
        at, size = rng.uniform(-100, 100, 2), rng.uniform(0.8, 2.5)
        tissue[np.hypot(down - at[0], right - at[1]) < size] = Tissue.RV_BLOOD
    below = _towards(down, right, body.diaphragm_deg) - 0.0011 * _across(down, right, body.diaphragm_deg) ** 2
    edge = body.endo_mm + body.wall_mm + body.diaphragm_mm
    across = _across(down, right, body.diaphragm_deg)
    abdomen = below > edge
    tissue[abdomen] = Tissue.FAT
    limit = (1 - 2 * body.liver_share) * 50
    tissue[abdomen & (below > edge + rng.uniform(1, 4)) & (across < -limit)] = Tissue.LIVER
    stomach = (float(rng.uniform(edge + 12, edge + 32)), float(-limit + rng.uniform(12, 45)))
    oval = np.hypot((below - stomach[0]) / rng.uniform(10, 24), (across - stomach[1]) / rng.uniform(12, 28))
    tissue[abdomen & (oval < 1.12)] = Tissue.MUSCLE
    tissue[abdomen & (oval < 1)] = Tissue.STOMACH
    spleen = np.hypot((below - edge - rng.uniform(15, 40)) / rng.uniform(14, 26), (across - rng.uniform(45, 75)) / rng.uniform(14, 26))
    tissue[abdomen & (spleen < 1)] = Tissue.SPLEEN
    aorta = np.hypot(below - edge * rng.uniform(0.7, 1.1), across - rng.uniform(58, 75))
    tissue[aorta < rng.uniform(9, 12)] = Tissue.BLOOD
    return _chest_wall(body, down, right, tissue, rng)


def _chest_wall(
    body: Body, down: Down, right: Right, tissue: UInt8[np.ndarray, "rows cols"], rng: np.random.Generator
) -> UInt8[np.ndarray, "rows cols"]:
    outwards = _towards(down, right, body.skin_deg) + 0.0022 * _across(down, right, body.skin_deg) ** 2
    skin = body.skin_mm
    muscle = skin - body.subcutaneous_mm
    tissue[outwards > muscle - body.chest_muscle_mm] = Tissue.MUSCLE
    ribs = np.sin(_across(down, right, body.skin_deg) / rng.uniform(5, 8) + rng.uniform(0, 6)) > 0.6
    tissue[(outwards > muscle - 0.8 * body.chest_muscle_mm) & (outwards < muscle - 2) & ribs] = Tissue.BONE
    tissue[outwards > muscle] = Tissue.FAT
    tissue[outwards > skin] = Tissue.AIR
    return tissue


def _towards(down: Down, right: Right, deg: float) -> Grid:
    return -down * np.sin(np.radians(deg)) + right * np.cos(np.radians(deg))


def _across(down: Down, right: Right, deg: float) -> Grid:
    return down * np.cos(np.radians(deg)) + right * np.sin(np.radians(deg))
