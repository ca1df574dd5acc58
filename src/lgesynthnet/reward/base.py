"""The contract of a reward, and what it may look at."""

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
    """What was asked for, as a batch on the 128 x 128 grid; masks are 0 or 1.

    Attributes:
        host: heart units, nothing hidden.
        hidden, scar, no_reflow, wall, cavity: scar includes its no-reflow core.
        nominal_deg: AHA angle.
    """

    host: Float[Tensor, "b 1 128 128"]
    hidden: Float[Tensor, "b 1 128 128"]
    scar: Float[Tensor, "b 1 128 128"]
    no_reflow: Float[Tensor, "b 1 128 128"]
    wall: Float[Tensor, "b 1 128 128"]
    cavity: Float[Tensor, "b 1 128 128"]
    nominal_deg: Float[Tensor, "b 1 128 128"]

    @classmethod
    def of(cls, made: list[Condition], device: torch.device | str = "cpu") -> Target:
        def stack(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(m, name) for m in made]).astype(np.float32))[:, None].to(device)

        names = ("hidden", "scar", "no_reflow", "wall", "cavity", "nominal_deg")
        return cls(host=stack("image"), **{name: stack(name) for name in names})

    def painted(self, image: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b 1 128 128"]:
        """The host with `image` inside the hidden region: the gradient stops where nothing is repainted."""
        return self.host + self.hidden * (image - self.host)


@runtime_checkable
class Reward(Protocol):
    """How far a picture is from what was asked for; the teacher's side of L = L_diffusion + lambda L_reward."""

    name: str

    def loss(self, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
        """One number a sample, in heart units' pictures, lower is better; nothing is clamped, so the gradient never dies.

        Args:
            image: a decoded clean estimate; outside the hidden region it is ignored.
        """
        ...


def mean_over(values: Float[Tensor, "b 1 h w"], where: Float[Tensor, "b 1 h w"]) -> Float[Tensor, " b"]:
    """Mean of each sample over its own region; 0 where the region is empty."""
    return (values * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1.0)
