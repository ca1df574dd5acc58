"""The segmenter of the image alone: one heart, on the slice's own grid, whatever the scanner's window."""

import json

import numpy as np
import pytest
import torch

from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.records import Label
from lgesynthnet.segmenter.heart import PIXEL_MM, HeartSegmenter, build_heart_segmenter, decide_labels, grey, to_grid


@pytest.fixture(scope="module")
def segmenter():
    torch.manual_seed(0)
    return HeartSegmenter(build_heart_segmenter((4, 8, 8)), (4, 8, 8), threshold=0.3)


@pytest.fixture(scope="module")
def stack():
    return simulate("P", 11, infarct=True).stack


def chance_of(labels):
    return np.stack([0.9 * (labels == label) + 0.1 / 6 for label in range(6)])


def heart(ring, *, slices=3, **where):
    return np.stack([ring(**where)] * slices, axis=2)


def test_labels_come_on_the_slices_own_grid_however_odd(segmenter):
    image = np.random.default_rng(0).integers(1, 900, (131, 97, 2))
    assert segmenter.read_stack(image, (1.7, 0.9)).shape == image.shape
    assert segmenter.probabilities(image[:, :, 0], (1.7, 0.9)).sum(0) == pytest.approx(1, abs=1e-5)


def test_window_and_bits_of_the_scanner_do_not_matter(segmenter, stack):
    image = stack.image[:, :, 2].astype(np.int64)
    other = image * 7 + (image != 0) * 100
    before, after = (segmenter.probabilities(i, stack.spacing_mm) for i in (image, other))
    np.testing.assert_allclose(before, after, atol=1e-4)


def test_labels_of_the_slice_reach_the_segmenter_by_no_way(segmenter, stack):
    """It takes an array and a pixel size; this pins the signature that keeps it so."""
    assert set(HeartSegmenter.read_stack.__annotations__) == {"image", "spacing_mm", "return"}


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (2.0, 1.0), (0.7, 1.9)])
def test_a_disc_of_30_mm_keeps_its_area_on_the_grid(spacing_mm):
    rows, cols = (np.arange(round(120 / s)) * s - 60 for s in spacing_mm)
    disc = (np.hypot(rows[:, None], cols[None, :]) <= 30).astype(np.float32)
    assert float(to_grid(disc, spacing_mm).sum()) * PIXEL_MM**2 == pytest.approx(np.pi * 30**2, rel=0.03)


def test_the_heart_is_the_largest_body_through_all_slices_not_the_largest_blob_of_one(ring):
    labels = heart(ring, side=96, centre=(30, 30), inner=6, outer=10)
    blob = ring(side=96, centre=(70, 70), inner=8, outer=12)
    labels[:, :, 1] = np.maximum(labels[:, :, 1], blob)
    found = decide_labels(chance_of(labels), (0.5, 0.5), 0.5)
    assert not found[55:, 55:].any()
    assert (found[20:40, 20:40] == labels[20:40, 20:40]).all()


def test_what_hangs_on_to_the_heart_60_mm_from_its_axis_is_cut_off(ring):
    labels = heart(ring, side=64, centre=(32, 16), inner=6, outer=10)
    labels[31:33, 20:60, 1] = Label.WALL
    found = decide_labels(chance_of(labels), (2.0, 2.0), 0.5)
    assert found[32, 40, 1] == Label.WALL  # 48 mm from the axis
    assert found[32, 50, 1] == Label.BACKGROUND  # 68 mm


def test_scar_lies_in_the_wall_alone_and_holes_are_filled(ring):
    truth = heart(ring)
    labels = truth.copy()
    labels[30:34, 44:48] = Label.SCAR  # in the wall
    labels[2:6, 2:6] = Label.SCAR  # in the corner, away from any heart
    labels[31:33, 31:33] = Label.BACKGROUND  # a hole in the cavity
    found = decide_labels(chance_of(labels), (1.0, 1.0), 0.5)
    assert set(np.unique(found[2:6, 2:6])) == {Label.BACKGROUND}
    assert (found[30:34, 44:48] == Label.SCAR).any()
    assert (truth[found == Label.SCAR] == Label.WALL).all()
    assert (found[31:33, 31:33] != Label.BACKGROUND).all()


def test_a_lower_threshold_finds_no_less_scar(segmenter, stack):
    chance = segmenter.stack_probabilities(stack.image, stack.spacing_mm)
    low, high = (np.isin(decide_labels(chance, stack.spacing_mm, t), (Label.SCAR, Label.NO_REFLOW)) for t in (0.1, 0.6))
    assert (low >= high).all()
    assert low.sum() > high.sum()


def test_no_heart_is_no_label(ring):
    assert not decide_labels(chance_of(np.zeros((32, 32, 2), int)), (1.0, 1.0), 0.5).any()


def test_black_is_padding_and_stays_zero_and_a_flat_slice_says_so():
    image = np.zeros((20, 20), np.uint8)
    image[5:15, 5:15] = np.arange(10, 20)
    unit = grey(image)
    assert ((unit == 0) == (image == 0)).all()
    assert unit.max() == pytest.approx(1)
    with pytest.raises(InputError, match="flat"):
        grey(np.full((8, 8), 7))


def test_save_and_load_read_alike(segmenter, stack, tmp_path):
    segmenter.save(tmp_path)
    again = HeartSegmenter.from_pretrained(tmp_path)
    np.testing.assert_array_equal(segmenter.read_stack(stack.image, stack.spacing_mm), again.read_stack(stack.image, stack.spacing_mm))
    assert again.threshold == 0.3
    assert again.fingerprint.startswith("heart-segmenter-")


def test_what_is_no_segmenter_is_refused(segmenter, tmp_path):
    with pytest.raises(ModelError, match="no usable heart segmenter"):
        HeartSegmenter.from_pretrained(tmp_path)
    segmenter.save(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"role": "filter"}))
    with pytest.raises(ModelError, match="holds a filter, not a heart-segmenter"):
        HeartSegmenter.from_pretrained(tmp_path)


def test_one_and_two_threads_read_alike(segmenter, stack):
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(segmenter.probabilities(stack.image[:, :, 2], stack.spacing_mm))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(*found, atol=1e-5)
