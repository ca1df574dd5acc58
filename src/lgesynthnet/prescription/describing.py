"""Describe a scar mask as a prescription. This gives real and simulated slices their captions."""

from __future__ import annotations

import numpy as np

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Pattern, ScarPrescription
from lgesynthnet.records import Mask

MAX_ENDOCARDIAL_DEPTH = 0.25  # a scar whose 10th percentile of depth lies deeper does not start at the endocardium


def describe_scar(scar: Mask, no_reflow: Mask, frame: HeartFrame) -> ScarPrescription | None:
    """Describe a scar mask by segments, transmural extent and pattern.

    Values are rounded to steps of 5 %, as in reports. Border irregularity and brightness keep their defaults.

    Args:
        scar: (rows, cols) mask of the whole scar, no-reflow included.
        no_reflow: (rows, cols) mask of the no-reflow core.
    Returns:
        None where the scar is too small to fill any segment.
    """
    measured = measure_scar(scar, frame, no_reflow)
    if not measured.segments or measured.transmurality is None:
        return None
    extent = float(np.clip(round(measured.transmurality / 0.05) * 0.05, 0.05, 1.0))
    depths = frame.depth[scar & frame.wall]
    inner, outer = np.percentile(depths, (10, 90))
    if inner < MAX_ENDOCARDIAL_DEPTH or measured.mvo_share > 0:
        pattern = Pattern.TRANSMURAL if extent > TRANSMURAL_ABOVE + 0.02 else Pattern.SUBENDOCARDIAL
        extent = min(extent, TRANSMURAL_ABOVE) if pattern is Pattern.SUBENDOCARDIAL else extent
    else:
        pattern = Pattern.SUBEPICARDIAL if outer > 0.85 else Pattern.MID_WALL
    ischaemic = pattern in (Pattern.TRANSMURAL, Pattern.SUBENDOCARDIAL)
    return ScarPrescription(
        segments=measured.segments,
        pattern=pattern,
        transmurality=round(extent, 4),
        mvo_share=round(min(round(measured.mvo_share / 0.05) * 0.05, 0.6), 4) if ischaemic else 0.0,
    )
