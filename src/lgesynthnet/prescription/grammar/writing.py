"""Write a prescription in words: as a full sentence that can be read back, and as a short caption for a text encoder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from lgesynthnet.anatomy.aha import APICAL_WALL_NAMES, SEGMENTS, WALL_NAMES, WALL_OF
from lgesynthnet.prescription.edits import NoEnhancement, Prescription
from lgesynthnet.prescription.grammar.quantities import same_arc
from lgesynthnet.prescription.grammar.vocabulary import (
    BORDER_WORDS,
    BRIGHTNESS_WORDS,
    DEFAULT_IRREGULARITY,
    DEFAULT_MVO_SHARE,
    DEFAULT_PERCENTILE,
    DEFAULT_TRANSMURALITY,
    EXTENT_BINS,
    PATTERN_WORDS,
)
from lgesynthnet.prescription.scar import Arc, Pattern, default_depth
from lgesynthnet.records import Level

NO_ENHANCEMENT = "No late enhancement"
# What is said where there is no scar; a longer sentence is about more than that.
WITHOUT_SCAR = (NO_ENHANCEMENT, "No late gadolinium enhancement", "No enhancement", "No LGE", "No scar", "No myocardial scar", "No infarct")

_LONGEST_FIXED = 20  # characters; longer numbers are written with an exponent, so that 1e-300 stays short


def write_sentence(prescription: Prescription) -> str:
    """Write one sentence with every field that differs from its default. `prescribe` reads it back as an equal prescription."""
    if isinstance(prescription, NoEnhancement):
        return NO_ENHANCEMENT
    p = prescription
    own_depth = p.depth != default_depth(p.pattern, p.transmurality)
    extent = own_depth or p.transmurality != DEFAULT_TRANSMURALITY[p.pattern]
    parts = [_enhancement(p.pattern, f"{percent(p.transmurality)} % transmural" if extent else None) + f" in the {_where(p.segments)}"]
    if p.mvo_share:
        share = "" if p.mvo_share == DEFAULT_MVO_SHARE else f" in {percent(p.mvo_share)} % of the scar"
        parts.append(f"with microvascular obstruction{share}")
    if p.arc is not None:
        parts.append(_arc(p.arc))
    if own_depth:
        parts.append(f"at a wall depth of {percent(p.band[0])} to {percent(p.band[1])} %")
    if p.irregularity != DEFAULT_IRREGULARITY:
        word = next((word for word, value in BORDER_WORDS.items() if value == p.irregularity), None)
        parts.append(f"{word} border" if word else f"border irregularity {percent(p.irregularity)} %")
    if p.intensity_percentile != DEFAULT_PERCENTILE:
        word = next((word for word, value in BRIGHTNESS_WORDS.items() if value == p.intensity_percentile), None)
        parts.append(word or f"at the {_ordinal(p.intensity_percentile)} percentile of brightness")
    if p.seed:
        parts.append(f"seed {p.seed}")
    return ", ".join(parts)


def write_caption(prescription: Prescription, level: Level | None = None) -> str:
    """Write the caption for the text encoder: pattern, bin of transmural extent, walls and obstruction, without exact numbers.

    Args:
        level: restricts the walls to this level, as one slice shows them; None names all walls.

    Returns:
        The caption, in the words of `every_caption_word`; `NO_ENHANCEMENT` where the prescription has no segment at this level.
    """
    if isinstance(prescription, NoEnhancement):
        return NO_ENHANCEMENT
    segments = prescription.segments if level is None else prescription.at(level)
    if not segments:
        return NO_ENHANCEMENT
    low, high = next(edges for edges in EXTENT_BINS if prescription.transmurality <= edges[1] / 100)
    # The word "transmural" already names its bin.
    extent = None if prescription.pattern is Pattern.TRANSMURAL else f"{low}-{high} % transmural"
    obstruction = " with microvascular obstruction" if prescription.mvo_share else ""
    return f"{_enhancement(prescription.pattern, extent)} in the {_where(segments)}{obstruction}"


def every_caption_word() -> set[str]:
    """All words, numbers and signs of captions, in lower case and split as a BERT tokenizer splits before its word pieces."""
    text = [NO_ENHANCEMENT, "enhancement in the wall walls , and to with microvascular obstruction whole circumference ( % transmural )"]
    text += [words[0] for words in PATTERN_WORDS.values()]
    text += [f"{low}-{high}" for low, high in EXTENT_BINS]
    text += [*Level, *WALL_NAMES, *APICAL_WALL_NAMES]
    return set(re.findall(r"[^\W_]+|[^\w\s]", " ".join(text).lower()))


def _enhancement(pattern: Pattern, extent: str | None) -> str:
    word = PATTERN_WORDS[pattern][0]
    return f"{word[0].upper()}{word[1:]} enhancement" + (f" ({extent})" if extent else "")


def _where(segments: Iterable[int]) -> str:
    """Name segments, e.g. "basal and mid inferior, and apical septal walls". Levels with the same walls are named together."""
    segments = frozenset(segments)
    levels_of: dict[tuple[str, ...], list[Level]] = {}
    whole = []
    for level, ring in SEGMENTS.items():
        walls = tuple(WALL_OF[s] for s in ring if s in segments)
        if len(walls) == len(ring):
            whole.append(level)
        elif walls:
            levels_of.setdefault(walls, []).append(level)
    groups = [f"{_levels(levels)} {_list(walls)}" for walls, levels in levels_of.items()]
    phrases = []
    if groups:
        several = sum(map(len, levels_of)) > 1
        joint = ", and " if any(" and " in group for group in groups) else " and "
        phrases.append(_list(groups, joint) + (" walls" if several else " wall"))
    if whole:
        phrases.append(f"whole {_levels(whole)} circumference")
    return " and the ".join(phrases)


def _levels(levels: list[Level]) -> str:
    return f"{levels[0]} to {levels[-1]}" if len(levels) == len(Level) else " and ".join(levels)


def _list(words: Iterable[str], last: str = " and ") -> str:
    *first, final = words
    return ", ".join(first) + last + final if first else final


def _arc(arc: Arc) -> str:
    end = (Decimal(repr(float(arc.start_deg))) + Decimal(repr(float(arc.extent_deg)))) % 360
    between = (_plain(arc.start_deg), _plain(end))
    if arc.extent_deg < 360 and same_arc(arc, *between):  # the sum of two numbers may not be exact
        return f"between {between[0]} and {between[1]} degrees"
    return f"over {_plain(arc.extent_deg)} degrees from {_plain(arc.start_deg)} degrees"


def _plain(value: float | Decimal) -> str:
    """The shortest decimal number that is read back as the same value."""
    exact = (value if isinstance(value, Decimal) else Decimal(repr(float(value)))).normalize()
    fixed = format(exact, "f") if exact else "0"
    return fixed if len(fixed) <= _LONGEST_FIXED else str(exact).lower()


def percent(share: float) -> str:
    """A share in percent, as the shortest number that is read back as the same share."""
    return _plain(Decimal(repr(float(share))).scaleb(2))


def _ordinal(value: float) -> str:
    text = _plain(value)
    ends = {"1": "st", "2": "nd", "3": "rd"}
    return text + ("th" if text[-2:] in ("11", "12", "13") or "." in text or "e" in text else ends.get(text[-1], "th"))
