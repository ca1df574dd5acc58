"""Suggest the word that was meant where a word has one wrong letter.

A suggestion that means something else is worse than none ("sparing" is not "scarring"). So only names of walls, levels, patterns and
findings are suggested, and only where one letter is missing, added, replaced or swapped, the first letter is right, and the word that was
written is long and no other word of English or of medicine.
"""

from __future__ import annotations

from lgesynthnet.prescription.grammar import report_words, vocabulary
from lgesynthnet.prescription.grammar.phrases import PHRASES
from lgesynthnet.prescription.grammar.vocabulary import NUMBER_FORMS

SHORTEST = 6  # letters; among shorter words too many differ by one letter ("mild" and "mid", "wall" and "small")
COMPLETIONS = {  # a part of a phrase that is read as a whole only
    "full": "full thickness",
    "insertion": "RV insertion points",
    "insertions": "RV insertion points",
    "hinge": "RV hinge points",
    "cap": "apical",
}
# English words within one letter of a known word, found by comparing the known words with a list of 114,000 (pyspellchecker 0.9.1).
_OTHER_WORDS = """
    basalt decayed delayer inferno infers interior lateran literal parches patched pitches pitchy poster postern posters
    scarfing scaring scarping sparring starring trains
"""
OTHER_WORDS = frozenset(_OTHER_WORDS.split())


def suggest(word: str) -> str | None:
    """The known word or form that an unknown word most probably stands for; None where that is not certain.

    Args:
        word: in lower case.
    """
    if word in NUMBER_FORMS:
        return NUMBER_FORMS[word]
    if word in COMPLETIONS:
        return COMPLETIONS[word]
    if len(word) < SHORTEST or word in OTHER_WORDS or (word,) in PHRASES:
        return None
    near = [known for known in _KNOWN if known[0] == word[0] and is_one_letter_off(word, known)]
    return near[0] if len(near) == 1 else None


def is_one_letter_off(word: str, other: str) -> bool:
    """Whether one letter is missing, added or replaced, or two letters that stand side by side are swapped."""
    if len(word) > len(other):
        word, other = other, word
    if len(other) - len(word) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), len(word))
    if len(word) < len(other):
        return word[same:] == other[same + 1 :]
    rest, other_rest = word[same:], other[same:]
    return rest[1:] == other_rest[1:] or (rest[:2] == other_rest[:2][::-1] and rest[2:] == other_rest[2:])


def _known() -> frozenset[str]:
    phrases = [*vocabulary.WALLS, *vocabulary.LEVELS, *report_words.LEVEL_WALLS, *vocabulary.FINDINGS.split()]
    phrases += [phrase.lower() for words in vocabulary.PATTERN_WORDS.values() for phrase in words]
    return frozenset(word for phrase in phrases for word in phrase.replace("-", " ").split() if len(word) >= SHORTEST - 1)


_KNOWN = tuple(sorted(_known()))
