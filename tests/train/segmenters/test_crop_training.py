"""Training of the downstream segmenter: what its batches hold, what the origin channel marks, and that it resumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.records import Label
from lgesynthnet.segmenter.downstream import ORIGIN, ROLE, WALL_IN, DownstreamSegmenter, WallFrom, build_downstream
from lgesynthnet.segmenter.heart import CLASSES
from lgesynthnet.terms import Precision
from lgesynthnet.train.augment.crops import WallJitter, random_crops
from lgesynthnet.train.segmenters.downstream import (
    DOWNSTREAM,
    LEAST_SCARRED_SHARE,
    CropTask,
    DownstreamTraining,
    train_downstream_segmenter,
)

TINY = DOWNSTREAM["tiny"]


def training(**changes):
    return DownstreamTraining(**({"recipe": TINY, "device": "cpu"} | changes))


def black(slices):
    return replace(slices, image=np.zeros_like(slices.image), labels=np.zeros_like(slices.labels))


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True))


class Watching(torch.nn.Module):
    """Keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.shown = []

    def forward(self, x):
        self.shown.append(x)
        return self.weight.expand(len(x), CLASSES, *x.shape[2:])


def shown(real, painted, batches=20, batch=10, **changes):
    """All crops of some batches: (n, channels, side, side)."""
    network = Watching()
    task = CropTask(network, real, painted, training(**changes))
    for step in range(batches):
        task.loss(np.random.default_rng(step), batch)
    return torch.cat(network.shown)


def is_black(crops):
    """Which crops show nothing but the padding."""
    return crops[:, 0].flatten(1).std(1) < 0.6  # of noise alone, which is added to every crop


@pytest.mark.parametrize(("share", "unmarked"), [(0.25, 0.0), (0.9, 0.0), (0.9, 0.5), (0.9, 0.2)])
def test_batches_hold_the_share_of_painted_slices_and_the_channel_marks_these_alone(slices, share, unmarked):
    crops = shown(slices, black(slices), recipe=replace(TINY, painted_share=share, unmarked_share=unmarked))
    painted, channel = is_black(crops), crops[:, ORIGIN].flatten(1)
    assert len(crops) == 200
    assert painted.float().mean() == pytest.approx(share, abs=0.1)
    assert (channel == channel[:, :1]).all()  # one number for the whole crop
    assert channel[painted].mean() == pytest.approx(1 - unmarked, abs=0.1 if unmarked else 0)
    assert not channel[~painted].any()


def test_without_the_channel_painted_slices_are_not_marked(slices):
    crops = shown(slices, black(slices), origin=False)
    assert is_black(crops).any()
    assert not crops[:, ORIGIN].any()


def test_real_slices_alone_fill_the_batch_and_are_not_marked(slices):
    crops = shown(slices, None)
    assert len(crops) == 200
    assert not is_black(crops).any()
    assert not crops[:, ORIGIN].any()


def test_a_third_of_the_real_slices_has_scar_however_few_there_are(slices):
    one_scarred = slices.taken(np.concatenate([np.flatnonzero(slices.scarred)[:1], np.repeat(np.flatnonzero(~slices.scarred), 20)]))
    task = CropTask(Watching(), one_scarred, None, training())
    drawn = np.concatenate([task._drawn(np.random.default_rng(seed), 10) for seed in range(60)])
    assert (drawn == 0).mean() == pytest.approx(LEAST_SCARRED_SHARE, abs=0.06)


def test_a_cascade_sees_a_wall_that_is_not_the_labelled_one_and_a_known_wall_is_nearer(slices):
    grey = torch.from_numpy(slices.image.astype(np.float32) / 255)[:, None]
    labels, centre = torch.from_numpy(slices.labels.astype(np.float32))[:, None], torch.from_numpy(slices.centre)

    def distance(jitter):
        x, target = random_crops(grey, labels, centre, np.random.default_rng(0), 64, jitter)
        wall = (target >= Label.WALL) & (target < Label.RV)
        seen = x[:, WALL_IN - 1] > 0.5  # the origin channel comes in later
        return float((wall != seen).float().mean())

    assert distance(WallJitter(shift_mm=0.0, bend_mm=0.0)) == 0
    assert 0 < distance(WallJitter(shift_mm=0.7, bend_mm=0.7)) < distance(WallJitter(shift_mm=1.5, bend_mm=2.0))


