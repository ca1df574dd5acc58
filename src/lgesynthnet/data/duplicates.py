"""The same scan under two names: a leak from training into testing that no patient split can see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from jaxtyping import Float, Shaped
from scipy import ndimage

from lgesynthnet.records import Label, Mask, ShortAxisSlice, wall_of

SIDE = 24  # samples a side: coarse enough that two readers' centres, a pixel or two apart, do not matter
REACH = 2.0  # half width of the crop in heart radii: enough surroundings to tell one chest from another
# Receipt: in EMIDEC the one scan that stands in it twice, with contours by two hands, has 0.95; the next pair of patients 0.74.
SAME = 0.85


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """One slice, small: what the comparison needs and no more."""

    patient: str
    index: int
    digest: str
    crop: Float[np.ndarray, "side side"]


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Two patients who look like one scan.

    Attributes:
        correlation: median over the shorter stack of each slice's best match in the other.
        identical: pairs of slice indices whose pixels are equal to the last bit.
    """

    first: str
    second: str
    correlation: float
    identical: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        same = f", {len(self.identical)} slices identical to the pixel" if self.identical else ""
        alike = f"{self.first} and {self.second} look like one scan (correlation {self.correlation:.3f}{same})"
        return f"{alike}; keep them in one part, or drop one"


def thumbnail(slice_: ShortAxisSlice, radius_px: float) -> Thumbnail:
    """Shrink the surroundings of the LV; `radius_px` is one number a patient, so that slices keep their proportion."""
    heart = wall_of(slice_.labels) | (slice_.labels == Label.CAVITY)
    rows, cols = np.nonzero(heart)
    centre = ((rows.min() + rows.max()) / 2, (cols.min() + cols.max()) / 2)
    image = np.asarray(slice_.image, dtype=np.float32)
    reach = REACH * radius_px
    offset = ((np.arange(2 * SIDE) + 0.5) / SIDE - 1) * reach
    grid = np.meshgrid(centre[0] + offset, centre[1] + offset, indexing="ij")
    smooth = ndimage.uniform_filter(image, max(1, round(reach / SIDE)))
    crop = ndimage.map_coordinates(smooth, grid, order=1, mode="nearest").reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3))
    digest = sha256(repr(slice_.image.shape).encode() + np.ascontiguousarray(slice_.image, dtype=np.float64).tobytes()).hexdigest()
    return Thumbnail(patient=slice_.patient, index=slice_.index, digest=digest, crop=crop.astype(np.float32))


def radius_of(masks: Sequence[Mask]) -> float:
    """Median half extent in pixels of the hearts of one patient."""
    extents = [max(np.ptp(axis) + 1 for axis in np.nonzero(mask)) / 2 for mask in masks if mask.any()]
    return float(np.median(extents)) if extents else 1.0


def find_duplicates(thumbnails: Sequence[Thumbnail]) -> list[Duplicate]:
    """Pairs of patients with an identical slice, or whose stacks correlate above `SAME` as a whole (median over slices)."""
    slices: dict[str, list[int]] = defaultdict(list)
    for i, small in enumerate(thumbnails):
        slices[small.patient].append(i)
    names = sorted(slices)
    if len(names) < 2:
        return []
    identical = _identical(thumbnails)
    vectors = _unit(np.stack([small.crop.ravel() for small in thumbnails]))
    likeness = vectors @ vectors.T
    found = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            same = identical.get((first, second), ())
            correlation = _median_best(likeness[np.ix_(slices[first], slices[second])])
            if same or correlation > SAME:
                found.append(Duplicate(first=first, second=second, correlation=round(correlation, 4), identical=same))
    return found


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
    """Every slice of the shorter stack finds its best partner; the median of these."""
    return float(np.median(likeness.max(axis=1 if likeness.shape[0] <= likeness.shape[1] else 0)))


def _unit(vectors: Shaped[np.ndarray, "n length"]) -> Float[np.ndarray, "n length"]:
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
