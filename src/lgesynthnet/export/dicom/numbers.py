"""Numbers as DICOM stores them: integers of at most 16 bits. What does not fit is scaled, and the rounding error is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int16, Shaped, UInt16

from lgesynthnet.records import Image

LEVELS = 2**16 - 1
WINDOW = (1.0, 99.5)  # percentiles of the image that become black and white where no header says so


@dataclass(frozen=True, kw_only=True)
class StoredNumbers:
    """The pixels of one DICOM image, or of a stack of images.

    Attributes:
        pixels: (rows, cols), of a stack (rows, cols, slices).
        bits: number of bits that are used, 1 to 16.
        slope, intercept: displayed value = stored number * slope + intercept.
        largest_error: largest rounding error of a displayed value; 0 where nothing was scaled.
        clipped: pixels that lay beyond the bits that are used.
        common_window: the window of all slices of a stack; None where the image stands alone.
    """

    pixels: UInt16[np.ndarray, "rows cols *slices"] | Int16[np.ndarray, "rows cols *slices"]
    bits: int
    slope: float
    intercept: float
    largest_error: float = 0.0
    clipped: int = 0
    common_window: tuple[float, float] | None = None

    @property
    def signed(self) -> bool:
        return self.pixels.dtype.kind == "i"

    @property
    def window(self) -> tuple[float, float]:
        """Centre and width of a grey scale for these pixels, in displayed values; the width is at least 1."""
        if self.common_window is not None:
            return self.common_window
        black, white = (float(level) * self.slope + self.intercept for level in np.percentile(self.pixels, WINDOW))
        return (black + white) / 2, max(abs(white - black), 1.0)


def store(image: Shaped[np.ndarray, "rows cols *slices"], slope: float = 1.0, intercept: float = 0.0) -> StoredNumbers:
    """The numbers of an image or a stack as DICOM can store them, unchanged where they are whole and fit 16 bits.

    Args:
        image: finite numbers of any real type; the slices of a stack get one scale.
        slope, intercept: displayed value = number * slope + intercept.
    """
    low, high = float(image.min()), float(image.max())
    for dtype in (np.uint16, np.int16):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max and np.array_equal(image, np.round(image)):
            return StoredNumbers(pixels=image.astype(dtype), bits=16, slope=slope, intercept=intercept)
    return _scaled(image.astype(np.float64), low, high, slope, intercept)


def store_like(image: Image, bits: int, *, signed: bool, slope: float, intercept: float) -> StoredNumbers:
    """Integers with the bits of their host; what lies beyond them, which only painted pixels can, is clipped.

    Args:
        bits: 1 to 16.
    """
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    inside = np.clip(image.astype(np.int64), low, high)
    clipped = int((inside != image).sum())
    return StoredNumbers(
        pixels=inside.astype(np.int16 if signed else np.uint16), bits=bits, slope=slope, intercept=intercept, clipped=clipped
    )


def slices_of(stack: StoredNumbers) -> list[StoredNumbers]:
    """The images of a stack, all with its window and its largest rounding error."""
    pixels = stack.pixels
    slices = [replace(stack, pixels=np.ascontiguousarray(pixels[:, :, index])) for index in range(pixels.shape[2])]
    return with_one_window(slices)


def with_one_window(slices: Sequence[StoredNumbers]) -> list[StoredNumbers]:
    """The images of a stack with the window of all their pixels, so that no slice looks brighter than its neighbour.

    Args:
        slices: one or more, of one size, slope and intercept.
    """
    together = replace(slices[0], pixels=np.stack([image.pixels for image in slices], axis=-1))
    return [replace(image, common_window=together.window) for image in slices]


def _scaled(image: Float[np.ndarray, "rows cols *slices"], low: float, high: float, slope: float, intercept: float) -> StoredNumbers:
    """Spread over all 16 bits. The slope and the intercept are taken as the 16 characters that DICOM allows can say them."""
    displayed = image * slope + intercept
    bottom, top = sorted((low * slope + intercept, high * slope + intercept))
    # The intercept and the slope are rounded, so that the range must be a little wider than the image's.
    room = (top - bottom) * 1e-9 + abs(bottom) * 1e-9
    start = in_16_characters(bottom - room)
    step = in_16_characters((top - start) * (1 + 1e-6) / LEVELS) or 1.0
    pixels = np.clip(np.round((displayed - start) / step), 0, LEVELS).astype(np.uint16)
    error = float(np.abs(pixels * step + start - displayed).max())
    return StoredNumbers(pixels=pixels, bits=16, slope=step, intercept=start, largest_error=error)


def in_16_characters(number: float) -> float:
    """The nearest number that a decimal string of DICOM can say."""
    return float(decimal_string(number))


def decimal_string(number: float) -> str:
    """A number in at most 16 characters, as precise as they allow."""
    if number == round(number) and abs(number) < 1e15:
        return str(int(number))
    for digits in range(17, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"{number} has no decimal string")  # no finite number comes here
