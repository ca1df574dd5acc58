"""One architecture per role, so that no reader shares another's blind spots."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from monai.networks.nets import DynUNet, SegResNet, UNet
from torch import Tensor, nn

from lgesynthnet.terms import Role

IN_CHANNELS = 3  # heart units, cavity, wall: a host's heart is always labelled, the intended scar is never shown
OUT_CHANNELS = 3  # healthy, scar, no-reflow


def build_network(role: Role, width: int) -> nn.Module:
    """A new network with random weights: (b, 3, 128, 128) to logits (b, 3, 128, 128).

    Sources: SegResNet, Myronenko (2018); residual UNet, Kerfoot et al. (2018); DynUNet, the nnU-Net of Isensee et al. (2021).
    """
    match role:
        case Role.REWARD:  # group norm reads a slice alike in any batch, and its gradient has no dead units to fall into
            return SegResNet(
                spatial_dims=2,
                in_channels=IN_CHANNELS,
                out_channels=OUT_CHANNELS,
                init_filters=width,
                blocks_down=(1, 1, 2, 2),
                blocks_up=(1, 1, 1),
                act=("LEAKYRELU", {"negative_slope": 0.1, "inplace": True}),
                norm=("GROUP", {"num_groups": 4}),
            )
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
        case Role.AUDITOR:  # deep: its last level sees the whole ring at once; slim where pixels are many and a step is slow
            filters = [width * times for times in (1, 3, 6, 12, 18, 24)]
            return DynUNet(
                spatial_dims=2,
                in_channels=IN_CHANNELS,
                out_channels=OUT_CHANNELS,
                kernel_size=[3] * len(filters),
                strides=[1, *[2] * (len(filters) - 1)],
                upsample_kernel_size=[2] * (len(filters) - 1),
                filters=filters,
                norm_name="instance",
                res_block=True,
                deep_supervision=False,
            )


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A network's weights for a file, each under one name: MONAI's DynUNet lists every tensor of its state twice."""
    return {name: value.detach().cpu().contiguous() for name, value in network.named_parameters()}


def fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy what `weights_of` gave into a network of the same build.

    Raises:
        KeyError: a name is missing or too many.
        RuntimeError: a shape differs.
    """
    own = dict(network.named_parameters())
    if set(own) != set(weights):
        raise KeyError(f"weights of {len(weights)} names, {len(own)} are needed")
    with torch.no_grad():
        for name, parameter in own.items():
            if weights[name].shape != parameter.shape:
                raise RuntimeError(f"{name} has another shape than its settings say")
            parameter.copy_(weights[name])
