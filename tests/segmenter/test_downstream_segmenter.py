"""The segmenter of crops round the heart: where the crop lies, what the network is shown, and what comes back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.records import Label, wall_of
from lgesynthnet.segmenter.downstream import (
    CAVITY_IN,
    IMAGE,
    ORIGIN,
    WALL_IN,
    DownstreamSegmenter,
    DownstreamSettings,
    WallFrom,
    build_downstream,
    find_centres,
    scar_share,
    shipped_finder,
)
from lgesynthnet.segmenter.heart import CLASSES

FILTERS = (4, 8, 8)


@pytest.fixture(scope="module")
def finder():
    return shipped_finder()


@pytest.fixture(scope="module")
def stack():
    """Three slices through the middle of a simulated heart with scar."""
    whole = simulate("P", 11, infarct=True).stack
    middle = len(whole) // 2
    image, labels = (part[:, :, middle - 1 : middle + 2] for part in (whole.image, whole.labels))
    return replace(whole, image=image, labels=labels, places=())


def settings(finder, wall_from, *, side=64, views=1):
    fingerprint = finder.fingerprint
    return DownstreamSettings(role="downstream-segmenter", wall_from=wall_from, filters=FILTERS, side=side, views=views, finder=fingerprint)


def untrained(finder, wall_from, **changes):
    torch.manual_seed(0)
    return DownstreamSegmenter(build_downstream(FILTERS, wall_from), settings(finder, wall_from, **changes), finder)


class Bright(torch.nn.Module):
    """A network that needs no training: what is brighter than the rest is scar, the other pixels are wall. It keeps what it was shown."""

    def forward(self, x):
        self.shown = x
        logits = torch.full((len(x), CLASSES, *x.shape[2:]), -20.0)
        bright = x[:, IMAGE] > 2
        logits[:, Label.SCAR][bright], logits[:, Label.WALL][~bright] = 20.0, 20.0
        return logits


def bright(finder, wall_from=WallFrom.KNOWN_WALL, **changes):
    return DownstreamSegmenter(Bright(), settings(finder, wall_from, **changes), finder)


def heart_at(shape, centre, spacing_mm):
    """Image and labels of one slice: a cavity of 20 mm radius in a wall of 10 mm, with a bright disc of 12 mm radius in its middle."""
    rows, cols = (np.arange(n) * s for n, s in zip(shape, spacing_mm, strict=True))
    away = np.hypot(rows[:, None] - centre[0] * spacing_mm[0], cols[None] - centre[1] * spacing_mm[1])
    labels = np.select([away <= 20, away <= 30], [Label.CAVITY, Label.WALL], Label.BACKGROUND).astype(np.uint8)
    image = np.where(away <= 12, 900, 100).astype(np.int16)
    return image[:, :, None], labels[:, :, None]


@pytest.mark.parametrize(
    ("shape", "centre", "spacing_mm"),
    [
        ((160, 160), (80, 80), (1.5, 1.5)),
        ((160, 160), (24, 138), (1.5, 1.5)),  # the crop leaves the image on two sides
        ((50, 44), (25, 21), (1.5, 1.5)),  # the image is smaller than the crop
        ((90, 200), (60, 90), (2.4, 0.9)),
        ((301, 277), (190, 90), (0.8, 0.75)),
    ],
)
@pytest.mark.parametrize("views", [1, 8])
def test_what_the_network_finds_comes_back_at_its_own_place(finder, shape, centre, spacing_mm, views):
    image, labels = heart_at(shape, centre, spacing_mm)
    probability = bright(finder, views=views).stack_probabilities(image, spacing_mm, labels)[..., 0]
    assert probability.shape == (CLASSES, *shape)
    assert probability.sum(axis=0) == pytest.approx(1, abs=1e-4)
    found = np.argwhere(probability[Label.SCAR] > 0.5)
    assert np.abs((found.mean(axis=0) - centre) * spacing_mm).max() < 0.6
    assert len(found) * np.prod(spacing_mm) == pytest.approx(np.pi * 12**2, rel=0.15)
    assert probability[Label.BACKGROUND][0, 0] == pytest.approx(1) or min(shape) < 64


def test_a_crop_of_whole_millimetres_is_centred_on_the_heart(finder):
    image, labels = heart_at((161, 161), (50, 100), (1.5, 1.5))
    segmenter = bright(finder, side=33)
    segmenter.stack_probabilities(image, (1.5, 1.5), labels)
    where = np.argwhere(segmenter.network.shown[0, WALL_IN].numpy() > 0)
    assert where.mean(axis=0) == pytest.approx((16, 16), abs=0.3)


def test_a_heart_far_from_the_middle_is_found(finder, stack):
    rows, cols, slices = stack.image.shape
    image = np.zeros((rows + 60, cols + 90, slices), stack.image.dtype)
    image[60:, :cols] = stack.image
    labels = np.zeros(image.shape, np.uint8)
    labels[60:, :cols] = stack.labels
    centres = find_centres(finder.read_stack(image, stack.spacing_mm))
    true = find_centres(labels)
    for k in range(slices):
        if wall_of(labels[:, :, k]).any():
            assert np.hypot(*np.subtract(centres[k], true[k]) * stack.spacing_mm) < 12


def test_a_slice_in_which_no_heart_is_found_takes_the_median_of_the_others(ring):
    drawn = np.stack([ring(centre=c) for c in ((20, 30), (22, 30), (24, 34))] + [np.zeros((64, 64), np.uint8)], axis=2)
    assert find_centres(drawn)[3] == pytest.approx((22, 30), abs=0.01)
    with pytest.raises(InputError, match="no heart was found"):
        find_centres(np.zeros((64, 64, 3), np.uint8))


def test_a_flat_slice_is_background_and_a_stack_of_them_is_refused(finder):
    image, labels = (np.concatenate([part, part], axis=2) for part in heart_at((96, 96), (48, 48), (1.5, 1.5)))
    image[:, :, 0] = 7
    probability = bright(finder).stack_probabilities(image, (1.5, 1.5), labels)
    assert (probability[Label.BACKGROUND, :, :, 0] == 1).all()
    assert (probability[Label.SCAR, :, :, 1] > 0.5).any()
    with pytest.raises(InputError, match="every slice is flat"):
        bright(finder).stack_probabilities(np.full_like(image, 7), (1.5, 1.5), labels)


@pytest.mark.parametrize("wall_from", [WallFrom.CROP, WallFrom.KNOWN_WALL])
def test_the_origin_channel_is_0_in_use(finder, stack, wall_from):
    segmenter = bright(finder, wall_from)
    segmenter.stack_probabilities(stack.image, stack.spacing_mm, stack.labels)
    assert segmenter.network.shown.shape[1] == wall_from.channels
    assert not segmenter.network.shown[:, ORIGIN].any()


def test_a_known_wall_is_shown_as_cavity_and_wall_and_never_as_scar(finder, stack):
    assert (stack.labels == Label.SCAR).any()
    healed = np.where(wall_of(stack.labels), Label.WALL, stack.labels).astype(np.uint8)
    segmenter = untrained(finder, WallFrom.KNOWN_WALL)
    with_scar, without = (segmenter.stack_probabilities(stack.image, stack.spacing_mm, labels) for labels in (stack.labels, healed))
    assert np.array_equal(with_scar, without)
    assert np.array_equal(*(segmenter.decide(with_scar, stack.spacing_mm, labels) for labels in (stack.labels, healed)))
    other_wall = segmenter.stack_probabilities(stack.image, stack.spacing_mm, np.roll(healed, 5, axis=0))
    assert not np.array_equal(with_scar, other_wall)
    seen = bright(finder)
    seen.stack_probabilities(stack.image, stack.spacing_mm, stack.labels)
    assert set(np.unique(seen.network.shown[:, CAVITY_IN:])) == {0.0, 1.0}


def test_a_crop_segmenter_does_not_look_at_the_labels(finder, stack):
    segmenter = untrained(finder, WallFrom.CROP)
    shown = segmenter.stack_probabilities(stack.image, stack.spacing_mm, stack.labels)
    assert np.array_equal(shown, segmenter.stack_probabilities(stack.image, stack.spacing_mm))


def test_with_a_known_wall_the_scar_lies_inside_it_and_the_rest_is_as_given(finder):
    _, labels = heart_at((96, 96), (48, 48), (1.5, 1.5))
    scar = np.zeros((CLASSES, *labels.shape))
    scar[Label.WALL], scar[Label.SCAR], scar[Label.NO_REFLOW] = 0.4, 0.4, 0.2
    scar[:, :48] = 0
    scar[Label.BACKGROUND, :48] = 1
    decided = bright(finder).decide(scar, (1.5, 1.5), labels)
    assert np.array_equal(decided == Label.SCAR, (labels == Label.WALL) & (np.arange(96) >= 48)[:, None, None])
    assert np.array_equal(decided == Label.CAVITY, labels == Label.CAVITY)
    with pytest.raises(InputError, match="needs the cavity and the wall"):
        bright(finder).decide(scar, (1.5, 1.5))


def test_a_share_of_scar_counts_no_reflow_and_leaves_the_cavity_out():
    chances = np.zeros((CLASSES, 1))
    chances[Label.CAVITY], chances[Label.WALL], chances[Label.SCAR], chances[Label.NO_REFLOW] = 0.5, 0.3, 0.15, 0.05
    assert scar_share(chances)[0] == pytest.approx(0.4)


def test_a_cascade_is_shown_the_wall_that_its_first_network_draws(finder, stack):
    first = bright(finder, WallFrom.CROP)
    cascade = DownstreamSegmenter(Bright(), settings(finder, WallFrom.CASCADE), finder, wall_segmenter=first)
    one, other = (cascade.stack_probabilities(stack.image, stack.spacing_mm, labels) for labels in (stack.labels, None))
    assert np.array_equal(one, other)
    assert cascade.network.shown[:, WALL_IN].any()


@pytest.mark.parametrize("wall_from", list(WallFrom))
def test_it_survives_its_files(finder, stack, tmp_path, wall_from):
    segmenter = untrained(finder, wall_from)
    if wall_from is WallFrom.CASCADE:
        segmenter.wall_segmenter = untrained(finder, WallFrom.CROP)
        halve(segmenter.wall_segmenter.network)
    halve(segmenter.network)
    segmenter.least_area_mm2 = 30.0
    segmenter.save(tmp_path / "model")
    again = DownstreamSegmenter.from_pretrained(tmp_path / "model")
    assert (again.wall_from, again.least_area_mm2) == (wall_from, 30.0)
    for mine, other in zip(segmenter.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(mine, other)
    try:
        labels = segmenter.read_stack(stack.image, stack.spacing_mm, stack.labels)
    except InputError:  # an untrained first network draws no heart
        assert wall_from is WallFrom.CASCADE
    else:
        assert np.array_equal(labels, again.read_stack(stack.image, stack.spacing_mm, stack.labels))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"finder": "heart-segmenter-000000000000"}, "another heart segmenter"),
        ({"role": "heart-segmenter"}, "not a downstream-segmenter"),
        ({"least_area_mm2": -2}, "least_area_mm2"),
        ({"points": [{"false_positive_rate": 0.1}]}, "least_area_mm2"),
    ],
)
def test_a_model_of_another_kind_is_refused(finder, tmp_path, change, message):
    untrained(finder, WallFrom.CROP).save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        DownstreamSegmenter.from_pretrained(tmp_path)
