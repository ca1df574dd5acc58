"""Where scar is known to have been painted, doubtful scar counts too: how much of it follows from the slice and the usual threshold."""

import numpy as np
import pytest
import torch
from torch import nn

from lgesynthnet.records import Label, ShortAxisSlice
from lgesynthnet.segmenter.scar import LEAST_SENSITIVE, MOST_SENSITIVE, TrainedScarSegmenter
from lgesynthnet.segmenter.threshold import ThresholdScarSegmenter
from lgesynthnet.terms import Role

ROWS, COLS = np.mgrid[:96, :96] - 47.5
AWAY = np.hypot(ROWS, COLS)


class Bright(nn.Module):
    """The brighter a pixel is, in heart units, the likelier it is scar."""

    def forward(self, stack):
        scar = 4.0 * stack[:, 0]
        return torch.stack([torch.zeros_like(scar), scar, torch.full_like(scar, -20.0)], dim=1)


@pytest.fixture(scope="module")
def slice_():
    """A ring whose wall is dark at the left and becomes as bright as blood towards the right."""
    labels = np.where(AWAY < 20, Label.CAVITY, np.where(AWAY < 30, Label.WALL, Label.BACKGROUND)).astype(np.uint8)
    image = np.where(labels == Label.WALL, 100.0 + np.clip(COLS + 10, 0, None) * 2.5, np.where(labels == Label.CAVITY, 200.0, 60.0))
    return ShortAxisSlice(patient="P", index=0, image=image.astype(np.float32), labels=labels, spacing_mm=(1.0, 1.0))


def segmenter(threshold):
    return TrainedScarSegmenter([Bright()], Role.FILTER, width=8, threshold=threshold)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_a_sensitive_reading_holds_the_usual_one_and_stays_within_its_bounds(slice_, threshold):
    usual, sensitive = (segmenter(threshold).read(slice_, sensitive=flag) > 0 for flag in (False, True))
    scar, _ = segmenter(threshold).probabilities(slice_)
    assert (sensitive | ~usual).all()
    assert sensitive.sum() > usual.sum() > 0
    assert not sensitive[scar < LEAST_SENSITIVE * threshold].any()
    assert sensitive[slice_.wall & (scar >= MOST_SENSITIVE * threshold)].all()


def test_a_rule_that_knows_no_doubt_reads_the_same_both_ways(slice_):
    rule = ThresholdScarSegmenter()
    np.testing.assert_array_equal(rule.read(slice_), rule.read(slice_, sensitive=True))
