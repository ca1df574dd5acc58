"""The published segmenter: what its batches hold, that it resumes, and that its encoder survives its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lgesynthnet.errors import InputError, RunError
from lgesynthnet.records import Label
from lgesynthnet.segmenter.densenet import DenseNetUNet
from lgesynthnet.segmenter.heart import CLASSES, HeartSegmenter, Kind
from lgesynthnet.train.segmenters.published import PUBLISHED, MixedTask, PublishedTraining, jaccard_loss, train_published_segmenter

TINY = PUBLISHED["tiny"]


def training(**changes):
    return PublishedTraining(**({"recipe": TINY, "device": "cpu"} | changes))


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


@pytest.mark.parametrize("times", [0, 1, 3])
def test_real_and_added_slices_are_drawn_in_proportion_to_their_numbers(slices, times):
    network = Counting()
    added = black(slices.taken(np.tile(np.arange(len(slices)), times))) if times else None
    task = MixedTask(network, slices, added, 48)
    for step in range(40):
        task.loss(np.random.default_rng(step), 10)
    assert network.all == 400
    assert network.black / network.all == pytest.approx(times / (1 + times), abs=0.08)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True))


def test_killed_and_resumed_is_straight_through_and_other_settings_are_refused(slices, tmp_path):
    def kill(done, total, loss):
        raise KeyboardInterrupt

    straight = train_published_segmenter(slices, None, tmp_path / "straight", training())
    with pytest.raises(KeyboardInterrupt):
        train_published_segmenter(slices, None, tmp_path / "killed", training(), on_progress=kill)
    assert same(straight, train_published_segmenter(slices, None, tmp_path / "killed", training()))
    with pytest.raises(RunError):
        train_published_segmenter(slices, slices, tmp_path / "killed", training())
    with pytest.raises(RunError):
        train_published_segmenter(slices, None, tmp_path / "killed", training(seed=1))


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


def test_real_slices_without_any_scar_are_refused(slices, tmp_path):
    with pytest.raises(InputError, match="no real slice with scar"):
        train_published_segmenter(slices.taken(np.flatnonzero(~slices.scarred)), None, tmp_path, training())
