"""The diffusion loss of the base model and of the model with its control branch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lgesynthnet.model.autoencoder import LATENT_CHANNELS, LATENT_SIDE
from lgesynthnet.model.inpainter import Inpainter
from lgesynthnet.model.schedule import TRAIN_STEPS, noised, signal_and_noise, velocity
from lgesynthnet.model.tensors import loss_weight, to_inputs
from lgesynthnet.train.batches import drawn_from, normal
from lgesynthnet.train.examples.roi import BASE_DROPOUT, CONTROL_DROPOUT, Examples

HEALTHY_DRAWS = 0.2  # share of scar-free slices, which teach what healthy wall looks like
EVERYWHERE = 0.05  # a small loss outside the hidden region, so that the whole latent stays one image


class DiffusionTask:
    """Squared velocity error over the hidden region, with more weight on scar and independent of the scar's area.

    The base model is conditioned on the caption alone: BERT is frozen, and its projection is trained with the U-Net. With a control branch
    the U-Net is trained further beside it (decision 0007), unless `frozen_unet`. Text encoder and autoencoder are frozen. A model that
    reads templates gets one of another patient each time.
    """

    def __init__(self, model: Inpainter, examples: Examples, latents: tuple[Tensor, Tensor], *, frozen_unet: bool = False) -> None:
        self.model = model
        model.autoencoder.requires_grad_(False)
        model.text.requires_grad_(False)
        if model.control is not None:
            model.unet.requires_grad_(not frozen_unet)
            parts = {"control": model.control} if frozen_unet else {"unet": model.unet, "control": model.control}
            self.trained: nn.Module = nn.ModuleDict(parts)
        else:
            model.text.projection.requires_grad_(True)
            self.trained = nn.ModuleDict({"unet": model.unet, "projection": model.text.projection})
        self.examples, (self.mean, self.std) = examples, latents
        self.drop = BASE_DROPOUT if model.control is None else replace(CONTROL_DROPOUT, template=model.templated)
        self.healthy, self.scarred = np.flatnonzero(~examples.scarred), np.flatnonzero(examples.scarred)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        device = next(self.trained.parameters()).device
        chosen = drawn_from(self.healthy, self.scarred, HEALTHY_DRAWS, batch, rng)
        conditions = [self.examples.condition(int(i), rng, self.drop) for i in chosen]
        # The latent is sampled anew from its mean and deviation; with stored samples the loss could not fall below their noise.
        clean = (self.mean[chosen] + self.std[chosen] * normal(rng, batch, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)).to(device)
        noise = normal(rng, *clean.shape).to(device)
        step = torch.from_numpy(rng.integers(0, TRAIN_STEPS, batch)).to(device)
        alpha, sigma = (part.to(device) for part in signal_and_noise(self.model.schedule, step.cpu()))
        inputs = to_inputs(conditions, self.model.text, device)
        predicted = self.model(noised(clean, noise, alpha, sigma), step, inputs)
        return _hidden_error(predicted - velocity(clean, noise, alpha, sigma), loss_weight(conditions, device=device))


def _hidden_error(error: Float[Tensor, "b 4 32 32"], weight: Float[Tensor, "b 1 32 32"]) -> Float[Tensor, ""]:
    square = error.square().mean(dim=1, keepdim=True)
    return (square * weight).sum((1, 2, 3)).mean() + EVERYWHERE * square.mean()
