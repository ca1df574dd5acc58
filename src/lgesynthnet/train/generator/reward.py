"""The losses of reward training: L_diffusion + lambda L_reward on real images, and on-policy on the model's own samples.

Sources: ControlNet++ (Li et al., 2024) for the one-step estimate; its window t <= 200 of Stable Diffusion is an SNR of 3 or more.
DRaFT (Clark et al., 2024) for the gradient through the last sampling steps.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

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
from lgesynthnet.train.generator.novel import novel_condition
from lgesynthnet.train.generator.penalties import brightness_penalty, context_penalty, own_brightness, prescribed_brightness
from lgesynthnet.train.recipes import RewardRecipe

SCARRED_SHARE = 0.8  # share of slices with scar in the reward's mini-batch
CORE_DROP = 0.45  # heart units between scar and its no-reflow core; medians: 0.44 in 56 real training slices, 0.49 in simulated ones


class RewardTask:
    """The loss of the control stage plus lambda times the reward loss of one-step clean estimates.

    The reward has its own mini-batch, with steps inside its window only. So every decoded image counts, and no batch is without reward.
    """

    def __init__(self, diffusion: DiffusionTask, reward: Reward, recipe: RewardRecipe) -> None:
        self.diffusion, self.reward, self.recipe = diffusion, reward, recipe
        self.trained: nn.Module = diffusion.trained
        self.reference = frozen_copy(diffusion.model)
        self.window = window_steps(diffusion.model, recipe)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        loss = self.diffusion.loss(rng, batch)
        return loss + self.recipe.weight * self.reward_loss(rng) if self.recipe.weight else loss

    def reward_loss(self, rng: np.random.Generator) -> Tensor:
        """Mean reward loss of `recipe.batch` one-step estimates."""
        d, b = self.diffusion, self.recipe.batch
        device = moved_to_trained(d.model, self.trained)
        chosen = drawn_from(d.scarred, d.healthy, SCARRED_SHARE, b, rng)
        conditions = [d.examples.condition(int(i), rng, CONTROL_DROPOUT) for i in chosen]
        clean = (d.mean[chosen] + d.std[chosen] * normal(rng, b, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)).to(device)
        noise = normal(rng, *clean.shape).to(device)
        step = torch.from_numpy(rng.choice(self.window, b)).to(device)
        alpha, sigma = (part.to(device) for part in signal_and_noise(d.model.schedule, step.cpu()))
        noisy = noised(clean, noise, alpha, sigma)

        def painted(model: Inpainter, shown: list[Condition]) -> Tensor:
            predicted = model(noisy, step, to_inputs(shown, model.text, device))
            return decode(model.autoencoder, clean_estimate(noisy, predicted, alpha, sigma))

        image, target = painted(d.model, conditions), Target.of(conditions, device)
        with torch.no_grad():
            moved_to_trained(self.reference, self.trained)
            reference = painted(self.reference, with_edges(conditions))
        return reward_loss(self.reward, self.recipe, Painted(image, reference, target), *own_brightness(target)).mean()


class PolicyTask:
    """The reward loss of images that the model samples itself, with a gradient through the sampling steps.

    Most samples are new prescriptions in scar-free slices; the others repaint the own scar of a training slice, whose appearance is known.
    The diffusion loss on real images keeps the model from learning to please the scar segmenter instead of painting scars. The first
    sampling step decides where a scar lies, so only a gradient that reaches it can teach the model to follow the caption alone.
    """

    def __init__(self, diffusion: DiffusionTask, reward: Reward, recipe: RewardRecipe) -> None:
        if not diffusion.healthy.size:
            raise InputError("on-policy training paints into scar-free slices, and the data has none; use --no-on-policy")
        self.diffusion, self.reward, self.recipe = diffusion, reward, recipe
        self.trained: nn.Module = diffusion.trained
        self.reference = frozen_copy(diffusion.model)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        d = self.diffusion
        device = moved_to_trained(d.model, self.trained)
        conditions = [self._draw_condition(rng) for _ in range(self.recipe.batch)]
        noise = normal(rng, len(conditions), LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE).to(device)
        inputs = to_inputs(conditions, d.model.text, device)
        latent = denoise(d.model, noise, inputs, steps=self.recipe.policy_steps, with_gradient=self.recipe.policy_gradient_steps)
        image, target = decode(d.model.autoencoder, latent), Target.of(conditions, device)
        reference = reference_image(self.reference, self.trained, noise, conditions, steps=self.recipe.policy_steps)
        brightness = prescribed_brightness(conditions, d.examples.scar_levels).to(device)
        diffusion_loss = d.loss(rng, batch)
        painted = Painted(image, reference, target)
        rewarded = reward_loss(self.reward, self.recipe, painted, brightness, brightness - CORE_DROP)
        return diffusion_loss + self.recipe.weight * rewarded.mean()

    def _draw_condition(self, rng: np.random.Generator) -> Condition:
        if self.diffusion.scarred.size and rng.random() < self.recipe.own_scars:
            return self.diffusion.examples.condition(int(rng.choice(self.diffusion.scarred)), rng, CONTROL_DROPOUT)
        prior = Prior.NON_ISCHAEMIC if rng.random() < self.recipe.non_ischaemic else Prior.ISCHAEMIC
        d = self.diffusion
        chances = {"caption_alone": self.recipe.caption_alone, "no_reflow": self.recipe.no_reflow}
        return novel_condition(d.examples, d.healthy, rng, prior=prior, **chances)


@dataclass(frozen=True)
class Painted:
    """Images of the model, what the model before the reward paints from the same noise, and what was prescribed."""

    image: Float[Tensor, "b 1 128 128"]
    reference: Float[Tensor, "b 1 128 128"]
    target: Target


def reward_loss(
    reward: Reward, recipe: RewardRecipe, painted: Painted, scar: Float[Tensor, " b"], core: Float[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """The loss of the reward with the penalties on the brightness of scar and core and on their context; one number for each sample."""
    image, target = painted.image, painted.target
    of_brightness = recipe.brightness * brightness_penalty(image, target, scar, core)
    return reward.loss(image, target) + of_brightness + recipe.context * context_penalty(image, painted.reference, target)


def frozen_copy(model: Inpainter) -> Inpainter:
    """The model as it is now, for reference; autoencoder and text encoder are shared, because no reward trains them."""
    unet, control = copy.deepcopy(model.unet), copy.deepcopy(model.control)
    return Inpainter(unet, model.text, model.autoencoder, model.schedule, control).eval().requires_grad_(False)


@torch.no_grad()
def reference_image(
    reference: Inpainter, trained: nn.Module, noise: Float[Tensor, "b 4 32 32"], conditions: list[Condition], *, steps: int
) -> Float[Tensor, "b 1 128 128"]:
    """What the reference paints from this noise; it is always shown the edges, because by the caption alone it misses the place."""
    device = moved_to_trained(reference, trained)
    inputs = to_inputs(with_edges(conditions), reference.text, device)
    return decode(reference.autoencoder, denoise(reference, noise.to(device), inputs, steps=steps))


def with_edges(conditions: list[Condition]) -> list[Condition]:
    """The same conditions with their edges and anatomy shown."""
    return [replace(condition, show_edges=True, show_anatomy=True) for condition in conditions]


def moved_to_trained(model: Inpainter, trained: nn.Module) -> torch.device:
    """Move the whole model to the device of its trained parts and return the device; the training loop moves the trained parts only."""
    device = next(trained.parameters()).device
    model.to(device)
    return device


def window_steps(model: Inpainter, recipe: RewardRecipe) -> Int[np.ndarray, " steps"]:
    """Diffusion steps at which the reward is computed. The signal-to-noise ratio decides, because a step index depends on the schedule."""
    ratio = snr(model.schedule).numpy()
    match recipe.window:
        case Window.LOW_NOISE:
            return np.flatnonzero(ratio >= recipe.snr)
        case Window.HIGH_NOISE:
            return np.flatnonzero(ratio < recipe.snr)
        case Window.ALL:
            return np.arange(len(ratio))
