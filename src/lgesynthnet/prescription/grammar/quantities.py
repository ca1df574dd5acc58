"""Read the numbers of a sentence. Each field has one form, which is taken out of the text before the words are read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.phrases import Wall
from lgesynthnet.prescription.grammar.vocabulary import DEFAULT_MVO_SHARE
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Arc, Pattern

# What replaces a number in the text; in upper case, so that it differs from every word of the lowered text.
SEGMENT_LIST = "SEGMENTS"
MEASURE = "MEASURE"
_CORE = "CORE"  # microvascular obstruction
WIDEST_RANGE = 75  # percent of the wall; the middle of a wider range of transmural extent says nothing


@dataclass(frozen=True)
class Extent:
    """Transmural extent in percent as the sentence states it: one value, or a range whose middle is used."""

    low: Decimal
    high: Decimal

    def share(self, pattern: Pattern | None) -> float:
        """The extent as a share of the wall, in (0, 1].

        A range is clipped to what the pattern allows, and its middle is rounded to 5 %, halves upwards: 26-50 % gives 0.40,
        and > 75 % (read as 76-100 %) gives 0.90. So every bin of reports has its own value.

        Raises:
            PrescriptionError: the range falls, exceeds 100 %, or is wider than 75 %.
        """
        if self.low == self.high:
            return float(self.low.scaleb(-2))
        if self.low > self.high or self.high > 100:
            raise PrescriptionError(f"a range of transmural extent must rise within 0 to 100 %, got {self.low} to {self.high} %")
        low, high = float(self.low), float(self.high)
        if pattern is not Pattern.TRANSMURAL and high - low > WIDEST_RANGE:
            raise PrescriptionError(f"{self.low} to {self.high} % is too wide to read its middle; write one number or a narrower range")
        edge = 100 * TRANSMURAL_ABOVE
        if pattern is Pattern.TRANSMURAL and high > edge:
            low = max(low, edge + 1)
        if pattern is Pattern.SUBENDOCARDIAL and low <= edge:
            high = min(high, edge)
        return max(5, 5 * math.floor((low + high) / 10 + 0.5)) / 100


def _share(percent: str) -> float:
    return float(Decimal(percent).scaleb(-2))


def _arc(start: str, end: str) -> Arc:
    first, last = Decimal(start), Decimal(end)
    if not (0 <= first <= 360 and 0 <= last <= 360):
        raise PrescriptionError(f"the angles of an arc must lie in 0 to 360 degrees, got {start} and {end}")
    extent = (last - first) % 360
    if not extent:
        raise PrescriptionError(f"an arc from {start} to {end} degrees is empty; leave it out to take the whole width of the walls")
    return Arc(start_deg=float(first % 360), extent_deg=float(extent + 360 if extent < 0 else extent))


def same_arc(arc: Arc, start: str, end: str) -> bool:
    """Whether "between START and END degrees" is read as exactly this arc."""
    try:
        return _arc(start, end) == arc
    except PrescriptionError:
        return False


def _read_arc(phrase: re.Match[str]) -> Arc:
    if phrase["arc_extent"]:
        return Arc(start_deg=float(phrase["arc_start"]), extent_deg=float(phrase["arc_extent"]))
    return _arc(phrase["arc_from"], phrase["arc_to"])


def _read_depth(phrase: re.Match[str]) -> tuple[float, float]:
    if phrase["inner"]:
        return _share(phrase["inner"]), _share(phrase["outer"])
    return _share(phrase["inner_first"]), _share(phrase["outer_first"])


def _read_mvo(phrase: re.Match[str]) -> float:
    percent = phrase["mvo_before"] or phrase["mvo_after"]
    if phrase["mvo_not"]:
        if percent:
            raise PrescriptionError(f"'{phrase[0].strip()}' both denies and measures microvascular obstruction; keep one")
        return 0.0
    return _share(percent) if percent else DEFAULT_MVO_SHARE


def _extent(phrase: re.Match[str]) -> Extent:
    if phrase["low_between"]:
        return Extent(Decimal(phrase["low_between"]), Decimal(phrase["high_between"]))
    value, bound = Decimal(phrase["low"]), phrase["bound"]
    if phrase["high"]:
        if bound:
            raise PrescriptionError(f"'{phrase[0].strip()}' is both a limit and a range; keep one")
        return Extent(value, Decimal(phrase["high"]))
    match bound:
        case None:
            return Extent(value, value)
        case ">=" | "at least":
            return Extent(value, Decimal(100))
        case "<=" | "up to" | "at most":
            return Extent(min(Decimal(1), value), value)
        case "<" | "less than" | "under" | "below":
            return Extent(min(Decimal(1), value), value)
        case _:  # "more than" begins at the next whole percent, like the bins of reports
            return Extent(min(value + 1, Decimal(100)) if value < 100 else value + 1, Decimal(100))


def _read_extent(phrase: re.Match[str]) -> Extent:
    if phrase["of_what"]:
        raise PrescriptionError(
            f"'{phrase[0].strip()}' is no share of the wall's thickness; write '40 % of the wall thickness' or '40 % transmural'"
        )
    if not phrase["unit"] and not phrase["noun"] and re.search(rf"{_CORE}\W*$", phrase.string[: phrase.start()]):
        raise PrescriptionError(
            f"'{phrase[0].strip()}' may belong to the obstruction or to the wall; write '15 % of the scar' or '50 % transmural'"
        )
    return _extent(phrase)


def _read_segments(phrase: re.Match[str]) -> Wall:
    segments: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:\s*(?:-|to)\s*(\d+))?", phrase["segments"]):
        run = range(int(first), int(last or first) + 1)
        if not run:
            raise PrescriptionError(f"segments {first}-{last} run backwards; the lower number comes first")
        segments.update(run)
    if 17 in segments:
        raise PrescriptionError("segment 17, the apical cap, has no short-axis wall; apical walls are segments 13-16")
    return Wall(phrase["segments"].strip(), frozenset(segments), listed=True)


_NUMBER = r"\d+(?:\.\d+)?(?:e-?\d{1,3})?"
_FREE = r"(?<![\w.-])(?<!\d,)"  # a number that is not the tail of another one, nor negative


def _number(name: str, *, free: bool = True) -> str:
    return f"{_FREE if free else ''}(?P<{name}>{_NUMBER})"


_DEGREES = r"deg(?:rees?)?\b"
_UNIT = (
    r"(?:transmural(?:ity|ly)?(?:\s+(?:extent|involvement|extension))?|(?:wall\s+)?thickness"
    r"|of\s+(?:the\s+)?(?:(?:local|lv|myocardial|ventricular)\s+)*(?:wall(?:\s+thickness)?|thickness)"
    r"|of\s+(?:the\s+)?transmural\s+(?:extent|thickness))\b"
)
_OF_WHAT = r"\s*(?:of|lv|left)\b"  # "20 % of the LV myocardium" and "30 % of the septum" are shares of an area or a mass
_ABOUT = r"(?:(?:about|approximately|approx\b\.?|around|~)\s*)?"
_BOUND = r"(?:(?P<bound>>=|<=|>|<|more than|greater than|above|over|exceeding|at least|less than|under|below|up to|at most)\s*)?"
_SEGMENT = r"\d{1,2}(?!\.?\d)(?!e-?\d)(?!\s*%)(?!\s*deg)(?!\s*(?:st|nd|rd|th)\b)(?!\s*(?:-|to)\s*[\d.]+\s*%)"
_MVO = (
    r"(?:microvascular\s+obstruction|no\s+reflow(?:\s+(?:zone|core|area))?|mvo|(?:hypointense|hypoenhanced|dark)\s+core)\b"
    r"(?:\s*\((?:mvo|no\s+reflow)\))?"
)
_DENIED = r"\b(?:without|no)\s+(?:(?:any|associated|evidence|sign|signs|of)\s+)*"
_WALL_DEPTH = r"(?:wall\s+)?depth\b"

# The order matters: each form takes its numbers out of the text before the next one is read. The plain percentage comes last.
_FORMS: tuple[tuple[str, str, re.Pattern[str], Callable[[re.Match[str]], Any]], ...] = tuple(
    (name, key, re.compile(form), read)
    for name, key, form, read in (
        ("seed", "seed", r"\bseed\s*(?:of|:|=|number)?\s*(\d+)(?!\.?\d)(?!\s*%)\b", lambda phrase: int(phrase[1])),
        (
            "brightness",
            "percentile",
            rf"(?:\b(?:brightness|intensity)\s+)?(?:\bat\s+)?(?:\bthe\s+)?{_number('percentile')}\s*(?:st|nd|rd|th)?\s+percentile\b"
            r"(?:\s+(?:of|in)\s+(?:the\s+)?(?:brightness|intensity|signal)\b)?",
            lambda phrase: float(phrase["percentile"]),
        ),
        (
            "border",
            "irregularity",
            rf"\b(?:border\s+)?irregularity\s*(?:of|:|=)?\s*{_number('irregularity')}\s*%",
            lambda phrase: _share(phrase["irregularity"]),
        ),
        (
            "arc",
            "deg",
            rf"\bover\s+{_number('arc_extent')}\s*{_DEGREES}\s*(?:counter\s*clockwise\s+)?from\s+{_number('arc_start')}\s*{_DEGREES}"
            rf"|(?:\barc\s+(?:of\s+)?)?(?:\b(?:between|from)\s+)?{_number('arc_from')}\s*(?:{_DEGREES})?\s*(?:and|to|-)\s*"
            rf"{_number('arc_to', free=False)}\s*{_DEGREES}",
            _read_arc,
        ),
        (
            "depth",
            "depth",
            rf"\b{_WALL_DEPTH}\s*(?:of|:|=)?\s*(?:from\s+|between\s+)?{_number('inner')}\s*%?\s*(?:-|to|and)\s*"
            rf"{_number('outer', free=False)}\s*%"
            rf"|(?:\b(?:from|between)\s+)?{_number('inner_first')}\s*%?\s*(?:-|to|and)\s*{_number('outer_first', free=False)}\s*%"
            rf"\s*(?:of\s+)?(?:the\s+)?{_WALL_DEPTH}",
            _read_depth,
        ),
        (
            "microvascular obstruction",
            "",  # it has three names, so there is no single word to look for first
            rf"(?P<mvo_not>{_DENIED})?(?:{_number('mvo_before')}\s*%\s*)?(?:\b(?:central|associated)\s+)*\b{_MVO}"
            rf"(?:\s*\(?\s*(?:in|of|over|covering|occupying|involving|:|=)?\s*{_number('mvo_after')}\s*%(?!\s*{_UNIT})"
            r"(?:\s+of\s+(?:the\s+)?(?:scar|infarct|infarction|lesion)\b(?:\s+zone\b)?)?)?",
            _read_mvo,
        ),
        (
            "segments",
            "segment",
            rf"\b(?:aha\s+)?segments?\s*(?P<segments>{_SEGMENT}(?:\s*(?:,\s*and\b|,|and\b|&|-|to\b)\s*{_SEGMENT})*)",
            _read_segments,
        ),
        (
            "transmural extent",
            "%",
            rf"(?P<noun>\b(?:transmurality|transmural\s+(?:extent|involvement)|extent|thickness)\s*(?:of|:|=|is|was)?\s*)?{_ABOUT}(?:"
            rf"\bbetween\s+{_number('low_between')}\s*%?\s*and\s+{_number('high_between')}"
            rf"|{_BOUND}{_number('low')}(?:\s*%?\s*(?:-|to)\s*{_number('high', free=False)})?)\s*%"
            rf"(?:(?P<unit>\s*{_UNIT})|(?P<of_what>{_OF_WHAT}))?",
            _read_extent,
        ),
    )
)


@dataclass(frozen=True, kw_only=True)
class Quantities:
    """The numbers of a sentence, and what is left of it.

    Attributes:
        text: without the numeric phrases; `MEASURE` or `SEGMENT_LIST` stands for each.
        values: the value of each field by its name in `_FORMS`.
        lists: the lists of segments in order.
        problems: why a number cannot be read.
    """

    text: str
    values: dict[str, Any]
    lists: tuple[Wall, ...]
    problems: tuple[str, ...]


def take_quantities(text: str) -> Quantities:
    """Split a sentence into its words and its numbers.

    Args:
        text: in lower case, with "percent" and dashes normalised, and with hyphens between letters replaced by spaces.
    """
    values: dict[str, Any] = {}
    lists: list[Wall] = []
    problems: list[str] = []
    for name, key, form, read in _FORMS:
        if key not in text:
            continue

        def keep(phrase: re.Match[str], name: str = name, read: Callable[[re.Match[str]], Any] = read) -> str:
            try:
                value = read(phrase)
            except PrescriptionError as fault:
                problems.append(str(fault))
                return f" {MEASURE} "
            if name == "segments":
                lists.append(value)
                return f" {SEGMENT_LIST} "
            if values.setdefault(name, value) != value:
                problems.append(f"'{phrase[0].strip()}' gives a second {name}; keep one, or write one sentence for each scar")
            return f" {_CORE} " if name == "microvascular obstruction" else f" {MEASURE} "

        text = form.sub(keep, text)
    return Quantities(text=text.replace(_CORE, MEASURE), values=values, lists=tuple(lists), problems=tuple(problems))
