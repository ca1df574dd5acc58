"""The scar segmenter without a network, on rings whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from ring_hosts import SPACING_MM, ring_patient

from lgesynthnet.overlap import dice
from lgesynthnet.records import ShortAxisSlice, scar_of
from lgesynthnet.segmenter.base import ScarSegmenter
from lgesynthnet.segmenter.threshold import ThresholdScarSegmenter, scar_threshold


def slice_of(image, labels):
    return ShortAxisSlice(patient="N001", index=0, image=image, labels=labels, spacing_mm=(SPACING_MM, SPACING_MM))


@pytest.mark.parametrize("seed", range(5))
def test_finds_the_bright_quarter_and_nothing_in_a_healthy_wall(seed):
    image, labels = ring_patient(seed, slices=1, scar=True)
    healthy, plain = ring_patient(seed, slices=1)
    found = ThresholdScarSegmenter().read(slice_of(image[:, :, 0], np.where(labels[:, :, 0] == 3, 2, labels[:, :, 0]).astype(np.uint8)))
    agreement = dice(scar_of(found), labels[:, :, 0] == 3)
    assert agreement is not None
    assert agreement > 0.95
    assert not ThresholdScarSegmenter().read(slice_of(healthy[:, :, 0], plain[:, :, 0])).any()


def test_the_level_lies_between_remote_wall_and_blood_in_any_units():
    rng = np.random.default_rng(0)
    wall, blood = np.concatenate([rng.normal(100, 10, 4000), rng.normal(310, 10, 1500)]), rng.normal(300, 30, 2000)
    assert scar_threshold(wall, blood, 0.5) == pytest.approx(200, abs=3)
    assert scar_threshold(wall * 7 - 1000, blood * 7 - 1000, 0.5) == pytest.approx(400, abs=21)
    assert scar_threshold(blood, wall[:4000], 0.5) == float("inf")


@pytest.mark.parametrize(("width", "seen"), [(1, False), (5, True)])
def test_a_thin_bright_rim_is_blood_and_a_thick_one_is_scar(width, seen):
    """A pixel is 1.5 mm: a rim of one pixel holds no disc of 2.5 mm radius."""
    image, labels = (volume[:, :, 0] for volume in ring_patient(2, slices=1))
    rows, cols = np.nonzero(labels == 1)
    away = np.hypot(*(np.indices(labels.shape) - np.array([rows.mean(), cols.mean()])[:, None, None]))
    image[(labels == 2) & (away < away[labels == 2].min() + width)] = 180.0
    assert scar_of(ThresholdScarSegmenter().read(slice_of(image, labels))).any() == seen


def test_a_dark_core_inside_the_scar_is_no_reflow():
    image, labels = (volume[:, :, 0] for volume in ring_patient(3, slices=1, scar=True))
    rows, cols = np.nonzero(labels == 3)
    middle = int(np.argmin(np.hypot(rows - rows.mean(), cols - cols.mean())))
    core = np.s_[rows[middle] - 1 : rows[middle] + 2, cols[middle] - 1 : cols[middle] + 2]
    image[core] = 35.0
    found = ThresholdScarSegmenter().read(slice_of(image, labels))
    assert (found[core] == 4).all()
    assert (found == 4).sum() == 9


def test_scar_labels_are_never_looked_at():
    image, labels = (volume[:, :, 0] for volume in ring_patient(1, slices=1, scar=True))
    hidden = np.where(labels == 3, 2, labels).astype(np.uint8)
    np.testing.assert_array_equal(
        ThresholdScarSegmenter().read(slice_of(image, labels)), ThresholdScarSegmenter().read(slice_of(image, hidden))
    )


def test_another_rule_has_another_fingerprint():
    assert isinstance(ThresholdScarSegmenter(), ScarSegmenter)
    assert ThresholdScarSegmenter().fingerprint == ThresholdScarSegmenter().fingerprint != ThresholdScarSegmenter(level=0.5).fingerprint
