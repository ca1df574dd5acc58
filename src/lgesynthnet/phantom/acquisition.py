"""From the signal to the numbers of a scanner: coils, k-space, motion, ghosts, noise and scaling."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Shaped
from scipy import fft

from lgesynthnet.phantom.scan import Scan

Fine = Float32[np.ndarray, "rows cols"]


def acquire(signal: Fine, fine_mm: float, matrix: int, scan: Scan, rng: np.random.Generator) -> Float32[np.ndarray, "matrix matrix"]:
    """Acquire an image: coil sensitivity, finite k-space with its window, motion, ghosts, noise and zero-filling.

    Args:
        signal: on a square grid with pixels of `fine_mm`.
        matrix: side of the stored image in pixels, over the same field of view; the fine grid need not be a multiple of it.
    Returns:
        The magnitude, or the signed signal where the scan is phase-sensitive.
    """
    side = signal.shape[0]
    field_mm = side * fine_mm
    k = fft.fft2(signal * np.exp(_log_sensitivity(side, field_mm, scan)), norm="forward")
    # Frequencies that the stored matrix cannot hold are left out.
    reach = [min(int(field_mm / (2 * r)), (matrix - 1) // 2, (side - 1) // 2) for r in scan.resolution_mm]
    orders = [np.arange(-r, r + 1) for r in reach]
    along = [_line_gains(axis, order, r, field_mm, scan) for axis, (order, r) in enumerate(zip(orders, reach, strict=True))]
    kept = k[np.ix_(*orders)]
    # On either grid, pixel 0 lies half a pixel from the edge. Without this shift the image would not match its labels.
    kept *= np.multiply.outer(*(_phase_ramp(order, (field_mm / matrix - fine_mm) / 2, field_mm) for order in orders))
    kept *= np.multiply.outer(*(gain * ghosts for gain, ghosts in along))
    window = np.multiply.outer(*(gain for gain, _ in along))
    noise = rng.standard_normal((2, *kept.shape), np.float32)
    kept += (noise[0] + 1j * noise[1]) * (window * (scan.noise / np.sqrt((window**2).sum())))
    full = np.zeros((matrix, matrix), np.complex64)
    full[np.ix_(*orders)] = kept
    image = fft.ifft2(full, norm="forward")
    image *= np.exp(-scan.shading_correction * _log_sensitivity(matrix, field_mm, scan))
    return np.asarray(image.real.copy() if scan.phase_sensitive else np.abs(image))


def _log_sensitivity(side: int, field_mm: float, scan: Scan) -> Fine:
    """Logarithm of the sensitivity of the coils, which is 0 in the middle of the field."""
    half = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    down, right = half[:, None], half
    steep = scan.coil_per_mm * field_mm / 2
    towards = -np.sin(np.radians(scan.coil_deg)) * down + np.cos(np.radians(scan.coil_deg)) * right
    terms = scan.shading
    sensitivity = steep * towards + terms[0] * down**2 + terms[1] * down * right + terms[2] * right**2
    return np.asarray(sensitivity, dtype=np.float32)


def _line_gains(
    axis: int, order: Shaped[np.ndarray, " k"], reach: int, field_mm: float, scan: Scan
) -> tuple[Shaped[np.ndarray, " k"], Shaped[np.ndarray, " k"]]:
    """Factors of the k-space lines of one axis: the window, which acts on noise too, and motion with ghosts, which act on signal only."""
    f = np.abs(order) / (reach + 0.5)
    into = np.clip((f - (1 - scan.taper)) / scan.taper, 0, 1) if scan.taper > 0 else np.zeros(f.shape)
    window = 0.5 * (1 + np.cos(np.pi * into)) * (1 + scan.sharpening * f**2)
    if axis != scan.phase_axis:
        return window.astype(np.float32), np.ones(order.shape, np.complex64)
    motion = np.exp(-0.5 * (2 * np.pi * scan.motion_mm * order / field_mm) ** 2).astype(np.complex64)
    ghosts = np.ones(order.shape, np.complex64)
    for n, amplitude in enumerate(scan.ghosts, start=1):
        ghosts += 2 * amplitude * np.cos(2 * np.pi * order * n * scan.ghost_mm / field_mm)
    return window.astype(np.float32), motion * ghosts


def _phase_ramp(order: Shaped[np.ndarray, " k"], shift_mm: float, field_mm: float) -> Shaped[np.ndarray, " k"]:
    return np.exp(2j * np.pi * order * shift_mm / field_mm).astype(np.complex64)


def to_stored(volume: Float[np.ndarray, "rows cols slices"], scan: Scan) -> Shaped[np.ndarray, "rows cols slices"]:
    """Scale to scanner numbers of 8 or 12 bits. Signal 0 is the middle of the range if phase-sensitive, otherwise its dark end."""
    top = 255 if scan.bits == 8 else 4095
    peak = max(float(np.percentile(np.abs(volume), 99.7)), 1e-6)
    share = scan.range_share * volume / peak
    if scan.phase_sensitive:
        share = 0.5 + 0.5 * share
    return np.clip(np.round(top * share), 1, top).astype(np.uint8 if scan.bits == 8 else np.int16)
