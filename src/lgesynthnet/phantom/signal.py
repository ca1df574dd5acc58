"""From tissues to a scanner's numbers: inversion-recovery signal, coils, k-space, noise, scaling.

Values: post-contrast T1 at 1.5 T about 15 minutes after 0.1-0.2 mmol/kg gadolinium (Warntjes et al.; Dall'Armellina et al.,
JCMR 2013: infarct 425 +- 68 ms, remote 540 +- 88 ms, blood 442-457 ms by MOLLI; R1 of healthy wall 2-2.5 /s, scar 3.5-4 /s).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from scipy import ndimage

from lgesynthnet.phantom.shape import Tissue

Grid = Float[np.ndarray, "rows cols"]


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How one patient was scanned and how the tissues took up contrast; times in ms."""

    t1_ms: dict[Tissue, float]
    density: dict[Tissue, float]
    ti_ms: float
    tr_ms: float
    phase_sensitive: bool
    blur_mm: float
    noise: float
    shading: Float[np.ndarray, "6"]
    texture: float
    ghost: float
    bits: int
    grey_offset: float
    scar_spread: float


def draw_scan(rng: np.random.Generator) -> Scan:
    """Draw one acquisition. Contrast runs from barely visible to textbook, as in clinical cohorts."""
    myocardium = float(np.clip(rng.normal(480, 45), 380, 600))
    scar = float(np.clip(myocardium * rng.normal(0.60, 0.06), 200, 400))
    # Blood nearly matches scar: contrast-to-noise scar-wall 31-38 but scar-blood only 3-4.
    blood = float(np.clip(scar * rng.normal(1.14, 0.10), scar * 0.95, myocardium * 0.95))
    t1 = {
        Tissue.AIR: 1000.0,
        Tissue.LUNG: float(rng.normal(700, 80)),
        Tissue.BLOOD: blood,
        Tissue.RV_BLOOD: blood * float(rng.normal(1.0, 0.02)),
        Tissue.MYOCARDIUM: myocardium,
        Tissue.RV_WALL: myocardium * float(rng.normal(0.97, 0.03)),
        Tissue.PAPILLARY: myocardium * float(rng.normal(0.97, 0.03)),
        Tissue.FAT: float(rng.normal(270, 15)),
        Tissue.MUSCLE: float(rng.normal(560, 60)),
        Tissue.LIVER: float(rng.normal(370, 50)),
        Tissue.SPLEEN: float(rng.normal(400, 50)),
        Tissue.STOMACH: float(rng.uniform(350, 1200)),
        Tissue.BONE: 500.0,
        Tissue.SCAR: scar,
        Tissue.NO_REFLOW: float(np.clip(myocardium * rng.normal(1.25, 0.15), myocardium * 1.02, 900)),
    }
    density = dict.fromkeys(Tissue, 0.8) | {
        Tissue.AIR: 0.0,
        Tissue.LUNG: float(rng.uniform(0.08, 0.25)),
        Tissue.FAT: float(rng.uniform(0.95, 1.8)),
        Tissue.BLOOD: float(rng.uniform(0.82, 0.92)),
        Tissue.RV_BLOOD: float(rng.uniform(0.82, 0.92)),
        Tissue.STOMACH: float(rng.uniform(0.2, 0.95)),
        Tissue.BONE: 0.35,
    }
    tr = float(rng.uniform(650, 2000))
    null = _null_ti(myocardium, tr)
    return Scan(
        t1_ms=t1,
        density=density,
        ti_ms=float(max(null + rng.normal(12, 22), 120)),
        tr_ms=tr,
        phase_sensitive=bool(rng.random() < 0.7),
        blur_mm=float(rng.uniform(1.3, 2.1)),
        noise=float(np.exp(rng.normal(np.log(0.02), 0.5))),
        shading=rng.normal([-0.3, -0.15, 0, 0, 0, 0], [0.22, 0.22, 0.08, 0.08, 0.08, 0.0], 6),
        texture=float(rng.uniform(0.02, 0.08)),
        ghost=float(max(rng.normal(-0.01, 0.02), 0)),
        bits=int(rng.choice([8, 12])),
        grey_offset=float(rng.uniform(0.1, 0.9)),
        scar_spread=float(rng.uniform(0.02, 0.12)),
    )


