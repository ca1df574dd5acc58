"""How a patient was scanned: T1 and proton density of the tissues, sequence, coils and artefacts, drawn at random.

Values: post-contrast T1 at 1.5 T about 15 minutes after 0.1 to 0.2 mmol/kg gadolinium (Warntjes et al.; Dall'Armellina et al.,
JCMR 2013: infarct 425 +- 68 ms, remote wall 540 +- 88 ms, blood 442 to 457 ms by MOLLI; R1 of healthy wall 2 to 2.5 /s, of scar
3.5 to 4 /s). Where nothing is published (texture, ghosts, how far the inversion time misses the null) the ranges are wide. They
were chosen to cover phase-sensitive clinical images, where the ratio of wall, scar and fat to blood can be measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from lgesynthnet.phantom.body import Tissue

# Standard deviation of the signal inside a tissue over these lengths. Full magnetisation is 1; LV blood is about 0.25.
TEXTURE_MM = (1.3, 4.0, 20.0)
TEXTURE = dict.fromkeys(Tissue, (0.015, 0.015, 0.015)) | {
    Tissue.AIR: (0.0, 0.0, 0.0),
    Tissue.LUNG: (0.012, 0.010, 0.010),  # vessels that are too small to be drawn
    Tissue.BLOOD: (0.007, 0.015, 0.015),  # slow flow
    Tissue.RV_BLOOD: (0.007, 0.015, 0.015),
    Tissue.MYOCARDIUM: (0.008, 0.010, 0.013),
    Tissue.FAT: (0.025, 0.03, 0.05),
    Tissue.MUSCLE: (0.02, 0.03, 0.03),
    Tissue.LIVER: (0.015, 0.015, 0.02),
    Tissue.SPLEEN: (0.012, 0.012, 0.02),
    Tissue.STOMACH: (0.03, 0.08, 0.08),
    Tissue.BOWEL: (0.03, 0.06, 0.05),
    Tissue.BONE: (0.05, 0.05, 0.02),
    Tissue.SCAR: (0.012, 0.025, 0.02),
    Tissue.NO_REFLOW: (0.02, 0.03, 0.02),
    Tissue.BORDER_ZONE: (0.02, 0.03, 0.02),
}
UNCONTRASTED = (Tissue.AIR, Tissue.STOMACH, Tissue.PERICARDIUM, Tissue.FAT)  # tissues without contrast agent, so none washes out


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How one patient was scanned and how the tissues took up contrast.

    Attributes:
        t1_ms, density: T1 in ms and signal of full magnetisation (0 to about 1.5) of each tissue.
        ti_ms, tr_ms: inversion time, and time between inversions, in ms.
        texture: standard deviation in units of signal, for each tissue and each length of TEXTURE_MM.
        resolution_mm: acquired resolution as (rows, cols), coarser along phase; zero-filling makes the stored matrix finer.
        phase_axis: image axis of phase encoding, 0 or 1. Ghosts and motion blur run along it, the fat shift across it.
        taper: share of k-space at its edge that a window reduces, 0 to 1; a small share gives ringing.
        sharpening: gain at the edge of k-space minus one, as from the edge filter of a vendor.
        motion_mm: standard deviation of the blur along phase, in mm.
        noise: standard deviation of each channel in the image, in units of signal.
        coil_deg, coil_per_mm: direction of the coil (image angle), and fall of its log sensitivity for each mm away from it.
        shading: (rows^2, rows cols, cols^2) terms of the log sensitivity over half the field of view.
        shading_correction: share of the shading that the scanner corrects, 0 to 1; it amplifies the noise too.
        ghosts: complex amplitudes of the first, second, ... displaced copy on either side.
        ghost_mm: displacement of the first copy along phase, in mm.
        fat_shift_mm: displacement of fat across phase by its resonance frequency, in mm.
        india_ink: darkening where fat and water share a voxel in opposed phase; 1 cancels the signal, more inverts it.
        phase_sensitive: whether the reconstruction keeps the sign of the signal.
        bits: 8 or 12 bits for each stored number.
        range_share: share of the stored range (of each half, if phase-sensitive) that the brightest signal takes.
    """

    t1_ms: dict[Tissue, float]
    density: dict[Tissue, float]
    ti_ms: float
    tr_ms: float
    texture: Float32[np.ndarray, "tissues lengths"]
    resolution_mm: tuple[float, float]
    phase_axis: int
    taper: float
    sharpening: float
    motion_mm: float
    noise: float
    coil_deg: float
    coil_per_mm: float
    shading: tuple[float, float, float]
    shading_correction: float
    ghosts: tuple[complex, ...]
    ghost_mm: float
    fat_shift_mm: float
    india_ink: float
    phase_sensitive: bool
    bits: int
    range_share: float


