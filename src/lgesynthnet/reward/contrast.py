"""A reward without a segmenter: scar must be brighter than the host's healthy wall, and repainted healthy wall must look like it.

Source: the region contrast of MAISI (Guo et al., 2025): a bounded difference inside the lesion, similarity outside.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lgesynthnet.reward.base import Target, mean_over

MARGIN = 0.7  # heart units: scar this far above the healthy wall is bright enough; blood lies 1.0 above it
SLACK = MARGIN / 2  # a healthy wall may differ this much without a penalty
SOFT = 0.15


class RegionContrastReward:
    """Rewards contrast alone. Without a network, it cannot be fooled by a network's weaknesses."""

    name = "contrast"

    def loss(self, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
        composite = target.painted(image)
        level = remote_level(target).reshape(-1, 1, 1, 1)
        bright = target.scar - target.no_reflow
        lacking = functional.softplus((level + MARGIN - composite) / SOFT) * SOFT
        healthy = target.wall * target.hidden * (1 - target.scar)
        too_bright = functional.softplus((composite - level - SLACK) / SOFT) * SOFT
        too_dark = functional.softplus((level - SLACK - composite) / SOFT) * SOFT
        # A no-reflow core may be as dark as it likes, because no contrast agent reaches it.
        return mean_over(lacking, bright) + mean_over(too_bright + too_dark, healthy) + mean_over(too_bright, target.no_reflow)


def remote_level(target: Target) -> Float[Tensor, " b"]:
    """Mean of the healthy wall that is not repainted. Where less than 20 pixels are left: -0.5, the healthy wall in heart units."""
    remote = target.wall * (1 - target.hidden) * (1 - target.scar)
    known = remote.sum((1, 2, 3)) >= 20
    return known * mean_over(target.host, remote) + (~known) * -0.5
