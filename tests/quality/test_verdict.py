"""The verdict: which sample is kept, and why the others are rejected."""

from __future__ import annotations

import numpy as np
import pytest

from lgesynthnet.quality.verdict import Reason, judge

SPACING_MM = (2.0, 1.5)  # 3 mm² a pixel


def strip(first: int, last: int) -> np.ndarray:
    mask = np.zeros((8, 100), bool)
    mask[4, first:last] = True
    return mask


def test_areas_are_millimetres_and_not_pixels():
    verdict = judge(strip(0, 40), strip(10, 50), SPACING_MM)
    assert (verdict.intended_mm2, verdict.read_mm2, verdict.stray_mm2) == (120.0, 120.0, 30.0)
    assert verdict.recall == verdict.precision == verdict.dice == 0.75


def test_a_dice_of_exactly_the_threshold_is_not_above_it():
    at, above = judge(strip(0, 10), strip(4, 14), SPACING_MM), judge(strip(0, 100), strip(39, 100), SPACING_MM)
    assert at.dice == pytest.approx(0.6)
    assert not at.kept
    assert above.dice is not None
    assert above.dice > 0.6
    assert above.kept


@pytest.mark.parametrize(
    ("intended", "read", "reason"),
    [
        (strip(0, 20), strip(0, 20), Reason.KEPT),
        (strip(0, 20), strip(0, 5), Reason.MISSED),
        (strip(0, 20), strip(50, 52), Reason.MISSED),
        (strip(0, 20), strip(0, 0), Reason.INVISIBLE),
        (strip(0, 20), strip(0, 90), Reason.STRAY),
        (strip(0, 0), strip(0, 20), Reason.INVENTED),
        (strip(0, 0), strip(0, 0), Reason.KEPT),
        (strip(0, 0), strip(0, 8), Reason.KEPT),
        (strip(0, 0), strip(0, 9), Reason.INVENTED),
    ],
)
def test_each_failure_has_its_own_name(intended, read, reason):
    verdict = judge(intended, read, SPACING_MM)
    assert verdict.reason is reason
    assert verdict.kept == (reason is Reason.KEPT)
    assert verdict.explain().startswith("kept" if verdict.kept else f"rejected, {reason}")


def test_what_cannot_be_defined_is_none_and_not_a_number():
    nothing = judge(strip(0, 0), strip(0, 0), SPACING_MM)
    assert (nothing.dice, nothing.recall, nothing.precision) == (None, None, None)
    unseen = judge(strip(0, 20), strip(0, 0), SPACING_MM)
    assert (unseen.dice, unseen.recall, unseen.precision) == (0.0, 0.0, None)
    invented = judge(strip(0, 0), strip(0, 20), SPACING_MM)
    assert (invented.dice, invented.recall, invented.precision) == (0.0, None, 0.0)


def test_the_sentence_holds_the_numbers_that_decided():
    sentence = judge(strip(0, 20), strip(0, 5), SPACING_MM).explain()
    for part in ("Dice 0.40", "0.6", "60 mm²", "25%"):
        assert part in sentence


ONE_MM2 = (1.0, 1.0)


def test_the_tolerance_for_stray_scar_is_below_25_mm2():
    assert judge(strip(0, 0), strip(0, 24), ONE_MM2).kept
    assert judge(strip(0, 0), strip(0, 25), ONE_MM2).reason is Reason.INVENTED
    assert judge(strip(0, 10), strip(0, 34), ONE_MM2).reason is Reason.MISSED
    assert judge(strip(0, 10), strip(0, 35), ONE_MM2).reason is Reason.STRAY


def test_a_scar_of_the_right_size_in_the_wrong_place_is_missed_and_not_stray():
    assert judge(strip(0, 40), strip(30, 70), ONE_MM2).reason is Reason.MISSED
    assert judge(strip(0, 40), strip(30, 71), ONE_MM2).reason is Reason.STRAY


def test_recall_is_of_the_prescribed_and_precision_of_the_found_scar():
    verdict = judge(strip(0, 20), strip(15, 25), ONE_MM2)
    assert (verdict.recall, verdict.precision) == (0.25, 0.5)


def line(row: int, thick: int = 2) -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[row : row + thick, 5:35] = True
    return mask


def test_a_thin_line_one_pixel_beside_its_place_is_found_with_tolerance_and_three_pixels_beside_it_is_not():
    beside = judge(line(10), line(11), ONE_MM2, within_mm=1.5)
    assert beside.dice == 0.5
    assert beside.dice_within == 1.0
    assert beside.kept
    assert "tolerance 1.00 is above 0.6" in beside.explain()
    assert judge(line(10), line(11), ONE_MM2).reason is Reason.MISSED
    for wrong in (line(13), line(10, thick=8), line(10)[:, ::-1] & line(0)):
        assert not judge(line(10), wrong, ONE_MM2, within_mm=1.5).kept


def test_the_tolerance_changes_nothing_where_one_of_the_masks_is_empty():
    assert judge(line(10), line(40), ONE_MM2, within_mm=1.5).dice_within == 0.0
    assert judge(line(40), line(10), ONE_MM2, within_mm=1.5).reason is Reason.INVENTED
    assert judge(line(40), line(40), ONE_MM2, within_mm=1.5).dice_within is None
