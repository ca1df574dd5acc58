"""Turn the words for levels and walls, in the order of the sentence, into AHA segments.

A level applies to the walls after it, up to the next level ("basal to mid inferior and apical septal walls"). A level that
follows its walls ("inferior wall at the mid level", "lateral wall, basal") applies to the walls before it that have none. A
wall without a level means every level that has a wall of that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lgesynthnet.anatomy.aha import LEVEL_OF, SECTOR_DEG, SECTOR_START_DEG, SHORT_AXIS_SEGMENTS
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.phrases import Item, Kind, Wall
from lgesynthnet.prescription.grammar.statements import Statements, find_statements
from lgesynthnet.prescription.grammar.vocabulary import LATERAL, SEPTUM
from lgesynthnet.prescription.scar import Arc
from lgesynthnet.records import Level

_LEVELS = tuple(Level)
# A pattern or a finding names no place, but it separates the levels before it from the levels after it.
_PLACES = frozenset(
    (Kind.LEVEL, Kind.LEVEL_NOUN, Kind.OF, Kind.TO, Kind.WALL, Kind.PATTERN, Kind.FINDING, Kind.AND, Kind.BREAK, Kind.EXTENSION)
)
NO_WALL = "no wall is named; add one, such as 'mid inferolateral wall', 'LAD territory', 'segments 3 and 9' or 'circumferential'"


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
        follows: whether the phrase belongs to the walls before it, where these have no level: it ends in a noun ("at the mid level"),
            or a comma, a bracket or "and" keeps it from the wall behind it ("inferior wall (basal) and septum").
    """

    levels: set[Level]
    end: int
    follows: bool
    noun: bool = False


def segments_of(items: Sequence[Item], arc: Arc | None) -> tuple[frozenset[int], list[str]]:
    """The AHA segments that the levels and walls of a sentence name. An arc without walls names the segments that it touches.

    Returns:
        The segments, and notes on walls that were not taken as they stand.
    Raises:
        PrescriptionError: there is no wall, a level belongs to no wall, a level has no wall of that name, or walls contradict each other.
    """
    walls = [value for kind, value in items if kind is Kind.WALL]
    if len({wall.point for wall in walls if not wall.implied}) > 1:
        raise PrescriptionError("both insertion points and walls are named; keep one, or write one sentence for each scar")
    statements = find_statements(items)
    groups, levels = _group([item for item in statements.items if item[0] in _PLACES])
    if not groups:
        if arc is None:
            raise PrescriptionError(NO_WALL)
        touched = (segment for segment in SHORT_AXIS_SEGMENTS if LEVEL_OF[segment] in (levels or _LEVELS) and _touches(arc, segment))
        return frozenset(touched), []
    placed = [(wall, _at_levels(wall, group.levels)) for group in groups for wall in group.walls]
    segments = frozenset().union(*(part for _, part in placed))
    _check_agreement(statements, placed, segments)
    return segments, _notes(statements, [wall for wall, _ in placed])


def _check_agreement(statements: Statements, placed: list[tuple[Wall, frozenset[int]]], segments: frozenset[int]) -> None:
    listed, named = (frozenset().union(*(part for wall, part in placed if wall.listed is which)) for which in (True, False))
    if statements.apposed and listed != named:
        raise PrescriptionError(
            f"the segments {_numbers(listed)} are not those of the walls beside them ({_numbers(named)}); keep the numbers or the walls"
        )
    for wall in statements.names:
        if not wall.segments & segments:
            raise PrescriptionError(
                f"'{wall.label}' and segments {_numbers(segments)} are two places; write 'extending into' where one scar goes on, or one "
                "sentence for each scar"
            )
    territory = frozenset().union(*(wall.segments for wall in statements.territories))
    if statements.territories and not segments <= territory:
        names = " and ".join(wall.label for wall in statements.territories)
        raise PrescriptionError(
            f"segments {_numbers(segments - territory)} are not in the {names} territory beside the walls; keep the walls or the territory"
        )


def _notes(statements: Statements, walls: list[Wall]) -> list[str]:
    notes = []
    if left_out := list(dict.fromkeys(wall.label for wall in (*statements.names, *statements.territories))):
        notes.append(
            f"{' and '.join(repr(name) for name in left_out)}: read as the name of the infarct; the other walls say where the scar is"
        )
    if any(wall.name == "posterior" for wall in walls):
        notes.append(
            "'posterior': read as the inferior wall (segments 4, 10 and 15); write 'inferolateral' for segments 5 and 11, which "
            "echocardiography used to call posterior"
        )
    if distal := next((wall for wall in walls if wall.name.startswith("distal ")), None):
        notes.append(f"'{distal.label}': read as the apical segments of the LAD, {_numbers(distal.segments)}")
    return notes


def _numbers(segments: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(segments))) or "none"


def _group(places: Sequence[Item]) -> tuple[list[_Group], set[Level] | None]:
    """Group the walls with their levels. Where the sentence has no wall at all, its levels are returned as the second value."""
    groups: list[_Group] = []
    pending: set[Level] | None = None
    closed = True  # the next wall opens a group of its own
    open_level = False  # the level of the next wall cannot be told from the walls before it
    position = 0
    while position < len(places):
        kind, value = places[position]
        position += 1
        if kind is Kind.WALL and value.level is not None:
            if pending is not None:
                raise _unclear(pending)
            open_level = open_level or (not closed and groups[-1].levels is not None)
            groups.append(_Group({value.level}, [value]))
            closed = True
        elif kind is Kind.WALL:
            if open_level and pending is None:
                raise PrescriptionError(f"it is unclear at which level the {value.label} wall is meant; write the level before each wall")
            if pending is not None or closed:
                groups.append(_Group(pending))
            groups[-1].walls.append(value)
            pending, closed = None, False
        elif kind is Kind.EXTENSION:
            open_level = len({frozenset(group.levels or _LEVELS) for group in groups}) > 1 or (closed and any(g.levels for g in groups))
        elif kind is Kind.TO:
            raise PrescriptionError("'to' joins two levels ('basal to mid') or two numbers; name every wall one by one")
        elif kind is Kind.LEVEL:
            run = _level_run(places, position - 1)
            _check_joints(places, position - 1, run)
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
    noun = parted = False
    while position < len(places):
        kind, value = places[position]
        following: Item = next((item for item in places[position + 1 :] if item[0] not in (Kind.AND, Kind.BREAK)), (Kind.FILLER, None))
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
        elif kind in (Kind.AND, Kind.BREAK):
            parted = parted or following[0] is not Kind.LEVEL
        elif kind is not Kind.OF:
            break
        position += 1
    return _LevelRun(levels, position, follows=noun or parted, noun=noun)


def _check_joints(places: Sequence[Item], start: int, run: _LevelRun) -> None:
    """Refuse levels that "and" or a comma puts beside walls, as in "the anterior and apical walls" and "the basal and inferior walls"."""
    before = [kind for kind, _ in places[:start]]
    goes_on = run.end < len(places) and places[run.end][0] is Kind.WALL
    if before[-2:] == [Kind.WALL, Kind.AND] and (not goes_on or run.follows):
        raise _unclear(run.levels)
    if goes_on and run.follows and not run.noun:
        after_wall = before[-1:] == [Kind.WALL] or (before[-2:] == [Kind.WALL, Kind.BREAK] and places[start - 1][1] == "(")
        first_of_all = Kind.WALL not in before and places[run.end - 1][0] is Kind.BREAK
        if not after_wall and not first_of_all:
            raise _unclear(run.levels)


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
