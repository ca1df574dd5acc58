"""The published downstream segmenter: a U-Net whose encoder is DenseNet-121.

Sources: Jacob, Sharma, Rueckert (2026), section 3.3, for the encoder of five levels; Huang et al. (2017) for DenseNet-121. The encoder
starts from random weights, because nothing is downloaded. The decoder's widths are our choice; the paper does not state them.
"""

from __future__ import annotations

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets import DenseNet121
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 32
SKIPS = (64, 256, 512, 1024, 1024)  # channels of the encoder at strides 2, 4, 8, 16, 32


class DenseNetUNet(nn.Module):
    """Images (b, 1, rows, cols) to logits (b, classes, rows, cols); both sides must be divisible by 32.

    Args:
        classes: number of classes.
        filters: channels of the decoder at strides 16, 8, 4, 2 and 1.
    """

    def __init__(self, classes: int, filters: tuple[int, ...] = (256, 128, 64, 32, 16)) -> None:
        super().__init__()
        if len(filters) != len(SKIPS):
            raise ValueError(f"the decoder has {len(SKIPS)} levels, got {len(filters)} widths")
        parts = dict(DenseNet121(spatial_dims=2, in_channels=1, out_channels=1).features.named_children())
        first = nn.Sequential(*(parts[name] for name in ("conv0", "norm0", "relu0")))
        later = [
            nn.Sequential(*(parts[name] for name in names))
            for names in (("pool0", "denseblock1"), ("transition1", "denseblock2"), ("transition2", "denseblock3"))
        ]
        last = nn.Sequential(*(parts[name] for name in ("transition3", "denseblock4", "norm5")))
        self.encoder = nn.ModuleList([first, *later, last])
        wide = SKIPS[-1]
        self.decoder = nn.ModuleList()
        for skip, width in zip((*SKIPS[-2::-1], 0), filters, strict=True):
            self.decoder.append(nn.Sequential(_convolution(wide + skip, width), _convolution(width, width)))
            wide = width
        self.head = nn.Conv2d(wide, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        skips.pop()
        for level in self.decoder:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = level(torch.cat([x, skips.pop()], dim=1) if skips else x)
        logits: Tensor = self.head(x)
        return logits


def _convolution(wide: int, width: int) -> nn.Module:
    convolution: nn.Module = Convolution(spatial_dims=2, in_channels=wide, out_channels=width, act="RELU", norm="BATCH", bias=False)
    return convolution
