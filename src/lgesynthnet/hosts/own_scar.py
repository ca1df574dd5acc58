"""A real slice's own scar as a wish, so that any generator can be asked to paint it again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.prescription.describing import describe
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Label


def own_scar(host: Host, scar_levels: Float[np.ndarray, " quantiles"]) -> tuple[ScarMask, ScarPrescription]:
    """Masks of the scar that a slice has, and what a user would prescribe to have it: its words, and its brightness as a rank.

    Args:
        scar_levels: what the ranks mean in heart units, as in a model's `conditioning.json`.
    Raises:
        ValueError: the slice holds no scar.
    """
    slice_, frame = host.slice_, host.frame
    scar, core = slice_.scar, slice_.labels == Label.NO_REFLOW
    if not scar.any():
        raise ValueError(f"{host.name}: holds no scar to paint again")
    wish = describe(scar, core, frame)
    if wish is None:  # too small to fill a segment: named after the one that holds most of it
        counts = np.bincount(frame.segments[scar & frame.wall], minlength=17)
        wish = ScarPrescription(segments=frozenset({int(counts[1:].argmax()) + 1}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.25)
    bright = HeartWindow.of(slice_).to_unit(slice_.image)[scar & ~core]
    rank = float(np.interp(bright.mean(), scar_levels, np.linspace(0, 1, len(scar_levels)))) if bright.size else 0.5
    return ScarMask(scar=scar, no_reflow=core), replace(wish, intensity_percentile=100 * rank)
