"""Training of the autoencoder, and the latents of the training examples."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from lgesynthnet.segmenter.symmetry import SYMMETRIES, turned
from lgesynthnet.train.batches import normal
from lgesynthnet.train.examples.roi import Examples

PATCH = 64  # pixels
KL_WEIGHT = 1e-5


class AutoencoderTask:
    """Absolute error of the image and of its gradient (which thin scar consists of), plus a small Kullback-Leibler term."""

    def __init__(self, autoencoder: AutoencoderKL, examples: Examples) -> None:
        self.trained: nn.Module = autoencoder
        self.autoencoder = autoencoder
        self.examples = examples

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        corner = rng.integers(0, 128 - PATCH + 1, (batch, 2))
        chosen = rng.integers(len(self.examples), size=batch)
        views = rng.integers(SYMMETRIES, size=batch)
        patches = [
            turned(torch.from_numpy(self.examples.image[i, r : r + PATCH, c : c + PATCH].astype(np.float32)), int(view))
            for i, (r, c), view in zip(chosen, corner, views, strict=True)
        ]
        x = torch.stack(patches)[:, None].to(next(self.trained.parameters()).device)
        posterior = self.autoencoder.encode(x).latent_dist
        latent = posterior.mean + posterior.std * normal(rng, *posterior.mean.shape).to(x.device)
        error = self.autoencoder.decode(latent).sample - x
        gradient = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        loss: Tensor = error.abs().mean() + 0.5 * gradient + KL_WEIGHT * posterior.kl().mean() / latent[0].numel() * 64
        return loss


@torch.no_grad()
def latents_of(autoencoder: AutoencoderKL, examples: Examples, batch: int = 32) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latent of every example, (n, 4, 32, 32) each, scaled to unit variance."""
    scale = float(autoencoder.config["scaling_factor"])
    device = next(autoencoder.parameters()).device
    means, stds = [], []
    for start in range(0, len(examples), batch):
        x = torch.from_numpy(examples.image[start : start + batch].astype(np.float32))[:, None].to(device)
        posterior = autoencoder.encode(x).latent_dist
        means.append(posterior.mean.cpu() * scale)
        stds.append(posterior.std.cpu() * scale)
    return torch.cat(means), torch.cat(stds)
