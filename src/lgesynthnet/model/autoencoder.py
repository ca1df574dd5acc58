"""Autoencoder of LGE slices: one channel, factor 4, four latent channels. Images become latents here and nowhere else.

An autoencoder of natural images with factor 8 loses half of the thin subendocardial scars; factor 4 keeps them.
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
    """A new autoencoder; `width` is the number of channels at full resolution, a multiple of 8."""
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
        mid_block_add_attention=False,  # without attention it is fully convolutional: trained on patches of 64 pixels, used on 128
    )


def encode(autoencoder: AutoencoderKL, image: Float[Tensor, "b 1 h w"], noise: Tensor | None = None) -> Float[Tensor, "b 4 hl wl"]:
    """Heart units to latents of unit variance: the mean of the posterior, or a sample of it where `noise` is given."""
    posterior = autoencoder.encode(image).latent_dist
    latent = posterior.mean if noise is None else posterior.mean + posterior.std * noise
    scaled: Tensor = latent * float(autoencoder.config["scaling_factor"])
    return scaled


def decode(autoencoder: AutoencoderKL, latent: Float[Tensor, "b 4 hl wl"]) -> Float[Tensor, "b 1 h w"]:
    """Latents of unit variance to heart units; gradients pass, and nothing is clamped."""
    image: Tensor = autoencoder.decode(latent / float(autoencoder.config["scaling_factor"])).sample
    return image


def features(autoencoder: AutoencoderKL, image: Float[Tensor, "b 1 h w"]) -> list[Tensor]:
    """Features of the encoder at each resolution, (b, channels, h / 2, w / 2) and coarser; gradients pass."""
    x = autoencoder.encoder.conv_in(image)
    levels = []
    for block in autoencoder.encoder.down_blocks:
        x = block(x)
        levels.append(x)
    return levels


@torch.no_grad()
def fit_scale(autoencoder: AutoencoderKL, images: Float[Tensor, "b 1 h w"]) -> float:
    """Set the scaling factor so that the latents of these images have unit variance; returns it."""
    scale = 1.0 / float(autoencoder.encode(images).latent_dist.mean.std())
    autoencoder.register_to_config(scaling_factor=scale)
    return scale
