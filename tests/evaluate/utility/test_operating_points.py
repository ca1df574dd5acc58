"""Segmenters that are compared where they call as many scar-free slices scarred."""

from __future__ import annotations

import numpy as np
import pytest
from test_utility_metrics import row

from lgesynthnet.evaluate.utility.metrics import METRICS, PATIENT_DICE
from lgesynthnet.evaluate.utility.operating_points import cut_off, dice_at_cut_off, dice_at_rate, rate_at_cut_off, slice_dice_at_rate
from lgesynthnet.evaluate.utility.scores import THRESHOLDS, RunScores, per_patient

HALF = THRESHOLDS.index(0.5)
PIXELS, SCARRED_PIXELS, SLICES = 400, 150, 120


@pytest.fixture(scope="module")
def truths():
    return [np.arange(PIXELS) < (SCARRED_PIXELS if i % 2 else 0) for i in range(SLICES)]


@pytest.fixture(scope="module")
def chances(truths):
    """Probability of scar of every pixel: a segmenter of middling skill, with a bias of its own in each slice."""
    rng = np.random.default_rng(0)
    logits = [1.6 * truth - 2.2 + rng.normal(0, 0.7) + rng.normal(0, 0.8, PIXELS) for truth in truths]
    return [1 / (1 + np.exp(-logit)) for logit in logits]


def scored(chances, truths):
    """The scores of slices of 1 mm2 pixels, each of another patient."""
    rows = []
    for i, (chance, truth) in enumerate(zip(chances, truths, strict=True)):
        called = [chance >= threshold for threshold in THRESHOLDS]
        found, overlap = (tuple(float((some & kind).sum()) for some in called) for kind in (np.ones_like(truth), truth))
        areas = {"predicted_at_mm2": found, "overlap_at_mm2": overlap}
        rows.append(row(f"P{i:03d}", 0, float(truth.sum()), found[HALF], overlap[HALF], **areas))
    return RunScores(slices=rows)


def at_rate(scores, rate):
    return float(dice_at_rate(scores, np.ones((1, len(per_patient(scores.slices)))), rate)[0])


def searched(chances, truths, rate):
    """Mean Dice at the lowest of 2000 thresholds whose false-positive rate is not above the wanted one."""
    for threshold in np.linspace(0.0005, 0.9995, 2000):
        masks = [chance >= threshold for chance in chances]
        wrong = np.mean([mask.sum() > 25 for mask, truth in zip(masks, truths, strict=True) if not truth.any()])
        if wrong <= rate:
            pairs = [(mask, truth) for mask, truth in zip(masks, truths, strict=True) if truth.any()]
            return float(np.mean([2 * (mask & truth).sum() / (mask.sum() + truth.sum()) for mask, truth in pairs]))
    raise AssertionError("no threshold reaches the rate")


@pytest.mark.parametrize("rate", [0.1, 0.2])
def test_dice_at_a_rate_is_what_a_search_by_hand_gives(chances, truths, rate):
    assert at_rate(scored(chances, truths), rate) == pytest.approx(searched(chances, truths, rate), abs=0.02)


@pytest.mark.parametrize("steps", [-3, 3])
def test_a_monotone_map_of_the_probabilities_changes_dice_at_one_half_and_not_at_a_rate(chances, truths, steps):
    known = [0.0, *THRESHOLDS, 1.0]
    middle = slice(4, -4)  # every threshold becomes the third one after it, or before it
    moved = [0.0, *known[slice(4 + steps, len(known) - 4 + steps)], 1.0]
    before = [0.0, *known[middle], 1.0]
    plain, mapped = scored(chances, truths), scored([np.interp(chance, before, moved) for chance in chances], truths)
    metric = next(metric for metric in METRICS if metric.name == PATIENT_DICE)
    weights = np.ones((1, SLICES))
    assert abs(metric.compute(plain, weights)[0] - metric.compute(mapped, weights)[0]) > 0.05
    for rate in (0.1, 0.2):
        assert at_rate(mapped, rate) == pytest.approx(at_rate(plain, rate), abs=1e-9)


def test_a_segmenter_that_calls_everything_scar_gains_nothing_at_a_rate_but_one_that_sees_more_does(chances, truths):
    timid = scored(chances, truths)
    everything = scored([np.ones(PIXELS) for _ in truths], truths)
    keener = scored([np.clip(chance + 0.2 * truth, 0, 1) for chance, truth in zip(chances, truths, strict=True)], truths)
    metric = next(metric for metric in METRICS if metric.name == PATIENT_DICE)
    weights = np.ones((1, SLICES))
    assert metric.compute(everything, weights)[0] > metric.compute(timid, weights)[0]  # two pixels in five are scar
    nothing = scored([np.zeros(PIXELS) for _ in truths], truths)
    for rate in (0.1, 0.2):
        assert at_rate(everything, rate) <= at_rate(timid, rate)
        assert at_rate(keener, rate) > at_rate(timid, rate) + 0.05
        assert at_rate(nothing, rate) == 0.0


def test_25_mm2_are_no_false_positive_at_any_threshold():
    def scores(area):
        return RunScores(slices=[row("P1", 0, 100, 100, 80), row("N1", 0, 0, area, 0)])

    assert cut_off(scores(25.0).slices, 0.1) == THRESHOLDS[0]
    assert cut_off(scores(25.1).slices, 0.1) == THRESHOLDS[-1]  # no threshold is good enough
    assert cut_off([row("P1", 0, 100, 100, 80)], 0.1) is None


def test_the_cut_off_comes_from_training_patients_and_its_rate_from_tested_ones(chances, truths):
    tested = scored(chances, truths)
    shifted = scored([chance**1.5 for chance in chances], truths)
    both = RunScores(slices=tested.slices, training_slices=shifted.slices)
    threshold = cut_off(shifted.slices, 0.2)
    wrong = [mask.sum() > 25 for chance, truth in zip(chances, truths, strict=True) if not truth.any() for mask in [chance >= threshold]]
    weights = np.ones((1, SLICES))
    assert rate_at_cut_off(both, weights, 0.2)[0] == pytest.approx(np.mean(wrong))
    assert np.mean(wrong) > 0.25  # the training patients set a cut-off that is too low for the tested ones
    assert np.isfinite(dice_at_cut_off(both, weights, 0.2)[0])
    assert np.isnan(dice_at_cut_off(tested, weights, 0.2)[0])


def test_dice_of_some_slices_is_taken_at_the_rate_of_all_of_them(chances, truths):
    scores = scored(chances, truths)
    weights = np.ones((1, SLICES))
    for rate in (0.1, 0.2):
        assert slice_dice_at_rate(scores, weights, rate, lambda row: True)[0] == pytest.approx(at_rate(scores, rate))  # one slice a patient
        some, others = (slice_dice_at_rate(scores, weights, rate, lambda row, k=k: int(row.patient[1:]) % 4 == k)[0] for k in (1, 3))
        assert (some + others) / 2 == pytest.approx(at_rate(scores, rate))
        assert some != others
    assert np.isnan(slice_dice_at_rate(scores, weights, 0.1, lambda row: False)[0])
