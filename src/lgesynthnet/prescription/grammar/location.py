"""Turn the words for levels and walls, in the order of the sentence, into AHA segments.

A level applies to the walls after it, up to the next level ("basal to mid inferior and apical septal walls"). A level that
follows its walls ("inferior wall at the mid level", "lateral wall, basal") applies to the walls before it that have none. A
wall without a level means every level that has a wall of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lgesynthnet.anatomy.aha import LEVEL_OF, SECTOR_DEG, SECTOR_START_DEG, SHORT_AXIS_SEGMENTS
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.vocabulary import LATERAL, SEPTUM, Item, Kind, Wall
from lgesynthnet.prescription.scar import Arc
from lgesynthnet.records import Level

_LEVELS = tuple(Level)
# A pattern or a finding names no place, but it separates the levels before it from the levels after it.
_PLACES = frozenset((Kind.LEVEL, Kind.LEVEL_NOUN, Kind.OF, Kind.TO, Kind.WALL, Kind.PATTERN, Kind.FINDING))


@dataclass
class _Group:
    """Walls that share their levels. None means every level."""

    levels: set[Level] | None
    walls: list[Wall] = field(default_factory=list)


@dataclass
class _LevelRun:
    """The levels of a phrase such as "basal to mid third of".

    Attributes:
        end: position of the first item after the phrase.
        follows: whether the phrase belongs to the walls before it.
    """

    levels: set[Level]
    end: int
    follows: bool


def segments_of(items: Iterable[Item], arc: Arc | None) -> frozenset[int]:
    """The AHA segments that the levels and walls of a sentence name. An arc without walls names the segments that it touches.

    Raises:
        PrescriptionError: there is no wall, a level belongs to no wall, or a level has no wall of that name.
    """
    places = [item for item in items if item[0] in _PLACES]
    walls = [value for kind, value in places if kind is Kind.WALL]
    if len({wall.point for wall in walls if not wall.implied}) > 1:
        raise PrescriptionError("both insertion points and walls are named; keep one, or write one sentence for each scar")
    if not all(wall.implied for wall in walls):
        places = [(kind, value) for kind, value in places if kind is not Kind.WALL or not value.implied]
    groups, levels = _group(places)
    if not groups:
        if arc is None:
            raise PrescriptionError(
                "no wall is named; add one, such as 'mid inferolateral wall', 'LAD territory', 'segments 3 and 9' or 'circumferential'"
            )
        return frozenset(segment for segment in SHORT_AXIS_SEGMENTS if LEVEL_OF[segment] in (levels or _LEVELS) and _touches(arc, segment))
    return frozenset().union(*(_at_levels(wall, group.levels) for group in groups for wall in group.walls))


def _group(places: Sequence[Item]) -> tuple[list[_Group], set[Level] | None]:
    """Group the walls with their levels. Where the sentence has no wall at all, its levels are returned as the second value."""
    groups: list[_Group] = []
    pending: set[Level] | None = None
    closed = True  # the next wall opens a group of its own
    position = 0
    while position < len(places):
        kind, value = places[position]
        position += 1
        if kind is Kind.WALL:
            if pending is not None or closed:
                groups.append(_Group(pending))
            groups[-1].walls.append(value)
            pending, closed = None, False
        elif kind is Kind.TO:
            raise PrescriptionError("'to' joins two levels ('basal to mid') or two numbers; name every wall one by one")
        elif kind is Kind.LEVEL:
            run = _level_run(places, position - 1)
            position = run.end
            if run.follows and groups and groups[-1].levels is None:
                groups[-1].levels, closed = run.levels, True
            elif pending is not None:
                raise _unclear(run.levels)
            else:
                pending = run.levels
    if pending is not None and groups:
        if any(group.levels is not None for group in groups):
            raise _unclear(pending)
        for group in groups:
            group.levels = pending
    return groups, pending


def _unclear(levels: set[Level]) -> PrescriptionError:
    names = " and ".join(sorted(levels, key=_LEVELS.index))
    return PrescriptionError(f"it is unclear which wall '{names}' belongs to; write the level before each wall")


def _level_run(places: Sequence[Item], position: int) -> _LevelRun:
    levels: set[Level] = set()
    last: Level | None = None
    noun = False
    while position < len(places):
        kind, value = places[position]
        following: Item = places[position + 1] if position + 1 < len(places) else (Kind.FILLER, None)
        if kind is Kind.LEVEL:
            levels.update(value)
            last = value[-1]
        elif kind is Kind.TO and last is not None and following[0] is Kind.LEVEL:
            first, end = sorted((_LEVELS.index(last), _LEVELS.index(following[1][0])))
            levels.update(_LEVELS[first : end + 1])
        elif kind is Kind.LEVEL_NOUN:
            noun = True
        elif kind is Kind.OF and noun and following[0] is Kind.WALL:
            return _LevelRun(levels, position + 1, follows=False)
        elif kind is not Kind.OF:
            break
        position += 1
    return _LevelRun(levels, position, follows=noun)


def _at_levels(wall: Wall, levels: set[Level] | None) -> frozenset[int]:
    if levels is None:
        return wall.segments
    if wall.listed:
        other_levels = sorted(segment for segment in wall.segments if segment in SHORT_AXIS_SEGMENTS and LEVEL_OF[segment] not in levels)
        if other_levels:
            segment = other_levels[0]
            raise PrescriptionError(f"segment {segment} is {LEVEL_OF[segment]}, not {' or '.join(sorted(levels))}; leave the level out")
        return wall.segments
    for level in sorted(levels):
        if not any(LEVEL_OF[segment] is level for segment in wall.segments):
            nearest = " or ".join(name for name, part in (("septal", SEPTUM), ("lateral", LATERAL)) if wall.segments & part)
            raise PrescriptionError(
                f"the {level} level has no {wall.name} wall, only anterior, septal, inferior and lateral; did you mean '{level} {nearest}'?"
            )
    return frozenset(segment for segment in wall.segments if LEVEL_OF[segment] in levels)


def _touches(arc: Arc, segment: int) -> bool:
    start = SECTOR_START_DEG[segment]
    return (arc.start_deg - start) % 360 < SECTOR_DEG[LEVEL_OF[segment]] or (start - arc.start_deg) % 360 < arc.extent_deg
