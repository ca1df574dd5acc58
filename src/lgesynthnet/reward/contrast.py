"""A reward without a segmenter: scar brighter than the host's healthy wall, hidden healthy wall like the wall that was not hidden.

After MAISI's region contrast (Guo et al., 2025): a bounded difference inside the lesion, closeness outside.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lgesynthnet.reward.base import Target, mean_over

MARGIN = 0.7  # heart units above the healthy wall from which scar is bright enough; blood lies 1.0 above it
SLACK = MARGIN / 2  # a healthy wall that shades off this far is no fault
SOFT = 0.15


class RegionContrastReward:
    """Asks for contrast and for nothing about shape, so it cannot be fooled by a network's taste."""

    name = "contrast"

    def loss(self, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
        picture = target.painted(image)
        level = remote_level(target).reshape(-1, 1, 1, 1)
        bright = target.scar - target.no_reflow
        lacking = functional.softplus((level + MARGIN - picture) / SOFT) * SOFT
        healthy = target.wall * target.hidden * (1 - target.scar)
        too_bright = functional.softplus((picture - level - SLACK) / SOFT) * SOFT
        too_dark = functional.softplus((level - SLACK - picture) / SOFT) * SOFT
        # A core may be as dark as it likes: it holds no contrast agent.
        return mean_over(lacking, bright) + mean_over(too_bright + too_dark, healthy) + mean_over(too_bright, target.no_reflow)


def remote_level(target: Target) -> Float[Tensor, " b"]:
    """Mean of the healthy wall that stays as it was; -0.5, the healthy wall of heart units, where all of it is hidden."""
    remote = target.wall * (1 - target.hidden) * (1 - target.scar)
    known = remote.sum((1, 2, 3)) >= 20
    return known * mean_over(target.host, remote) + (~known) * -0.5
