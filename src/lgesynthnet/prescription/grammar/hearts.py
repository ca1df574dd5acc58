"""Sentences about whole hearts: those of a slice, and where the scar and its no-reflow core lie between base and apex.

Levels ("from mid to apex") and positions in percent ("from 30 to 75 % of the way from base to apex") say so. A phrase that stands directly
behind the microvascular obstruction is about the obstruction, and every other one about the scar. Such a phrase is taken out, and
`read_sentence` reads the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal

from lgesynthnet.anatomy.aha import FROM_BASE, LEVEL_OF
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.edits import NoEnhancement
from lgesynthnet.prescription.grammar.parsing import LONGEST_TEXT, SentenceReading, normalised, read_sentence, read_words
from lgesynthnet.prescription.grammar.phrases import Kind
from lgesynthnet.prescription.grammar.quantities import take_quantities
from lgesynthnet.prescription.grammar.vocabulary import LEVEL_NOUNS, LEVEL_PLACES, LEVELS
from lgesynthnet.prescription.grammar.writing import percent, write_sentence
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.records import Level

Range = tuple[float, float]  # 0 base to 1 apex

# What the sentences of hearts may say besides those of slices; `list_words` shows it.
HEART_FORMS: dict[str, tuple[str, ...]] = {
    "levels of the scar": ("from mid to apex", "base to mid", "from the apex to the mid ventricle"),
    "ends of the scar": ("from 30 to 75 % of the way from base to apex",),
    "levels of the no-reflow core": ("basal to apical infarct with microvascular obstruction from mid to apex",),
    "ends of the no-reflow core": ("with microvascular obstruction from 45 to 70 % of the way",),
}
LEAST_SHARE_OF_LENGTH = 0.01  # a scar that takes less of a level does not reach it: 33 % and 67 % mean a third and two thirds

_LEVEL_CALLED = {name: levels[0] for name, levels in (LEVELS | LEVEL_PLACES).items() if len(levels) == 1} | {"apex": Level.APICAL}
_LEVEL = "|".join(sorted(map(re.escape, _LEVEL_CALLED), key=len, reverse=True))
_NOUN = rf"(?:\s+(?:{'|'.join(LEVEL_NOUNS)})\b)?"
_LEVELS = re.compile(  # "mid" of "mid-wall" is no level
    rf"\b(?P<from>from\s+)?(?:the\s+)?(?P<one>{_LEVEL})\b{_NOUN}\s+to\s+(?:the\s+)?(?P<other>{_LEVEL})\b(?!\s+(?:wall|mural|myo)){_NOUN}"
)
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]{1,3})?"
_POSITIONS = re.compile(
    rf"(?:\b(?:from|between)\s+)?(?<![\w.-])(?<!\d,)(?P<one>{_NUMBER})\s*%?\s*(?:to|and|-)\s*(?P<other>{_NUMBER})\s*%\s*of\s+the\s+way\b"
    rf"(?:\s+(?:from|between)\s+(?:the\s+)?(?P<start>{_LEVEL})\s+(?:to|and)\s+(?:the\s+)?(?P<end>{_LEVEL})\b)?"
)
_BEHIND_OBSTRUCTION = re.compile(
    r"\b(?:obstruction|reflow(?:\s+(?:zone|core|area))?|mvo|core)\b(?:\s*\((?:mvo|no\s+reflow)\))?"
    rf"(?:\s*\(?\s*(?:in|of|over|covering|occupying|involving|:|=)?\s*{_NUMBER}\s*%"
    r"(?:\s+of\s+(?:the\s+)?(?:scar|infarct|infarction|lesion)\b(?:\s+zone\b)?)?\s*\)?)?\s*\(?\s*$"
)
_OBSTRUCTION = r"\b(?:obstruction|reflow|mvo|core)\b"
_END = rf"(?:the\s+)?(?:{_LEVEL}|{_NUMBER}\s*%\s*of\s+the\s+way)\b"
_RANGE = rf"(?:(?:from|between)\s+)?(?:the\s+)?(?:{_LEVEL}|{_NUMBER}\s*%?)\s+(?:to|and)\s+{_END}"
_ANY_RANGE = re.compile(rf"\b{_RANGE}")
_BEHIND_A_COMMA = re.compile(rf"{_OBSTRUCTION}[^,;]*[,;]\s*(?:and\s+)?(?P<range>{_RANGE})(?!\s+(?:wall|degrees))")
_IN_LEVELS = re.compile(rf"{_OBSTRUCTION}\s+(?:in|at|of)\s+(?P<range>(?:the\s+)?(?:{_LEVEL})\s+to\s+(?:the\s+)?(?:{_LEVEL})\b)")
_PERCENT_OF_WHAT = re.compile(
    rf"{_NUMBER}\s*%\s+(?:from|between)\s+(?:the\s+)?(?:{_LEVEL})\s+(?:to|and)\s+(?:the\s+)?(?:{_LEVEL})\b"
    rf"|{_OBSTRUCTION}\s+(?:from|between)\s+{_NUMBER}\s*%?\s*(?:to|and|-)\s*{_NUMBER}\s*%(?!\s*of\b)"
)
_LEVEL_PHRASE = re.compile(
    rf"\bfrom\s+(?:the\s+)?(?:{_LEVEL})\b{_NOUN}\s+to\s+(?:the\s+)?(?:{_LEVEL})\b"
    rf"|\b(?:base\s+to\s+(?:the\s+)?(?:{_LEVEL})|(?:{_LEVEL})\s+to\s+(?:the\s+)?(?:base|apex))\b"
)
_ENDS_HERE = re.compile(r"\s*(?:$|[,;:.()/]|(?:and|with)\b)")
_UNREAD = re.compile(r"\b(?:of\s+)?the\s+way\b")
_EXAMPLE = "write e.g. 'from 30 to 75 % of the way from base to apex'"


@dataclass(frozen=True, kw_only=True)
class HeartReading:
    """A sentence about a heart that was understood.

    Attributes:
        prescription: what the sentence says.
        notes: for each word that may mean two things, or has no effect, how it was read and how to say the other.
    """

    prescription: HeartScar | NoEnhancement
    notes: tuple[str, ...]


def read_heart_sentence(text: str) -> HeartReading:
    """Read one sentence about a whole heart. A sentence of a slice is one of a heart, whose scar takes the levels that it names.

    Levels say which segments hold scar, and where the scar ends: "from mid to apex" takes the mid and apical walls, and the apical two
    thirds of the length. Positions in percent say exactly where it ends. Where no level and no segment number is named, the walls
    are then those of the levels that the scar reaches. Both may be said in either direction.

    Args:
        text: one scar, at most 1000 characters, in upper or lower case.

    Raises:
        PrescriptionError: `read_sentence` refuses the sentence, a position is not in 0 to 100 %, two phrases say where one thing ends, it
            is unclear whether levels belong to the scar or to its obstruction, or the sentence describes no valid `HeartScar`. The
            message ends with the sentence.
    """
    if len(text) > LONGEST_TEXT:
        raise PrescriptionError(f"a prescription has at most {LONGEST_TEXT} characters, got {len(text)}; write one sentence for each scar")
    try:
        return _understand(text)
    except PrescriptionError as fault:
        raise PrescriptionError(f"{fault}{_ending(text)}") from None


def prescribe_heart(text: str) -> HeartScar | NoEnhancement:
    """Read one sentence about a whole heart as a prescription; `read_heart_sentence` says what it may hold, and also how words were read.

    >>> prescribe_heart("Transmural LAD infarct from mid to apex with microvascular obstruction").ends

    Raises:
        PrescriptionError: as for `read_heart_sentence`.
    """
    return read_heart_sentence(text).prescription


def write_heart_sentence(prescription: HeartScar | NoEnhancement) -> str:
    """Write one sentence with every field that differs from its default. `read_heart_sentence` reads it back as an equal prescription."""
    if isinstance(prescription, NoEnhancement):
        return write_sentence(prescription)
    shared = prescription.as_slice()
    whole = " from base to apex"
    extent = core = ""
    if prescription.ends != HeartScar.of(shared).ends:
        extent = f", {_of_the_way(prescription.ends)}{whole}"
    if prescription.mvo_extent is not None:
        core = f" {_of_the_way(prescription.mvo_extent)}{'' if extent else whole}"
    walls, obstruction, rest = write_sentence(shared).partition(", with microvascular obstruction")
    share, comma, others = rest.partition(", ")
    return f"{walls}{extent}{obstruction}{share}{core}{comma}{others}"


def _understand(text: str) -> HeartReading:
    _refuse_unclear(normalised(text))
    along = _take_positions(normalised(text))
    if along.extent is not None and (levels_too := _LEVEL_PHRASE.search(along.text)):
        raise PrescriptionError(
            f"'{along.phrases[along.extent]}' and '{levels_too[0].strip()}' both say where the scar ends; keep one of them"
        )
    _take_levels(along)
    reading, levels = _read_rest(along.text if along.changed else text)
    prescription = reading.prescription
    if isinstance(prescription, NoEnhancement):
        if along.phrases:
            raise PrescriptionError(f"a heart without scar has no ends of a scar; leave '{next(iter(along.phrases.values()))}' out")
        return HeartReading(prescription=prescription, notes=reading.notes)
    if along.core is not None and not prescription.mvo_share:
        raise PrescriptionError(f"'{along.phrases[along.core]}' says where an obstruction lies, but the scar has none; leave it out")
    if along.extent is not None and not _names_level(along.text):
        reached = {level for i, level in enumerate(FROM_BASE) if _shared(along.extent, (i / 3, (i + 1) / 3)) >= LEAST_SHARE_OF_LENGTH}
        kept = frozenset(segment for segment in prescription.segments if LEVEL_OF[segment] in reached)
        prescription = replace(prescription, segments=kept or prescription.segments)  # `HeartScar` says that it reaches none
    scar = HeartScar.of(prescription, extent=along.extent or levels)
    return HeartReading(prescription=replace(scar, mvo_extent=along.core), notes=(*reading.notes, *along.notes))


@dataclass
class _Along:
    """What a sentence says about base and apex, and what is left of it.

    Attributes:
        text: without the phrases that were read.
        extent, core: the ends of the scar and of the core; None where they are not said.
        phrases: the phrases that were taken out, by the ends that they say.
        changed: whether the text differs from the sentence.
    """

    text: str
    extent: Range | None = None
    core: Range | None = None
    phrases: dict[Range, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    changed: bool = False

    def keep(self, phrase: re.Match[str], ends: Range, *, of_core: bool) -> str:
        """Note what a phrase says, and return what takes its place in the text."""
        said = self.core if of_core else self.extent
        if said not in (None, ends):
            named = "no-reflow core" if of_core else "scar"
            raise PrescriptionError(
                f"'{phrase[0].strip()}' says a second time where the {named} ends; keep one, or write one sentence for each scar"
            )
        if of_core:
            self.core = ends
        else:
            self.extent = ends
        self.phrases[ends] = phrase[0].strip()
        self.changed = True
        return " "


def _refuse_unclear(text: str) -> None:
    """Refuse what would be read as something else than was probably meant.

    Raises:
        PrescriptionError: a phrase behind the obstruction may belong to it or to the scar, or percents say not of what.
    """
    apart = _BEHIND_A_COMMA.search(text)
    if apart is not None and _ANY_RANGE.search(text[: apart.start()]) is None:
        apart = None  # nothing else says where the scar is, so this does
    if (unclear := apart or _IN_LEVELS.search(text)) is not None:
        raise PrescriptionError(
            f"'{unclear['range'].strip()}' may belong to the scar or to its obstruction; write it before the obstruction for the scar, and "
            "directly behind it, as 'from 40 to 60 % of the way', for the obstruction"
        )
    if (unclear := _PERCENT_OF_WHAT.search(text)) is not None:
        raise PrescriptionError(f"'{unclear[0].strip()}' does not say of what; {_EXAMPLE}, or 'in 20 % of the scar' for an obstruction")


def _take_positions(text: str) -> _Along:
    """Read the positions in percent.

    Args:
        text: normalised as for `take_quantities`.
    Raises:
        PrescriptionError: a position cannot be read, or is said twice.
    """
    along = _Along(text)

    def keep(phrase: re.Match[str]) -> str:
        ends = _positions(phrase)
        behind = _is_behind_obstruction(phrase)
        if behind:
            along.notes.append(
                f"'{phrase[0].strip()}': read as the ends of the no-reflow core; write it before the obstruction for those of the scar"
            )
        return along.keep(phrase, ends, of_core=behind)

    along.text = _POSITIONS.sub(keep, text)
    if along.extent is not None or _names_level(along.text):
        along.notes.clear()  # the sentence says where the scar ends, so that the phrase must mean the core
    if _UNREAD.search(along.text):
        raise PrescriptionError(f"'of the way' needs two numbers in percent, counted from the base; {_EXAMPLE}")
    return along


def _positions(phrase: re.Match[str]) -> Range:
    numbers = sorted((Decimal(phrase["one"]), Decimal(phrase["other"])))
    if numbers[1] > 100:
        raise PrescriptionError(f"positions must lie in 0 to 100 % of the way from base to apex, got '{phrase[0].strip()}'")
    if phrase["start"]:
        way = _LEVEL_CALLED[phrase["start"]], _LEVEL_CALLED[phrase["end"]]
        if set(way) != {Level.BASAL, Level.APICAL}:
            raise PrescriptionError(f"'{phrase[0].strip()}' is counted over a part of the heart; {_EXAMPLE}")
        if way[0] is Level.APICAL:
            numbers = [100 - number for number in reversed(numbers)]
    low, high = (float(number.scaleb(-2)) for number in numbers)
    return low, high


def _take_levels(along: _Along) -> None:
    """Read the levels of the core, and turn "from apex to mid" of the scar round, because `read_sentence` knows the other direction.

    Raises:
        PrescriptionError: the levels may belong to the scar or to the core.
    """

    def keep(phrase: re.Match[str]) -> str:
        if _is_behind_obstruction(phrase) and _ENDS_HERE.match(phrase.string, phrase.end()):
            if along.extent is None and not _names_level(phrase.string[: phrase.start()] + phrase.string[phrase.end() :]):
                said = phrase[0].strip()
                raise PrescriptionError(
                    f"'{said}' may belong to the scar or to its obstruction; write it before the obstruction for the scar; for the "
                    "obstruction, say where the scar lies as well, such as 'from base to apex'"
                )
            return along.keep(phrase, _thirds(_levels_of(phrase)), of_core=True)
        before = phrase.string[: phrase.start()].rstrip()
        if phrase["one"] == "apex" and (phrase["from"] or not before or before[-1] in ",;:.("):
            along.changed = True
            return f"{phrase['from'] or ''}{phrase['other']} to apex"
        return phrase[0]

    along.text = _LEVELS.sub(keep, along.text)


def _read_rest(text: str) -> tuple[SentenceReading, Range | None]:
    """What a sentence says besides positions, and the ends of the scar where levels say them that are not those of the walls.

    In "the mid to apical anterior wall from mid to apex" the wall has levels of its own.

    Raises:
        PrescriptionError: see `read_sentence`, or the levels differ from those of the walls.
    """
    try:
        return _read_slice(text), None
    except PrescriptionError as fault:
        said = [phrase for phrase in _LEVELS.finditer(normalised(text)) if phrase["from"]]
        rest = said[0].string.replace(said[0][0], " ") if len(said) == 1 else ""
        if not _names_level(rest):
            raise
        try:
            reading = _read_slice(rest)
        except PrescriptionError:
            raise fault from None
    levels = _levels_of(said[0])
    walls = {LEVEL_OF[segment] for segment in _segments(reading)}
    if walls != set(levels):
        named = " and ".join(sorted(walls, key=FROM_BASE.index))
        raise PrescriptionError(f"'{said[0][0].strip()}' differs from the levels of the walls ({named}); keep one of them")
    return reading, _thirds(levels)


def _read_slice(text: str) -> SentenceReading:
    """Read a sentence as that of a slice. An error does not quote it, because phrases may be missing from it."""
    try:
        return read_sentence(text)
    except PrescriptionError as fault:
        raise PrescriptionError(str(fault).removesuffix(_ending(text))) from None


def _names_level(text: str) -> bool:
    """Whether a sentence names a level or segment numbers."""
    items = read_words(take_quantities(normalised(text)), [])
    return any(kind is Kind.LEVEL or (kind is Kind.WALL and (value.listed or value.level)) for kind, value in items)


def _is_behind_obstruction(phrase: re.Match[str]) -> bool:
    return _BEHIND_OBSTRUCTION.search(phrase.string[: phrase.start()]) is not None


def _levels_of(phrase: re.Match[str]) -> tuple[Level, ...]:
    """All levels from one to another, in either direction."""
    first, last = sorted(FROM_BASE.index(_LEVEL_CALLED[phrase[name]]) for name in ("one", "other"))
    return FROM_BASE[first : last + 1]


def _thirds(levels: tuple[Level, ...]) -> Range:
    return FROM_BASE.index(levels[0]) / 3, (FROM_BASE.index(levels[-1]) + 1) / 3


def _shared(one: Range, other: Range) -> float:
    """Length that two ranges share; negative where they lie apart."""
    return min(one[1], other[1]) - max(one[0], other[0])


def _segments(reading: SentenceReading) -> frozenset[int]:
    return frozenset() if isinstance(reading.prescription, NoEnhancement) else reading.prescription.segments


def _of_the_way(ends: Range) -> str:
    return f"from {percent(ends[0])} to {percent(ends[1])} % of the way"


def _ending(text: str) -> str:
    """How the message of `read_sentence` ends."""
    shown = text if len(text) <= 120 else f"{text[:117]}..."
    return f" (in {shown!r})"
