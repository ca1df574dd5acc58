"""Groups of scars by extent, area and segment, so that a good average over easy scars cannot hide the difficult ones."""

from __future__ import annotations

from collections.abc import Iterable

from lgesynthnet.anatomy.aha import NAME_OF

EXTENTS = (0.4, 0.6, 0.8)  # near the quartiles of the ischaemic prior
AREAS_MM2 = (100.0, 200.0, 350.0)
ALL = "all"


def strata(extent: float, area_mm2: float, segments: Iterable[int]) -> tuple[str, ...]:
    """Names of the groups of a scar: `all`, its band of transmural extent (0 to 1), its band of area (mm2), and each AHA segment."""
    return (
        ALL,
        f"extent {band_name(extent, EXTENTS)}",
        f"area {band_name(area_mm2, AREAS_MM2)} mm2",
        *(f"segment {segment:02d} {NAME_OF[segment]}" for segment in sorted(segments)),
    )


def band_name(value: float, edges: tuple[float, ...]) -> str:
    """Name of the band between `edges` that holds a value; an upper edge belongs to the band below it."""
    which = sum(value > edge for edge in edges)
    low = "0" if which == 0 else f"{edges[which - 1]:g}"
    return f"{which + 1}: {low} to {edges[which]:g}" if which < len(edges) else f"{which + 1}: above {low}"


def sort_strata(groups: Iterable[str]) -> list[str]:
    """Sort group names: `all` comes first, the others follow in alphabetical order."""
    return sorted(groups, key=lambda group: (group != ALL, group))
