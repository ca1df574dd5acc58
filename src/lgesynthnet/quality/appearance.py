"""What a picture shows that overlap cannot: brightness beside the host's own blood and wall, paint beyond the wall, a seam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.records import Mask

SPILLED = 0.5  # heart units: half of the way from wall to blood
ALONG_PIXELS = 2.0


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Measured in one painted slice against its host; no reader is asked.

    Attributes:
        brightness: mean of the scar without its core in heart units, the host's remote wall at -0.5 and its blood at +0.5; None
            where all of the scar is core.
        spill_mm2: area beyond the wall, on its outer side, that became brighter by half a heart unit or more: scar paints wall alone.
        seam: mean step between repainted and untouched pixels along the border of the hidden region that the host does not have, heart
            units; averaged over a few pixels along the border first, so that fresh noise is no seam.
    """

    brightness: float | None
    spill_mm2: float
    seam: float


def measure_appearance(sample: SyntheticSample) -> Appearance:
    """Measure one sample."""
    host, frame = sample.host.slice_, sample.host.frame
    window = HeartWindow.from_slice(host)
    before, after = (window.to_unit(image.astype(np.float64)) for image in (host.image, sample.image))
    bright = sample.intended & ~sample.intended_no_reflow
    outer = sample.hidden & ~frame.wall & ~ndimage.binary_fill_holes(frame.wall | frame.cavity)
    return Appearance(
        brightness=float(after[bright].mean()) if bright.any() else None,
        spill_mm2=float((outer & (after - before >= SPILLED)).sum() * frame.pixel_mm2),
        seam=border_step(after - before, sample.hidden),
    )


def border_step(change: Float[np.ndarray, "rows cols"], hidden: Mask) -> float:
    """Mean step along the border of a repainted region: outside nothing changes, so it is the change of the outermost repainted pixels.

    Args:
        change: picture minus host, heart units; 0 outside `hidden`.
    """
    border = hidden & ~ndimage.binary_erosion(hidden, border_value=1)
    if not border.any():
        return 0.0
    weight = ndimage.gaussian_filter(border.astype(np.float64), ALONG_PIXELS)
    smooth = ndimage.gaussian_filter(np.where(border, change, 0.0), ALONG_PIXELS)
    return float(np.abs(smooth[border] / weight[border]).mean())
