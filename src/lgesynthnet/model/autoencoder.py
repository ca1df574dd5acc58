"""In-domain autoencoder: one channel, factor 4, four latent channels. Image to latent is crossed here and nowhere else.

A factor-8 natural-image autoencoder loses half of the thin subendocardial scars; factor 4 keeps them.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor

FACTOR = 4
LATENT_CHANNELS = 4
LATENT_SIDE = 32


def build_autoencoder(width: int) -> AutoencoderKL:
    """A new autoencoder; `width` is the channel count at full resolution (a multiple of 8)."""
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(width, width * 2, width * 3),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=128,
        scaling_factor=1.0,
        mid_block_add_attention=False,  # keeps it fully convolutional: trained on 64-pixel patches, used at 128
    )


def encode(autoencoder: AutoencoderKL, image: Float[Tensor, "b 1 h w"], noise: Tensor | None = None) -> Float[Tensor, "b 4 hl wl"]:
    """Heart units to unit-variance latents: the mean, or a fresh draw where `noise` is given."""
    found = autoencoder.encode(image).latent_dist
    latent = found.mean if noise is None else found.mean + found.std * noise
    return latent * float(autoencoder.config["scaling_factor"])


def decode(autoencoder: AutoencoderKL, latent: Float[Tensor, "b 4 hl wl"]) -> Float[Tensor, "b 1 h w"]:
    """Unit-variance latents to heart units; keeps the gradient, clamps nothing."""
    return autoencoder.decode(latent / float(autoencoder.config["scaling_factor"])).sample


def features(autoencoder: AutoencoderKL, image: Float[Tensor, "b 1 h w"]) -> list[Tensor]:
    """What the encoder sees at each resolution, (b, channels, h / 2, w / 2) and coarser; gradients pass."""
    seen = autoencoder.encoder.conv_in(image)
    found = []
    for block in autoencoder.encoder.down_blocks:
        seen = block(seen)
        found.append(seen)
    return found


@torch.no_grad()
def fit_scale(autoencoder: AutoencoderKL, images: Float[Tensor, "b 1 h w"]) -> float:
    """Set the factor that gives latents of these images unit variance, and return it."""
    scale = 1.0 / float(autoencoder.encode(images).latent_dist.mean.std())
    autoencoder.register_to_config(scaling_factor=scale)
    return scale
