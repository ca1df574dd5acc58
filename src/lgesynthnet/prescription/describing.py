"""A mask put into words: the prescription that a given scar would have had, for captions of real and simulated slices."""

from __future__ import annotations

import numpy as np

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Pattern, ScarPrescription
from lgesynthnet.records import Mask

ENDOCARDIAL = 0.25  # a scar whose inner tenth lies deeper than this does not start at the endocardium


def describe_scar(scar: Mask, no_reflow: Mask, frame: HeartFrame) -> ScarPrescription | None:
    """Segments, extent and pattern of a scar mask (no-reflow included); None where it is too small to fill any segment.

    Values are rounded to the 5 % steps of reports. Border irregularity and brightness stay at their defaults.
    """
    found = measure_scar(scar, frame, no_reflow)
    if not found.segments or found.transmurality is None:
        return None
    extent = float(np.clip(round(found.transmurality / 0.05) * 0.05, 0.05, 1.0))
    depths = frame.depth[scar & frame.wall]
    inner, outer = np.percentile(depths, (10, 90))
    if inner < ENDOCARDIAL or found.mvo_share > 0:
        pattern = Pattern.TRANSMURAL if extent > TRANSMURAL_ABOVE + 0.02 else Pattern.SUBENDOCARDIAL
        extent = min(extent, TRANSMURAL_ABOVE) if pattern is Pattern.SUBENDOCARDIAL else extent
    else:
        pattern = Pattern.SUBEPICARDIAL if outer > 0.85 else Pattern.MID_WALL
    ischaemic = pattern in (Pattern.TRANSMURAL, Pattern.SUBENDOCARDIAL)
    return ScarPrescription(
        segments=found.segments,
        pattern=pattern,
        transmurality=round(extent, 4),
        mvo_share=round(min(round(found.mvo_share / 0.05) * 0.05, 0.6), 4) if ischaemic else 0.0,
    )