def test_labels_follow_the_image_through_every_crop(slices):
    """An image that is its own labels stays so, in every turn and bend."""
    labels = torch.from_numpy(slices.labels.astype(np.float32))[:, None]
    cavity = (labels == Label.CAVITY).float() * 0.9 + 0.1
    x, target = random_crops(cavity, labels, torch.from_numpy(slices.centre), np.random.default_rng(3), 64)
    for image, truth in zip(x[:, 0], target, strict=True):
        inside = truth == Label.CAVITY
        if inside.sum() > 40:
            assert image[inside].mean() > image[~inside].mean() + 1


def test_killed_and_resumed_is_straight_through_and_other_settings_are_refused(slices, tmp_path):
    def kill(done, total, loss):
        if done == 3:
            raise KeyboardInterrupt

    straight = train_downstream_segmenter(slices, slices, tmp_path / "straight", training())
    with pytest.raises(KeyboardInterrupt):
        train_downstream_segmenter(slices, slices, tmp_path / "killed", training(), on_progress=kill)
    assert same(straight, train_downstream_segmenter(slices, slices, tmp_path / "killed", training()))
    for other in (training(origin=False), training(seed=1), training(wall_from=WallFrom.KNOWN_WALL)):
        with pytest.raises(RunError):
            train_downstream_segmenter(slices, slices, tmp_path / "killed", other)
    with pytest.raises(RunError):
        train_downstream_segmenter(slices, None, tmp_path / "killed", training())
    assert not same(straight, train_downstream_segmenter(slices, slices, tmp_path / "other", training(seed=1)))


def test_a_segmenter_predicts_as_its_stored_weights_do_whatever_the_precision_of_training(slices, tmp_path):
    trained = train_downstream_segmenter(slices, None, tmp_path / "work", training(precision=Precision.BF16, wall_from=WallFrom.KNOWN_WALL))
    trained.save(tmp_path / "model")
    stored = DownstreamSegmenter.from_pretrained(tmp_path / "model")
    scarred = int(np.flatnonzero(slices.scarred)[0])
    image, labels = (part[scarred][:, :, None] for part in (slices.image, slices.labels))
    one, other = (segmenter.stack_probabilities(image, (1.5, 1.5), labels) for segmenter in (trained, stored))
    assert np.array_equal(one, other)


def test_a_cascade_trains_its_wall_segmenter_or_takes_one_that_was_trained_alike(slices, tmp_path):
    crop = train_downstream_segmenter(slices, None, tmp_path / "crop", training())
    crop.save(tmp_path / "model" / ROLE)
    whole = train_downstream_segmenter(slices, None, tmp_path / "whole", training(wall_from=WallFrom.CASCADE))
    assert same(whole.wall_segmenter, crop)
    ready = DownstreamSegmenter.from_pretrained(tmp_path / "model" / ROLE)
    given = train_downstream_segmenter(slices, None, tmp_path / "given", training(wall_from=WallFrom.CASCADE, wall_segmenter=ready))
    whole.save(tmp_path / "one")
    given.save(tmp_path / "other")
    assert not (tmp_path / "given" / "wall").exists()
    files = [path.relative_to(tmp_path / "one") for path in sorted((tmp_path / "one").rglob("*")) if path.is_file()]
    assert len(files) == 4
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_first_weights_are_those_of_the_model_and_another_size_is_refused(slices, tmp_path):
    first = train_downstream_segmenter(slices, None, tmp_path / "one", training())
    first.save(tmp_path / "model" / f"{ROLE}-crop")
    idle = replace(TINY, tuning_lr=0.0)  # first weights have a learning rate of their own
    again = train_downstream_segmenter(slices, None, tmp_path / "two", training(recipe=idle, init=tmp_path / "model", seed=5))
    for mine, theirs in zip(again.network.parameters(), first.network.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-3)
    larger = replace(TINY, filters=(4, 8, 16))
    with pytest.raises(ModelError, match="choose another --init"):
        train_downstream_segmenter(slices, None, tmp_path / "three", training(recipe=larger, init=tmp_path / "model"))
    with pytest.raises(ModelError):
        train_downstream_segmenter(slices, None, tmp_path / "four", training(wall_from=WallFrom.KNOWN_WALL, init=tmp_path / "model"))


def test_random_first_weights_follow_from_the_seed():
    def first(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build_downstream(TINY.filters, WallFrom.CROP).parameters()])

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_real_slices_without_any_scar_are_refused(slices, tmp_path):
    with pytest.raises(InputError, match="no real slice with scar"):
        train_downstream_segmenter(slices.taken(np.flatnonzero(~slices.scarred)), None, tmp_path, training())
