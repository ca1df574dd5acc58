"""Compositing on the host's own grid: new values inside the hidden region, every other pixel unchanged bit for bit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.edit import SliceEdit
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import WALL_REACH_MM, blend_weights, blood_beside
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.generate.blood import mixed
from lgesynthnet.prescription.grammar.writing import write_caption
from lgesynthnet.records import Image, Mask


def composite(host: Image, painted: Float[np.ndarray, "rows cols"], hidden: Mask, spacing_mm: tuple[float, float]) -> Image:
    """Blend `painted` (stored numbers, any precision) into the host; the soft edge lies inside the hidden region.

    Integers are rounded and clipped to the range of their type. In an image without negative numbers, a pixel of the host above 0 stays
    above 0.
    """
    weight = blend_weights(hidden, spacing_mm)[hidden]
    return _with(host, hidden, host[hidden].astype(np.float64) * (1 - weight) + painted[hidden] * weight)


def _with(host: Image, where: Mask, values: Float[np.ndarray, " n"]) -> Image:
    """The host with other numbers at some pixels, as its data type stores them."""
    if host.dtype.kind in "iu":
        limits = np.iinfo(host.dtype)
        # 0 is padding in stored integers, so a measured pixel must not become 0.
        lowest = 1 if host.min() >= 0 else limits.min
        values = np.clip(np.rint(values), np.minimum(host[where], lowest), limits.max)
    result = host.copy()
    result[where] = values.astype(host.dtype)
    return result


def with_own_surroundings(host: Host, touched: Mask, image: Image, hidden: Mask) -> tuple[Image, Mask]:
    """An edited slice in which what surrounds the wall is the host's, and the mask of what may differ from the host.

    Blood is the host's, mixed with the edited wall. What a network paints into the cavity is not used: it does not know how far the wall
    reaches into the blood of this host. Beyond the outer border, what it paints fades out over 3 mm, because it does not know what lies
    beside this heart, and scar that shines beyond the wall would be a label that is too small.

    Args:
        touched: (rows, cols) scar before or after the edit.
    """
    frame, before, after = host.frame, host.slice_.image.astype(np.float64), image.astype(np.float64)
    blood = blood_beside(touched, frame.cavity, frame.spacing_mm)
    changed = np.asarray((hidden & ~frame.cavity) | blood)
    to_wall_mm = ndimage.distance_transform_edt(~frame.wall, sampling=frame.spacing_mm)
    faded = before + (after - before) * np.clip(1 - to_wall_mm / WALL_REACH_MM, 0.0, 1.0)
    values = np.where(blood, mixed(host, after), faded)
    return _with(host.slice_.image, changed, values[changed]), changed


def composite_roi(
    host: Image,
    repainted: Float[np.ndarray, "128 128"],
    roi: Roi,
    window: HeartWindow,
    hidden: Mask,
    grain: Float[np.ndarray, "rows cols"] | None = None,
) -> Image:
    """The host with its hidden region taken from the working grid.

    Args:
        repainted: the working grid in heart units.
        roi, window: where the working grid lies in the host, and how heart units become stored numbers.
        grain: noise that is added, in stored numbers on the host's grid.
    """
    rows, cols = np.nonzero(hidden)
    values = np.zeros(host.shape)
    values[rows, cols] = window.to_stored(roi.paste(repainted, rows, cols)) + (0.0 if grain is None else grain[hidden])
    return composite(host, values, hidden, roi.spacing_mm)


def max_change(image: Image, host: Image, where: Mask) -> float:
    """Largest absolute difference in stored numbers, computed in float64, because unsigned numbers would wrap around."""
    return float(np.abs(image[where].astype(np.float64) - host[where].astype(np.float64)).max(initial=0.0))


@dataclass(frozen=True, kw_only=True)
class SampleOrigin:
    """What a sample is made from; made when painting begins, so that it also measures the seconds.

    Attributes:
        host, edit: the slice, and what is done to it.
        seed: of the generator.
        generator: fingerprint of the generator.
        began: a `time.perf_counter()`.
    """

    host: Host
    edit: SliceEdit
    seed: int
    generator: str
    began: float = field(default_factory=time.perf_counter)

    def sample(self, image: Image, hidden: Mask, *, own_surroundings: bool = True) -> SyntheticSample:
        """The finished sample, with its labels and with the proof that nothing changed outside the hidden region.

        Args:
            own_surroundings: False leaves everything as it was rendered, as in the publications; for comparison.
        """
        slice_, edit = self.host.slice_, self.edit
        if own_surroundings:
            image, hidden = with_own_surroundings(self.host, edit.touched, image, hidden)
        return SyntheticSample(
            host=self.host,
            edit=edit.kind,
            prescription=edit.prescription,
            caption=write_caption(edit.prescription, self.host.frame.level),
            seed=self.seed,
            image=image,
            labels=edit.labels(slice_.labels),
            intended=edit.painted.scar,
            intended_no_reflow=edit.painted.no_reflow,
            removed=edit.removed,
            hidden=hidden,
            max_change_outside=max_change(image, slice_.image, ~hidden),
            model=self.generator,
            seconds=time.perf_counter() - self.began,
        )
