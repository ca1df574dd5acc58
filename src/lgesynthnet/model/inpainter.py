"""The generator's networks together: base U-Net, control branch copied from it, text encoder, autoencoder, noise schedule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.model.autoencoder import FACTOR, LATENT_CHANNELS, LATENT_SIDE
from lgesynthnet.model.text import TextEncoder

diffusers_logging.disable_progress_bar()
diffusers_logging.set_verbosity_error()

CONTROL_CHANNELS = 5
TEMPLATE_CHANNELS = 2  # a reference image and its mask
# Noisy latent, masked image folded 4 x 4 into channels, hidden region, wall, cavity, cosine and sine of the AHA angle.
IN_CHANNELS = LATENT_CHANNELS + FACTOR**2 + 5


def build_unet(widths: tuple[int, int, int], text_width: int) -> UNet2DConditionModel:
    """U-Net of the inpainting latent diffusion model, with cross-attention to the caption at the two coarser resolutions."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=IN_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=text_width,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def build_control(unet: UNet2DConditionModel, *, template: bool = False) -> ControlNetModel:
    """A control branch: a copy of the U-Net's encoder, so load the U-Net's weights first. Its zero convolutions change nothing at first.

    Args:
        template: whether it also reads a reference image and mask; its config shows it by the number of channels.
    """
    channels = CONTROL_CHANNELS + TEMPLATE_CHANNELS * template
    return ControlNetModel.from_unet(
        unet, conditioning_channels=channels, conditioning_embedding_out_channels=(16, 32, 64), load_weights_from_unet=True
    )


def with_template(control: ControlNetModel) -> ControlNetModel:
    """The same branch with input channels for a template; their weights are zero, so it does not use the template yet."""
    wide = ControlNetModel.from_config({**control.config, "conditioning_channels": CONTROL_CHANNELS + TEMPLATE_CHANNELS})
    weights = control.state_dict()
    first = weights["controlnet_cond_embedding.conv_in.weight"]
    weights["controlnet_cond_embedding.conv_in.weight"] = functional.pad(first, (0, 0, 0, 0, 0, TEMPLATE_CHANNELS))
    wide.load_state_dict(weights)
    return wide


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A batch of conditions as tensors, see `model.tensors.to_inputs`.

    Attributes:
        context: masked image folded to 16 channels, hidden region, wall, cavity, cosine and sine of the angle, at latent resolution.
        control: the five control channels on the working grid, or seven with a template.
        tokens: caption tokens.
    """

    context: Float[Tensor, "b context 32 32"]
    control: Float[Tensor, "b channels 128 128"]
    tokens: Int[Tensor, "b tokens"]


class Inpainter(nn.Module):
    """Predicts the velocity of a noisy latent under a condition.

    `control` is None while the base model is trained. A new control branch changes nothing until its zero convolutions are trained.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text: TextEncoder,
        autoencoder: AutoencoderKL,
        schedule: DDIMScheduler,
        control: ControlNetModel | None = None,
    ) -> None:
        super().__init__()
        self.unet, self.text, self.autoencoder, self.control = unet, text, autoencoder, control
        self.schedule = schedule

    @property
    def templated(self) -> bool:
        """Whether the control branch reads a template."""
        return self.control is not None and int(self.control.config["conditioning_channels"]) > CONTROL_CHANNELS

    def forward(
        self,
        noisy: Float[Tensor, "b 4 32 32"],
        step: Int[Tensor, " b"],
        inputs: Inputs,
        words: Float[Tensor, "b tokens width"] | None = None,
    ) -> Float[Tensor, "b 4 32 32"]:
        """The velocity at these steps; `words` is the encoded caption where it is known already."""
        words = self.text(inputs.tokens) if words is None else words
        x = torch.cat([noisy, inputs.context], dim=1)
        if self.control is None:
            velocity: Tensor = self.unet(x, step, encoder_hidden_states=words).sample
            return velocity
        down, middle = self.control(x, step, encoder_hidden_states=words, controlnet_cond=inputs.control, return_dict=False)
        residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        velocity = self.unet(x, step, encoder_hidden_states=words, **residuals).sample
        return velocity

    @contextmanager
    def embedded_once(self, inputs: Inputs) -> Iterator[None]:
        """Inside, the control image is embedded once for all steps. That is half of the branch's work, and every step needs the same."""
        if self.control is None:
            yield
            return
        embedding = self.control.controlnet_cond_embedding
        self.control.controlnet_cond_embedding = _Constant(embedding(inputs.control))
        try:
            yield
        finally:
            self.control.controlnet_cond_embedding = embedding


class _Constant(nn.Module):
    """Returns a value that was computed before, whatever its input."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> Tensor:
        return self.value


def fold(image: Float[Tensor, "b 1 128 128"]) -> Float[Tensor, "b 16 32 32"]:
    """Every block of 4 x 4 pixels becomes 16 channels, so that the context reaches the latent grid without loss or blur."""
    return functional.pixel_unshuffle(image, FACTOR)
