"""The paper's reward: a frozen scar segmenter reads the image; cross-entropy and soft Dice compare its output with the intended scar."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lgesynthnet.errors import ModelError
from lgesynthnet.reward.base import Target, mean_over
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role

SMOOTH = 5.0  # pixels: a scar-free sample in which a few pixels are read as scar is nearly right


class SegmentationReward:
    """Compares inside the hidden part of the wall only, because the generator cannot change the rest.

    Args:
        scar_segmenter: of role `reward`. The filter and the auditor must have no influence on the generator.
    Raises:
        ModelError: the scar segmenter has another role.
    """

    name = "segmentation"

    def __init__(self, scar_segmenter: TrainedScarSegmenter) -> None:
        if scar_segmenter.role is not Role.REWARD:
            raise ModelError(f"a scar segmenter of role {scar_segmenter.role} cannot teach; one of role reward is needed (decision 0008)")
        self.scar_segmenter = scar_segmenter
        for network in scar_segmenter.networks:
            network.requires_grad_(False)

    def loss(self, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
        log_probability = self.log_probabilities(torch.cat([target.painted(image), target.cavity, target.wall], dim=1))
        core = target.no_reflow
        bright = target.scar - core
        entropy = -(log_probability[:, :1] * (1 - target.scar) + log_probability[:, 1:2] * bright + log_probability[:, 2:] * core)
        region = target.wall * target.hidden
        scar = log_probability[:, 1:].exp().sum(1, keepdim=True) * region
        overlap = (scar * target.scar).sum((1, 2, 3))
        dice = (2 * overlap + SMOOTH) / (scar.sum((1, 2, 3)) + (target.scar * region).sum((1, 2, 3)) + SMOOTH)
        return mean_over(entropy, region) + 1 - dice

    def log_probabilities(self, stack: Float[Tensor, "b 3 128 128"]) -> Float[Tensor, "b 3 128 128"]:
        """Logarithm of the probability of healthy, scar, no-reflow: the mean over the members, in one view.

        Computed from the logits, because a probability that is rounded to 0 has no gradient, where it is needed most.
        """
        members = [torch.log_softmax(network.to(stack.device)(stack).float(), dim=1) for network in self.scar_segmenter.networks]
        return torch.logsumexp(torch.stack(members), dim=0) - math.log(len(members))
