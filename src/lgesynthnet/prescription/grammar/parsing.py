"""Read a sentence as a prescription. No word is skipped, and all problems of a sentence are reported at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.edits import NoEnhancement, Prescription
from lgesynthnet.prescription.grammar.attributes import (
    NO_PATTERN,
    across_the_wall,
    check_extent_noun,
    insertion_notes,
    number_or_word,
    only_value,
    pattern_of,
    size_contradictions,
    size_notes,
)
from lgesynthnet.prescription.grammar.location import NO_WALL, segments_of
from lgesynthnet.prescription.grammar.phrases import LONGEST_PHRASE, PHRASES, Item, Kind
from lgesynthnet.prescription.grammar.quantities import MEASURE, SEGMENT_LIST, Quantities, take_quantities
from lgesynthnet.prescription.grammar.report_words import Refusal
from lgesynthnet.prescription.grammar.spelling import suggest
from lgesynthnet.prescription.grammar.statements import check_nouns
from lgesynthnet.prescription.grammar.vocabulary import DEFAULT_IRREGULARITY, DEFAULT_PERCENTILE
from lgesynthnet.prescription.grammar.writing import WITHOUT_SCAR
from lgesynthnet.prescription.scar import ScarPrescription

LONGEST_TEXT = 1000  # characters; the longest sentence of `write_sentence` is much shorter
MOST_PROBLEMS = 8  # reported of one sentence

_SIGNS = str.maketrans(
    {"‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-", "°": " degrees ", "≥": ">=", "≤": "<=", "’": "'", "\u00a0": " "}
)
_PERCENT = re.compile(r"\bper\s?cent\b")
_LEVEL_DASH = re.compile(r"\b(basal|base|mid|apical)-(?=(?:basal|mid|apical)\b)")
_LETTER_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_]|\s)")
_WITH = ((re.compile(r"\bw/o\b"), "without"), (re.compile(r"\bw/(?=[\s\w])"), "with "))
_MODEL = re.compile(r"\b(?:aha\s+)?1[67][\s-]segment\s+model\b")  # the name of the standard, and no segment number
_TOKEN = re.compile(rf"{SEGMENT_LIST}|[^\W\d_]+|\d+(?:\.\d+)?|[,;:.()/]| - |\S")
_WITHOUT_SCAR = frozenset(wording.lower() for wording in WITHOUT_SCAR)
_BREAKS = frozenset(",;:.()/") | {" - "}


@dataclass(frozen=True, kw_only=True)
class SentenceReading:
    """A sentence that was understood.

    Attributes:
        prescription: what the sentence says.
        notes: for each word that may mean two things, or has no effect, how it was read and how to say the other.
    """

    prescription: Prescription
    notes: tuple[str, ...]


def prescribe(text: str) -> Prescription:
    """Read one sentence in the wording of radiology reports as a prescription.

    "Transmural enhancement in the posteroseptal wall" gives segments {3, 9}, the whole thickness of the wall, and defaults for
    everything else. Without a word for the pattern, the percentage decides: above 75 % is transmural, anything else is
    subendocardial. "Non-transmural" means subendocardial. A range of percent means its middle (see `quantities.Extent`).
    "Posterior" means inferior (see `vocabulary`). "No late enhancement" alone is `NoEnhancement`. `read_sentence` also says how such words
    were read.

    Args:
        text: one scar, at most 1000 characters, in upper or lower case.

    Raises:
        PrescriptionError: the sentence is empty or too long, has an unknown word or one that no prescription can hold (a negation, a
            doubt, the right ventricle), gives two values for one field, names no wall or no pattern, or describes no valid
            prescription. The message lists all problems and ends with the sentence.
    """
    return read_sentence(text).prescription


def read_sentence(text: str) -> SentenceReading:
    """Read one sentence as `prescribe` does, with notes on the words that could have been meant otherwise.

    Args:
        text: as for `prescribe`.
    Raises:
        PrescriptionError: as for `prescribe`.
    """
    if text.strip(" .\n").lower() in _WITHOUT_SCAR:
        return SentenceReading(prescription=NoEnhancement(), notes=())
    if len(text) > LONGEST_TEXT:
        raise PrescriptionError(f"a prescription has at most {LONGEST_TEXT} characters, got {len(text)}; write one sentence for each scar")
    try:
        return _understand(text)
    except PrescriptionError as fault:
        shown = text if len(text) <= 120 else f"{text[:117]}..."
        raise PrescriptionError(f"{fault} (in {shown!r})") from None


def _understand(text: str) -> SentenceReading:
    if foreign := next((letter for letter in text if letter.isnumeric() and not letter.isascii()), None):
        raise PrescriptionError(f"cannot read the number sign {foreign!r}; write numbers with the digits 0 to 9")
    quantities = take_quantities(normalised(text))
    unknown: list[str] = []
    items = list(read_words(quantities, unknown))
    if all(kind is Kind.BREAK for kind, _ in items):
        raise PrescriptionError("the prescription is empty; write e.g. 'Transmural enhancement in the mid inferoseptal wall'")
    problems = [*([_cannot_read(unknown)] if unknown else []), *_refusals(items), *quantities.problems, *check_nouns(items)]
    reading = _read(items, quantities, problems)
    if reading is None or problems:
        raise PrescriptionError(_listed(problems))
    return reading


def _read(items: list[Item], quantities: Quantities, problems: list[str]) -> SentenceReading | None:
    """The prescription; None where it has problems, which are added to `problems`."""
    values = quantities.values
    arc = values.get("arc")
    pattern, share, depth = None, None, None
    segments, notes = frozenset[int](), list[str]()
    irregularity, percentile = DEFAULT_IRREGULARITY, DEFAULT_PERCENTILE
    with _collecting(problems, unless=NO_WALL if _refuses(items, "is_place") else None):
        segments, notes = segments_of(items, arc)
    named, explained = None, True  # whether another problem explains that no pattern is known
    with _collecting(problems):
        named, explained = pattern_of(items), _refuses(items, "is_pattern")
    with _collecting(problems, unless=NO_PATTERN if explained else None):
        check_extent_noun(items, values.get("transmural extent"))
        pattern, share, depth = across_the_wall(named, values.get("transmural extent"), values.get("depth"))
    with _collecting(problems):
        irregularity = number_or_word(values.get("border"), only_value(items, Kind.BORDER, "border"), "border", irregularity)
    with _collecting(problems):
        percentile = number_or_word(values.get("brightness"), only_value(items, Kind.BRIGHTNESS, "brightness"), "brightness", percentile)
    problems += size_contradictions(items, pattern or named, segments)
    if problems or pattern is None or share is None:
        return None
    prescription = ScarPrescription(
        segments=segments,
        pattern=pattern,
        transmurality=share,
        arc=arc,
        depth=depth,
        irregularity=irregularity,
        mvo_share=values.get("microvascular obstruction", 0.0),
        intensity_percentile=percentile,
        seed=values.get("seed", 0),
    )
    return SentenceReading(prescription=prescription, notes=(*notes, *insertion_notes(items, pattern, segments), *size_notes(items)))


@contextmanager
def _collecting(problems: list[str], unless: str | None = None) -> Iterator[None]:
    """Add an error of the block to the problems, unless it is one that another problem explains."""
    try:
        yield
    except PrescriptionError as fault:
        if str(fault) != unless:
            problems.append(str(fault))


def normalised(text: str) -> str:
    """A sentence in lower case, with one sign for each kind of dash and the words of reports spelled in one way."""
    text = _PERCENT.sub("%", text.lower().translate(_SIGNS))
    for written, meant in _WITH:
        text = written.sub(meant, text)
    return _LETTER_HYPHEN.sub(" ", _LEVEL_DASH.sub(r"\1 to ", _MODEL.sub(" ", text)))


def read_words(quantities: Quantities, unknown: list[str]) -> Iterator[Item]:
    """Read the longest known phrase at each position. Unknown words are added to `unknown`, and read as what they probably stand for."""
    tokens = _TOKEN.findall(quantities.text)
    lists = iter(quantities.lists)
    position = 0
    while position < len(tokens):
        token = tokens[position]
        for length in range(min(LONGEST_PHRASE, len(tokens) - position), 0, -1):
            items_of_phrase = PHRASES.get(tuple(tokens[position : position + length]))
            if items_of_phrase is not None:
                yield from items_of_phrase
                position += length
                break
        else:
            position += 1
            if token in _BREAKS:
                yield Kind.BREAK, token
            elif token == SEGMENT_LIST:
                yield Kind.WALL, next(lists)
            elif token == MEASURE:
                yield Kind.MEASURE, token
            else:
                unknown.append(token)
                yield from PHRASES.get((suggest(token) or "",), ((Kind.UNKNOWN, token),))


def _cannot_read(unknown: list[str]) -> str:
    unknown = list(dict.fromkeys(unknown))
    shown = unknown[:5]
    hints = list(dict.fromkeys(hint for word in shown if (hint := suggest(word))))
    text = "cannot read " + ", ".join(f"'{word}'" for word in shown) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    if hints:
        return f"{text}; did you mean " + ", ".join(f"'{hint}'" for hint in hints) + "?"
    if shown[0][0].isdigit():
        return f"{text}; a number needs its field: '50 % transmural', 'segments 3 and 9', 'between 130 and 220 degrees', 'seed 12'"
    return f"{text}; leave it out or say it otherwise (`lgesynthnet prescribe --words` lists all words)"


def _refusals(items: list[Item]) -> list[str]:
    """One problem for each kind of word that no prescription can hold."""
    words: dict[Refusal, list[str]] = {}
    for kind, value in items:
        if kind is Kind.REFUSED:
            words.setdefault(value.refusal, []).append(f"'{value.word}'")
    return [f"{', '.join(dict.fromkeys(quoted))} {refusal.reason}" for refusal, quoted in words.items()]


def _refuses(items: list[Item], attribute: Literal["is_place", "is_pattern"]) -> bool:
    return any(kind is Kind.REFUSED and getattr(value.refusal, attribute) for kind, value in items)


def _listed(problems: list[str]) -> str:
    problems = list(dict.fromkeys(problems))
    if len(problems) == 1:
        return problems[0]
    shown = "; ".join(f"({number}) {problem}" for number, problem in enumerate(problems[:MOST_PROBLEMS], start=1))
    return f"{len(problems)} problems: {shown}"
