"""The edit that paints the scar of a real slice again as it is, so that any generator can be asked for it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lgesynthnet.conditioning.edit import SliceEdit, own_masks, replace_scar
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.prescription.edits import OwnScar


def own_scar(host: Host, scar_levels: Float[np.ndarray, " quantiles"]) -> SliceEdit:
    """Paint the scar of a slice in its own place, with its own brightness.

    Args:
        scar_levels: brightness of the training scars in heart units at equally spaced percentiles, 0 to 100, from the
            `conditioning.json` of a model.
    Raises:
        PrescriptionError: the slice has no scar.
    """
    slice_, own = host.slice_, own_masks(host)
    brightness = HeartWindow.from_slice(slice_).to_unit(slice_.image)[own.scar & ~own.no_reflow]
    rank = float(np.interp(brightness.mean(), scar_levels, np.linspace(0, 1, len(scar_levels)))) if brightness.size else 0.5
    return replace_scar(host, OwnScar(intensity_percentile=100 * rank))
