"""Scanner numbers to heart units and back. In heart units healthy wall is -0.5 and LV blood is +0.5 in every image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8

from lgesynthnet.errors import InputError
from lgesynthnet.records import ShortAxisSlice

# Without limits, fat next to the coil would take most of the range. Scar stays well inside: 95 % of real scar lies below 1.3.
LOWEST, HIGHEST = -2.0, 2.5
LEAST_CONTRAST = 0.08  # share of the range of the image; a smaller difference of wall and blood is noise and is not amplified


@dataclass(frozen=True, kw_only=True)
class HeartWindow:
    """Linear map between stored numbers and heart units for one slice.

    Attributes:
        wall: stored number that becomes -0.5: the lower quartile of the labelled wall, which scar hardly changes.
        span: stored difference of one heart unit: median of the blood minus `wall`, or `LEAST_CONTRAST` of the range if larger.
    """

    wall: float
    span: float

    @classmethod
    def from_slice(cls, slice_: ShortAxisSlice) -> HeartWindow:
        """Measure wall and blood of a slice with the help of its labels. Scar labels count as wall.

        Raises:
            InputError: the labels have no cavity or no wall, or the image is constant.
        """
        image = slice_.image.astype(np.float64)
        wall, blood = image[slice_.wall], image[slice_.cavity]
        if not wall.size or not blood.size:
            raise InputError(f"{slice_.name}: has no labelled cavity or no labelled wall to set its intensity window; label both")
        present = image[image != 0]  # zero is padding, not signal
        low, high = np.percentile(present, (1, 99)) if present.size else (0.0, 0.0)
        if not high > low:
            raise InputError(f"{slice_.name}: the image is constant; replace it or leave the slice unlabelled")
        level = float(np.percentile(wall, 25))
        return cls(wall=level, span=max(float(np.median(blood)) - level, LEAST_CONTRAST * float(high - low)))

    def to_unit(self, stored: Shaped[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        """Stored numbers to heart units, clipped to [-2, 2.5]."""
        return np.clip((stored.astype(np.float64) - self.wall) / self.span - 0.5, LOWEST, HIGHEST).astype(np.float32)

    def to_stored(self, unit: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
        """Heart units to stored numbers as float64, neither rounded nor clipped."""
        return (unit.astype(np.float64) + 0.5) * self.span + self.wall


def to_grey(unit: Float[np.ndarray, "128 128"]) -> UInt8[np.ndarray, "128 128"]:
    """Heart units to grey values for pictures: -1.2 is black (0), 1.4 is white (255)."""
    return np.clip((unit + 1.2) / 2.6 * 255, 0, 255).astype(np.uint8)
