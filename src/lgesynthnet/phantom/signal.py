"""From tissues to a scanner's numbers: inversion-recovery signal, texture, coils, k-space, noise, ghosts, scaling.

Values: post-contrast T1 at 1.5 T about 15 minutes after 0.1-0.2 mmol/kg gadolinium (Warntjes et al.; Dall'Armellina et al.,
JCMR 2013: infarct 425 +- 68 ms, remote 540 +- 88 ms, blood 442-457 ms by MOLLI; R1 of healthy wall 2-2.5 /s, scar 3.5-4 /s).
Where nothing is published (texture, ghosts, how far the inversion time misses the null) the ranges are wide, and lie round what
phase-sensitive clinical images show: their zero is known, so the ratio of wall, scar and fat to blood can be read off them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8
from scipy import fft, ndimage

from lgesynthnet.phantom.body import Tissue

Fine = Float32[np.ndarray, "rows cols"]

# Signal of fresh magnetisation is 1 and LV blood reads about 0.25: SD of what varies inside a tissue over these lengths.
TEXTURE_MM = (1.3, 4.0, 20.0)
TEXTURE = dict.fromkeys(Tissue, (0.015, 0.015, 0.015)) | {
    Tissue.AIR: (0.0, 0.0, 0.0),
    Tissue.LUNG: (0.012, 0.010, 0.010),  # vessels too small to draw
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
UNCONTRASTED = (Tissue.AIR, Tissue.STOMACH, Tissue.PERICARDIUM, Tissue.FAT)  # no contrast to wash out


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How one patient was scanned and how the tissues took up contrast.

    Attributes:
        t1_ms, density: by tissue; density is the signal of fresh magnetisation, 0 to about 1.5.
        ti_ms, tr_ms: inversion time, and time between inversions.
        texture: by tissue and length of TEXTURE_MM, SD in units of signal.
        resolution_mm: acquired (rows, cols), the phase direction coarser; the stored matrix is finer by zero-filling.
        phase_axis: image axis of phase encoding, 0 or 1: ghosts and motion blur run along it, the fat shift across it.
        taper: share of k-space at its edge that is windowed down; little of it rings.
        sharpening: gain at the edge of k-space less one, a vendor's edge filter.
        motion_mm: SD of the blur along phase.
        noise: SD of each channel in the image, in units of signal.
        coil_deg, coil_per_mm: where the coil lies (image angle), and by how much its sensitivity falls each mm away from it.
        shading: (rows^2, rows cols, cols^2) terms of the log sensitivity over the half field of view.
        evened: share of the shading that the scanner's own correction takes back, noise and all.
        ghosts: complex amplitude of the first, second, ... displaced copy on either side.
        ghost_mm: displacement of the first copy along phase.
        fat_shift_mm: displacement of fat across phase, by its resonance.
        ink: darkening where fat and water share a voxel in opposed phase; 1 cancels, more inverts.
        fill: share of the stored range (either half of it, if phase-sensitive) that the brightest signal takes.
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
    evened: float
    ghosts: tuple[complex, ...]
    ghost_mm: float
    fat_shift_mm: float
    ink: float
    phase_sensitive: bool
    bits: int
    fill: float


def draw_scan(rng: np.random.Generator) -> Scan:
    """Draw one acquisition. Contrast runs from barely visible to textbook, as in clinical cohorts."""
    t1 = _draw_t1(rng)
    tr = float(rng.uniform(650, 2000))
    phase_axis = int(rng.random() < 0.4)
    readout = float(rng.uniform(1.3, 2.0))
    phase = min(readout * float(rng.uniform(1.0, 1.4)), 2.5)
    # Most operators stay on the safe side of the null; one phase-sensitive scan in eight comes too early, and healthy wall is
    # then negative. Magnitude images show a wrong time at once, and are taken nearer the null.
    phase_sensitive = bool(rng.random() < 0.85)
    too_early = rng.random() < 0.12
    miss = float(rng.normal(15, 15) if not phase_sensitive else rng.normal(-25, 25) if too_early else rng.normal(65, 42))
    waves = rng.normal(0, 1, (3, 2)) @ np.array([1, 1j])
    strength = float(np.exp(rng.normal(np.log(0.012), 0.8)))
    factor = np.exp(rng.normal(0, 0.45, (len(Tissue), 1)) + rng.normal(0, 0.25, (1, len(TEXTURE_MM))))
    return Scan(
        t1_ms=t1,
        density=_draw_density(rng),
        ti_ms=max(_null_ti(t1[Tissue.MYOCARDIUM], tr) + miss, 120.0),
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
        evened=float(rng.uniform(0, 1)),
        ghosts=tuple(complex(w) * strength / (n + 1) for n, w in enumerate(waves)),
        ghost_mm=float(rng.uniform(12, 70)),
        fat_shift_mm=float(rng.uniform(-2.5, 2.5)),
        ink=float(max(rng.uniform(-0.5, 1.5), 0)),
        phase_sensitive=phase_sensitive,
        bits=int(rng.choice([8, 12])),
        fill=float(rng.uniform(0.6, 1.1)),
    )


def _draw_t1(rng: np.random.Generator) -> dict[Tissue, float]:
    myocardium = float(np.clip(rng.normal(500, 50), 380, 640))
    blood = myocardium * float(np.clip(rng.normal(0.79, 0.065), 0.62, 0.93))
    # Blood nearly matches scar: contrast-to-noise scar-wall 31-38 but scar-blood only 3-4.
    scar = float(np.clip(blood * rng.normal(0.88, 0.08), 200, myocardium * 0.82))
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
        Tissue.STOMACH: float(np.exp(rng.uniform(np.log(450), np.log(3500)))),  # from a meal to water
        Tissue.BOWEL: float(rng.uniform(350, 560)),
        Tissue.BONE: float(rng.uniform(350, 600)),  # marrow, yellow to red
        Tissue.PERICARDIUM: float(rng.uniform(900, 3000)),
        Tissue.SCAR: scar,
        Tissue.BORDER_ZONE: scar + (myocardium - scar) * float(rng.uniform(0.3, 0.7)),
        Tissue.NO_REFLOW: float(np.clip(myocardium * rng.normal(1.06, 0.13), myocardium * 0.92, 900)),
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
    """What differs from one breath-hold to the next: washout that the inversion time follows unevenly, ghosts, noise, motion.

    Args:
        index: how many slices were scanned before this one; contrast washes out by about 1 % of R1 a slice.
    """
    washout = 1 + 0.008 * index
    t1 = {tissue: t1 if tissue in UNCONTRASTED else t1 * washout for tissue, t1 in scan.t1_ms.items()}
    breath = float(np.exp(rng.normal(0, 0.6)))
    return replace(
        scan,
        t1_ms=t1,
        ti_ms=max(scan.ti_ms * (1 + 0.8 * (washout - 1)) + float(rng.normal(0, 12)), 100.0),
        tr_ms=scan.tr_ms * float(np.exp(rng.normal(0, 0.03))),
        noise=scan.noise * float(np.exp(rng.normal(0, 0.12))),
        motion_mm=scan.motion_mm * float(rng.uniform(0.5, 1.6)),
        ghosts=tuple(g * breath * complex(np.exp(1j * rng.uniform(0, 2 * np.pi))) for g in scan.ghosts),
    )


def _null_ti(t1_ms: float, tr_ms: float) -> float:
    return float(t1_ms * np.log(2 / (1 + np.exp(-tr_ms / t1_ms))))


def inversion_recovery(
    t1_ms: Shaped[np.ndarray, "*n"], density: Shaped[np.ndarray, "*n"], ti_ms: float, tr_ms: float
) -> Shaped[np.ndarray, "*n"]:
    """Longitudinal magnetisation at the inversion time: M0 (1 - 2 exp(-TI/T1) + exp(-TR/T1))."""
    return density * (1 - 2 * np.exp(-ti_ms / t1_ms) + np.exp(-tr_ms / t1_ms))


def tissue_signal(
    scene: UInt8[np.ndarray, "rows cols"],
    slab: UInt8[np.ndarray, "planes height width"],
    corner: tuple[int, int],
    fine_mm: float,
    scan: Scan,
    rng: np.random.Generator,
) -> Fine:
    """Signed signal of a tissue map before the scanner sees it: recovery, partial volume, texture, fat beside water.

    Args:
        scene: tissue of the slice's central plane on the fine grid.
        slab: the planes through the slice's thickness in a box round the heart; the box's signal is their mean.
        corner: (row, col) of the box in the scene.
        fine_mm: side of a fine pixel.
    """
    level = inversion_recovery(
        np.array([scan.t1_ms[t] for t in Tissue]), np.array([scan.density[t] for t in Tissue]), scan.ti_ms, scan.tr_ms
    ).astype(np.float32)
    fatty = np.arange(len(Tissue)) == Tissue.FAT
    water, fat = (_through_slab(np.where(mask, level, np.float32(0)), scene, slab, corner) for mask in (~fatty, fatty))
    share = _through_slab(fatty.astype(np.float32), scene, slab, corner)
    texture = np.zeros(scene.shape, np.float32)
    for length_mm, strength in zip(TEXTURE_MM, scan.texture.T, strict=True):
        texture += strength[scene] * smooth_noise(scene.shape, length_mm / fine_mm, rng)
    fat += texture * share
    water += texture * (1 - share)
    across = 1 - scan.phase_axis
    signal = water + _moved(fat, scan.fat_shift_mm / fine_mm, across)
    if scan.ink > 0:
        mixed = ndimage.gaussian_filter(_moved(share, scan.fat_shift_mm / fine_mm, across), 1.0 / fine_mm, truncate=2.5)
        signal *= 1 - scan.ink * 4 * mixed * (1 - mixed)
    return signal


def _through_slab(
    level: Float32[np.ndarray, " tissues"],
    scene: UInt8[np.ndarray, "rows cols"],
    slab: UInt8[np.ndarray, "planes height width"],
    corner: tuple[int, int],
) -> Fine:
    found = level[scene]
    height, width = slab.shape[1:]
    found[corner[0] : corner[0] + height, corner[1] : corner[1] + width] = level[slab].mean(axis=0)
    return found


def _moved(field: Fine, pixels: float, axis: int) -> Fine:
    """The field moved by a fraction of pixels along an axis; linear, and round the edge as an undersampled readout folds."""
    whole = int(np.floor(pixels))
    part = np.float32(pixels - whole)
    near = np.roll(field, whole, axis)
    return near + part * (np.roll(near, 1, axis) - near)


def smooth_noise(shape: tuple[int, int], length: float, rng: np.random.Generator) -> Fine:
    """A Gaussian random field of SD 1: white noise seen through a Gaussian of SD `length` pixels, made from its few low frequencies."""
    reach = [min(int(0.45 * side / length) + 1, side // 2 - 1) for side in shape]
    down, right = np.arange(-reach[0], reach[0] + 1), np.arange(reach[1] + 1)
    gain = np.exp(-0.5 * (2 * np.pi * length) ** 2 * ((down[:, None] / shape[0]) ** 2 + (right / shape[1]) ** 2))
    gain[:, 0] /= np.sqrt(2)  # a real field's spectrum repeats itself on the other side: only this column is not counted twice
    waves = rng.standard_normal((2, *gain.shape), np.float32)
    spectrum = np.zeros((shape[0], shape[1] // 2 + 1), np.complex64)
    spectrum[down[:, None], right] = (waves[0] + 1j * waves[1]) * gain / (2 * np.sqrt((gain**2).sum()))
    return fft.irfft2(spectrum, shape, norm="forward")


def acquire(signal: Fine, fine_mm: float, matrix: int, scan: Scan, rng: np.random.Generator) -> Float32[np.ndarray, "matrix matrix"]:
    """Coil, finite k-space with its window, motion, ghosts and noise; zero-filled, magnitude or phase-sensitive.

    Args:
        signal: on a square grid of `fine_mm` pixels.
        matrix: pixels a side of the stored image, over the same field of view; need not divide the fine grid.
    """
    side = signal.shape[0]
    field_mm = side * fine_mm
    k = fft.fft2(signal * np.exp(_log_sensitivity(side, field_mm, scan)), norm="forward")
    # No frequency that the stored matrix cannot hold.
    reach = [min(int(field_mm / (2 * r)), (matrix - 1) // 2, (side - 1) // 2) for r in scan.resolution_mm]
    orders = [np.arange(-r, r + 1) for r in reach]
    along = [_transfer(axis, order, r, field_mm, scan) for axis, (order, r) in enumerate(zip(orders, reach, strict=True))]
    kept = k[np.ix_(*orders)]
    # Pixel 0 is half a pixel from the edge on either grid: without this the image would lie off its labels.
    kept *= np.multiply.outer(*(_displaced(order, (field_mm / matrix - fine_mm) / 2, field_mm) for order in orders))
    kept *= np.multiply.outer(*(gain * ghosts for gain, ghosts in along))
    window = np.multiply.outer(*(gain for gain, _ in along))
    grain = rng.standard_normal((2, *kept.shape), np.float32)
    kept += (grain[0] + 1j * grain[1]) * (window * (scan.noise / np.sqrt((window**2).sum())))
    full = np.zeros((matrix, matrix), np.complex64)
    full[np.ix_(*orders)] = kept
    image = fft.ifft2(full, norm="forward")
    image *= np.exp(-scan.evened * _log_sensitivity(matrix, field_mm, scan))
    return image.real.copy() if scan.phase_sensitive else np.abs(image)


def _log_sensitivity(side: int, field_mm: float, scan: Scan) -> Fine:
    """Logarithm of the coils' sensitivity, 0 in the middle of the field."""
    half = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    down, right = half[:, None], half
    steep = scan.coil_per_mm * field_mm / 2
    towards = -np.sin(np.radians(scan.coil_deg)) * down + np.cos(np.radians(scan.coil_deg)) * right
    a = scan.shading
    return (steep * towards + a[0] * down**2 + a[1] * down * right + a[2] * right**2).astype(np.float32)


