"""List every word that a sentence may have, by what it means. The text is made from the same tables from which sentences are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import wrap

from lgesynthnet.prescription.grammar import report_words, vocabulary
from lgesynthnet.prescription.grammar.hearts import HEART_FORMS
from lgesynthnet.prescription.scar import Pattern

WIDTH = 110  # characters a line
MOST_PHRASES = 12  # of one meaning; the rest are combinations of the same words


def list_words() -> str:
    """The vocabulary as plain text: a heading for each kind, and a line for each meaning."""
    walls = vocabulary.WALLS | report_words.WALLS | {phrase: segments for phrase, (_, segments) in report_words.LEVEL_WALLS.items()}
    patterns = {pattern: list(words) for pattern, words in vocabulary.PATTERN_WORDS.items()}
    for word, pattern in report_words.PATTERNS.items():
        patterns[pattern].append(word)
    sections: list[tuple[str, Mapping[str, Iterable[str]]]] = [
        ("Walls, by AHA segments (or 'segments 3 and 9')", _by_segments(walls)),
        ("Territories of the coronary arteries, by AHA segments", _by_segments(vocabulary.TERRITORIES | report_words.TERRITORIES)),
        ("RV insertions, by AHA segments", _by_segments(vocabulary.INSERTIONS | report_words.INSERTIONS)),
        ("Levels", _by_levels()),
        ("Patterns, and the share of the wall without a percentage", _by_share(patterns)),
        ("Border (0 smooth, 1 ragged)", {f"{value:g}": [word] for word, value in vocabulary.BORDER_WORDS.items()}),
        ("Brightness (percentile)", {f"{value:g}": [word] for word, value in vocabulary.BRIGHTNESS_WORDS.items()}),
        ("Words that need a number", _by_form()),
        ("Words between walls and levels", {"join": (*report_words.JOINS, "of", "to"), "extend": report_words.EXTENSIONS}),
        ("Sentences about whole hearts alone: where the scar ends between base and apex", _in_quotes(HEART_FORMS)),
        (
            "Words that are read and change nothing",
            {
                "finding": (*vocabulary.FINDINGS.split(), *report_words.FINDINGS.split()),
                "size": report_words.SIZES,
                "comment": report_words.COMMENTS,
                "other": (*vocabulary.FILLERS.split(), *report_words.HEADINGS.split(), *report_words.FILLERS.split()),
                "phrase": report_words.FILLER_PHRASES,
            },
        ),
        ("Words that are refused, and why", {refusal.kind: refusal.words for refusal in report_words.REFUSALS}),
    ]
    reasons = {refusal.kind: refusal.reason for refusal in report_words.REFUSALS}
    return "\n\n".join(_section(title, words, reasons) for title, words in sections)


def _section(title: str, words: Mapping[str, Iterable[str]], reasons: Mapping[str, str]) -> str:
    lines = [title]
    for meaning, phrases in words.items():
        lines += wrap(f"{meaning}: {', '.join(dict.fromkeys(phrases))}", WIDTH, initial_indent="  ", subsequent_indent="      ")
        if meaning in reasons:
            lines += wrap(f"('...' {reasons[meaning]})", WIDTH, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def _by_segments(phrases: Mapping[str, frozenset[int]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for phrase, segments in phrases.items():
        grouped.setdefault(", ".join(map(str, sorted(segments))), []).append(phrase)
    return {segments: _shortest(names) for segments, names in grouped.items()}


def _shortest(phrases: list[str]) -> list[str]:
    """The phrases of the fewest words, and how many others there are."""
    shown = sorted(phrases, key=lambda phrase: len(phrase.split()))[:MOST_PHRASES]
    return shown if len(shown) == len(phrases) else [*shown, f"and {len(phrases) - len(shown)} more of the same words"]


def _by_levels() -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for phrase, levels in (vocabulary.LEVELS | vocabulary.LEVEL_PLACES).items():
        grouped.setdefault(", ".join(levels), []).append(phrase)
    return {**grouped, "may follow a level": list(vocabulary.LEVEL_NOUNS)}


def _by_share(patterns: Mapping[Pattern, list[str]]) -> dict[str, list[str]]:
    return {f"{pattern} ({vocabulary.DEFAULT_TRANSMURALITY[pattern]:.0%})": words for pattern, words in patterns.items()}


def _in_quotes(forms: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    return {meaning: [f"'{form}'" for form in examples] for meaning, examples in forms.items()}


def _by_form() -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for word, form in vocabulary.NUMBER_FORMS.items():
        grouped.setdefault(f"'{form}'", []).append(word)
    return grouped