def draw_scan(rng: np.random.Generator) -> Scan:
    """Draw one acquisition. As in clinical cohorts, the contrast ranges from barely visible to excellent."""
    t1 = _draw_t1(rng)
    tr = float(rng.uniform(650, 2000))
    phase_axis = int(rng.random() < 0.4)
    readout = float(rng.uniform(1.3, 2.0))
    phase = min(readout * float(rng.uniform(1.0, 1.4)), 2.5)
    # Most inversion times lie after the null. One phase-sensitive scan in eight comes too early, so that healthy wall is
    # negative. Magnitude images show a wrong time at once, so they are acquired nearer to the null.
    phase_sensitive = bool(rng.random() < 0.85)
    too_early = rng.random() < 0.12
    time_from_null = float(rng.normal(15, 15) if not phase_sensitive else rng.normal(-25, 25) if too_early else rng.normal(65, 42))
    waves = rng.normal(0, 1, (3, 2)) @ np.array([1, 1j])
    strength = float(np.exp(rng.normal(np.log(0.012), 0.8)))
    factor = np.exp(rng.normal(0, 0.45, (len(Tissue), 1)) + rng.normal(0, 0.25, (1, len(TEXTURE_MM))))
    return Scan(
        t1_ms=t1,
        density=_draw_density(rng),
        ti_ms=max(_null_ti(t1[Tissue.MYOCARDIUM], tr) + time_from_null, 120.0),
        tr_ms=tr,
        texture=(np.array([TEXTURE[t] for t in Tissue]) * factor).astype(np.float32),
        resolution_mm=(phase, readout) if phase_axis == 0 else (readout, phase),
        phase_axis=phase_axis,
        taper=float(rng.uniform(0.1, 0.7)),
        sharpening=float(max(rng.normal(0.1, 0.25), 0)),
        motion_mm=float(rng.uniform(0, 1.0)),
        noise=float(np.exp(rng.normal(np.log(0.006), 0.5))),
        coil_deg=float(rng.normal(115, 30)),
        coil_per_mm=float(max(rng.normal(0.004, 0.004), 0)),
        shading=(float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1))),
        shading_correction=float(rng.uniform(0, 1)),
        ghosts=tuple(complex(w) * strength / (n + 1) for n, w in enumerate(waves)),
        ghost_mm=float(rng.uniform(12, 70)),
        fat_shift_mm=float(rng.uniform(-2.5, 2.5)),
        india_ink=float(max(rng.uniform(-0.5, 1.5), 0)),
        phase_sensitive=phase_sensitive,
        bits=int(rng.choice([8, 12])),
        range_share=float(rng.uniform(0.6, 1.1)),
    )


