"""Segmenters that are compared where they call as many scar-free slices scarred."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_utility_metrics import row

from lgesynthnet.evaluate.utility.metrics import METRICS, PATIENT_DICE
from lgesynthnet.evaluate.utility.operating_points import dice_at_rate, dice_at_set_point, rate_at_set_point, slice_dice_at_rate
from lgesynthnet.evaluate.utility.scores import RunScores, per_patient
from lgesynthnet.segmenter.operating_points import least_area_mm2

PIXELS, SCARRED_PIXELS, SLICES = 400, 150, 120


@pytest.fixture(scope="module")
def truths():
    return [np.arange(PIXELS) < (SCARRED_PIXELS if i % 2 else 0) for i in range(SLICES)]


@pytest.fixture(scope="module")
def chances(truths):
    """Probability of scar of every pixel: a segmenter of middling skill, with a bias of its own in each slice."""
    rng = np.random.default_rng(0)
    logits = [1.6 * truth - 1.2 + rng.normal(0, 0.7) + rng.normal(0, 0.8, PIXELS) for truth in truths]
    return [1 / (1 + np.exp(-logit)) for logit in logits]


def scored(chances, truths):
    """The scores of slices of 1 mm2 pixels, each of another patient."""
    rows = []
    for i, (chance, truth) in enumerate(zip(chances, truths, strict=True)):
        called = chance >= 0.5
        rows.append(row(f"P{i:03d}", 0, float(truth.sum()), float(called.sum()), float((called & truth).sum()), float(chance.sum())))
    return RunScores(slices=rows)


def at_rate(scores, rate):
    return float(dice_at_rate(scores, np.ones((1, len(per_patient(scores.slices)))), rate)[0])


def searched(chances, truths, rate):
    """Mean Dice at the lowest of 4001 limits of the expected area whose false-positive rate is not above the wanted one."""
    for least in np.linspace(0, PIXELS, 4001):
        masks = [(chance >= 0.5) & (chance.sum() >= least) for chance in chances]
        wrong = np.mean([mask.sum() > 25 for mask, truth in zip(masks, truths, strict=True) if not truth.any()])
        if wrong <= rate:
            pairs = [(mask, truth) for mask, truth in zip(masks, truths, strict=True) if truth.any()]
            return float(np.mean([2 * (mask & truth).sum() / (mask.sum() + truth.sum()) for mask, truth in pairs]))
    raise AssertionError("no limit reaches the rate")


@pytest.mark.parametrize("rate", [0.1, 0.2])
def test_dice_at_a_rate_is_what_a_search_by_hand_gives(chances, truths, rate):
    assert at_rate(scored(chances, truths), rate) == pytest.approx(searched(chances, truths, rate), abs=0.02)


def test_a_segmenter_that_calls_everything_scar_gains_nothing_at_a_rate_but_one_that_sees_more_does(chances, truths):
    plain = scored(chances, truths)
    everything = scored([np.ones(PIXELS) for _ in truths], truths)
    keener = scored([np.clip(chance + 0.2 * truth, 0, 1) for chance, truth in zip(chances, truths, strict=True)], truths)
    nothing = scored([np.zeros(PIXELS) for _ in truths], truths)
    for rate in (0.1, 0.2):
        assert at_rate(everything, rate) <= at_rate(plain, rate)
        assert at_rate(keener, rate) > at_rate(plain, rate) + 0.05
        assert at_rate(nothing, rate) == 0.0


def test_a_segmenter_whose_rate_is_lower_anyway_keeps_all_that_it_draws(chances, truths):
    scores = RunScores(slices=[each if each.has_scar else replace(each, predicted_mm2=20.0) for each in scored(chances, truths).slices])
    metric = next(metric for metric in METRICS if metric.name == PATIENT_DICE)
    assert at_rate(scores, 0.1) == pytest.approx(metric.compute(scores, np.ones((1, SLICES)))[0])


def test_only_slices_with_more_than_25_mm2_count_as_false_and_slices_without_scar_are_needed():
    def scores(area):
        return RunScores(slices=[row("P1", 0, 100, 100, 80, 50.0), row("N1", 0, 0, area, 0, 60.0)])

    assert at_rate(scores(25.0), 0.1) == pytest.approx(0.8)
    assert at_rate(scores(25.1), 0.1) == 0.0  # whoever erases the false scar erases the smaller true one, too
    one = np.ones((1, 1))
    assert np.isnan(dice_at_rate(RunScores(slices=[row("P1", 0, 100, 100, 80)]), one, 0.1)[0])


def test_each_draw_of_patients_finds_its_own_limit():
    rows = [row("N1", 0, 0, 60, 0, 90.0), row("N2", 0, 0, 0, 0, 1.0), row("P1", 0, 100, 100, 80, 80.0), row("P2", 0, 100, 100, 60, 95.0)]
    weights = np.array([[1, 1, 1, 1], [0, 2, 1, 1], [0, 0, 1, 1]], float)
    found = dice_at_rate(RunScores(slices=rows), weights, 0.1)
    assert found[:2] == pytest.approx([0.3, 0.7])  # with N1, the slice of P1 has to go; without it, nothing has
    assert np.isnan(found[2])


def test_the_operating_point_comes_from_training_patients_and_its_rate_from_tested_ones(chances, truths):
    tested = scored(chances, truths)
    shifted = scored([chance**1.5 for chance in chances], truths)
    both = RunScores(slices=tested.slices, training_slices=shifted.slices)
    least = least_area_mm2(shifted.slices, 0.2)
    wrong = [(chance >= 0.5).sum() > 25 and chance.sum() >= least for chance, truth in zip(chances, truths, strict=True) if not truth.any()]
    weights = np.ones((1, SLICES))
    assert rate_at_set_point(both, weights, 0.2)[0] == pytest.approx(np.mean(wrong))
    assert np.mean(wrong) > 0.25  # the training patients set a limit that is too low for the tested ones
    assert np.isfinite(dice_at_set_point(both, weights, 0.2)[0])
    assert np.isnan(dice_at_set_point(tested, weights, 0.2)[0])


def test_dice_of_some_slices_is_taken_at_the_rate_of_all_of_them(chances, truths):
    scores = scored(chances, truths)
    weights = np.ones((1, SLICES))
    for rate in (0.1, 0.2):
        assert slice_dice_at_rate(scores, weights, rate, lambda row: True)[0] == pytest.approx(at_rate(scores, rate))  # one slice a patient
        some, others = (slice_dice_at_rate(scores, weights, rate, lambda row, k=k: int(row.patient[1:]) % 4 == k)[0] for k in (1, 3))
        assert (some + others) / 2 == pytest.approx(at_rate(scores, rate))
        assert some != others
    assert np.isnan(slice_dice_at_rate(scores, weights, 0.1, lambda row: False)[0])
