"""From a map of tissues to the signal of an inversion-recovery sequence: recovery, partial volume, texture, fat beside water."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from scipy import fft, ndimage

from lgesynthnet.phantom.body import Tissue
from lgesynthnet.phantom.scan import TEXTURE_MM, Scan

Fine = Float32[np.ndarray, "rows cols"]


def inversion_recovery(
    t1_ms: Shaped[np.ndarray, "*n"], density: Shaped[np.ndarray, "*n"], ti_ms: float, tr_ms: float
) -> Shaped[np.ndarray, "*n"]:
    """Longitudinal magnetisation at the inversion time, signed: M0 (1 - 2 exp(-TI/T1) + exp(-TR/T1)). Times are in ms."""
    return np.asarray(density * (1 - 2 * np.exp(-ti_ms / t1_ms) + np.exp(-tr_ms / t1_ms)))


def tissue_signal(
    scene: UInt8[np.ndarray, "rows cols"],
    slab: UInt8[np.ndarray, "planes height width"],
    corner: tuple[int, int],
    fine_mm: float,
    scan: Scan,
    rng: np.random.Generator,
) -> Fine:
    """Signed signal (rows, cols) of a map of tissues before acquisition.

    Args:
        scene: tissues of the central plane of the slice on the fine grid.
        slab: planes through the thickness of the slice in a box round the heart; the signal in the box is their mean.
        corner: (row, column) of the first pixel of the box.
        fine_mm: side of a fine pixel in mm.
    """
    tissue_level = inversion_recovery(
        np.array([scan.t1_ms[t] for t in Tissue]), np.array([scan.density[t] for t in Tissue]), scan.ti_ms, scan.tr_ms
    ).astype(np.float32)
    fatty = np.arange(len(Tissue)) == Tissue.FAT
    water, fat = (_through_slab(np.where(mask, tissue_level, np.float32(0)), scene, slab, corner) for mask in (~fatty, fatty))
    share = _through_slab(fatty.astype(np.float32), scene, slab, corner)
    texture = np.zeros(scene.shape, np.float32)
    for length_mm, strength in zip(TEXTURE_MM, scan.texture.T, strict=True):
        texture += strength[scene] * smooth_noise(scene.shape, length_mm / fine_mm, rng)
    fat += texture * share
    water += texture * (1 - share)
    across = 1 - scan.phase_axis
    signal = water + _shift(fat, scan.fat_shift_mm / fine_mm, across)
    if scan.india_ink > 0:
        mixed = ndimage.gaussian_filter(_shift(share, scan.fat_shift_mm / fine_mm, across), 1.0 / fine_mm, truncate=2.5)
        signal *= 1 - scan.india_ink * 4 * mixed * (1 - mixed)
    return np.asarray(signal)


def _through_slab(
    tissue_level: Float32[np.ndarray, " tissues"],
    scene: UInt8[np.ndarray, "rows cols"],
    slab: UInt8[np.ndarray, "planes height width"],
    corner: tuple[int, int],
) -> Fine:
    averaged = tissue_level[scene]
    height, width = slab.shape[1:]
    averaged[corner[0] : corner[0] + height, corner[1] : corner[1] + width] = tissue_level[slab].mean(axis=0)
    return np.asarray(averaged)


def _shift(field: Fine, pixels: float, axis: int) -> Fine:
    """Shift a field by a number of pixels, which may be fractional, along an axis. It wraps round, like an undersampled readout."""
    whole = int(np.floor(pixels))
    part = np.float32(pixels - whole)
    near = np.roll(field, whole, axis)
    return np.asarray(near + part * (np.roll(near, 1, axis) - near))


def smooth_noise(shape: tuple[int, int], length: float, rng: np.random.Generator) -> Fine:
    """A Gaussian random field with standard deviation 1: white noise, smoothed by a Gaussian with a standard deviation of `length` pixels.

    It is made from its few low frequencies, which is faster than to filter white noise.
    """
    reach = [min(int(0.45 * side / length) + 1, side // 2 - 1) for side in shape]
    down, right = np.arange(-reach[0], reach[0] + 1), np.arange(reach[1] + 1)
    gain = np.exp(-0.5 * (2 * np.pi * length) ** 2 * ((down[:, None] / shape[0]) ** 2 + (right / shape[1]) ** 2))
    gain[:, 0] /= np.sqrt(2)  # only this column of the half spectrum has no mirrored counterpart
    waves = rng.standard_normal((2, *gain.shape), np.float32)
    spectrum = np.zeros((shape[0], shape[1] // 2 + 1), np.complex64)
    spectrum[down[:, None], right] = (waves[0] + 1j * waves[1]) * gain / (2 * np.sqrt((gain**2).sum()))
    return np.asarray(fft.irfft2(spectrum, shape, norm="forward"))
