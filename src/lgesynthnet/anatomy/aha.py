"""The AHA 17-segment model as tables: the angle, wall, level and artery of each segment number.

Angles are *nominal*: degrees counter-clockwise from image right in the radiological view, with the anterior RV insertion at
120 and the inferior one at 240. `anatomy.frame` maps the angles of a real heart to nominal angles.

Source: Cerqueira et al. (2002).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from lgesynthnet.records import Level

ANTERIOR_INSERTION_DEG = 120.0
INFERIOR_INSERTION_DEG = 240.0

# Width of a segment in nominal degrees, and the angle where it starts; a segment runs counter-clockwise from there.
SECTOR_DEG = {Level.BASAL: 60.0, Level.MID: 60.0, Level.APICAL: 90.0}
SECTOR_START_DEG: dict[int, float] = {
    **{segment: (60.0 + 60.0 * i) % 360.0 for i, segment in enumerate((1, 2, 3, 4, 5, 6))},
    **{segment: (60.0 + 60.0 * i) % 360.0 for i, segment in enumerate((7, 8, 9, 10, 11, 12))},
    **{segment: (45.0 + 90.0 * i) % 360.0 for i, segment in enumerate((13, 14, 15, 16))},
}
SEGMENTS: dict[Level, tuple[int, ...]] = {
    Level.BASAL: (1, 2, 3, 4, 5, 6),
    Level.MID: (7, 8, 9, 10, 11, 12),
    Level.APICAL: (13, 14, 15, 16),
}
FROM_BASE = tuple(SEGMENTS)  # the levels, each a third of the length of the left ventricle
SHORT_AXIS_SEGMENTS = frozenset(range(1, 17))  # 17, the apical cap, has no short-axis wall
LEVEL_OF: dict[int, Level] = {segment: level for level, segments in SEGMENTS.items() for segment in segments}
WALL_NAMES = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
APICAL_WALL_NAMES = ("anterior", "septal", "inferior", "lateral")
WALL_OF: dict[int, str] = {
    **dict(zip(SEGMENTS[Level.BASAL], WALL_NAMES, strict=True)),
    **dict(zip(SEGMENTS[Level.MID], WALL_NAMES, strict=True)),
    **dict(zip(SEGMENTS[Level.APICAL], APICAL_WALL_NAMES, strict=True)),
}
NAME_OF: dict[int, str] = {segment: f"{LEVEL_OF[segment]} {WALL_OF[segment]}" for segment in SHORT_AXIS_SEGMENTS}

# Standard assignment of segments to coronary arteries. 23 % of enhanced segments disagree with it (Ortiz-Perez et al., 2008).
TERRITORY: dict[str, frozenset[int]] = {
    "LAD": frozenset({1, 2, 7, 8, 13, 14}),
    "RCA": frozenset({3, 4, 9, 10, 15}),
    "LCX": frozenset({5, 6, 11, 12, 16}),
}


def level_at(position: float) -> Level:
    """The level at a position along the left ventricle, 0 base to 1 apex."""
    return FROM_BASE[min(max(int(3 * position), 0), 2)]


def segment_at(nominal_deg: Float[np.ndarray, "*shape"], level: Level | str) -> Int[np.ndarray, "*shape"]:
    """AHA segment numbers at nominal angles in degrees, of the same shape. Any range of angles is accepted; NaN gives 0."""
    level = Level(level)
    segments = np.asarray(SEGMENTS[level])
    first = SECTOR_START_DEG[int(segments[0])]
    with np.errstate(invalid="ignore"):
        turns = np.floor(((nominal_deg - first) % 360.0) / SECTOR_DEG[level])
    known = np.isfinite(turns)
    return np.where(known, segments[np.where(known, turns, 0).astype(int) % len(segments)], 0)


def neighbours(segment: int) -> tuple[int, int]:
    """The two neighbours of a segment within its level: (clockwise, counter-clockwise)."""
    ring = SEGMENTS[LEVEL_OF[segment]]
    i = ring.index(segment)
    return ring[i - 1], ring[(i + 1) % len(ring)]
