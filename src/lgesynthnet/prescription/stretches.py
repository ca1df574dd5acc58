"""Stretches of wall: from AHA segments to the arc that holds them, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lgesynthnet.anatomy.aha import LEVEL_OF, SECTOR_DEG, SECTOR_START_DEG, SEGMENTS, segment_at
from lgesynthnet.prescription.scar import Arc
from lgesynthnet.records import Level

MIN_SEGMENT_COVERAGE = 0.15  # share of the chords of a segment that must hold scar before the segment counts as scarred


def segments_round(middle_deg: float, width_deg: float, level: Level) -> frozenset[int]:
    """The segments of which a scar takes as much as a measurement asks for, and the one that holds its middle."""
    sector = SECTOR_DEG[level]
    named = {int(segment_at(np.array(float(middle_deg)), level))}
    for segment in SEGMENTS[level]:
        centre = SECTOR_START_DEG[segment] + sector / 2
        apart = abs((centre - middle_deg + 180.0) % 360.0 - 180.0)
        shared = (width_deg + sector) / 2 - apart + max(apart + (width_deg + sector) / 2 - 360.0, 0.0)  # also round the other side
        if shared >= MIN_SEGMENT_COVERAGE * sector:
            named.add(segment)
    return frozenset(named)


def shortest_arc(segments: Iterable[int]) -> Arc:
    """The shortest arc that holds all these segments of one level, in nominal degrees."""
    level = LEVEL_OF[next(iter(segments))]
    starts = sorted(SECTOR_START_DEG[s] for s in segments)
    gaps = [((b - a) % 360.0 or 360.0, b) for a, b in zip(starts, [*starts[1:], starts[0]], strict=True)]
    widest, first = max(gaps)
    return Arc(start_deg=first, extent_deg=360.0 - widest + SECTOR_DEG[level])
