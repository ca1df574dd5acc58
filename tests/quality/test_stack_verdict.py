"""A stack is judged as a whole: by its Dice in three dimensions, and by how many of its slices are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.overlap import dice
from lgesynthnet.quality.stack_verdict import StackReason, dice_of_stack, judge_slices
from lgesynthnet.quality.verdict import Rules, judge

SPACING_MM = (1.5, 1.5)


def verdicts_of(pairs):
    return {index: judge(intended, read, SPACING_MM) for index, (intended, read) in enumerate(pairs)}


def block(first, last, side=20):
    mask = np.zeros((side, side), bool)
    mask[5:15, first:last] = True
    return mask


def test_the_dice_of_a_stack_is_that_of_its_volumes():
    rng = np.random.default_rng(0)
    pairs = [(rng.random((20, 20)) < share, rng.random((20, 20)) < 0.4) for share in (0.1, 0.5, 0.9)]
    volumes = [np.stack(masks, axis=2) for masks in zip(*pairs, strict=True)]
    assert dice_of_stack(list(verdicts_of(pairs).values())) == pytest.approx(dice(*volumes))


def test_without_a_prescribed_scar_there_is_no_dice():
    nothing = np.zeros((20, 20), bool)
    assert dice_of_stack(list(verdicts_of([(nothing, nothing)]).values())) is None
    assert judge_slices(verdicts_of([(nothing, nothing)]), Rules()).kept


@pytest.mark.parametrize(("good", "bad", "kept"), [(4, 1, True), (3, 1, False), (8, 2, True), (7, 2, False), (1, 0, True)])
def test_four_of_five_slices_must_be_kept(good, bad, kept):
    pairs = [(block(2, 12), block(2, 12))] * good + [(block(2, 3), block(8, 9))] * bad
    verdict = judge_slices(verdicts_of(pairs), Rules())
    assert (verdict.kept, verdict.kept_slices) == (kept, good)
    assert verdict.dice > 0.6
    if not kept:
        assert verdict.reason is StackReason.SLICES
        assert f"kept {good} of {good + bad} painted slices" in verdict.explain()


def test_a_stack_is_missed_where_its_scar_is_found_elsewhere():
    verdict = judge_slices(verdicts_of([(block(2, 6), block(5, 9))] * 3), Rules())
    assert verdict.reason is StackReason.MISSED
    assert "not above 0.6" in verdict.explain()


def test_the_tolerance_for_thin_scars_decides_where_a_slice_was_judged_with_it():
    as_usual = judge(block(2, 12), block(2, 12), SPACING_MM)
    verdict = replace(as_usual, dice=0.4, dice_within=0.9)
    assert judge_slices({0: verdict}, Rules()).dice == pytest.approx(0.9)
