"""The protocol of a reward, and what it is given to compare an image with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lgesynthnet.conditioning.condition import Condition


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the images should show, as a batch on the 128 x 128 working grid; masks are 0 or 1.

    Attributes:
        host: image of the host in heart units, with nothing hidden.
        hidden, scar, no_reflow, wall, cavity: masks; the scar includes its no-reflow core.
        nominal_deg: AHA angle in degrees.
    """

    host: Float[Tensor, "b 1 128 128"]
    hidden: Float[Tensor, "b 1 128 128"]
    scar: Float[Tensor, "b 1 128 128"]
    no_reflow: Float[Tensor, "b 1 128 128"]
    wall: Float[Tensor, "b 1 128 128"]
    cavity: Float[Tensor, "b 1 128 128"]
    nominal_deg: Float[Tensor, "b 1 128 128"]

    @classmethod
    def of(cls, conditions: list[Condition], device: torch.device | str = "cpu") -> Target:
        """The targets of a batch of conditions."""

        def stack(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(condition, name) for condition in conditions]).astype(np.float32))[:, None].to(device)

        names = ("hidden", "scar", "no_reflow", "wall", "cavity", "nominal_deg")
        return cls(host=stack("image"), **{name: stack(name) for name in names})

    def painted(self, image: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b 1 128 128"]:
        """The host with `image` inside the hidden region; outside it there is no gradient."""
        return self.host + self.hidden * (image - self.host)


@runtime_checkable
class Reward(Protocol):
    """How far an image is from what was prescribed: the second term of L = L_diffusion + lambda L_reward."""

    name: str

    def loss(self, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
        """Loss of each sample; lower is better. Nothing is clamped, so the gradient never vanishes.

        Args:
            image: decoded clean estimates in heart units; ignored outside the hidden region.
        """
        ...


def mean_over(values: Float[Tensor, "b 1 h w"], where: Float[Tensor, "b 1 h w"]) -> Float[Tensor, " b"]:
    """Mean of each sample over its own region; 0 where the region is empty."""
    return (values * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1.0)
