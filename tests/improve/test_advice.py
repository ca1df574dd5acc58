"""The stop rule and the advice follow the numbers of held-out patients, both ways."""

from __future__ import annotations

import pytest

from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.improve.deciding import Change, Verdict, advise, change


def slice_score(patient, index, *, scarred, found):
    """A slice with 200 mm² of scar, of which this share is found; scar-free slices have no false scar."""
    truth = 200.0 if scarred else 0.0
    return SliceScore(
        patient=patient,
        index=index,
        truth_mm2=truth,
        predicted_mm2=truth * found,
        overlap_mm2=truth * found,
        hd95_mm=None,
        expected_scar_mm2=truth * found,
        step_mm=8.0,
        wall_mm2=1000.0,
        predicted_wall_mm2=1000.0,
        overlap_wall_mm2=1000.0,
        lesions=int(scarred),
        found_lesions=0,
        called_lesions=0,
        right_lesions=0,
    )


def scores(*found):
    """One scarred and one scar-free slice of a patient for each share."""
    return [
        slice_score(f"P{number}", index, scarred=scarred, found=share)
        for number, share in enumerate(found)
        for index, scarred in enumerate((True, False))
    ]


def interval(value, low, high):
    return Interval(value, low, high, 10)


def test_scores_that_rise_in_every_patient_are_a_gain_and_the_advice_is_to_use_samples():
    compared = change(scores(0.5, 0.6, 0.7, 0.5), scores(0.3, 0.4, 0.5, 0.2))
    assert compared.gain is compared.dice
    assert compared.scarred == 4
    advice = advise(compared, 120)
    assert advice.verdict is Verdict.USE
    assert advice.sentence.startswith("Use the samples, because they help")
    assert f"{compared.dice.value:+.3f}" in advice.sentence
    assert "120 samples" in advice.sentence


def test_the_same_numbers_the_other_way_round_are_no_gain_and_the_advice_is_not_to_use_them():
    compared = change(scores(0.3, 0.4, 0.5, 0.2), scores(0.5, 0.6, 0.7, 0.5))
    assert compared.gain is None
    advice = advise(compared, 120)
    assert advice.verdict is Verdict.LEAVE
    assert advice.sentence.startswith("Do not use the samples")
    assert f"{compared.dice.value:+.3f}" in advice.sentence


def test_a_gain_in_one_patient_that_another_loses_is_to_be_checked():
    advice = advise(change(scores(0.9, 0.3), scores(0.3, 0.4)), 5)
    assert advice.verdict is Verdict.CHECK
    assert "test them on patients of your own first" in advice.sentence


@pytest.mark.parametrize(
    ("dice", "auc", "gains"),
    [
        (interval(0.020, 0.01, 0.03), interval(0.0, 0.0, 0.0), "dice"),
        (interval(0.019, 0.01, 0.03), interval(0.0, 0.0, 0.0), None),
        (interval(0.05, 0.01, 0.09), interval(-0.011, -0.02, 0.0), None),
        (interval(0.05, 0.01, 0.09), interval(-0.010, -0.02, 0.0), "dice"),
        (interval(0.0, -0.01, 0.01), interval(0.03, 0.01, 0.05), "auc"),
        (interval(-0.02, -0.04, 0.0), interval(0.03, 0.01, 0.05), None),
        (None, interval(0.03, 0.01, 0.05), "auc"),
        (None, None, None),
    ],
)
def test_a_gain_is_two_hundredths_of_one_while_the_other_is_not_lost(dice, auc, gains):
    compared = Change(dice=dice, auc=auc, scarred=4)
    assert compared.gain is {"dice": dice, "auc": auc, None: None}[gains]


def test_without_any_sample_the_advice_says_so():
    assert advise(None, 0).verdict is Verdict.LEAVE
    assert "none was painted" in advise(None, 0).sentence


def test_an_advice_is_one_sentence():
    for compared in (change(scores(0.9, 0.8), scores(0.3, 0.4)), change(scores(0.3, 0.4), scores(0.9, 0.8)), None):
        assert advise(compared, 3).sentence.rstrip(".").count(". ") == 0


def test_scores_of_different_patients_are_not_compared():
    with pytest.raises(ValueError, match="the same patients"):
        change(scores(0.1, 0.2), scores(0.1))
