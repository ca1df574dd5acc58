"""The segmenter that weighs training sets: what its batches hold, that it resumes, and that equal sets give equal weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.records import Label
from lgesynthnet.segmenter.densenet import DenseNetUNet
from lgesynthnet.segmenter.heart import CLASSES, HeartSegmenter, Kind, build_heart_segmenter
from lgesynthnet.train.examples.slices import SliceDataset
from lgesynthnet.train.segmenters.published import (
    DOWNSTREAM,
    Augmentation,
    DownstreamSettings,
    MixedTask,
    MixingSettings,
    jaccard_loss,
    train_downstream,
)

TINY = DOWNSTREAM["tiny"]


def settings(**changed):
    return DownstreamSettings(**{"recipe": TINY, **changed})


def black(slices):
    return replace(slices, image=np.zeros_like(slices.image), labels=np.zeros_like(slices.labels))


class Counting(torch.nn.Module):
    """Counts the black pictures that it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.black, self.all = 0, 0

    def forward(self, x):
        self.black += int((x.flatten(1).std(1) < 1e-6).sum())
        self.all += len(x)
        return self.weight.expand(len(x), CLASSES, *x.shape[2:])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.9])
def test_batches_hold_the_share_of_synthetic_slices(slices, share):
    network = Counting()
    task = MixedTask(network, slices, black(slices), MixingSettings(share=share, side=48))
    for step in range(40):
        task.loss(np.random.default_rng(step), 10)
    assert network.all == 400
    assert network.black / network.all == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_samples_that_all_hold_scar_can_leave_its_prevalence_alone(slices, share):
    samples = black(slices.taken(np.flatnonzero(slices.scarred)))
    task = MixedTask(Counting(), slices, samples, MixingSettings(share=share, side=48, same_prevalence=True))
    drawn = [part for seed in range(40) for part in task._draw(np.random.default_rng(seed), 20)]
    made = sum(len(part) for part in drawn if not part.image.any())
    with_scar = made + sum(int(part.scarred.sum()) for part in drawn)
    prevalence = slices.scarred.mean()
    assert sum(len(part) for part in drawn) == 800
    assert with_scar / 800 == pytest.approx(prevalence, abs=0.05)
    assert made / 800 == pytest.approx(share * prevalence, abs=0.05)


def test_a_batch_of_synthetic_slices_alone_is_refused(slices):
    with pytest.raises(InputError, match="below 1"):
        MixedTask(Counting(), slices, slices, MixingSettings(share=1.0, side=48))


def test_the_natural_share_is_that_of_the_set(slices, tmp_path):
    one = train_downstream(slices, slices, tmp_path / "one", settings(seed=1))
    other = train_downstream(slices, slices, tmp_path / "other", settings(seed=1, share=0.5))
    assert same(one, other)
    third = train_downstream(slices, slices, tmp_path / "third", settings(seed=2))
    assert not same(one, third)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True))


def test_real_only_is_drawn_by_prevalence_too_when_asked(slices, tmp_path):
    plain = train_downstream(slices, None, tmp_path / "plain", settings())
    assert not same(plain, train_downstream(slices, None, tmp_path / "drawn", settings(same_prevalence=True)))


def test_killed_and_resumed_is_straight_through_and_other_settings_are_refused(slices, tmp_path):
    def kill(done, total, loss):
        if done == 3:
            raise KeyboardInterrupt

    straight = train_downstream(slices, None, tmp_path / "straight", settings())
    with pytest.raises(KeyboardInterrupt):
        train_downstream(slices, None, tmp_path / "killed", settings(), on_progress=kill)
    assert same(straight, train_downstream(slices, None, tmp_path / "killed", settings()))
    with pytest.raises(RunError):
        train_downstream(slices, slices, tmp_path / "killed", settings())


