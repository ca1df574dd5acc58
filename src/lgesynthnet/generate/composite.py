"""Back into the host's own grid: new values inside the hidden region, every other pixel bit for bit as it was."""

from __future__ import annotations

import time

import numpy as np
from jaxtyping import Float

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import blend_weights
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.prescription.grammar.language import write_caption
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Image, Label, Labels, Mask


def composite(host: Image, painted: Float[np.ndarray, "rows cols"], hidden: Mask, spacing_mm: tuple[float, float]) -> Image:
    """Blend `painted` (stored numbers, any precision) into the host; the seam lies inside the hidden region.

    Integers are rounded and clipped to what the dtype holds, and in an image without negative numbers to 1 or more
    where the host was.
    """
    weight = blend_weights(hidden, spacing_mm)[hidden]
    values = host[hidden].astype(np.float64) * (1 - weight) + painted[hidden] * weight
    if host.dtype.kind in "iu":
        limits = np.iinfo(host.dtype)
        # 0 is padding in stored integers: what was signal stays signal.
        lowest = 1 if host.min() >= 0 else limits.min
        values = np.clip(np.rint(values), np.minimum(host[hidden], lowest), limits.max)
    result = host.copy()
    result[hidden] = values.astype(host.dtype)
    return result


def laid_into(
    host: Image,
    picture: Float[np.ndarray, "128 128"],
    roi: Roi,
    window: HeartWindow,
    hidden: Mask,
    grain: Float[np.ndarray, "rows cols"] | None = None,
) -> Image:
    """The host with its hidden region taken from a picture on the working grid, in heart units.

    Args:
        grain: added to the picture, stored numbers on the host's grid.
    """
    rows, cols = np.nonzero(hidden)
    values = np.zeros(host.shape)
    values[rows, cols] = window.to_stored(roi.paste(picture, rows, cols)) + (0.0 if grain is None else grain[hidden])
    return composite(host, values, hidden, roi.spacing_mm)


def with_scar(labels: Labels, painted: ScarMask) -> Labels:
    """The host's labels with the painted scar over them; scar that was there stays."""
    result = labels.copy()
    result[painted.scar] = Label.SCAR
    result[painted.no_reflow] = Label.NO_REFLOW
    return result


def max_change(image: Image, host: Image, where: Mask) -> float:
    """Largest absolute difference in stored numbers; unsigned numbers would wrap, so it is taken in float64."""
    return float(np.abs(image[where].astype(np.float64) - host[where].astype(np.float64)).max(initial=0.0))


def finished(
    host: Host, prescription: ScarPrescription, painted: ScarMask, hidden: Mask, image: Image, *, seed: int, model: str, began: float
) -> SyntheticSample:
    """The sample with its proof and its recipe; `began` is a `time.perf_counter()`."""
    slice_ = host.slice_
    return SyntheticSample(
        host=host,
        prescription=prescription,
        caption=write_caption(prescription, host.frame.level),
        seed=seed,
        image=image,
        labels=with_scar(slice_.labels, painted),
        intended=painted.scar,
        intended_no_reflow=painted.no_reflow,
        hidden=hidden,
        max_change_outside=max_change(image, slice_.image, ~hidden),
        model=model,
        seconds=time.perf_counter() - began,
    )
