"""Scanner noise for painted pixels: an autoencoder smooths, and a patch without grain betrays itself."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.records import Mask

NEAR_MM = 10.0


def grain(residual: Float[np.ndarray, "rows cols"], wall: Mask, hidden: Mask, rng: np.random.Generator) -> Float[np.ndarray, "rows cols"]:
    """Noise with the strength and the correlation of what the autoencoder left out of the host round its wall.

    Args:
        residual: host minus its own reconstruction, working grid (1 mm).
        hidden: repainted pixels, not looked at.
    """
    seen = (ndimage.distance_transform_edt(~wall) <= NEAR_MM) & ~hidden
    if seen.sum() < 100:
        return np.zeros_like(residual)
    # Edges that the reconstruction missed are outliers, not noise.
    spread = 1.4826 * float(np.median(np.abs(residual[seen] - np.median(residual[seen]))))
    around = np.where(seen, np.clip(residual - np.median(residual[seen]), -3 * spread, 3 * spread), 0.0)
    power = np.abs(np.fft.fft2(around))
    phases = np.angle(np.fft.fft2(rng.standard_normal(residual.shape)))
    noise = np.fft.ifft2(power * np.exp(1j * phases)).real
    return noise / (noise.std() + 1e-12) * spread
