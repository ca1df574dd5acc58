"""Metrics of a trained segmenter where the answer is known, and comparisons of arms on the same draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.errors import InputError
from lgesynthnet.evaluate.intervals import estimate
from lgesynthnet.evaluate.utility.detection import of_patients, of_slices
from lgesynthnet.evaluate.utility.metrics import (
    AUC,
    BALANCED,
    BALANCED_PATIENTS,
    DICE,
    FALSE_POSITIVE_RATE,
    METRICS,
    PATIENT_AUC,
    PATIENT_DICE,
    quarters,
)
from lgesynthnet.evaluate.utility.paired import Resampling, bootstrap_p, corrected
from lgesynthnet.evaluate.utility.scores import RunScores, SliceScore, per_patient, scar_volume_ml
from lgesynthnet.files.reading import checked


def row(patient, index, truth, found, overlap, evidence=None, hd=None, **others):
    """A slice whose wall is 1000 mm2 and is found exactly."""
    lesions = {"lesions": int(truth > 0), "found_lesions": int(overlap > 0), "called_lesions": int(found > 0)}
    lesions["right_lesions"] = int(overlap > 0)
    areas = {
        "wall_mm2": 1000.0,
        "predicted_wall_mm2": 1000.0,
        "overlap_wall_mm2": 1000.0,
    }
    return SliceScore(
        patient=patient,
        index=index,
        truth_mm2=truth,
        predicted_mm2=found,
        overlap_mm2=overlap,
        hd95_mm=hd,
        expected_scar_mm2=found if evidence is None else evidence,
        step_mm=10.0,
        **(lesions | areas | others),
    )


SICK = [row("P1", 0, 100, 100, 80, hd=2.0), row("P1", 1, 200, 0, 0), row("P2", 0, 50, 150, 50, hd=6.0)]
SOUND = [row("N1", 0, 0, 0, 0), row("N1", 1, 0, 60, 0), row("N2", 0, 0, 0, 0)]
ONE = RunScores(slices=SICK + SOUND)


def value(name, *runs):
    metric = next(metric for metric in METRICS if metric.name == name)
    patients = len(per_patient(runs[0].slices))
    return estimate(Resampling.of(patients, len(runs)).values(metric, runs), len(runs[0].slices))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (PATIENT_DICE, (160 / 400 + 100 / 200) / 2),
        ("Dice, all patients", (160 / 400 + 100 / 200 + 0 + 1) / 4),
        ("share of patients without scar in whom none is predicted", 0.5),
        (DICE, (0.8 + 0 + 0.5) / 3),
        ("Dice, all slices", (0.8 + 0 + 0.5 + 1 + 0 + 1) / 6),
        ("HD95, mm", 4.0),
        ("Dice of the wall, slices", 1.0),
        ("lesion F1", 2 / 3),  # two of three lesions are found, and two of three calls are right
        (FALSE_POSITIVE_RATE, 1 / 3),
        ("false-positive area, slices without scar, mm2", 20.0),
        ("scar volume error, ml", (2 + 1 + 0.6 + 0) / 4),
        ("burden, mean error", (-200 / 2000 + 100 / 1000 + 60 / 2000 + 0) / 4),
        (BALANCED, (2 / 3 + 2 / 3) / 2),
        ("sensitivity, slices", 2 / 3),
        ("specificity, slices", 2 / 3),
        (AUC, 7 / 9),
        (BALANCED_PATIENTS, (1 + 0.5) / 2),
        (PATIENT_AUC, 1.0),
    ],
)
def test_each_metric_is_what_a_hand_count_gives(name, expected):
    assert value(name, ONE).value == pytest.approx(expected)


def test_the_limits_of_burden_are_1_96_standard_deviations_of_its_errors():
    errors = np.array([-0.1, 0.1, 0.03, 0.0])
    assert value("burden, half of the 95 % limits of agreement", ONE).value == pytest.approx(1.96 * errors.std())


def test_the_area_under_the_curve_counts_pairs_of_slices_and_ties_half():
    # found: scarred 100, 0, 150; others 0, 60, 0. Wins: 3, (0 ties twice -> 1, loses once), 3.
    assert value(AUC, ONE).value == pytest.approx((3 + 1 + 3) / 9)


def test_a_patient_who_is_drawn_twice_counts_twice():
    runs = RunScores(slices=[row("P1", 0, 100, 100, 100), row("P2", 0, 100, 100, 0), *SOUND])
    metric = next(metric for metric in METRICS if metric.name == PATIENT_DICE)
    order = list(per_patient(runs.slices))
    weights = np.array([[2.0 if name == "P1" else 1.0 for name in order]])
    assert metric.compute(runs, weights)[0] == pytest.approx(2 / 3)


def test_an_interval_holds_its_estimate_and_widens_where_patients_differ():
    same = RunScores(slices=[row(f"P{i}", 0, 100, 100, 80) for i in range(9)] + SOUND)
    mixed = RunScores(slices=[row(f"P{i}", 0, 100, 100, 90 if i % 2 else 10) for i in range(9)] + SOUND)
    narrow, wide = value(DICE, same), value(DICE, mixed)
    assert narrow.low == pytest.approx(narrow.high)
    assert wide.low < wide.value < wide.high


def test_seeds_are_resampled_with_the_patients():
    good, bad = (RunScores(slices=[row("P1", 0, 100, 100, overlap), *SOUND]) for overlap in (100, 0))
    both = value(DICE, good, bad)
    assert (both.low, both.value, both.high) == (0.0, 0.5, 1.0)


def test_a_paired_difference_is_tighter_than_the_two_intervals():
    base = [row(f"P{i}", 0, 100, 100, 10 * i) for i in range(10)]
    better = [replace(r, overlap_mm2=min(r.overlap_mm2 + 5, 100)) for r in base]
    metric = next(metric for metric in METRICS if metric.name == DICE)
    draws = Resampling.of(10, 1)
    change = draws.values(metric, [RunScores(slices=better)]) - draws.values(metric, [RunScores(slices=base)])
    found = estimate(change, 10)
    assert found.low == pytest.approx(0.05)
    assert found.high == pytest.approx(0.05)
    assert bootstrap_p(change) < 0.01
    assert bootstrap_p(-change) == bootstrap_p(change)
    assert bootstrap_p(np.zeros(2001)) == 1.0
    assert bootstrap_p(np.full(2001, np.nan)) == 1.0


def test_p_values_are_corrected_for_their_number_from_the_smallest_on():
    # Holm: 0.01 x 4, 0.02 x 3, 0.03 x 2, and the last never below the one before.
    assert corrected([0.03, 0.01, 0.02, 0.04]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert corrected([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert corrected([]) == []


def test_25_mm2_are_no_false_positive_and_more_are():
    at, above = (RunScores(slices=[row("N1", 0, 0, area, 0), *SICK]) for area in (25.0, 25.1))
    assert value(FALSE_POSITIVE_RATE, at).value == 0
    assert value(FALSE_POSITIVE_RATE, above).value == 1


def test_a_patient_is_called_scarred_by_one_slice():
    assert of_patients(ONE).confusion == (1, 1, 0, 2)  # N2 right, N1 called scarred, both with scar found
    assert of_slices(ONE).confusion == (2, 1, 1, 2)


def test_burden_is_area_times_the_step():
    assert scar_volume_ml(SICK[:2], predicted=False) == pytest.approx(3.0)


def quarter_dice(areas):
    """Name and Dice of each quarter, of slices whose own Dice is their area in mm2 over 100."""
    scores = RunScores(slices=[row(f"P{i}", 0, float(area), float(area), area * area / 100) for i, area in enumerate(areas)] + SOUND)
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
    assert quarters([RunScores(slices=SOUND)]) == ()


def test_a_score_survives_its_record():
    assert checked(SliceScore, SICK[0].record(), "record.json") == SICK[0]


@pytest.mark.parametrize(
    "change",
    [
        {"index": 1.5},
        {"truth_mm2": "many"},
        {"truth_mm2": None},
        {"secret": 1},
        {"step_mm": float("nan")},
        {"predicted_mm2": [1.0, 2.0]},
    ],
)
def test_a_record_that_is_not_sound_is_named(change):
    with pytest.raises(InputError, match=rf"record\.json: .*{next(iter(change))}"):
        checked(SliceScore, {**SICK[0].record(), **change}, "record.json")
