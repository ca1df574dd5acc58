"""Each reward prefers the picture that was asked for, and its gradient stays where something was repainted."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.errors import ModelError
from lgesynthnet.model_store import weights_folder
from lgesynthnet.reward.base import Reward, Target
from lgesynthnet.reward.contrast import RegionContrastReward
from lgesynthnet.reward.segmentation import SegmentationReward
from lgesynthnet.reward.transmurality import TransmuralityReward
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role

READERS = weights_folder() / "phantom"


@pytest.fixture(scope="module")
def rewards() -> list[Reward]:
    return [
        SegmentationReward(TrainedScarSegmenter.from_pretrained(READERS / "reward", Role.REWARD)),
        TransmuralityReward(),
        RegionContrastReward(),
    ]


@pytest.fixture(scope="module")
def target() -> Target:
    """A ring of wall (-0.5) round blood (0.5), a subendocardial scar to its left, everything near the scar hidden."""
    rows, cols = np.mgrid[:128, :128] - 63.5
    away, angle = np.hypot(rows, cols), np.degrees(np.arctan2(-rows, cols)) % 360
    cavity, wall = away <= 20, (away > 20) & (away <= 30)
    scar = wall & (away <= 25) & (np.abs(angle - 180) < 40)
    hidden = (away > 17) & (away <= 33) & (np.abs(angle - 180) < 60)
    image = np.where(cavity, 0.5, np.where(wall, -0.5, -0.3))
    made = Condition(
        image=image.astype(np.float32),
        hidden=hidden,
        scar=scar,
        no_reflow=np.zeros_like(scar),
        wall=wall,
        cavity=cavity,
        nominal_deg=angle.astype(np.float32),
        brightness=0.5,
        caption="",
    )
    return Target.of([made])


def painted(target: Target, where: torch.Tensor) -> torch.Tensor:
    return torch.where(where > 0.5, torch.tensor(0.55), target.host)


def test_the_intended_scar_beats_no_scar_and_a_full_thickness_one(rewards, target):
    right = painted(target, target.scar)
    deep = painted(target, target.wall * target.hidden)
    for reward in rewards:
        good, none, too_deep = (float(reward.loss(image, target)) for image in (right, target.host, deep))
        assert good < none, reward.name
        assert good < too_deep, reward.name


def test_a_scar_in_the_wrong_wall_is_worse_than_the_intended_one(rewards, target):
    everything = replace(target, hidden=torch.ones_like(target.hidden))
    mirrored = target.scar.flip(3)
    assert not (mirrored * target.scar).any()
    for reward in rewards:
        good, wrong = (float(reward.loss(painted(everything, where), everything)) for where in (target.scar, mirrored))
        assert good < wrong, reward.name


def test_a_segmenter_that_is_sure_of_the_contrary_still_teaches(target):
    """Nothing is clamped: the surer the segmenter is that a missing scar is healthy wall, the more the gradient is needed."""
    sure = TrainedScarSegmenter.from_pretrained(READERS / "reward", Role.REWARD)
    for network in sure.networks:
        network.register_forward_hook(lambda module, inputs, logits: 20 * logits)
    image = target.host.clone().requires_grad_(True)
    missing = target.scar > 0.5
    chance = sure.grid_probabilities(torch.cat([target.painted(image), target.cavity, target.wall], dim=1))[:, 1:2]
    unthinkable = missing & (chance < 1e-6)
    assert unthinkable.any()
    loss = SegmentationReward(sure).loss(image, replace(target, hidden=unthinkable.float(), wall=target.wall))
    (slope,) = torch.autograd.grad(loss.sum(), image)
    assert slope[unthinkable].abs().sum() > 1e-3


def test_healthy_wall_may_be_painted_neither_bright_nor_dark(target):
    reward, healthy = RegionContrastReward(), target.wall * target.hidden * (1 - target.scar)
    right = painted(target, target.scar)
    for value in (0.5, -1.5):
        spoilt = torch.where(healthy > 0.5, torch.tensor(value), right)
        assert float(reward.loss(spoilt, target)) > float(reward.loss(right, target)) + 0.2, value


def test_what_lies_outside_the_hidden_region_is_not_the_generators_to_answer_for(rewards, target):
    for reward in rewards:
        image = painted(target, target.scar).requires_grad_(True)
        reward.loss(image, target).sum().backward()
        assert image.grad[target.hidden > 0.5].abs().sum() > 0, reward.name
        assert image.grad[target.hidden < 0.5].abs().sum() == 0, reward.name
        other = torch.where(target.hidden > 0.5, image.detach(), torch.tensor(9.0))
        torch.testing.assert_close(reward.loss(other, target), reward.loss(image, target), msg=reward.name)


def test_a_sample_is_scored_alike_alone_and_in_a_batch(rewards, target):
    empty = replace(target, scar=torch.zeros_like(target.scar))
    both = Target(**{name: torch.cat([getattr(target, name), getattr(empty, name)]) for name in vars(target)})
    image = painted(target, target.scar)
    for reward in rewards:
        pair = reward.loss(torch.cat([image, image]), both)
        torch.testing.assert_close(pair[:1], reward.loss(image, target), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(pair[1:], reward.loss(image, empty), rtol=1e-4, atol=1e-5)


def test_a_descent_on_the_picture_alone_lowers_every_reward_without_a_dead_gradient(rewards, target):
    for reward in rewards:
        image = target.host.clone().requires_grad_(True)
        before = float(reward.loss(image, target))
        for _ in range(40):
            (step,) = torch.autograd.grad(reward.loss(image, target).sum(), image)
            image = (image - 0.1 * step / step.abs().max()).detach().requires_grad_(True)
        assert float(reward.loss(image, target)) < 0.7 * before, reward.name


def test_only_a_scar_segmenter_of_the_reward_role_may_teach():
    with pytest.raises(ModelError, match="cannot teach"):
        SegmentationReward(TrainedScarSegmenter.from_pretrained(READERS / "filter", Role.FILTER))
