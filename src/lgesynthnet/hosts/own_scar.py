"""The prescription of the scar that a real slice has, so that any generator can be asked to paint it again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.prescription.describing import describe_scar
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Label


def own_scar(host: Host, scar_levels: Float[np.ndarray, " quantiles"]) -> tuple[ScarMask, ScarPrescription]:
    """The masks of the scar of a slice, and the prescription that describes it, with its brightness as a percentile.

    Args:
        scar_levels: brightness of the training scars in heart units at equally spaced percentiles, 0 to 100, from the
            `conditioning.json` of a model.
    Raises:
        ValueError: the slice has no scar.
    """
    slice_, frame = host.slice_, host.frame
    scar, core = slice_.scar, slice_.labels == Label.NO_REFLOW
    if not scar.any():
        raise ValueError(f"{host.name}: has no scar to paint again")
    prescription = describe_scar(scar, core, frame)
    if prescription is None:  # a scar too small to fill a segment is named after the segment that holds most of it
        counts = np.bincount(frame.segments[scar & frame.wall], minlength=17)
        segment = int(counts[1:].argmax()) + 1
        prescription = ScarPrescription(segments=frozenset({segment}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.25)
    brightness = HeartWindow.from_slice(slice_).to_unit(slice_.image)[scar & ~core]
    rank = float(np.interp(brightness.mean(), scar_levels, np.linspace(0, 1, len(scar_levels)))) if brightness.size else 0.5
    return ScarMask(scar=scar, no_reflow=core), replace(prescription, intensity_percentile=100 * rank)
