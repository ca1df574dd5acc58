"""Read a sentence as a prescription. No word is skipped: an unknown word is an error that suggests the nearest known word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.location import segments_of
from lgesynthnet.prescription.grammar.quantities import SEGMENT_LIST, Extent, take_quantities
from lgesynthnet.prescription.grammar.vocabulary import (
    DEFAULT_IRREGULARITY,
    DEFAULT_PERCENTILE,
    DEFAULT_TRANSMURALITY,
    LONGEST_PHRASE,
    NUMBER_FORMS,
    PHRASES,
    Item,
    Kind,
    Wall,
)
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Pattern, ScarPrescription

LONGEST_TEXT = 1000  # characters; the longest sentence of `write_sentence` is much shorter

_SIGNS = str.maketrans(
    {"‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "°": " degrees ", "≥": ">=", "≤": "<=", "’": "'", "\u00a0": " "}
)
_PERCENT = re.compile(r"\bper\s?cent\b")
_LEVEL_DASH = re.compile(r"\b(basal|base|mid|apical)-(?=(?:basal|mid|apical)\b)")
_LETTER_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
_TOKEN = re.compile(rf"{SEGMENT_LIST}|[^\W\d_]+|\d+(?:\.\d+)?|[,;:.()/]| - |\S")
_BREAKS = frozenset(",;:.()/") | {" - "}


def prescribe(text: str) -> ScarPrescription:
    """Read one sentence in the wording of radiology reports as a prescription.

    "Transmural enhancement in the posteroseptal wall" gives segments {3, 9}, the whole thickness of the wall, and defaults for
    everything else. Without a word for the pattern, the percentage decides: above 75 % is transmural, anything else is
    subendocardial. "Non-transmural" means subendocardial. A range of percent means its middle (see `quantities.Extent`).
    "Posterior" means inferior (see `vocabulary`).

    Args:
        text: one scar, at most 1000 characters, in upper or lower case.

    Raises:
        PrescriptionError: the sentence is empty or too long, has an unknown word or a negation, gives two values for one field,
            names no wall or no pattern, or describes no valid prescription. The message ends with the sentence.
    """
    if len(text) > LONGEST_TEXT:
        raise PrescriptionError(f"a prescription has at most {LONGEST_TEXT} characters, got {len(text)}; write one sentence for each scar")
    try:
        return _understand(text)
    except PrescriptionError as fault:
        shown = text if len(text) <= 120 else f"{text[:117]}..."
        raise PrescriptionError(f"{fault} (in {shown!r})") from None


def _understand(text: str) -> ScarPrescription:
    if foreign := next((letter for letter in text if letter.isnumeric() and not letter.isascii()), None):
        raise PrescriptionError(f"cannot read the number sign {foreign!r}; write numbers with the digits 0 to 9")
    words, quantities, lists = take_quantities(_normalise(text))
    items = list(_read_words(words, iter(lists)))
    if not items and not quantities:
        raise PrescriptionError("the prescription is empty; write e.g. 'Transmural enhancement in the mid inferoseptal wall'")
    for kind, value in items:
        if kind is Kind.NEGATION:
            raise PrescriptionError(f"'{value}' is a negation, but a prescription says what to paint; leave out what is absent")
        if kind is Kind.CAP:
            raise PrescriptionError(
                f"'{value}' is the apical cap (segment 17), which has no short-axis wall; write e.g. 'apical septal wall'"
            )
    arc = quantities.get("arc")
    pattern, share, depth = _across_the_wall(
        _only(items, Kind.PATTERN, "pattern"), quantities.get("transmural extent"), quantities.get("depth")
    )
    return ScarPrescription(
        segments=segments_of(items, arc),
        pattern=pattern,
        transmurality=share,
        arc=arc,
        **({} if depth is None else {"depth": depth}),
        irregularity=_number_or_word(quantities, "border", _only(items, Kind.BORDER, "border"), DEFAULT_IRREGULARITY),
        mvo_share=quantities.get("microvascular obstruction", 0.0),
        intensity_percentile=_number_or_word(quantities, "brightness", _only(items, Kind.BRIGHTNESS, "brightness"), DEFAULT_PERCENTILE),
        seed=quantities.get("seed", 0),
    )


def _normalise(text: str) -> str:
    text = _PERCENT.sub("%", text.lower().translate(_SIGNS))
    return _LETTER_HYPHEN.sub(" ", _LEVEL_DASH.sub(r"\1 to ", text))


def _read_words(text: str, lists: Iterator[Wall]) -> Iterator[Item]:
    """Read the longest known phrase at each position. All unknown words are reported in one error."""
    tokens = _TOKEN.findall(text)
    unknown: list[str] = []
    position = 0
    while position < len(tokens):
        if tokens[position] in _BREAKS:
            position += 1
            continue
        if tokens[position] == SEGMENT_LIST:
            yield Kind.WALL, next(lists)
            position += 1
            continue
        for length in range(min(LONGEST_PHRASE, len(tokens) - position), 0, -1):
            items_of_phrase = PHRASES.get(tuple(tokens[position : position + length]))
            if items_of_phrase is not None:
                yield from items_of_phrase
                position += length
                break
        else:
            unknown.append(tokens[position])
            position += 1
    if unknown:
        raise PrescriptionError(_cannot_read(list(dict.fromkeys(unknown))))


def _cannot_read(unknown: list[str]) -> str:
    shown = unknown[:5]
    nearest = list(dict.fromkeys(hint for word in shown if (hint := _nearest(word))))
    text = "cannot read " + ", ".join(f"'{word}'" for word in shown) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    if nearest:
        return f"{text}; did you mean " + ", ".join(f"'{hint}'" for hint in nearest) + "?"
    if shown[0][0].isdigit():
        return f"{text}; a number needs its field: '50 % transmural', 'segments 3 and 9', 'between 130 and 220 degrees', 'seed 12'"
    return f"{text}; leave out what is not pattern, extent, wall, level, border, brightness or obstruction"


def _nearest(word: str) -> str | None:
    if word in NUMBER_FORMS:
        return NUMBER_FORMS[word]
    if len(word) < 3 or not word[0].isalpha():
        return None
    in_phrase = [phrase for phrase in PHRASES if word in phrase]  # part of a known phrase, such as 'full' of 'full thickness'
    if in_phrase:
        shortest = min(in_phrase, key=lambda phrase: len(phrase))
        return " ".join(shortest)
    known = dict.fromkeys((*(word for phrase in PHRASES for word in phrase), *NUMBER_FORMS))
    close = get_close_matches(word, known, n=1, cutoff=0.7)
    return NUMBER_FORMS.get(close[0], close[0]) if close else None


def _only(items: list[Item], kind: Kind, name: str) -> Any:
    """The only value of this kind; None where there is none."""
    values = list(dict.fromkeys(value for item_kind, value in items if item_kind is kind))
    if len(values) > 1:
        listed = " and ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
        raise PrescriptionError(f"more than one {name} is given ({listed}); write one sentence for each scar")
    return values[0] if values else None


def _number_or_word(quantities: dict[str, Any], name: str, from_word: float | None, default: float) -> float:
    number = quantities.get(name)
    if number is not None and from_word is not None and number != from_word:
        raise PrescriptionError(f"the {name} is given in a word and, differently, in a number; keep one")
    return number if number is not None else from_word if from_word is not None else default


def _across_the_wall(
    pattern: Pattern | None, extent: Extent | None, depth: tuple[float, float] | None
) -> tuple[Pattern, float, tuple[float, float] | None]:
    share = extent.share(pattern) if extent else None
    if pattern is None:
        if share is None:
            raise PrescriptionError(
                "no pattern is named; add transmural, subendocardial, mid-wall, subepicardial, patchy or RV-insertion, or a percentage"
            )
        pattern = Pattern.TRANSMURAL if share > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL
    if share is None:
        share = DEFAULT_TRANSMURALITY[pattern]
        band = round(depth[1] - depth[0], 4) if depth else share
        # The depth alone states how thick the scar is; for islands only where it is thinner than their default.
        if pattern is not Pattern.PATCHY or band < share:
            share = band
    return pattern, share, depth