def _null_ti(t1_ms: float, tr_ms: float) -> float:
    return float(t1_ms * np.log(2 / (1 + np.exp(-tr_ms / t1_ms))))


def inversion_recovery(
    t1_ms: Shaped[np.ndarray, "*n"], density: Shaped[np.ndarray, "*n"], ti_ms: float, tr_ms: float
) -> Shaped[np.ndarray, "*n"]:
    """Longitudinal magnetisation at the inversion time: M0 (1 - 2 exp(-TI/T1) + exp(-TR/T1))."""
    return density * (1 - 2 * np.exp(-ti_ms / t1_ms) + np.exp(-tr_ms / t1_ms))


def tissue_signal(tissue: np.ndarray, scan: Scan, rng: np.random.Generator) -> Grid:
    """Signed signal of a tissue map, with smooth variation inside every tissue (uptake is never flat)."""
    t1 = np.array([scan.t1_ms[t] for t in Tissue])
    density = np.array([scan.density[t] for t in Tissue])
    signal = inversion_recovery(t1, density, scan.ti_ms, scan.tr_ms)
    image = signal[tissue]
    mottle = ndimage.zoom(rng.standard_normal((tissue.shape[0] // 6 + 2,) * 2), 6, order=3)[: tissue.shape[0], : tissue.shape[1]]
    image = image + scan.texture * 0.5 * mottle * density[tissue]
    scar = tissue == Tissue.SCAR
    if scar.any():
        patch = ndimage.zoom(rng.standard_normal((tissue.shape[0] // 8 + 2,) * 2), 8, order=3)[: tissue.shape[0], : tissue.shape[1]]
        image = image + np.where(scar, scan.scar_spread * (patch + rng.normal(0, 0.5)), 0.0)
    return image


def acquire(signal: Grid, pixel_mm: float, scan: Scan, rng: np.random.Generator) -> Grid:
    """Coil shading, finite k-space, complex noise, ghosting; magnitude or phase-sensitive reconstruction."""
    rows, cols = signal.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, cols), indexing="ij")
    a = scan.shading
    shaded = signal * np.exp(a[0] * y + a[1] * x + a[2] * x * y + a[3] * x**2 + a[4] * y**2)
    k = np.fft.fftshift(np.fft.fft2(shaded))
    noise = rng.standard_normal((2, rows, cols))
    k = k + scan.noise * np.sqrt(rows * cols) * (pixel_mm and scan.blur_mm / pixel_mm) * (noise[0] + 1j * noise[1])
    fy = np.abs(np.fft.fftshift(np.fft.fftfreq(rows, pixel_mm)))[:, None]
    fx = np.abs(np.fft.fftshift(np.fft.fftfreq(cols, pixel_mm)))[None, :]
    cut = 1 / (2 * scan.blur_mm)
    k = k * _window(fy / cut) * _window(fx / cut)
    if scan.ghost > 0:
        k = k * (1 + scan.ghost * np.cos(np.pi * np.arange(rows))[:, None])  # a modulation over phase encoding: a half-field ghost
    image = np.fft.ifft2(np.fft.ifftshift(k))
    return image.real if scan.phase_sensitive else np.abs(image)


def _window(f: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Flat, then a raised cosine over the last third before the cut: mild ringing, as vendors leave it."""
    return np.where(f >= 1, 0.0, np.where(f < 0.67, 1.0, 0.5 * (1 + np.cos(np.pi * (f - 0.67) / 0.33))))


def to_stored(volume: Float[np.ndarray, "rows cols slices"], scan: Scan) -> Shaped[np.ndarray, "rows cols slices"]:
    """Scanner numbers: phase-sensitive air is mid-grey; 8 bits use the whole range, 12 bits a part of it."""
    high = np.percentile(volume, 99.7)
    low = np.percentile(volume, 0.3) - scan.grey_offset * (high - np.percentile(volume, 0.3)) if scan.phase_sensitive else 0.0
    unit = np.clip((volume - low) / max(high - low, 1e-6), 0, 1)
    if scan.bits == 8:
        return np.round(1 + 254 * unit).astype(np.uint8)
    return np.round(1 + 1400 * unit).astype(np.int16)
