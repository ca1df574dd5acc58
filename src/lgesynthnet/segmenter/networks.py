"""One architecture per role, so that no reader shares another's blind spots."""

from __future__ import annotations

from enum import StrEnum

from monai.networks.nets import UNet
from torch import nn

IN_CHANNELS = 3  # heart units, cavity, wall: a host's heart is always labelled, the intended scar is never shown
OUT_CHANNELS = 3  # healthy, scar, no-reflow


class Role(StrEnum):
    """What a reader may be used for; the filter keeps or rejects samples."""

    FILTER = "filter"


def build_network(role: Role, width: int) -> nn.Module:
    """A new network with random weights: (b, 3, 128, 128) to logits (b, 3, 128, 128)."""
    match role:
        case Role.FILTER:
            return UNet(
                spatial_dims=2,
                in_channels=IN_CHANNELS,
                out_channels=OUT_CHANNELS,
                channels=(width, width * 2, width * 4, width * 6),
                strides=(2, 2, 2),
                num_res_units=1,
                norm="INSTANCE",
            )
