"""The noise schedule: v-prediction that ends in pure noise, so bright and dark fills are both reachable."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor

TRAIN_STEPS = 1000


def build_schedule() -> DDIMScheduler:
    """Zero terminal SNR (Lin et al., 2024) needs v-prediction and sampling that starts at the last step (`trailing`)."""
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
    """alpha_t and sigma_t with alpha^2 + sigma^2 = 1."""
    kept = schedule.alphas_cumprod[step].reshape(-1, 1, 1, 1)
    return kept.sqrt(), (1 - kept).sqrt()


def noised(clean: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    return alpha * clean + sigma * noise


def velocity(clean: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Salimans and Ho (2022): v = alpha noise - sigma clean."""
    return alpha * noise - sigma * clean


def clean_estimate(noisy: Tensor, v: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """One-step estimate of the clean latent; what a reward reads."""
    return alpha * noisy - sigma * v


def snr(schedule: DDIMScheduler) -> Float[Tensor, " steps"]:
    """Signal-to-noise ratio of every training step; the reward window is set by it, never by an index."""
    kept = schedule.alphas_cumprod
    return kept / torch.clamp(1 - kept, min=1e-12)
