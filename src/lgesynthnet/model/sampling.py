"""Sampling with few steps (DDIM) of a whole batch, for training that needs the gradient and for picture grids."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from lgesynthnet.model.inpainter import Inpainter, Inputs


def denoise(
    model: Inpainter,
    noise: Float[Tensor, "b 4 32 32"],
    inputs: Inputs,
    *,
    steps: int = 10,
    with_gradient: int = 0,
) -> Float[Tensor, "b 4 32 32"]:
    """Clean latents of unit variance.

    Args:
        steps: denoising steps.
        with_gradient: number of steps, counted from the last, that keep their gradient (DRaFT-K, Clark et al., 2024).
    """
    schedule = type(model.schedule).from_config(model.schedule.config)  # a copy, because `set_timesteps` changes a scheduler
    schedule.set_timesteps(steps)
    latent, words = noise, model.text(inputs.tokens)
    with model.embedded_once(inputs):
        for i, step in enumerate(schedule.timesteps):
            with torch.set_grad_enabled(torch.is_grad_enabled() and i >= steps - with_gradient):
                at = step.reshape(1).expand(len(latent)).to(latent.device)
                latent = schedule.step(model(latent, at, inputs, words), step, latent).prev_sample
    return latent
