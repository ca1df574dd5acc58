"""The cells in which scars are counted: AHA segment, level, size, depth, brightness; each list by itself, because patients are few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from lgesynthnet.anatomy.aha import LEVEL_OF, NAME_OF, SECTOR_DEG, SHORT_AXIS_SEGMENTS
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, ScarPrescription
from lgesynthnet.records import Level


class Axis(StrEnum):
    """What the cells of one list tell apart."""

    SEGMENT = "AHA segment"
    LEVEL = "level"
    SIZE = "size"
    DEPTH = "depth"
    BRIGHTNESS = "brightness"


# Upper edges of all bands but the last. An edge belongs to the band below it.
SIZES = (0.10, 0.25)  # share of the slice's wall; near the thirds of the scars of EMIDEC
DEPTHS = (0.5, TRANSMURAL_ABOVE)  # transmural extent: beyond one half, a wall seldom recovers
BRIGHTNESSES = (100 / 3, 200 / 3)  # percentile of the scars that the generator was trained on
CELLS: dict[Axis, tuple[str, ...]] = {
    Axis.SEGMENT: tuple(f"{segment:02d} {NAME_OF[segment]}" for segment in sorted(SHORT_AXIS_SEGMENTS)),
    Axis.LEVEL: tuple(level.value for level in Level),
    Axis.SIZE: ("up to 10 % of the slice's wall", "10 to 25 % of it", "more than 25 % of it"),
    Axis.DEPTH: ("up to half of the wall", "half to three quarters", "more than three quarters"),
    Axis.BRIGHTNESS: ("faint", "middling", "bright"),
}


@dataclass(frozen=True, kw_only=True)
class ScarTraits:
    """What decides the cells of one scar.

    Attributes:
        segments: AHA segments, at least one.
        share: share of the slice's wall that it takes.
        depth: transmural extent, 0 to 1; None where none of it lies in the wall.
        brightness: percentile of the scars that the generator was trained on, 0 to 100; None where that is not known.
    """

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}

    level: Level
    segments: tuple[int, ...]
    share: float
    depth: float | None
    brightness: float | None

    def cells(self, axis: Axis) -> tuple[int, ...]:
        """Numbers of the cells of this scar in `CELLS[axis]`; a scar in several segments is in several cells."""
        match axis:
            case Axis.SEGMENT:
                return tuple(segment - 1 for segment in self.segments)
            case Axis.LEVEL:
                return (list(Level).index(self.level),)
            case Axis.SIZE:
                return (_band(self.share, SIZES),)
            case Axis.DEPTH:
                return () if self.depth is None else (_band(self.depth, DEPTHS),)
            case Axis.BRIGHTNESS:
                return () if self.brightness is None else (_band(self.brightness, BRIGHTNESSES),)


def traits_of_prescription(prescription: ScarPrescription, level: Level) -> ScarTraits:
    """The traits of the scar that a prescription makes in a slice of this level; its size is that of a wall of even thickness.

    Raises:
        ValueError: the prescription has no segment of this level.
    """
    segments = tuple(sorted(prescription.at(level)))
    if not segments:
        raise ValueError(f"the prescription has no {level} segment")
    wide_deg = sum(SECTOR_DEG[LEVEL_OF[segment]] for segment in segments)
    if prescription.arc is not None:
        wide_deg = min(wide_deg, prescription.arc.extent_deg)
    return ScarTraits(
        level=level,
        segments=segments,
        share=wide_deg / 360 * prescription.transmurality,
        depth=prescription.transmurality,
        brightness=prescription.intensity_percentile,
    )


def memberships(scars: Iterable[ScarTraits], axis: Axis) -> Float[np.ndarray, "scars cells"]:
    """How much of each scar is in each cell; a row sums to 1, or to 0 where the trait is not known."""
    rows = []
    for scar in scars:
        row = np.zeros(len(CELLS[axis]))
        cells = scar.cells(axis)
        row[list(cells)] = 1 / max(len(cells), 1)
        rows.append(row)
    return np.stack(rows) if rows else np.zeros((0, len(CELLS[axis])))


def counts(scars: Iterable[ScarTraits]) -> Mapping[tuple[Axis, int], int]:
    """(axis, cell) -> number of scars in it; a scar in several segments counts in each."""
    found: dict[tuple[Axis, int], int] = {}
    for scar in scars:
        for axis in Axis:
            for cell in scar.cells(axis):
                found[axis, cell] = found.get((axis, cell), 0) + 1
    return found


def _band(value: float, edges: tuple[float, ...]) -> int:
    return sum(value > edge + 1e-9 for edge in edges)
