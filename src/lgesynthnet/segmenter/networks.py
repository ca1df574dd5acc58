"""One architecture for each role, so that the three scar segmenters do not make the same mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from monai.networks.nets import DynUNet, SegResNet, UNet
from torch import Tensor, nn

from lgesynthnet.stored_weights import read_weights
from lgesynthnet.terms import Role

IN_CHANNELS = 3  # image in heart units, cavity, wall; the intended scar is never an input
OUT_CHANNELS = 3  # healthy, scar, no-reflow


def build_network(role: Role, width: int) -> nn.Module:
    """A new network with random weights: (b, 3, 128, 128) to logits (b, 3, 128, 128) of healthy, scar, no-reflow.

    Args:
        width: channels of the first level.

    Sources: SegResNet, Myronenko (2018); residual UNet, Kerfoot et al. (2018); DynUNet, the nnU-Net of Isensee et al. (2021).
    """
    network: nn.Module
    match role:
        case Role.REWARD:  # group norm: the output does not depend on the batch; leaky ReLU: no unit is without gradient
            network = SegResNet(
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
            network = UNet(
                spatial_dims=2,
                in_channels=IN_CHANNELS,
                out_channels=OUT_CHANNELS,
                channels=(width, width * 2, width * 4, width * 6),
                strides=(2, 2, 2),
                num_res_units=1,
                norm="INSTANCE",
            )
        case Role.AUDITOR:  # deep, so that its last level sees the whole ring; few channels where there are many pixels
            filters = [width * times for times in (1, 3, 6, 12, 18, 24)]
            network = DynUNet(
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
    return network


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A network's weights for a file, each once; the state of MONAI's DynUNet lists every tensor twice."""
    return {name: value.detach().cpu().contiguous() for name, value in _stored(network).items()}


def read_networks(path: Path, build: Callable[[], nn.Module], prefixes: Sequence[str] = ("",)) -> list[nn.Module]:
    """Networks of one architecture and size with the weights that a file holds.

    Args:
        build: makes one network with random weights.
        prefixes: what the names of each network's weights begin with in the file.
    Raises:
        ModelError: a weight is missing or not needed, has another shape or is not finite; see `stored_weights.read_weights`.
    """
    with torch.device("meta"):  # without memory for the weights, until the file is known to hold them
        shapes = {name: value.shape for name, value in _stored(build()).items()}
    weights = read_weights(path, {prefix + name: shape for prefix in prefixes for name, shape in shapes.items()})
    networks = [build() for _ in prefixes]
    with torch.no_grad():
        for prefix, network in zip(prefixes, networks, strict=True):
            for name, own in _stored(network).items():
                own.copy_(weights[prefix + name])
    return networks


def _stored(network: nn.Module) -> dict[str, Tensor]:
    """Parameters, and the running means of batch normalisation where there are any."""
    buffers = {name: value for name, value in network.named_buffers() if value.is_floating_point()}
    return dict(network.named_parameters()) | buffers
