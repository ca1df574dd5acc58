"""The noise schedule: v-prediction, and pure noise at the last step, so that bright and dark images can both be reached."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor

TRAIN_STEPS = 1000


def build_schedule() -> DDIMScheduler:
    """DDIM with zero terminal SNR (Lin et al., 2024), which needs v-prediction and sampling from the last step (`trailing`)."""
    return DDIMScheduler(
        num_train_timesteps=TRAIN_STEPS,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def signal_and_noise(schedule: DDIMScheduler, step: Int[Tensor, " b"]) -> tuple[Float[Tensor, "b 1 1 1"], Float[Tensor, "b 1 1 1"]]:
    """alpha_t and sigma_t of each step, with alpha_t^2 + sigma_t^2 = 1."""
    kept = schedule.alphas_cumprod[step].reshape(-1, 1, 1, 1)
    return kept.sqrt(), (1 - kept).sqrt()


def noised(clean: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The noisy latent: alpha clean + sigma noise."""
    return alpha * clean + sigma * noise


def velocity(clean: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Salimans and Ho (2022): v = alpha noise - sigma clean."""
    return alpha * noise - sigma * clean


def clean_estimate(noisy: Tensor, v: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Estimate of the clean latent in one step, from the predicted velocity v; rewards are computed from it."""
    return alpha * noisy - sigma * v


def snr(schedule: DDIMScheduler) -> Float[Tensor, " steps"]:
    """Signal-to-noise ratio of every training step."""
    kept: Tensor = schedule.alphas_cumprod
    return kept / torch.clamp(1 - kept, min=1e-12)
