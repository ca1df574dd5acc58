"""A suggestion never means something else."""

import re

import pytest

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.grammar.spelling import OTHER_WORDS, is_one_letter_off, suggest


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("posterosptal", "posteroseptal"),
        ("transmurl", "transmural"),
        ("latral", "lateral"),
        ("subendocadrial", "subendocardial"),
        ("inferiolateral", "inferolateral"),
        ("anteroseptel", "anteroseptal"),
        ("enhancment", "enhancement"),
        ("full", "full thickness"),
        ("seed", "seed 12"),
    ],
)
def test_one_wrong_letter_is_recognised(word, meant):
    assert suggest(word) == meant


@pytest.mark.parametrize(
    "word",
    [
        *("sparing", "sparring", "prior", "mild", "literal", "interior", "bilateral", "ventral", "pericardial", "superior", "septic"),
        *("exterior", "endocarditis", "myocarditis", "catchy", "matches", "basalt", "patched", "right", "wall", "mid", "typical", "normal"),
        *sorted(OTHER_WORDS),
    ],
)
def test_a_word_with_a_meaning_of_its_own_gets_no_suggestion(word):
    assert suggest(word) is None
    with pytest.raises(PrescriptionError) as refusal:
        prescribe(f"Transmural scar in the septum {word} septum")
    assert not re.search("did you mean", str(refusal.value))


@pytest.mark.parametrize(
    ("word", "other", "near"),
    [
        ("latral", "lateral", True),
        ("laterall", "lateral", True),
        ("letaral", "lateral", False),  # two letters
        ("leteral", "lateral", True),
        ("latreal", "lateral", True),  # swapped
        ("lateral", "lateral", True),
        ("later", "lateral", False),
        ("", "a", True),
    ],
)
def test_one_letter_is_missing_added_replaced_or_swapped(word, other, near):
    assert is_one_letter_off(word, other) is near
    assert is_one_letter_off(other, word) is near
