"""Read a scar mask back in the words of a prescription: segments, transmural extent, burden."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from lgesynthnet.anatomy.aha import SEGMENTS
from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.records import Mask

CHORDS = 72  # one every 5 nominal degrees: about 20 wall pixels each at 1 mm
CHORD_HOLDS = 0.10  # a chord with less scar than this is counted as healthy: a stray pixel is no scar
SEGMENT_HOLDS = 0.15  # share of a segment's chords that must hold scar before the segment is called scarred


@dataclass(frozen=True, kw_only=True)
class SegmentScar:
    """Scar inside one AHA segment; all fractions 0 to 1.

    Attributes:
        coverage: share of the segment's chords that hold scar.
        transmurality: mean over the chords that hold scar; None where none does.
        transmurality_all: mean over all chords of the segment.
    """

    coverage: float
    transmurality: float | None
    transmurality_all: float


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a mask says; the counterpart of `ScarPrescription`.

    Attributes:
        segments: AHA segments in which at least 15 % of the chords hold scar.
        transmurality: mean scarred share of the wall over the chords that hold scar; None for an empty mask.
        burden: scar area / wall area of this slice.
        area_mm2: scar area, no-reflow included.
        mvo_share: no-reflow area / scar area; 0 for an empty mask.
    """

    segments: frozenset[int]
    transmurality: float | None
    burden: float
    area_mm2: float
    mvo_share: float
    by_segment: dict[int, SegmentScar] = field(default_factory=dict)


def measure_scar(scar: Mask, frame: HeartFrame, no_reflow: Mask | None = None) -> Measurement:
    """Measure a scar mask (no-reflow included) of shape (rows, cols) in its heart's coordinates."""
    scar = scar & frame.wall
    share, wall_share = chord_shares(scar, frame)
    by_segment: dict[int, SegmentScar] = {}
    for segment in SEGMENTS[frame.level]:
        here, exists = chord_shares(scar, frame, within=frame.segments == segment)
        chords = here[exists > 0]
        holds = chords >= CHORD_HOLDS
        if not chords.size:
            continue
        by_segment[segment] = SegmentScar(
            coverage=float(holds.mean()),
            transmurality=float(chords[holds].mean()) if holds.any() else None,
            transmurality_all=float(chords.mean()),
        )
    holds = (share >= CHORD_HOLDS) & (wall_share > 0)
    area = int(scar.sum())
    return Measurement(
        segments=frozenset(s for s, found in by_segment.items() if found.coverage >= SEGMENT_HOLDS),
        transmurality=float(share[holds].mean()) if holds.any() else None,
        burden=area / max(int(frame.wall.sum()), 1),
        area_mm2=area * frame.pixel_mm2,
        mvo_share=int((no_reflow & scar).sum()) / area if no_reflow is not None and area else 0.0,
        by_segment=by_segment,
    )


def chord_shares(
    scar: Mask, frame: HeartFrame, within: Bool[np.ndarray, "rows cols"] | None = None
) -> tuple[Float[np.ndarray, " chords"], Float[np.ndarray, " chords"]]:
    """Scarred share of each chord, and the number of wall pixels it runs through (0 where `within` leaves it none)."""
    wall = frame.wall if within is None else frame.wall & within
    chord = (frame.nominal_deg[wall] / (360.0 / CHORDS)).astype(int) % CHORDS
    pixels = np.bincount(chord, minlength=CHORDS).astype(float)
    scarred = np.bincount(chord, weights=scar[wall].astype(float), minlength=CHORDS)
    return scarred / np.maximum(pixels, 1.0), pixels
