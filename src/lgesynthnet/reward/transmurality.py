"""A reward for depth: the scarred share of the wall along each chord, read from brightness, against the intended one."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lgesynthnet.reward.base import Target
from lgesynthnet.reward.contrast import remote_level

CHORDS = 36  # of 10 degrees: enough pixels each for a soft share
THRESHOLD = 0.45  # heart units above the remote wall; close to half of the maximum of an ordinary scar
SOFT = 0.1


class TransmuralityReward:
    """Mean error of the soft transmural extent over the chords that were repainted; needs no network."""

    name = "transmurality"

    def loss(self, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
        excess = target.painted(image) - remote_level(target).reshape(-1, 1, 1, 1) - THRESHOLD
        seen = torch.sigmoid(excess / SOFT)
        # A dark core counts as scar where it was asked for: brightness cannot tell it from healthy wall.
        seen = seen + (1 - seen) * target.no_reflow
        region = target.wall * target.hidden
        found, pixels = chord_shares(seen, region, target.nominal_deg), chord_shares(torch.ones_like(seen), region, target.nominal_deg)
        wanted = chord_shares(target.scar, region, target.nominal_deg)
        error = (found - wanted).abs() / pixels.clamp(min=1.0)
        held = (pixels > 0).float()
        return (error * held).sum(1) / held.sum(1).clamp(min=1.0)


def chord_shares(
    values: Float[Tensor, "b 1 128 128"], region: Float[Tensor, "b 1 128 128"], nominal_deg: Float[Tensor, "b 1 128 128"]
) -> Float[Tensor, "b chords"]:
    """Sum of the values over each chord's pixels in the region; gradients pass to the values."""
    chord = (nominal_deg / (360.0 / CHORDS)).long().remainder(CHORDS)
    empty = torch.zeros(len(values), CHORDS, dtype=values.dtype, device=values.device)
    return empty.scatter_add(1, chord.flatten(1), (values * region).flatten(1))
