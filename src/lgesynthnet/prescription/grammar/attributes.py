"""What a sentence says about the scar but its place: pattern, extent across the wall, border, brightness, size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lgesynthnet.anatomy.aha import SEGMENTS
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.phrases import Item, Kind, SizeWord
from lgesynthnet.prescription.grammar.quantities import Extent
from lgesynthnet.prescription.grammar.report_words import Size
from lgesynthnet.prescription.grammar.vocabulary import BRIGHTNESS_WORDS, DEFAULT_TRANSMURALITY
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Pattern

NO_PATTERN = "no pattern is named; add transmural, subendocardial, mid-wall, subepicardial, patchy or RV-insertion, or a percentage"


def only_value(items: Sequence[Item], kind: Kind, name: str) -> Any:
    """The only value of this kind; None where there is none.

    Raises:
        PrescriptionError: there are two different values.
    """
    values = list(dict.fromkeys(value for item_kind, value in items if item_kind is kind))
    if len(values) > 1:
        listed = " and ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
        raise PrescriptionError(f"more than one {name} is given ({listed}); write one sentence for each scar")
    return values[0] if values else None


def number_or_word(number: float | None, from_word: float | None, name: str, default: float) -> float:
    """The value of a field that may be said in a word or in a number.

    Raises:
        PrescriptionError: both are there and differ.
    """
    if number is not None and from_word is not None and number != from_word:
        raise PrescriptionError(f"the {name} is given in a word and, differently, in a number; keep one")
    return number if number is not None else from_word if from_word is not None else default


def pattern_of(items: Sequence[Item]) -> Pattern | None:
    """The pattern that is named. RV insertions mean the RV-insertion pattern, unless the scar there is called patchy.

    "Mid-wall" at the RV insertions says what that pattern is anyway.

    Raises:
        PrescriptionError: there are two patterns.
    """
    pattern: Pattern | None = only_value(items, Kind.PATTERN, "pattern")
    walls = [value for kind, value in items if kind is Kind.WALL]
    if not any(wall.insertion for wall in walls):
        return pattern
    if pattern in (None, Pattern.MID_WALL):
        return Pattern.RV_INSERTION
    if pattern is Pattern.PATCHY and all(wall.insertion for wall in walls):
        return Pattern.PATCHY
    raise PrescriptionError(f"more than one pattern is given ({pattern} and {Pattern.RV_INSERTION}); write one sentence for each scar")


def across_the_wall(
    pattern: Pattern | None, extent: Extent | None, depth: tuple[float, float] | None
) -> tuple[Pattern, float, tuple[float, float] | None]:
    """Pattern, transmurality and depth, each completed from the others.

    Raises:
        PrescriptionError: nothing says what the pattern is, or the range of the extent is impossible.
    """
    share = extent.share(pattern) if extent else None
    if pattern is None:
        if share is None:
            raise PrescriptionError(NO_PATTERN)
        pattern = Pattern.TRANSMURAL if share > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL
    if share is None:
        share = DEFAULT_TRANSMURALITY[pattern]
        band = round(depth[1] - depth[0], 4) if depth else share
        # The depth alone states how thick the scar is; for islands only where it is thinner than their default.
        if pattern is not Pattern.PATCHY or band < share:
            share = band
    return pattern, share, depth


def check_extent_noun(items: Sequence[Item], extent: Extent | None) -> None:
    """Refuse "transmural extent" without a percentage, because it names no pattern.

    Raises:
        PrescriptionError: there is no percentage.
    """
    noun = next((value for kind, value in items if kind is Kind.EXTENT_NOUN), None)
    if noun and extent is None:
        raise PrescriptionError(f"'{noun}' needs a percentage, such as '{noun} of 60 %'")


def size_contradictions(items: Sequence[Item], pattern: Pattern | None, segments: frozenset[int]) -> Iterator[str]:
    """Problems with words for the size of the scar that the rest of the sentence contradicts.

    Args:
        pattern: None where it is not known.
        segments: empty where they are not known.
    """
    words: dict[Size, str] = {value.size: value.word for value in _sizes(items)}
    whole_ring = any(segments >= set(ring) for ring in SEGMENTS.values())
    brightness = next((word for word, percentile in BRIGHTNESS_WORDS.items() if (Kind.BRIGHTNESS, percentile) in items), None)
    for size, other in (
        (Size.SMALL, words.get(Size.LARGE)),
        (Size.SMALL, "circumferential" if whole_ring else None),
        (Size.WEAK, words.get(Size.STRONG)),
        (Size.WEAK, brightness if brightness == "bright" else None),
        (Size.STRONG, brightness if brightness == "faint" else None),
        (Size.THIN, str(pattern) if pattern in (Pattern.TRANSMURAL, Pattern.PATCHY) else None),
    ):
        if size in words and other is not None:
            yield f"'{words[size]}' and '{other}' contradict each other; keep one"


def size_notes(items: Sequence[Item]) -> list[str]:
    """A note on the words for size, which change nothing."""
    words = list(dict.fromkeys(value.word for value in _sizes(items)))
    if not words:
        return []
    return [
        f"{', '.join(repr(word) for word in words)}: read, but without effect; the size follows from walls, percentage and arc, and the "
        "brightness from 'bright' or 'faint'"
    ]


def insertion_notes(items: Sequence[Item], pattern: Pattern, segments: frozenset[int]) -> list[str]:
    """A note where a patchy scar is asked for at the RV insertions."""
    if pattern is not Pattern.PATCHY or not any(kind is Kind.WALL and value.insertion for kind, value in items):
        return []
    numbers = ", ".join(map(str, sorted(segments)))
    return [
        f"patchy scar at the RV insertions: read as the whole width of segments {numbers}; without 'patchy', the scar stays within "
        "20 degrees of the insertions"
    ]


def _sizes(items: Sequence[Item]) -> Iterator[SizeWord]:
    return (value for kind, value in items if kind is Kind.SIZE)
