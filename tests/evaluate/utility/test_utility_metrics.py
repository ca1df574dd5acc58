"""Metrics of a trained segmenter where the answer is known, and comparisons of arms on the same draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.errors import InputError
from lgesynthnet.evaluate.intervals import estimate
from lgesynthnet.evaluate.utility.detection import of_patients, of_slices, youden_threshold
from lgesynthnet.evaluate.utility.metrics import BALANCED, DICE, FALSE_POSITIVE_RATE, METRICS, quarters
from lgesynthnet.evaluate.utility.paired import Resampling, _by_threshold, at_matched_false_positive_rate, patient_changes, signed_rank
from lgesynthnet.evaluate.utility.scores import HALF, THRESHOLDS, RunScores, SliceScore, per_patient, scar_volume_ml
from lgesynthnet.files.reading import checked


def row(patient, index, truth, found, overlap, evidence=None, hd=None):
    return SliceScore(
        patient=patient,
        index=index,
        truth_mm2=truth,
        predicted_mm2=found,
        overlap_mm2=overlap,
        hd95_mm=hd,
        expected_scar_mm2=found if evidence is None else evidence,
        step_mm=10.0,
    )


def reading(rows, slice_cut=50.0, patient_cut=0.5):
    return RunScores(slices=rows, slice_cut_mm2=slice_cut, patient_cut_ml=patient_cut)


SICK = [row("P1", 0, 100, 100, 80, hd=2.0), row("P1", 1, 200, 0, 0), row("P2", 0, 50, 150, 50, hd=6.0)]
SOUND = [row("N1", 0, 0, 0, 0), row("N1", 1, 0, 60, 0), row("N2", 0, 0, 0, 0)]
ONE = reading(SICK + SOUND)


def value(name, *readings):
    metric = next(metric for metric in METRICS if metric.name == name)
    patients = len(per_patient(readings[0].slices))
    return estimate(Resampling.of(patients, len(readings)).values(metric, readings), len(readings[0].slices))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (DICE, (0.8 + 0 + 0.5) / 3),
        ("Dice, all slices", (0.8 + 0 + 0.5 + 1 + 0 + 1) / 6),
        ("HD95, mm", 4.0),
        ("any overlap, share of slices with scar", 2 / 3),
        (FALSE_POSITIVE_RATE, 1 / 3),
        ("false-positive area, slices without scar, mm2", 20.0),
        ("scar volume error, ml", (2 + 1 + 0.6 + 0) / 4),
        (BALANCED, (2 / 3 + 2 / 3) / 2),
        ("accuracy, slices", 4 / 6),
        ("AUC, slices", 7 / 9),
        ("balanced accuracy, patients", (1 + 0.5) / 2),
        ("AUC, patients", 1.0),
    ],
)
def test_each_metric_is_what_a_hand_count_gives(name, expected):
    assert value(name, ONE).value == pytest.approx(expected)


def test_the_area_under_the_curve_counts_pairs_of_slices_and_ties_half():
    # found: scarred 100, 0, 150; others 0, 60, 0. Wins: 3, (0 ties twice -> 1, loses once), 3.
    assert value("AUC, slices", ONE).value == pytest.approx((3 + 1 + 3) / 9)


def test_an_interval_holds_its_estimate_and_widens_where_patients_differ():
    same = reading([row(f"P{i}", 0, 100, 100, 80) for i in range(9)] + SOUND)
    mixed = reading([row(f"P{i}", 0, 100, 100, 90 if i % 2 else 10) for i in range(9)] + SOUND)
    narrow, wide = value(DICE, same), value(DICE, mixed)
    assert narrow.low == pytest.approx(narrow.high)
    assert wide.low < wide.value < wide.high


def test_seeds_are_resampled_with_the_patients():
    good, bad = (reading([row("P1", 0, 100, 100, overlap), *SOUND]) for overlap in (100, 0))
    both = value(DICE, good, bad)
    assert (both.low, both.value, both.high) == (0.0, 0.5, 1.0)


def test_a_paired_difference_is_tighter_than_the_two_intervals():
    base = [row(f"P{i}", 0, 100, 100, 10 * i) for i in range(10)]
    better = [replace(r, overlap_mm2=min(r.overlap_mm2 + 5, 100)) for r in base]
    metric = next(metric for metric in METRICS if metric.name == DICE)
    draws = Resampling.of(10, 1)
    change = draws.values(metric, [reading(better)]) - draws.values(metric, [reading(base)])
    found = estimate(change, 10)
    assert found.low == pytest.approx(0.05)
    assert found.high == pytest.approx(0.05)
    assert signed_rank([reading(better)], [reading(base)]) < 0.01
    assert signed_rank([reading(base)], [reading(base)]) is None


def test_the_cut_parts_what_can_be_parted_and_stands_midway():
    assert youden_threshold([0, 1, 9, 10], [False, False, True, True]) == 5.0
    assert youden_threshold([0, 10], [False, True]) == 5.0
    with pytest.raises(ValueError, match="with scar and without"):
        youden_threshold([1, 2], [True, True])


def test_of_equally_good_cuts_the_middle_one_is_taken():
    # Cuts at 0.5, 2.5 and 4.5 have a balanced accuracy of 2/3 each.
    assert youden_threshold([0, 1, 2, 3, 4, 5], [False, True] * 3) == 2.5


def test_a_cut_may_call_everything_or_nothing_scarred():
    assert youden_threshold([5, 5], [True, False]) == pytest.approx(5)
    assert youden_threshold([9, 1, 1], [False, True, True]) > 9  # as good as a cut below 1: half of the two classes is right


def test_the_lowest_cut_calls_the_lowest_score_scarred():
    # A cut at 1 calls everything scarred and is as good as the cuts at 2.5 and above 4, so the middle one is 2.5.
    assert youden_threshold([1, 2, 3, 4], [True, False, True, False]) == 2.5


def test_25_mm2_are_no_false_positive_and_more_are():
    at, above = (reading([row("N1", 0, 0, area, 0), *SICK]) for area in (25.0, 25.1))
    assert value(FALSE_POSITIVE_RATE, at).value == 0
    assert value(FALSE_POSITIVE_RATE, above).value == 1


def test_at_a_matched_rate_too_25_mm2_are_no_false_positive():
    def run(area):
        rows = [row("P1", 0, 100, 100, 80), row("N1", 0, 0, area, 0)]
        at = {"P1": [100.0 - i for i in range(19)], "N1": [area] * 10 + [0.0] * 9}
        return reading([replace(r, predicted_at_mm2=tuple(at[r.patient]), overlap_at_mm2=tuple(at[r.patient])) for r in rows])

    def rate_at_one_half(area):
        return _by_threshold([run(area)], Resampling.of(2, 1))[1][0, HALF]

    assert rate_at_one_half(25.0) == 0
    assert rate_at_one_half(25.1) == 1


def test_a_score_that_equals_the_cut_is_called_scarred():
    scores = reading([row("P1", 0, 100, 50, 50), row("N1", 0, 0, 0, 0)], slice_cut=50.0, patient_cut=0.5)
    assert of_slices(scores).confusion == of_patients(scores).confusion == (1, 0, 0, 1)
    for name in ("sensitivity, slices", "specificity, slices", "accuracy, slices", "sensitivity, patients", "specificity, patients"):
        assert value(name, scores).value == 1.0


def test_the_signed_rank_is_two_sided():
    base = reading([row(f"P{i}", 0, 100, 100, 10 * i) for i in range(5)])
    better = reading([row(f"P{i}", 0, 100, 100, 10 * i + i + 1) for i in range(5)])
    # All five patients gain: 2 of 2^5 assignments of signs are as extreme.
    assert signed_rank([better], [base]) == pytest.approx(2 / 2**5)
    assert signed_rank([base], [better]) == pytest.approx(2 / 2**5)


def test_changes_are_of_patient_means_over_slices_and_seeds():
    base = [reading([row("P1", 0, 100, 100, 20), row("P1", 1, 100, 100, 40), row("P2", 0, 100, 100, 50), *SOUND])]
    better = [reading([row("P1", 0, 100, 100, 60), row("P1", 1, 100, 100, 80), row("P2", 0, 100, 100, c), *SOUND]) for c in (30, 50)]
    assert patient_changes(better, base) == pytest.approx({"P1": 0.4, "P2": -0.1})


def test_confusion_is_in_the_order_of_the_published_table():
    assert of_patients(ONE).confusion == (1, 1, 0, 2)  # N2 right, N1 called sick, both sick found


def test_burden_is_area_times_the_step():
    assert scar_volume_ml(SICK[:2], predicted=False) == pytest.approx(3.0)


def quarter_dice(areas):
    """Name and Dice of each quarter, of slices whose own Dice is their area in mm2 over 100."""
    scores = reading([row(f"P{i}", 0, float(area), float(area), area * area / 100) for i, area in enumerate(areas)] + SOUND)
    weights = np.ones((1, len(per_patient(scores.slices))))
    return {metric.name: float(metric.compute(scores, weights)[0]) for metric in quarters([scores])}


def test_quarters_hold_every_scarred_slice_once_the_smallest_first():
    # If a quarter lost a slice, held one twice or held all of them, its mean would be another.
    dice = quarter_dice([80, 10, 70, 20, 60, 30, 50, 40])
    assert list(dice.values()) == pytest.approx([0.15, 0.35, 0.55, 0.75])
    assert [name.removeprefix("Dice, scar of ") for name in dice] == ["0 to 28 mm2", "28 to 45 mm2", "45 to 62 mm2", "more than 62 mm2"]


def test_a_scar_on_the_edge_of_two_quarters_belongs_to_the_lower_one():
    assert list(quarter_dice([10, 20, 30, 40, 50]).values()) == pytest.approx([0.15, 0.30, 0.40, 0.50])


def test_without_a_scar_there_are_no_quarters():
    assert quarters([reading(SOUND)]) == ()


def by_threshold(chances, truths, *, bolder=0.0):
    """A reading of slices whose pixels, 1 mm2 each, hold these probabilities; a bolder reader adds to every one."""
    rows = []
    for i, (chance, truth) in enumerate(zip(chances, truths, strict=True)):
        called = [chance + bolder >= threshold for threshold in THRESHOLDS]
        found, overlap = (tuple(float((some & kind).sum()) for some in called) for kind in (np.ones_like(truth), truth))
        one = row(f"P{i}", 0, float(truth.sum()), found[HALF], overlap[HALF])
        rows.append(replace(one, predicted_at_mm2=found, overlap_at_mm2=overlap))
    return reading(rows)


def test_a_bolder_reader_gains_dice_and_none_of_it_at_equal_false_alarm_but_a_better_one_does():
    rng = np.random.default_rng(0)
    truths = [np.arange(400) < (150 if i % 2 else 0) for i in range(40)]
    bias = rng.normal(0, 0.08, 40)  # of each slice, so that false alarms come and go
    chances = [np.clip(0.30 + 0.15 * truth + b + rng.normal(0, 0.1, 400), 0, 1) for truth, b in zip(truths, bias, strict=True)]
    shy = by_threshold(chances, truths)
    bold = by_threshold(chances, truths, bolder=0.1)
    better = by_threshold([chance + 0.1 * truth for chance, truth in zip(chances, truths, strict=True)], truths)
    draws = Resampling.of(40, 1)

    def dice(one):
        return value(DICE, one).value

    assert dice(bold) > dice(shy) + 0.05
    ours, others = at_matched_false_positive_rate([bold], [shy], draws)
    assert others[0] == pytest.approx(dice(shy))
    assert ours[0] - others[0] == pytest.approx(0, abs=0.02)
    ours, others = at_matched_false_positive_rate([better], [shy], draws)
    assert ours[0] - others[0] > 0.05
    assert at_matched_false_positive_rate([shy], [reading(SICK)], draws) is None  # a record of before


def test_a_reading_survives_its_record():
    assert checked(RunScores, ONE.record(), "record.json") == replace(ONE, slices=list(ONE.slices))


@pytest.mark.parametrize(
    "change",
    [
        {"slice_cut_mm2": "50"},
        {"slice_cut_mm2": None},
        {"slices": {}},
        {"slices": [{"patient": "P1"}]},
        {"slices": [{**ONE.record()["slices"][0], "index": 1.5}]},
        {"slices": [{**ONE.record()["slices"][0], "truth_mm2": "many"}]},
        {"slices": [{**ONE.record()["slices"][0], "secret": 1}]},
    ],
)
def test_a_record_that_is_not_sound_is_named(change):
    with pytest.raises(InputError, match=r"record\.json: .*slice"):
        checked(RunScores, {**ONE.record(), **change}, "record.json")
    with pytest.raises(InputError, match=r"record\.json: slices"):
        checked(RunScores, {}, "record.json")
