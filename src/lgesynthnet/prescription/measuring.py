"""Measure a scar mask in the terms of a prescription: segments, transmural extent and burden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lgesynthnet.anatomy.aha import SEGMENTS
from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.prescription.stretches import MIN_SEGMENT_COVERAGE
from lgesynthnet.records import Mask

CHORDS = 72  # one for every 5 nominal degrees; each has about 20 wall pixels of 1 mm
MIN_CHORD_SHARE = 0.10  # a chord with a smaller share of scar counts as healthy, because a stray pixel is no scar


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measurements of a scar mask; the counterpart of `ScarPrescription`.

    Attributes:
        segments: AHA segments in which at least 15 % of the chords hold scar.
        transmurality: mean scarred share of the wall over the chords that hold scar; None for an empty mask.
        burden: scar area / wall area of this slice, 0 to 1.
        area_mm2: scar area in mm2, no-reflow included.
        mvo_share: no-reflow area / scar area, 0 to 1; 0 for an empty mask.
    """

    segments: frozenset[int]
    transmurality: float | None
    burden: float
    area_mm2: float
    mvo_share: float


def measure_scar(scar: Mask, frame: HeartFrame, no_reflow: Mask | None = None) -> Measurement:
    """Measure a scar mask (rows, cols), no-reflow included, in the coordinates of its heart; scar outside the wall is ignored."""
    scar = scar & frame.wall
    share, wall_share = chord_shares(scar, frame)
    with_scar = (share >= MIN_CHORD_SHARE) & (wall_share > 0)
    area = int(scar.sum())
    return Measurement(
        segments=frozenset(segment for segment in SEGMENTS[frame.level] if _coverage(scar, frame, segment) >= MIN_SEGMENT_COVERAGE),
        transmurality=float(share[with_scar].mean()) if with_scar.any() else None,
        burden=area / max(int(frame.wall.sum()), 1),
        area_mm2=area * frame.pixel_mm2,
        mvo_share=int((no_reflow & scar).sum()) / area if no_reflow is not None and area else 0.0,
    )


def _coverage(scar: Mask, frame: HeartFrame, segment: int) -> float:
    """Share of the chords of an AHA segment that hold scar; 0 if the segment has no chord."""
    shares, wall_pixels = chord_shares(scar, frame, within=frame.segments == segment)
    chords = shares[wall_pixels > 0]
    return float((chords >= MIN_CHORD_SHARE).mean()) if chords.size else 0.0


def chord_shares(
    scar: Mask, frame: HeartFrame, within: Bool[np.ndarray, "rows cols"] | None = None
) -> tuple[Float[np.ndarray, " chords"], Float[np.ndarray, " chords"]]:
    """Scarred share (0 to 1) of each of the 72 chords, and the number of wall pixels of each chord.

    Args:
        within: (rows, cols) restricts the chords to these pixels; a chord without any pixel has share 0.
    """
    wall = frame.wall if within is None else frame.wall & within
    chord = chord_number(frame, wall)
    pixels = np.bincount(chord, minlength=CHORDS).astype(float)
    scarred = np.bincount(chord, weights=scar[wall].astype(float), minlength=CHORDS)
    return scarred / np.maximum(pixels, 1.0), pixels


def chord_number(frame: HeartFrame, where: Mask | None = None) -> Int[np.ndarray, " pixels"]:
    """Number of the chord, 0 to 71, of each wall pixel, or of each pixel of `where`, in the order of the mask."""
    return np.asarray((frame.nominal_deg[frame.wall if where is None else where] / (360.0 / CHORDS)).astype(int) % CHORDS)
