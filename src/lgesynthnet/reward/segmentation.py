"""The paper's reward: a frozen segmenter reads the picture, cross-entropy and soft Dice compare it with the intended scar."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lgesynthnet.errors import ModelError
from lgesynthnet.reward.base import Target, mean_over
from lgesynthnet.segmenter.reader import TrainedScarSegmenter
from lgesynthnet.terms import Role

SMOOTH = 5.0  # pixels: a scar-free sample with a few read pixels is nearly right


class SegmentationReward:
    """Reads inside the hidden wall only: what was not repainted is not the generator's to answer for.

    Args:
        reader: of role `reward`; the filter and the auditor must stay strangers to the generator.
    Raises:
        ModelError: a reader of another role.
    """

    name = "segmentation"

    def __init__(self, reader: TrainedScarSegmenter) -> None:
        if reader.role is not Role.REWARD:
            raise ModelError(f"a reader of role {reader.role} cannot teach; a reward reader is needed (decision 0008)")
        self.reader = reader
        for network in reader.networks:
            network.requires_grad_(False)

    def loss(self, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
        log_chance = self.log_chance(torch.cat([target.painted(image), target.cavity, target.wall], dim=1))
        core = target.no_reflow
        bright = target.scar - core
        entropy = -(log_chance[:, :1] * (1 - target.scar) + log_chance[:, 1:2] * bright + log_chance[:, 2:] * core)
        region = target.wall * target.hidden
        scar = log_chance[:, 1:].exp().sum(1, keepdim=True) * region
        overlap = (scar * target.scar).sum((1, 2, 3))
        dice = (2 * overlap + SMOOTH) / (scar.sum((1, 2, 3)) + (target.scar * region).sum((1, 2, 3)) + SMOOTH)
        return mean_over(entropy, region) + 1 - dice

    def log_chance(self, stack: Float[Tensor, "b 3 128 128"]) -> Float[Tensor, "b 3 128 128"]:
        """Logarithm of the mean over the members, in one view, of the probability of healthy, scar, no-reflow.

        Taken from the logits: a probability that rounds to nothing has no gradient, and there it is needed most.
        """
        seen = [torch.log_softmax(network.to(stack.device)(stack).float(), dim=1) for network in self.reader.networks]
        return torch.logsumexp(torch.stack(seen), dim=0) - math.log(len(seen))
