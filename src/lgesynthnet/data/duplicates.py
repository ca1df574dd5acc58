"""Find scans that are stored under two patient names: a leak from training into testing that a split by patient cannot see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from jaxtyping import Float, Shaped
from scipy import ndimage

from lgesynthnet.records import Label, Mask, ShortAxisSlice, wall_of

THUMBNAIL_SIDE = 24  # pixels a side: coarse enough that centres from two annotators, a pixel or two apart, do not matter
HALF_WIDTH_RADII = 2.0  # half width of the crop in heart radii: enough surroundings to distinguish two chests
# Measured on EMIDEC: the one scan that is in it twice, with contours by two annotators, has 0.95; the next pair of patients 0.74.
MIN_CORRELATION = 0.85


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small copy of one slice for the comparison.

    Attributes:
        index: position of the slice in its stack.
        digest: SHA-256 of shape and pixels.
        crop: (24, 24) grey values round the LV, in the image's own numbers.
    """

    patient: str
    index: int
    digest: str
    crop: Float[np.ndarray, "side side"]


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Two patients whose stacks look like one scan.

    Attributes:
        correlation: median over the slices of the shorter stack of their best correlation with a slice of the longer one, -1 to 1.
        identical: pairs of slice indices whose pixels are exactly equal.
    """

    first: str
    second: str
    correlation: float
    identical: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        same = f", {len(self.identical)} slices identical in every pixel" if self.identical else ""
        alike = f"{self.first} and {self.second} look like one scan (correlation {self.correlation:.3f}{same})"
        return f"{alike}; keep them in the same part, or leave one out"


def make_thumbnail(slice_: ShortAxisSlice, radius_px: float) -> Thumbnail:
    """Shrink the image round the LV.

    Args:
        radius_px: heart radius in pixels, one number for each patient, so that all slices are shrunk alike; see `heart_radius_px`.
    """
    heart = wall_of(slice_.labels) | (slice_.labels == Label.CAVITY)
    rows, cols = np.nonzero(heart)
    centre = ((rows.min() + rows.max()) / 2, (cols.min() + cols.max()) / 2)
    image = np.asarray(slice_.image, dtype=np.float32)
    reach = HALF_WIDTH_RADII * radius_px
    offset = ((np.arange(2 * THUMBNAIL_SIDE) + 0.5) / THUMBNAIL_SIDE - 1) * reach
    grid = np.meshgrid(centre[0] + offset, centre[1] + offset, indexing="ij")
    smooth = ndimage.uniform_filter(image, max(1, round(reach / THUMBNAIL_SIDE)))
    crop = ndimage.map_coordinates(smooth, grid, order=1, mode="nearest").reshape(THUMBNAIL_SIDE, 2, THUMBNAIL_SIDE, 2).mean(axis=(1, 3))
    digest = sha256(repr(slice_.image.shape).encode() + np.ascontiguousarray(slice_.image, dtype=np.float64).tobytes()).hexdigest()
    return Thumbnail(patient=slice_.patient, index=slice_.index, digest=digest, crop=crop.astype(np.float32))


def heart_radius_px(masks: Sequence[Mask]) -> float:
    """Median over the slices of one patient of half the extent of the heart, in pixels; 1 where all masks are empty."""
    extents = [max(np.ptp(axis) + 1 for axis in np.nonzero(mask)) / 2 for mask in masks if mask.any()]
    return float(np.median(extents)) if extents else 1.0


def find_duplicates(thumbnails: Sequence[Thumbnail]) -> list[Duplicate]:
    """Pairs of patients that share an identical slice, or whose stacks have a correlation above 0.85 (see `Duplicate`)."""
    slices: dict[str, list[int]] = defaultdict(list)
    for i, small in enumerate(thumbnails):
        slices[small.patient].append(i)
    names = sorted(slices)
    if len(names) < 2:
        return []
    identical = _identical(thumbnails)
    vectors = _normalised(np.stack([small.crop.ravel() for small in thumbnails]))
    duplicates = []
    for i, first in enumerate(names):
        likeness = vectors[slices[first]] @ vectors.T  # one patient at a time: the whole table grows with the square of the cohort
        for second in names[i + 1 :]:
            same = identical.get((first, second), ())
            correlation = _median_best(likeness[:, slices[second]])
            if same or correlation > MIN_CORRELATION:
                duplicates.append(Duplicate(first=first, second=second, correlation=round(correlation, 4), identical=same))
    return duplicates


def _identical(thumbnails: Sequence[Thumbnail]) -> dict[tuple[str, str], tuple[tuple[int, int], ...]]:
    by_digest: dict[str, list[Thumbnail]] = defaultdict(list)
    for small in thumbnails:
        by_digest[small.digest].append(small)
    pairs: dict[tuple[str, str], tuple[tuple[int, int], ...]] = {}
    for group in by_digest.values():
        ordered = sorted(group, key=lambda small: (small.patient, small.index))
        for i, a in enumerate(ordered):
            for b in ordered[i + 1 :]:
                if a.patient != b.patient:
                    pairs[a.patient, b.patient] = (*pairs.get((a.patient, b.patient), ()), (a.index, b.index))
    return {names: tuple(sorted(same)) for names, same in pairs.items()}


def _median_best(likeness: Float[np.ndarray, "first second"]) -> float:
    """Median over the slices of the shorter stack of their best match in the longer one."""
    return float(np.median(likeness.max(axis=1 if likeness.shape[0] <= likeness.shape[1] else 0)))


def _normalised(vectors: Shaped[np.ndarray, "n length"]) -> Float[np.ndarray, "n length"]:
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))
