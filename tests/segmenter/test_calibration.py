"""What the scores of a scar segmenter mean, on slices whose truth is known."""

import numpy as np
import pytest

from lgesynthnet.segmenter.calibration import ReadSlice, best_threshold, reliability, score


def reading(chance, truth, patient="P1", pixel_mm2=2.0):
    return ReadSlice(patient=patient, probability=np.asarray(chance, float), truth=np.asarray(truth, bool), pixel_mm2=pixel_mm2)


def test_a_calibrated_segmenter_lies_on_the_diagonal_and_an_over_confident_one_below_it():
    rng = np.random.default_rng(0)
    chance = rng.random(200_000)
    honest = reading(chance, rng.random(chance.size) < chance)
    bins, error = reliability([honest])
    assert len(bins) == 10
    np.testing.assert_allclose([b.mean_chance for b in bins], np.arange(0.05, 1, 0.1), atol=0.005)
    np.testing.assert_allclose([b.observed for b in bins], [b.mean_chance for b in bins], atol=0.015)
    assert error < 0.01
    assert sum(b.pixels for b in bins) == chance.size
    assert reliability([reading(chance, rng.random(chance.size) < chance / 2)])[1] == pytest.approx(0.25, abs=0.01)


def test_scores_count_area_in_mm2_slices_and_patients():
    scarred = reading([0.9] * 20 + [0.1] * 20, [True] * 20 + [False] * 20, "P1")
    basal = reading([0.9] * 20 + [0.1] * 20, [False] * 40, "P1")  # 40 mm2 in a patient who has scar elsewhere
    normal = reading([0.9] * 12 + [0.1] * 28, [False] * 40, "N1")  # 24 mm2: below the limit of 25
    at = score([scarred, basal, normal], 0.5)
    assert (at.dice, at.share_above_0_6, at.false_scar_mm2, at.false_slices, at.false_patients) == (1.0, 1.0, 32.0, 0.5, 0.0)
    assert score([normal], 0.05).false_patients == 1.0
    assert score([normal], 0.5).dice is None
    assert score([scarred], 0.5).false_slices is None


def test_the_threshold_is_the_best_dice_that_keeps_false_scar_to_one_slice_in_seven():
    scarred = reading([0.7] * 20 + [0.45] * 20 + [0.0] * 40, [True] * 40 + [False] * 40)
    loud = [reading([0.48] * 20, [False] * 20, "N1")] * 2
    silent = [reading([0.0] * 20, [False] * 20, "N2")]
    assert best_threshold([scarred, *loud, *silent * 12]).threshold == 0.1  # 2 of 14 may be misread
    strict = best_threshold([scarred, *loud, *silent * 11])  # 2 of 13 may not
    assert strict.threshold > 0.48
    assert strict.false_slices == 0.0
    always = [reading([1.0] * 20, [False] * 20, "N3")]
    assert best_threshold([scarred, *always]).threshold == 0.1  # none reaches it: the best of the equally bad
