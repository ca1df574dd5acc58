"""Kinds of scar, so that a good average over easy ones cannot hide the hard ones."""

from __future__ import annotations

from collections.abc import Iterable

from lgesynthnet.anatomy.aha import NAME_OF

EXTENTS = (0.4, 0.6, 0.8)  # fixed edges near the quartiles of what the ischaemic prior draws
AREAS_MM2 = (100.0, 200.0, 350.0)
ALL = "all"


def strata(extent: float, area_mm2: float, segments: Iterable[int]) -> tuple[str, ...]:
    """`all`, the band of transmural extent, the band of area, and each AHA segment, as words that sort in order."""
    return (
        ALL,
        f"extent {band_name(extent, EXTENTS)}",
        f"area {band_name(area_mm2, AREAS_MM2)} mm2",
        *(f"segment {segment:02d} {NAME_OF[segment]}" for segment in sorted(segments)),
    )


def band_name(value: float, edges: tuple[float, ...]) -> str:
    """Which of the bands between `edges` holds a value; an upper edge belongs to the band below it."""
    which = sum(value > edge for edge in edges)
    low = "0" if which == 0 else f"{edges[which - 1]:g}"
    return f"{which + 1}: {low} to {edges[which]:g}" if which < len(edges) else f"{which + 1}: above {low}"


def sort_strata(groups: Iterable[str]) -> list[str]:
    """`all` first, the others as they sort."""
    return sorted(groups, key=lambda group: (group != ALL, group))
