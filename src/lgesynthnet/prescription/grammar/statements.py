"""Decide which of the walls in a sentence say where the scar is.

A report names places more than once: "Inferior infarct with transmural enhancement of the basal inferior wall (RCA territory)". Walls
that stand together, joined by commas and "and", are one statement. Where there are two statements, one of them must be a mere name: the
wall of an infarct, a wall behind "consistent with", or the territory of an artery. The other one counts. Everything else is two scars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.phrases import Item, Kind, Wall
from lgesynthnet.prescription.grammar.report_words import INFARCTS

# What ends a statement: the walls before and after it do not stand together.
_ENDS = frozenset(
    (
        *(Kind.FINDING, Kind.PATTERN, Kind.MEASURE, Kind.BORDER, Kind.BRIGHTNESS, Kind.SIZE),
        *(Kind.EXTENT_NOUN, Kind.COMMENT, Kind.HEADING),
    )
)
_JOINTS = frozenset((Kind.AND, Kind.EXTENSION, Kind.BREAK, Kind.UNKNOWN, Kind.REFUSED))  # the last two are problems of their own
_STOPS = frozenset(".;")
_HEAD_NOUNS = frozenset(("wall", "walls", "segment", "segments", "territory", "distribution", "artery", "coronary", "myocardial"))
_BORDERS = frozenset(("border", "borders", "edge", "edges", "margin", "margins"))
_LEVEL_LINKS = frozenset(("left", "lv", "ventricle", "ventricular", "the"))
_ONE_SCAR = "name all walls of one scar side by side ('the mid inferior and septal walls'), or write one sentence for each scar"


@dataclass(frozen=True, kw_only=True)
class Statements:
    """What a sentence says about the place of the scar.

    Attributes:
        items: the sentence without the walls that are mere names.
        names: walls that were left out and must lie, in part at least, where the scar is.
        territories: territories that were left out and must hold all walls of the scar.
        apposed: whether segment numbers stand beside walls as their explanation, so that both must be the same segments.
    """

    items: tuple[Item, ...]
    names: tuple[Wall, ...]
    territories: tuple[Wall, ...]
    apposed: bool


def find_statements(items: Sequence[Item]) -> Statements:
    """Choose the walls that count.

    Raises:
        PrescriptionError: walls are named in two places, or stand side by side without a word that joins them.
    """
    positions = [i for i, (kind, _) in enumerate(items) if kind is Kind.WALL]
    if any(not items[i][1].implied for i in positions):
        items, positions = _without_implied(items, positions)
    counted, named = _choose(items, _divide(items, positions))
    for left, right in pairwise(counted):
        _check_pair(items, left, right)
    walls = [items[i][1] for i in counted]
    if any(wall.name == "posterior" for wall in walls) and any(wall.name == "inferior" for wall in walls):
        raise PrescriptionError("'posterior' beside 'inferior' is unclear; write 'inferolateral' for segments 5 and 11, or leave it out")
    comments = _territories_as_comments(items, counted)
    left_out = {*named, *comments}
    return Statements(
        items=tuple(item for i, item in enumerate(items) if i not in left_out),
        names=tuple(items[i][1] for i in named),
        territories=tuple(items[i][1] for i in comments),
        apposed=any(
            items[left][1].listed != items[right][1].listed and not _kinds(items, left, right) & {Kind.AND, Kind.EXTENSION}
            for left, right in pairwise(i for i in counted if i not in comments)
        ),
    )


def _without_implied(items: Sequence[Item], positions: Sequence[int]) -> tuple[list[Item], list[int]]:
    """Take out the walls that come with "RV-insertion", because other walls are named."""
    for left, right in pairwise(positions):
        if items[left][1].implied and Kind.AND in _kinds(items, left, _start_of_levels(items, right)):
            raise PrescriptionError(f"RV insertions and walls are joined by 'and'; {_ONE_SCAR}")
    kept = [(kind, value) for kind, value in items if kind is not Kind.WALL or not value.implied]
    return kept, [i for i, (kind, _) in enumerate(kept) if kind is Kind.WALL]


def check_nouns(items: Sequence[Item]) -> Iterator[str]:
    """Problems with nouns: "third" and "part" must belong to a level, "extending to" to a wall, and "border" to no wall."""
    for i, (kind, value) in enumerate(items):
        if kind is Kind.LEVEL_NOUN and not _has_level(items, i):
            yield f"'{value}' belongs to no level; write e.g. 'basal {value}', or name the wall with its prefix, such as 'anteroseptal'"
        if kind is Kind.FILLER and value in _BORDERS and _reaches_wall(items[i + 1 :]):
            yield f"'{value} of' a wall is a place between segments; name the walls, or write an arc, such as 'between 130 and 170 degrees'"
        if kind is Kind.FILLER and value in _BORDERS and i and items[i - 1][0] is Kind.PATTERN:
            yield f"'{value}' after a pattern makes it a place; write 'subendocardial scar with an irregular border'"
        if kind is Kind.EXTENSION:
            after = [kind for kind, _ in items[i + 1 :] if kind in _ENDS or kind in (Kind.WALL, Kind.LEVEL)]
            reached = next((kind for kind in after if kind is not Kind.LEVEL), None)
            if Kind.LEVEL in after[:1] and reached is not Kind.WALL:
                yield f"'{value}' a level does not say from where; write all levels, such as 'basal to mid'"


def _reaches_wall(items: Sequence[Item]) -> bool:
    """Whether "of" or "between" follows at once, and then a wall."""
    rest = [kind for kind, value in items if kind is not Kind.FILLER and (kind is not Kind.UNKNOWN or value != "between")]
    return [kind for kind, _ in items[:1]] in ([Kind.OF], [Kind.UNKNOWN]) and Kind.WALL in rest[:3]


def _has_level(items: Sequence[Item], position: int) -> bool:
    before = position - 1
    while before >= 0 and (items[before][0] in (Kind.LEVEL_NOUN, Kind.AND) or _is_filler(items[before], _LEVEL_LINKS)):
        before -= 1
    if before >= 0 and items[before][0] is Kind.LEVEL:
        return True
    after = [item for item in items[position + 1 : position + 4] if not _is_filler(item, _LEVEL_LINKS)]
    return [kind for kind, _ in after[:2]] == [Kind.OF, Kind.LEVEL] and str(items[position][1]) in ("level", "levels", "slice", "slices")


def _is_filler(item: Item, words: frozenset[str]) -> bool:
    return item[0] is Kind.FILLER and item[1] in words


def _kinds(items: Sequence[Item], left: int, right: int) -> set[Kind]:
    return {kind for kind, _ in items[left + 1 : right]}


def _divide(items: Sequence[Item], positions: Sequence[int]) -> list[list[int]]:
    """Walls that stand together, by their positions. "Extending into" continues the statement before it."""
    groups: list[list[int]] = []
    for position in positions:
        if groups:
            between = items[groups[-1][-1] + 1 : position]
            ended = any(kind in _ENDS or (kind is Kind.BREAK and value in _STOPS) for kind, value in between)
            if not ended or _extends(between):
                groups[-1].append(position)
                continue
        groups.append([position])
    return groups


def _extends(between: Sequence[Item]) -> bool:
    """Whether "extending into" stands directly before the next wall. A "patchy extension into" is a scar of its own."""
    kinds = [kind for kind, _ in between if kind in _ENDS or kind in (Kind.EXTENSION, Kind.BREAK)]
    if kinds[-1:] != [Kind.EXTENSION]:
        return False
    return len(kinds) == 1 or kinds[-2] in (Kind.FINDING, Kind.BREAK)


def _choose(items: Sequence[Item], groups: list[list[int]]) -> tuple[list[int], list[int]]:
    """The walls that count, and the walls that only name the infarct."""
    for group in groups:
        _check_one_finding(items, group)
    if len(groups) < 2:
        return (groups[0] if groups else []), []
    explicit = [group for i, group in enumerate(groups) if not _is_name(items, group, groups[i - 1][-1] if i else -1)]
    if not explicit:
        explicit = [group for group in groups if not all(items[i][1].territory for i in group)]
    if len(explicit) != 1:
        wall, other = (items[group[0]][1].label for group in (explicit or groups)[:2])
        raise PrescriptionError(f"walls are named in two places ('{wall}' and '{other}'); {_ONE_SCAR}")
    for left, right in pairwise(groups):
        if Kind.AND in _kinds(items, left[-1], _start_of_levels(items, right[0])):
            raise PrescriptionError(f"two findings with walls of their own are joined by 'and'; {_ONE_SCAR}")
    return explicit[0], [i for group in groups if group is not explicit[0] for i in group]


def _start_of_levels(items: Sequence[Item], position: int) -> int:
    """Where the phrase "basal and mid" before a wall begins; the "and" in it joins no findings."""
    start = position
    for i in range(position - 1, -1, -1):
        if items[i][0] not in (Kind.LEVEL, Kind.LEVEL_NOUN, Kind.AND, Kind.OF, Kind.TO, Kind.FILLER, Kind.BREAK):
            break
        if items[i][0] is Kind.LEVEL:
            start = i
    return start


def _is_name(items: Sequence[Item], group: list[int], before: int) -> bool:
    """Whether walls name the infarct: all are territories, "infarct" follows, or "consistent with" stands before them."""
    if all(items[i][1].territory for i in group) or Kind.COMMENT in _kinds(items, before, group[0]):
        return True
    return _head(items, group[-1]) in INFARCTS


def _head(items: Sequence[Item], position: int) -> str | None:
    """The finding that directly follows a wall, as in "septal wall fibrosis"."""
    for item in items[position + 1 :]:
        if not _is_filler(item, _HEAD_NOUNS):
            return str(item[1]) if item[0] is Kind.FINDING else None
    return None


def _check_one_finding(items: Sequence[Item], group: list[int]) -> None:
    """Refuse "scar of the inferior wall and septal fibrosis", where each of the two findings has a wall."""
    if len(group) < 2 or _head(items, group[-1]) is None or not any(Kind.AND in _kinds(items, *pair) for pair in pairwise(group)):
        return
    earlier = items[: group[0]]
    last = max((i for i, (kind, _) in enumerate(earlier) if kind is Kind.FINDING), default=None)
    if last is not None and not any(kind is Kind.HEADING or (kind is Kind.BREAK and value == ":") for kind, value in earlier[last:]):
        raise PrescriptionError(f"two findings with walls of their own are joined by 'and'; {_ONE_SCAR}")


def _check_pair(items: Sequence[Item], left: int, right: int) -> None:
    one, other = items[left][1], items[right][1]
    kinds = _kinds(items, left, right)
    if kinds & _JOINTS:
        parts = other.name.split()
        fronts = ("anterior", "inferior", "posterior")
        ambiguous = one.name in fronts and len(parts) == 2 and parts[0] in fronts and (one.name == fronts[0]) != (parts[0] == fronts[0])
        has_noun = any(_is_filler(item, _HEAD_NOUNS) for item in items[left:right])  # "anterior wall and inferior septum" is clear
        if ambiguous and Kind.AND in kinds and Kind.BREAK not in kinds and not has_noun:
            raise PrescriptionError(
                f"'{one.name} and {other.name}' may mean the {one.name} wall or its {parts[1]} part; "
                "write the walls with their prefix, such as 'anteroseptal'"
            )
        return
    if one.territory != other.territory or one.listed != other.listed or Kind.TO in kinds:  # "to" is refused with its own words
        return
    raise PrescriptionError(
        f"'{one.label}' and '{other.label}' are not joined by a word; put 'and' between two walls, or write one wall with its prefix, "
        "such as 'anteroseptal'"
    )


def _territories_as_comments(items: Sequence[Item], counted: Sequence[int]) -> list[int]:
    """Territories beside walls: "inferior wall (RCA territory)". Joined by "and", they count like walls."""
    territories = [i for i in counted if items[i][1].territory]
    if len(territories) == len(counted):
        return []
    joined = {
        i
        for left, right in pairwise(counted)
        if items[left][1].territory != items[right][1].territory and Kind.AND in _kinds(items, left, right)
        for i in (left, right)
    }
    return [i for i in territories if i not in joined]