def _transfer(
    axis: int, order: Shaped[np.ndarray, " k"], reach: int, field_mm: float, scan: Scan
) -> tuple[Shaped[np.ndarray, " k"], Shaped[np.ndarray, " k"]]:
    """What k-space lines of one axis are multiplied by: (window, which noise passes too; motion and ghosts, which only signal has)."""
    f = np.abs(order) / (reach + 0.5)
    into = np.clip((f - (1 - scan.taper)) / scan.taper, 0, 1) if scan.taper > 0 else np.zeros(f.shape)
    window = 0.5 * (1 + np.cos(np.pi * into)) * (1 + scan.sharpening * f**2)
    if axis != scan.phase_axis:
        return window.astype(np.float32), np.ones(order.shape, np.complex64)
    moved = np.exp(-0.5 * (2 * np.pi * scan.motion_mm * order / field_mm) ** 2).astype(np.complex64)
    copies = np.ones(order.shape, np.complex64)
    for n, amplitude in enumerate(scan.ghosts, start=1):
        copies += 2 * amplitude * np.cos(2 * np.pi * order * n * scan.ghost_mm / field_mm)
    return window.astype(np.float32), moved * copies


def _displaced(order: Shaped[np.ndarray, " k"], by_mm: float, field_mm: float) -> Shaped[np.ndarray, " k"]:
    return np.exp(2j * np.pi * order * by_mm / field_mm).astype(np.complex64)


def to_stored(volume: Float[np.ndarray, "rows cols slices"], scan: Scan) -> Shaped[np.ndarray, "rows cols slices"]:
    """Scanner numbers, 8 or 12 bits; signal zero is the middle of the range if phase-sensitive, else its dark end."""
    top = 255 if scan.bits == 8 else 4095
    peak = max(float(np.percentile(np.abs(volume), 99.7)), 1e-6)
    share = scan.fill * volume / peak
    if scan.phase_sensitive:
        share = 0.5 + 0.5 * share
    return np.clip(np.round(top * share), 1, top).astype(np.uint8 if scan.bits == 8 else np.int16)