def test_what_is_learnt_last_is_real_alone_and_resumes(slices, tmp_path, monkeypatch):
    monkeypatch.setattr(SliceDataset, "content", "the same")  # or other samples would be refused
    calls = []

    def kill(done, total, loss):
        calls.append((done, total))
        if len(calls) == TINY.loop.steps + 3:
            raise KeyboardInterrupt

    straight = train_downstream(slices, slices, tmp_path / "straight", settings(real_last=4))
    with pytest.raises(KeyboardInterrupt):
        train_downstream(slices, slices, tmp_path / "killed", settings(real_last=4), on_progress=kill)
    assert calls[-1] == (3, 4)
    # Other samples, as many: if the last steps drew one of them, the weights would differ.
    assert same(straight, train_downstream(slices, black(slices), tmp_path / "killed", settings(real_last=4)))
    assert not same(straight, train_downstream(slices, black(slices), tmp_path / "other", settings(real_last=4)))
    assert not same(straight, train_downstream(slices, slices, tmp_path / "without", settings()))


def test_augmentations_differ_and_keep_the_heart(slices):
    for augmentation in Augmentation:
        task = MixedTask(build_heart_segmenter(TINY.filters), slices, None, MixingSettings(share=0.0, side=96, augmentation=augmentation))
        assert np.isfinite(float(task.loss(np.random.default_rng(0), 4)))
    geometric, strong = (
        float(MixedTask(Counting(), slices, None, MixingSettings(share=0.0, side=96, augmentation=a)).loss(np.random.default_rng(0), 4))
        for a in Augmentation
    )
    assert geometric == pytest.approx(strong)  # the same places and labels, in other contrast


def test_jaccard_is_zero_for_the_truth_and_one_for_its_opposite():
    truth = torch.zeros(2, 16, 16, dtype=torch.long)
    truth[:, 2:6, 2:6], truth[:, 6:9, 2:6], truth[:, 9:12, 2:6] = Label.CAVITY, Label.WALL, Label.SCAR
    logits = 20.0 * torch.nn.functional.one_hot(truth, CLASSES).permute(0, 3, 1, 2).float()
    assert float(jaccard_loss(logits, truth)) < 0.01
    assert float(jaccard_loss(logits.roll(8, dims=3), truth)) > 0.9


def test_the_published_encoder_reads_any_slice_and_survives_its_file(tmp_path):
    torch.manual_seed(0)
    network = DenseNetUNet(CLASSES, (8, 8, 8, 8, 8)).eval()
    assert network(torch.randn(1, 1, 64, 96)).shape == (1, CLASSES, 64, 96)
    with pytest.raises(ValueError, match="5 levels"):
        DenseNetUNet(CLASSES, (8, 8))
    segmenter = HeartSegmenter(network, (8, 8, 8, 8, 8), kind=Kind.DENSENET121)
    segmenter.save(tmp_path)
    again = HeartSegmenter.from_pretrained(tmp_path)
    image = np.random.default_rng(0).integers(1, 200, (70, 90)).astype(np.int16)
    assert again.kind is Kind.DENSENET121
    assert np.array_equal(again.probabilities(image, (1.4, 1.4)), segmenter.probabilities(image, (1.4, 1.4)))


def test_first_weights_of_another_size_are_refused(slices, tmp_path):
    made = train_downstream(slices, None, tmp_path / "one", settings())
    made.save(tmp_path / "model")
    again = train_downstream(slices, None, tmp_path / "two", settings(init=tmp_path / "model"))
    assert not same(made, again)
    with pytest.raises(ModelError, match="has filters"):
        train_downstream(slices, None, tmp_path / "three", settings(recipe=replace(TINY, filters=(4, 4, 4)), init=tmp_path / "model"))


def test_real_slices_without_any_scar_are_refused(slices, tmp_path):
    with pytest.raises(InputError, match="no real slice with scar"):
        train_downstream(slices.taken(np.flatnonzero(~slices.scarred)), None, tmp_path, settings())
