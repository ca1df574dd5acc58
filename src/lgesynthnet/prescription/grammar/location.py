"""From level and wall words, in the order of the sentence, to AHA segments.

A level holds for the walls after it until the next level ("basal to mid inferior and apical septal walls"); a level that
follows its walls ("inferior wall at the mid level", "lateral wall, basal") holds for those that have none. A wall without
any level means every level where a wall of that name exists.
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
# A pattern or a finding says no place, but levels on both sides of it are not one list of levels.
_PLACES = frozenset((Kind.LEVEL, Kind.LEVEL_NOUN, Kind.OF, Kind.TO, Kind.WALL, Kind.PATTERN, Kind.FINDING))


@dataclass
class _Group:
    """Walls that share their levels; None is every level."""

    levels: set[Level] | None
    walls: list[Wall] = field(default_factory=list)


@dataclass
class _LevelRun:
    """ "basal to mid third of": the levels, and whether the run stands after its walls rather than before them."""

    levels: set[Level]
    end: int
    follows: bool


def segments_of(items: Iterable[Item], arc: Arc | None) -> frozenset[int]:
    """AHA segments that the level and wall items of a sentence name; an arc without walls names those it touches.

    Raises:
        PrescriptionError: no wall, a level that belongs to no wall, or a wall that its level does not have.
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
        return frozenset(s for s in SHORT_AXIS_SEGMENTS if LEVEL_OF[s] in (levels or _LEVELS) and _touches(arc, s))
    return frozenset().union(*(_at_levels(wall, group.levels) for group in groups for wall in group.walls))


def _group(places: Sequence[Item]) -> tuple[list[_Group], set[Level] | None]:
    """Walls with their levels; levels that no wall took come back beside them, when there are no walls at all."""
    groups: list[_Group] = []
    pending: set[Level] | None = None
    closed = True  # the next wall opens a group of its own
    at = 0
    while at < len(places):
        kind, value = places[at]
        at += 1
        if kind is Kind.WALL:
            if pending is not None or closed:
                groups.append(_Group(pending))
            groups[-1].walls.append(value)
            pending, closed = None, False
        elif kind is Kind.TO:
            raise PrescriptionError("'to' joins two levels ('basal to mid') or two numbers; name every wall one by one")
        elif kind is Kind.LEVEL:
            run = _level_run(places, at - 1)
            at = run.end
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


def _level_run(places: Sequence[Item], at: int) -> _LevelRun:
    levels: set[Level] = set()
    last: Level | None = None
    noun = False
    while at < len(places):
        kind, value = places[at]
        following: Item = places[at + 1] if at + 1 < len(places) else (Kind.FILLER, None)
        if kind is Kind.LEVEL:
            levels.update(value)
            last = value[-1]
        elif kind is Kind.TO and last is not None and following[0] is Kind.LEVEL:
            first, end = sorted((_LEVELS.index(last), _LEVELS.index(following[1][0])))
            levels.update(_LEVELS[first : end + 1])
        elif kind is Kind.LEVEL_NOUN:
            noun = True
        elif kind is Kind.OF and noun and following[0] is Kind.WALL:
            return _LevelRun(levels, at + 1, follows=False)
        elif kind is not Kind.OF:
            break
        at += 1
    return _LevelRun(levels, at, follows=noun)


def _at_levels(wall: Wall, levels: set[Level] | None) -> frozenset[int]:
    if levels is None:
        return wall.segments
    if wall.listed:
        strangers = sorted(s for s in wall.segments if s in SHORT_AXIS_SEGMENTS and LEVEL_OF[s] not in levels)
        if strangers:
            s = strangers[0]
            raise PrescriptionError(f"segment {s} is {LEVEL_OF[s]}, not {' or '.join(sorted(levels))}; leave the level out")
        return wall.segments
    for level in sorted(levels):
        if not any(LEVEL_OF[s] is level for s in wall.segments):
            nearest = " or ".join(name for name, part in (("septal", SEPTUM), ("lateral", LATERAL)) if wall.segments & part)
            raise PrescriptionError(
                f"the {level} level has no {wall.name} wall, only anterior, septal, inferior and lateral; did you mean '{level} {nearest}'?"
            )
    return frozenset(s for s in wall.segments if LEVEL_OF[s] in levels)


def _touches(arc: Arc, segment: int) -> bool:
    start = SECTOR_START_DEG[segment]
    return (arc.start_deg - start) % 360 < SECTOR_DEG[LEVEL_OF[segment]] or (start - arc.start_deg) % 360 < arc.extent_deg
