"""The anatomy of one simulated patient as numbers, which are drawn once; `heart.py` and `thorax.py` cut planes through it.

Sizes have broad distributions round published values of adults (Kawel-Boehm et al., JCMR 2020: LV diameters, wall thickness and
RV diameters), widened to dilated and hypertrophied hearts. They were compared with the labels of 40 EMIDEC patients:
endocardial radius 10 to 33 mm (median 23), wall 6 to 14 mm (median 9.4), spread of the wall within a slice 16 %, axis ratio 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float

BINS = 720  # directions round the LV centre in which contours are defined, every half degree


class Tissue(IntEnum):
    """Tissues of the body; `scan.py` gives each its T1 and proton density."""

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
    VESSEL = 15
    PERICARDIUM = 16
    BORDER_ZONE = 17
    BOWEL = 18


@dataclass(frozen=True, kw_only=True)
class Remodelling:
    """How an infarct changed its wall: an old one is thin and may bulge, a fresh one is swollen.

    Attributes:
        start_deg, extent_deg: the stretch of wall, in nominal (AHA) degrees.
        middle, reach: slice position of its middle, and its extent in slices to either side.
        thickness: wall thickness in its middle as a share of the thickness of remote wall, 0.4 to 1.3.
        bulge_mm: how far the epicardium moves outwards, in mm.
    """

    start_deg: float
    extent_deg: float
    middle: float
    reach: float
    thickness: float
    bulge_mm: float


@dataclass(frozen=True, kw_only=True)
class Body:
    """Everything that is fixed for one patient. Lengths are in mm, angles in image degrees; slice position 0 is the base.

    `endo_blur_mm` is how far wall reaches into the cavity somewhere in the slab or at some time of the acquisition: it slants, beats and
    carries fine trabeculae. In EMIDEC blood has lost two thirds of its distance to the wall where the two touch, and a third at 3 mm.
    """

    slices: int
    slice_step_mm: float
    slab_mm: float
    spacing_mm: float
    matrix: int
    endo_mm: float
    wall_mm: float
    reach_to_apex: float
    wall_taper: float
    lumps: Float[np.ndarray, "harmonics two"]
    wall_lumps: Float[np.ndarray, "wall_harmonics two"]
    tilt_deg: float
    tilt_towards_deg: float
    drift_mm: tuple[float, float]
    centre_mm: tuple[float, float]
    anterior_deg: float
    septum_deg: float
    anterior_drift_deg: float
    inferior_drift_deg: float
    septal_flattening: float
    rv_depth_mm: float
    rv_shape: float
    rv_skew: float
    rv_end: float
    rv_wall_mm: float
    outflow_mm: float
    fat_mm: float
    fat_lumps: Float[np.ndarray, "fat_harmonics two"]
    pericardium_mm: float
    fluid_lumps: Float[np.ndarray, "fat_harmonics two"]
    papillary_deg: tuple[float, float]
    papillary_mm: tuple[float, float]
    trabeculae_mm: float
    thorax_seed: int
    endo_blur_mm: float

    def position(self, index: float) -> float:
        """Position along the heart: 0 at the most basal slice, 1 at the most apical one. Planes beyond either end exist."""
        return index / max(self.slices - 1, 1)

    def place(self, index: float) -> float:
        """Position of the middle of a slice along the left ventricle, 0 base to 1 apex, as prescriptions count it."""
        return (index + 0.5) / self.slices

    def index_at(self, place: float) -> float:
        """The inverse of `place`."""
        return place * self.slices - 0.5

    def insertions_deg(self, index: float) -> tuple[float, float]:
        """Exact (anterior, inferior) RV insertion angles of a slice, in [0, 360).

        Towards the base both turn clockwise, the anterior one faster.
        """
        from_middle = index - (self.slices - 1) / 2
        anterior = self.anterior_deg + self.anterior_drift_deg * from_middle
        inferior = self.anterior_deg + self.septum_deg + self.inferior_drift_deg * from_middle
        return anterior % 360.0, inferior % 360.0


def draw_body(rng: np.random.Generator) -> Body:
    """Draw the anatomy of one patient. The same state of `rng` gives the same anatomy."""
    spacing = float(rng.uniform(0.9, 1.9))
    field_of_view = float(rng.uniform(190.0, 320.0))
    dilated, hypertrophied = rng.random() < 0.2, rng.random() < 0.15
    turned = rng.random() < 0.17  # in about one heart in six the RV lies to the upper left
    anterior = float(rng.normal(67.0, 12.0) if turned else rng.normal(137.0, 13.0))
    papillary = anterior + 180.0
    return Body(
        slices=int(rng.integers(5, 10)),
        slice_step_mm=10.0,
        slab_mm=float(rng.choice([8.0, 8.0, 10.0])),
        spacing_mm=spacing,
        matrix=int(np.clip(round(field_of_view / spacing), 120, 216)),
        endo_mm=float(np.clip(rng.normal(24.5, 3.0) + (rng.uniform(3, 9) if dilated else 0), 17, 38)),
        wall_mm=float(np.clip(rng.normal(9.6, 1.3) + (rng.uniform(2, 5) if hypertrophied else 0), 6.5, 17.0)),
        reach_to_apex=float(rng.uniform(0.70, 0.93)),
        wall_taper=float(rng.uniform(0.1, 0.35)),
        lumps=rng.normal(0, [[0.048], [0.022], [0.012]], (3, 2)),
        wall_lumps=rng.normal(0, [[0.105], [0.085], [0.065], [0.05]], (4, 2)),
        tilt_deg=float(abs(rng.normal(0, 7.0))),
        tilt_towards_deg=float(rng.uniform(0, 360)),
        drift_mm=(float(rng.normal(0, 7)), float(rng.normal(0, 7))),
        centre_mm=(float(rng.normal(0, 10)), float(rng.normal(0, 10))),
        anterior_deg=anterior,
        septum_deg=float(np.clip(rng.normal(117.0, 10.0), 88, 145)),
        anterior_drift_deg=float(rng.normal(8.0, 3.0)),
        inferior_drift_deg=float(rng.normal(2.0, 2.0)),
        septal_flattening=float(max(rng.normal(0.02, 0.04), 0.0)),
        rv_depth_mm=float(np.clip(rng.normal(43.0, 9.0), 20, 66)),
        rv_shape=float(rng.uniform(0.35, 0.75)),
        rv_skew=float(rng.uniform(0.85, 1.5)),
        rv_end=float(rng.uniform(0.8, 1.2)),
        rv_wall_mm=float(rng.uniform(2.0, 4.0)),
        outflow_mm=float(rng.uniform(9, 17)),
        fat_mm=float(rng.gamma(1.6, 2.2)),
        fat_lumps=rng.normal(0, [[0.6], [0.4], [0.3]], (3, 2)),
        fluid_lumps=rng.normal(0, [[1.0], [0.8], [0.6]], (3, 2)),
        pericardium_mm=float(rng.choice([0.0, rng.uniform(0.8, 4.5)])),
        papillary_deg=(papillary + float(rng.normal(-35, 12)), papillary + float(rng.normal(75, 12))),
        papillary_mm=(float(rng.uniform(2.0, 5.0)), float(rng.uniform(2.0, 5.0))),
        trabeculae_mm=float(rng.uniform(0.0, 1.2)),
        thorax_seed=int(rng.integers(2**31)),
        endo_blur_mm=float(np.clip(rng.normal(4.8, 1.4), 1.0, 8.0)),
    )
