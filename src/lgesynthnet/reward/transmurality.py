"""A reward for transmural extent: the scarred share of the wall along each chord, by brightness, compared with the intended share."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lgesynthnet.reward.base import Target
from lgesynthnet.reward.contrast import remote_level

CHORDS = 36  # of 10 degrees each, wide enough to hold the pixels for a share
SCAR_ABOVE_WALL = 0.45  # heart units above the remote wall; about half of the maximum of a typical scar
SOFT = 0.1


class TransmuralityReward:
    """Mean error of the soft transmural extent over the repainted chords; needs no network."""

    name = "transmurality"

    def loss(self, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
        excess = target.painted(image) - remote_level(target).reshape(-1, 1, 1, 1) - SCAR_ABOVE_WALL
        scar = torch.sigmoid(excess / SOFT)
        # An intended dark core counts as scar, because its brightness is that of healthy wall.
        scar = scar + (1 - scar) * target.no_reflow
        region = target.wall * target.hidden
        painted, pixels = (chord_sums(values, region, target.nominal_deg) for values in (scar, torch.ones_like(scar)))
        intended = chord_sums(target.scar, region, target.nominal_deg)
        error = (painted - intended).abs() / pixels.clamp(min=1.0)
        repainted = (pixels > 0).float()
        return (error * repainted).sum(1) / repainted.sum(1).clamp(min=1.0)


def chord_sums(
    values: Float[Tensor, "b 1 128 128"], region: Float[Tensor, "b 1 128 128"], nominal_deg: Float[Tensor, "b 1 128 128"]
) -> Float[Tensor, "b chords"]:
    """Sum of the values over the pixels of each chord in the region; gradients pass to the values."""
    chord = (nominal_deg / (360.0 / CHORDS)).long().remainder(CHORDS)
    empty = torch.zeros(len(values), CHORDS, dtype=values.dtype, device=values.device)
    return empty.scatter_add(1, chord.flatten(1), (values * region).flatten(1))
