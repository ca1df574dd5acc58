"""Whether a slice can be a host. `verify`, `synthesize` and everything else that paints ask this one function."""

from __future__ import annotations

import numpy as np

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.working_grid import PIXEL_MM, SIZE
from lgesynthnet.data.ring import Fault, find_fault
from lgesynthnet.errors import AnatomyError, InputError
from lgesynthnet.hosts.locate import LocatedStack
from lgesynthnet.records import Level, ShortAxisSlice

# Left ventricles of EMIDEC measure 24 to 95 mm; a heart that does not fit into the working grid cannot be shown to a network.
HEART_MM = (10.0, SIZE * PIXEL_MM)
LEAST_FIELD_MM = 30.0  # of the longer side of the image; the network that finds the septum needs more than 24
LARGEST_NUMBER = 2.0**53  # whole numbers above are not exact in the float64 that painting computes with
LEAST_CONTRAST = 1e-5  # of wall and blood, as a share of the wall's own number: float32 images have 1e-7
LEAST_SPAN = 1e-30  # of wall and blood in stored numbers; smaller ones vanish in float32


def find_host_fault(slice_: ShortAxisSlice) -> Fault | str | None:
    """Why a scar cannot be painted into this slice, with the remedy; None where it can.

    `Fault.UNLABELLED` is no fault of the data: slices above the base and below the apex have no labels.
    """
    fault = find_fault(slice_) or _size_fault(slice_) or _number_fault(slice_)
    if fault is not None:
        return fault
    try:
        compute_heart_frame(slice_, Level.MID)  # the level only names the segments
        window = HeartWindow.from_slice(slice_)
    except (AnatomyError, InputError) as error:
        return str(error).removeprefix(f"{slice_.name}: ")
    if not window.span > max(LEAST_CONTRAST * abs(window.wall), LEAST_SPAN):
        return "the image is almost constant; replace it or leave the slice unlabelled"
    return None


def find_orientation_fault(hearts: LocatedStack, index: int, least_confidence: float) -> str | None:
    """Why the heart of this slice is not oriented well enough to be painted into, with the remedy; None where it is.

    Args:
        least_confidence: of the RV insertions, 0 to 1.
    """
    insertions = hearts.insertions[index]
    if insertions is None or hearts.levels[index] is None:
        return "its level and RV insertions are not known; label its wall and cavity"
    if insertions.confidence >= least_confidence:
        return None
    return (
        f"the confidence of its orientation is {insertions.confidence:.2f}, and {least_confidence:g} is needed; mark the RV insertions "
        "with --landmarks, label the RV, or lower --least-orientation-confidence"
    )


def _size_fault(slice_: ShortAxisSlice) -> str | None:
    rows, cols = (np.flatnonzero((slice_.wall | slice_.cavity).any(axis=axis)) for axis in (1, 0))
    down, across = slice_.spacing_mm
    heart = (float(rows[-1] - rows[0] + 1) * down, float(cols[-1] - cols[0] + 1) * across)
    if not HEART_MM[0] <= max(heart) <= HEART_MM[1]:
        return (
            f"the heart is {heart[0]:.3g} x {heart[1]:.3g} mm, usable are {HEART_MM[0]:g} to {HEART_MM[1]:g} mm; the pixels of "
            f"{down:.3g} x {across:.3g} mm are probably stated in another unit: correct pixdim and the affine"
        )
    field = (slice_.image.shape[0] * down, slice_.image.shape[1] * across)
    if max(field) < LEAST_FIELD_MM:
        return f"the image is only {field[0]:.3g} x {field[1]:.3g} mm; export it with its surroundings, {LEAST_FIELD_MM:g} mm or more"
    return None


def _number_fault(slice_: ShortAxisSlice) -> str | None:
    largest = max(abs(float(slice_.image.max())), abs(float(slice_.image.min())))
    if largest > LARGEST_NUMBER:
        return f"the image holds numbers up to {largest:.3g}, usable are up to {LARGEST_NUMBER:.3g}; store it in a smaller range"
    return None
