"""Scanner numbers to heart units and back: healthy wall -0.5, LV blood +0.5, whatever the window, bits or reconstruction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8

from lgesynthnet.errors import InputError
from lgesynthnet.records import ShortAxisSlice

# Fat next to the coil would otherwise take most of the range; scar stays well inside (95 % of real scar lies below 1.3).
LOWEST, HIGHEST = -2.0, 2.5
LEAST_CONTRAST = 0.08  # of the image's own range: below this the wall-blood difference is noise, and is not amplified


@dataclass(frozen=True, kw_only=True)
class HeartWindow:
    """Linear map between stored numbers and heart units for one slice.

    Attributes:
        wall: stored number that becomes -0.5: the lower quartile of the labelled wall, which scar hardly moves.
        span: stored difference of one heart unit: blood median minus wall, or the least contrast worth amplifying.
    """

    wall: float
    span: float

    @classmethod
    def of(cls, slice_: ShortAxisSlice) -> HeartWindow:
        """Read both levels off the slice's own labels; scar labels are not looked at.

        Raises:
            InputError: no cavity or wall, or the image is flat.
        """
        image = slice_.image.astype(np.float64)
        wall, blood = image[slice_.wall], image[slice_.cavity]
        if not wall.size or not blood.size:
            raise InputError(f"{slice_.name}: needs a labelled cavity and wall to set its intensity window")
        present = image[image != 0]  # black is padding, not signal
        low, high = np.percentile(present, (1, 99)) if present.size else (0.0, 0.0)
        if not high > low:
            raise InputError(f"{slice_.name}: the image is flat, there is nothing to read")
        level = float(np.percentile(wall, 25))
        return cls(wall=level, span=max(float(np.median(blood)) - level, LEAST_CONTRAST * float(high - low)))

    def to_unit(self, stored: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        return np.clip((stored.astype(np.float64) - self.wall) / self.span - 0.5, LOWEST, HIGHEST).astype(np.float32)

    def to_stored(self, unit: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
        """Heart units to stored numbers as float64; not rounded, not clipped to any dtype."""
        return (unit.astype(np.float64) + 0.5) * self.span + self.wall


def grey(unit: Float[np.ndarray, "128 128"]) -> UInt8[np.ndarray, "128 128"]:
    return np.clip((unit + 1.2) / 2.6 * 255, 0, 255).astype(np.uint8)
