"""Every phrase that a sentence may have, with its meaning, in one table made from `vocabulary` and `report_words`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from lgesynthnet.prescription.grammar import report_words, vocabulary
from lgesynthnet.prescription.grammar.report_words import Refusal, Size
from lgesynthnet.records import Level

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*|\d+|[^\w\s]")  # as sentences are divided: "d1" has two parts
_ABBREVIATIONS = frozenset(("lad", "rca", "lcx", "cx", "rv", "ivs"))


class Kind(Enum):
    """What a phrase of a sentence means."""

    PATTERN = auto()
    LEVEL = auto()
    LEVEL_NOUN = auto()
    OF = auto()
    TO = auto()
    AND = auto()
    EXTENSION = auto()  # "extending into"
    WALL = auto()
    BORDER = auto()
    BRIGHTNESS = auto()
    SIZE = auto()
    EXTENT_NOUN = auto()
    MEASURE = auto()  # a number that was read before
    FINDING = auto()
    COMMENT = auto()  # "consistent with"
    HEADING = auto()  # "shows"
    FILLER = auto()
    BREAK = auto()  # a comma, a full stop, a bracket
    REFUSED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Wall:
    """A part of the wall that a phrase names.

    Attributes:
        implied: whether it comes with a pattern ("RV-insertion enhancement"); any wall that is named replaces it.
        point: whether it is an insertion point, which cannot be combined with walls.
        listed: whether the segments were listed by number; a level must then match all of them.
        territory: whether it is the territory of an artery; walls inside the territory are more exact.
        level: the level that the phrase itself names, as "anteroapical" does; None for all other phrases.
    """

    name: str
    segments: frozenset[int]
    implied: bool = False
    point: bool = False
    listed: bool = False
    territory: bool = False
    level: Level | None = None

    @property
    def label(self) -> str:
        """The name with its abbreviations in capital letters."""
        return " ".join(word.upper() if word in _ABBREVIATIONS else word for word in self.name.split())

    @property
    def insertion(self) -> bool:
        """Whether the phrase names RV insertions, as a place or as a pattern."""
        return self.implied or self.point


@dataclass(frozen=True)
class SizeWord:
    """A word for the size or strength of the scar."""

    word: str
    size: Size


@dataclass(frozen=True)
class RefusedWord:
    """A word that no prescription can hold."""

    word: str
    refusal: Refusal


Item = tuple[Kind, Any]
Phrases = dict[tuple[str, ...], tuple[Item, ...]]


def _phrase_table() -> Phrases:
    table: Phrases = {}

    def enter(phrase: str, *items: Item) -> None:
        table[tuple(_WORD.findall(phrase.lower()))] = items

    def enter_words(kind: Kind, phrases: Iterable[str]) -> None:
        for phrase in phrases:
            enter(phrase, (kind, phrase))

    def enter_values(kind: Kind, values: Mapping[str, Any]) -> None:
        for phrase, value in values.items():
            enter(phrase, (kind, value))

    enter_words(Kind.FINDING, (*vocabulary.FINDINGS.split(), *report_words.FINDINGS.split()))
    enter_words(Kind.FILLER, (*vocabulary.FILLERS.split(), *report_words.FILLERS.split(), *report_words.FILLER_PHRASES))
    enter_words(Kind.LEVEL_NOUN, vocabulary.LEVEL_NOUNS)
    enter_words(Kind.HEADING, report_words.HEADINGS.split())
    enter_words(Kind.COMMENT, report_words.COMMENTS)
    enter_words(Kind.EXTENSION, report_words.EXTENSIONS)
    enter_words(Kind.EXTENT_NOUN, report_words.EXTENT_NOUNS)
    enter_words(Kind.AND, report_words.JOINS)
    enter_words(Kind.OF, ("of",))
    enter_words(Kind.TO, ("to",))
    for refusal in report_words.REFUSALS:
        for phrase in refusal.words:
            enter(phrase, (Kind.REFUSED, RefusedWord(phrase, refusal)))
    enter_values(Kind.SIZE, {word: SizeWord(word, size) for word, size in report_words.SIZES.items()})
    enter_values(Kind.BORDER, vocabulary.BORDER_WORDS)
    enter_values(Kind.BRIGHTNESS, vocabulary.BRIGHTNESS_WORDS)
    for pattern, phrases in vocabulary.PATTERN_WORDS.items():
        enter_values(Kind.PATTERN, dict.fromkeys(phrases, pattern))
    enter_values(Kind.PATTERN, report_words.PATTERNS)
    _enter_places(enter)
    return table


def _enter_places(enter: Callable[..., None]) -> None:
    for phrase, levels in vocabulary.LEVELS.items():
        enter(phrase, (Kind.LEVEL, levels))
    for phrase, levels in vocabulary.LEVEL_PLACES.items():
        enter(phrase, (Kind.LEVEL, levels), (Kind.LEVEL_NOUN, phrase))
    for phrase in ("to apex", "to the apex"):  # as the end of a range this is the apical level; alone it is the apical cap
        enter(phrase, (Kind.TO, "to"), (Kind.LEVEL, vocabulary.LEVELS["apical"]))
    for phrase, segments in (vocabulary.WALLS | report_words.WALLS).items():
        enter(phrase, (Kind.WALL, Wall(phrase, segments)))
    for phrase, segments in (vocabulary.TERRITORIES | report_words.TERRITORIES).items():
        enter(phrase, (Kind.WALL, Wall(phrase, segments, territory=True)))
    for phrase, (level, segments) in report_words.LEVEL_WALLS.items():
        enter(phrase, (Kind.WALL, Wall(phrase, segments, level=level)))
    for phrase, segments in (vocabulary.INSERTIONS | report_words.INSERTIONS).items():
        adjective = phrase in vocabulary.INSERTION_ADJECTIVES
        enter(phrase, (Kind.WALL, Wall(phrase, segments, implied=adjective, point=not adjective)))


PHRASES = _phrase_table()
LONGEST_PHRASE = max(map(len, PHRASES))
