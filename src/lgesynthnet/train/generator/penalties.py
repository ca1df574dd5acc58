"""Penalties beside the reward: the brightness of the scar, and all that is repainted and not scar."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.reward.base import Target, mean_over

CORE_PIXELS = 20.0  # a smaller core or tissue counts less, because a few pixels cannot be dark among bright neighbours
LOCAL_PIXELS = 3  # side of the square over which differences are averaged, so that single pixels of noise count little


def brightness_penalty(
    image: Float[Tensor, "b 1 128 128"], target: Target, scar: Float[Tensor, " b"], core: Float[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """Difference between the mean brightness of scar and core and the prescribed one, in heart units; one number for each sample.

    A scar segmenter rewards any scar that is brighter than the wall. Without this penalty, the median painted scar rose from 0.70 to 1.06
    heart units within 150 steps, and the filter's Dice rose with it (real scars: 0.56). A core that is not dark costs little reward, too.

    Args:
        scar, core: prescribed mean of the bright scar and of the no-reflow core.
    """
    bright, dark = _tissues(target)
    of_scar = (mean_over(image, bright) - scar).abs() * (bright.sum((1, 2, 3)) > 0)
    return of_scar + (mean_over(image, dark) - core).abs() * (dark.sum((1, 2, 3)) / CORE_PIXELS).clamp(max=1.0)


def context_penalty(image: Float[Tensor, "b 1 128 128"], reference: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
    """Mean difference to the reference image in what is repainted and not scar, in heart units; one number for each sample.

    A scar segmenter finds a scar more easily beside a dark line. The host is no truth there: where scar replaces dark wall, blood and wall
    beside it change too. The model before the reward has learnt from real slices how.

    Args:
        reference: what the model before the reward paints from the same noise.
    """
    around = target.hidden * (1 - target.scar)

    def local(values: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b 1 128 128"]:
        return functional.avg_pool2d(values, LOCAL_PIXELS, stride=1, padding=LOCAL_PIXELS // 2)

    difference = local((image - reference) * around) / local(around).clamp(min=1e-6)
    return mean_over(difference.abs(), around)


def prescribed_brightness(conditions: list[Condition], levels: Float[np.ndarray, " quantiles"]) -> Float[Tensor, " b"]:
    """Mean scar intensity in heart units that the brightness rank of each condition stands for (`levels`: `Examples.scar_levels`)."""
    ranks = [condition.brightness for condition in conditions]
    return torch.tensor(np.interp(ranks, np.linspace(0, 1, len(levels)), levels), dtype=torch.float32)


def own_brightness(target: Target) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Mean intensity of the real scar and of its core, in heart units."""
    bright, dark = _tissues(target)
    return mean_over(target.host, bright), mean_over(target.host, dark)


def _tissues(target: Target) -> tuple[Float[Tensor, "b 1 128 128"], Float[Tensor, "b 1 128 128"]]:
    """Bright scar and dark core, where they are repainted."""
    region = target.wall * target.hidden
    return (target.scar - target.no_reflow) * region, target.no_reflow * region