def _draw_t1(rng: np.random.Generator) -> dict[Tissue, float]:
    myocardium = float(np.clip(rng.normal(500, 50), 380, 640))
    blood = myocardium * float(np.clip(rng.normal(0.79, 0.065), 0.62, 0.93))
    # Blood is nearly as bright as scar: the contrast-to-noise ratio of scar and wall is 31 to 38, of scar and blood only 3 to 4.
    scar = float(np.clip(blood * rng.normal(0.93, 0.08), 200, myocardium * 0.82))
    return dict.fromkeys(Tissue, 600.0) | {
        Tissue.LUNG: float(rng.normal(480, 70)),
        Tissue.BLOOD: blood,
        Tissue.RV_BLOOD: blood * float(rng.normal(1.0, 0.02)),
        Tissue.VESSEL: blood,
        Tissue.MYOCARDIUM: myocardium,
        Tissue.RV_WALL: myocardium * float(rng.normal(0.97, 0.03)),
        Tissue.PAPILLARY: myocardium * float(rng.normal(0.97, 0.03)),
        Tissue.FAT: float(rng.normal(280, 20)),
        Tissue.MUSCLE: float(np.clip(rng.normal(610, 100), 420, 900)),
        Tissue.LIVER: float(np.clip(rng.normal(375, 45), 280, 500)),
        Tissue.SPLEEN: float(np.clip(rng.normal(400, 50), 280, 520)),
        Tissue.STOMACH: float(np.exp(rng.uniform(np.log(450), np.log(3500)))),  # from food to water
        Tissue.BOWEL: float(rng.uniform(350, 560)),
        Tissue.BONE: float(rng.uniform(350, 600)),  # from yellow to red marrow
        Tissue.PERICARDIUM: float(rng.uniform(900, 3000)),
        Tissue.SCAR: scar,
        Tissue.BORDER_ZONE: scar + (myocardium - scar) * float(rng.uniform(0.3, 0.7)),
        Tissue.NO_REFLOW: float(np.clip(myocardium * rng.normal(0.95, 0.12), myocardium * 0.8, 900)),
    }


def _draw_density(rng: np.random.Generator) -> dict[Tissue, float]:
    blood = float(rng.uniform(0.82, 0.95))
    return dict.fromkeys(Tissue, 0.8) | {
        Tissue.AIR: 0.0,
        Tissue.LUNG: float(rng.uniform(0.08, 0.5)),
        Tissue.FAT: float(rng.uniform(0.6, 1.05)),
        Tissue.BLOOD: blood,
        Tissue.RV_BLOOD: blood * float(rng.normal(1.0, 0.04)),
        Tissue.VESSEL: blood,
        Tissue.LIVER: float(rng.uniform(0.6, 0.85)),
        Tissue.STOMACH: float(rng.uniform(0.3, 1.0)),
        Tissue.BONE: float(rng.uniform(0.3, 0.7)),
        Tissue.PERICARDIUM: float(rng.uniform(0.6, 1.0)),
    }


def scan_of_slice(scan: Scan, index: int, rng: np.random.Generator) -> Scan:
    """The scan of one slice. Washout, inversion time, ghosts, noise and motion differ from one breath-hold to the next.

    Args:
        index: number of slices that were scanned before; R1 falls by about 1 % with each slice, because contrast washes out.
    """
    washout = 1 + 0.008 * index
    t1 = {tissue: t1 if tissue in UNCONTRASTED else t1 * washout for tissue, t1 in scan.t1_ms.items()}
    ghost_factor = float(np.exp(rng.normal(0, 0.6)))
    return replace(
        scan,
        t1_ms=t1,
        ti_ms=max(scan.ti_ms * (1 + 0.8 * (washout - 1)) + float(rng.normal(0, 12)), 100.0),
        tr_ms=scan.tr_ms * float(np.exp(rng.normal(0, 0.03))),
        noise=scan.noise * float(np.exp(rng.normal(0, 0.12))),
        motion_mm=scan.motion_mm * float(rng.uniform(0.5, 1.6)),
        ghosts=tuple(g * ghost_factor * complex(np.exp(1j * rng.uniform(0, 2 * np.pi))) for g in scan.ghosts),
    )


def _null_ti(t1_ms: float, tr_ms: float) -> float:
    return float(t1_ms * np.log(2 / (1 + np.exp(-tr_ms / t1_ms))))
