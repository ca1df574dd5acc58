"""The working grid: 128 x 128 pixels of 1 mm round the LV centre, and the way back to the grid of the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy import ndimage

SIZE = 128
PIXEL_MM = 1.0


@dataclass(frozen=True, kw_only=True)
class Roi:
    """Position of the working grid in a host slice: it is centred on the LV and has the axes of the host.

    Attributes:
        centre: (row, column) of the LV centre in host pixels.
        spacing_mm: pixel size of the host in mm as (row, column).
    """

    centre: tuple[float, float]
    spacing_mm: tuple[float, float]

    def crop(self, image: Shaped[np.ndarray, "rows cols"], *, outside: float | None = None) -> Float[np.ndarray, "128 128"]:
        """Resample a host image (or a mask, as 0 to 1) to the working grid with linear interpolation.

        Args:
            outside: value outside the host image; None repeats the border of the image.
        """
        axes = [
            centre + (np.arange(SIZE) - (SIZE - 1) / 2) * PIXEL_MM / spacing
            for centre, spacing in zip(self.centre, self.spacing_mm, strict=True)
        ]
        grid = np.meshgrid(*axes, indexing="ij")
        mode = "nearest" if outside is None else "constant"
        return np.asarray(ndimage.map_coordinates(image.astype(np.float32), grid, order=1, mode=mode, cval=outside or 0.0))

    def crop_mask(self, mask: Shaped[np.ndarray, "rows cols"]) -> Bool[np.ndarray, "128 128"]:
        """Resample a host mask to the working grid; a pixel belongs to it where the interpolated value is 0.5 or more."""
        return np.asarray(self.crop(mask, outside=0.0) >= 0.5)

    def crop_angle(self, angle_deg: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "128 128"]:
        """Resample angles in degrees; the result is in [0, 360). Sine and cosine are resampled, because angles jump at 360."""
        radians = np.radians(angle_deg)
        return np.asarray(np.degrees(np.arctan2(self.crop(np.sin(radians)), self.crop(np.cos(radians)))) % 360.0)

    def covers(self, shape: tuple[int, int]) -> Bool[np.ndarray, "rows cols"]:
        """Mask of the host pixels that lie inside the working grid."""
        rows, cols = (
            np.abs(np.arange(n) - centre) * spacing <= (SIZE - 1) / 2 * PIXEL_MM
            for n, centre, spacing in zip(shape, self.centre, self.spacing_mm, strict=True)
        )
        return np.asarray(rows[:, None] & cols[None, :])

    def paste(
        self, roi_image: Float[np.ndarray, "128 128"], rows: Shaped[np.ndarray, " n"], cols: Shaped[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Values of a working-grid image at the host pixels with these row and column indices.

        Where host pixels are larger than 1 mm, the image is smoothed first, so that fine noise does not alias into them.
        """
        blur = [max(s / PIXEL_MM - 1.0, 0.0) * 0.4 for s in self.spacing_mm]
        smooth = ndimage.gaussian_filter(roi_image, blur) if max(blur) > 0 else roi_image
        position = [
            (where - centre) * spacing / PIXEL_MM + (SIZE - 1) / 2
            for where, centre, spacing in zip((rows, cols), self.centre, self.spacing_mm, strict=True)
        ]
        return np.asarray(ndimage.map_coordinates(smooth, position, order=1, mode="nearest"))
