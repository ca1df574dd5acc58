"""L = L_diffusion + lambda L_reward on real pictures, and the on-policy stage: the model's own samples of new prescriptions.

Sources: ControlNet++ (Li et al., 2024) for the one-step estimate; its window t <= 200 of Stable Diffusion is an SNR of 3 or more.
DRaFT (Clark et al., 2024) for the gradient through the last sampling steps.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.errors import InputError
from lgesynthnet.model.autoencoder import LATENT_CHANNELS, LATENT_SIDE, decode
from lgesynthnet.model.inpainter import Inpainter
from lgesynthnet.model.sampling import denoise
from lgesynthnet.model.schedule import clean_estimate, noised, signal_and_noise, snr
from lgesynthnet.model.tensors import to_inputs
from lgesynthnet.reward.base import Reward, Target
from lgesynthnet.terms import Prior, Window
from lgesynthnet.train.batches import drawn_from, normal
from lgesynthnet.train.examples.roi import CONTROL_DROPOUT
from lgesynthnet.train.generator.diffusion import DiffusionTask
from lgesynthnet.train.generator.novel import novel
from lgesynthnet.train.generator.penalties import asked_brightness, brightness_penalty, context_penalty, own_brightness
from lgesynthnet.train.recipes import RewardRecipe

SCARRED_SHARE = 0.8  # of the reward's own mini-batch
CORE_DROP = 0.45  # heart units from scar down to its no-reflow core; medians: 0.44 in 56 real training slices, 0.49 in simulated ones


class RewardTask:
    """The control stage's loss, and lambda times the reward of one-step clean estimates inside the window.

    The reward has a mini-batch of its own, drawn inside the window, so nothing is decoded in vain and no batch goes without.
    """

    def __init__(self, diffusion: DiffusionTask, reward: Reward, recipe: RewardRecipe) -> None:
        self.diffusion, self.reward, self.recipe = diffusion, reward, recipe
        self.trained: nn.Module = diffusion.trained
        self.window = window_steps(diffusion.model, recipe)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        loss = self.diffusion.loss(rng, batch)
        return loss + self.recipe.weight * self.reward_loss(rng) if self.recipe.weight else loss

    def reward_loss(self, rng: np.random.Generator) -> Tensor:
        """Mean reward loss of `recipe.batch` one-step estimates."""
        d, b = self.diffusion, self.recipe.batch
        device = beside(d.model, self.trained)
        chosen = drawn_from(d.scarred, d.healthy, SCARRED_SHARE, b, rng)
        made = [d.examples.condition(int(i), rng, CONTROL_DROPOUT) for i in chosen]
        clean = (d.mean[chosen] + d.std[chosen] * normal(rng, b, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)).to(device)
        noise = normal(rng, *clean.shape).to(device)
        step = torch.from_numpy(rng.choice(self.window, b)).to(device)
        alpha, sigma = (part.to(device) for part in signal_and_noise(d.model.schedule, step.cpu()))
        noisy = noised(clean, noise, alpha, sigma)
        estimate = clean_estimate(noisy, d.model(noisy, step, to_inputs(made, d.model.text, device)), alpha, sigma)
        image, target = decode(d.model.autoencoder, estimate), Target.of(made, device)
        return reward_loss(self.reward, self.recipe, image, target, *own_brightness(target)).mean()


class PolicyTask:
    """The reward of what the model really paints, gradient through the sampling steps: new prescriptions in scar-free slices, and some
    scars of its own slices, whose look and whose surroundings are known.

    The diffusion loss on real pictures holds it in place, or it would learn to please the reader instead of to paint. Where a scar lies
    is decided in the first step, so words alone can be taught only by a gradient that reaches it.
    """

    def __init__(self, diffusion: DiffusionTask, reward: Reward, recipe: RewardRecipe) -> None:
        if not diffusion.healthy.size:
            raise InputError("the on-policy stage paints into scar-free slices, and the data has none; use --no-on-policy")
        self.diffusion, self.reward, self.recipe = diffusion, reward, recipe
        self.trained: nn.Module = diffusion.trained

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        d = self.diffusion
        device = beside(d.model, self.trained)
        made = [self._wish(rng) for _ in range(self.recipe.batch)]
        noise = normal(rng, len(made), LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE).to(device)
        inputs = to_inputs(made, d.model.text, device)
        latent = denoise(d.model, noise, inputs, steps=self.recipe.policy_steps, with_gradient=self.recipe.policy_gradient_steps)
        image, target = decode(d.model.autoencoder, latent), Target.of(made, device)
        asked = asked_brightness(made, d.examples.scar_levels).to(device)
        return (
            d.loss(rng, batch) + self.recipe.weight * reward_loss(self.reward, self.recipe, image, target, asked, asked - CORE_DROP).mean()
        )

    def _wish(self, rng: np.random.Generator) -> Condition:
        if self.diffusion.scarred.size and rng.random() < self.recipe.own_scars:
            return self.diffusion.examples.condition(int(rng.choice(self.diffusion.scarred)), rng, CONTROL_DROPOUT)
        prior = Prior.NON_ISCHAEMIC if rng.random() < self.recipe.non_ischaemic else Prior.ISCHAEMIC
        d = self.diffusion
        return novel(d.examples, d.healthy, rng, prior=prior, words_alone=self.recipe.words_alone, cored=self.recipe.cored)


def reward_loss(
    reward: Reward,
    recipe: RewardRecipe,
    image: Float[Tensor, "b 1 128 128"],
    target: Target,
    scar: Float[Tensor, " b"],
    core: Float[Tensor, " b"],
) -> Float[Tensor, " b"]:
    """The reward's loss, and what holds a picture to the asked brightness of scar and core and to the host round them."""
    looks = recipe.brightness * brightness_penalty(image, target, scar, core)
    return reward.loss(image, target) + looks + recipe.surroundings * context_penalty(image, target)


def beside(model: Inpainter, trained: nn.Module) -> torch.device:
    """Put the frozen parts where the trained ones are, and say where: the loop moves only what it trains."""
    device = next(trained.parameters()).device
    model.to(device)
    return device


def window_steps(model: Inpainter, recipe: RewardRecipe) -> Int[np.ndarray, " steps"]:
    """Training steps at which the reward is asked; set by the signal-to-noise ratio and not by an index, which schedules move."""
    ratio = snr(model.schedule).numpy()
    match recipe.window:
        case Window.LOW_NOISE:
            return np.flatnonzero(ratio >= recipe.snr)
        case Window.HIGH_NOISE:
            return np.flatnonzero(ratio < recipe.snr)
        case Window.ALL:
            return np.arange(len(ratio))
