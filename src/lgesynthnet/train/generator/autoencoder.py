"""Training of the autoencoder."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from lgesynthnet.train.batches import normal
from lgesynthnet.train.examples.roi import Examples

PATCH = 64


KL_WEIGHT = 1e-5


class AutoencoderTask:
    """Absolute error of image and of its gradient (thin scar is all gradient), plus a light Kullback-Leibler term."""

    def __init__(self, autoencoder: AutoencoderKL, examples: Examples) -> None:
        self.trained: nn.Module = autoencoder
        self.autoencoder = autoencoder
        self.examples = examples

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        corner = rng.integers(0, 128 - PATCH + 1, (batch, 2))
        chosen = rng.integers(len(self.examples), size=batch)
        turns = rng.integers(8, size=batch)
        patches = [
            _turned(self.examples.image[i, r : r + PATCH, c : c + PATCH], int(t))
            for i, (r, c), t in zip(chosen, corner, turns, strict=True)
        ]
        x = torch.from_numpy(np.stack(patches).astype(np.float32))[:, None].to(next(self.trained.parameters()).device)
        posterior = self.autoencoder.encode(x).latent_dist
        latent = posterior.mean + posterior.std * normal(rng, *posterior.mean.shape).to(x.device)
        error = self.autoencoder.decode(latent).sample - x
        steep = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        return error.abs().mean() + 0.5 * steep + KL_WEIGHT * posterior.kl().mean() / latent[0].numel() * 64


def _turned(patch: np.ndarray, turn: int) -> np.ndarray:
    patch = np.rot90(patch, turn % 4)
    return patch[:, ::-1] if turn >= 4 else patch


@torch.no_grad()
def latents_of(autoencoder: AutoencoderKL, examples: Examples, batch: int = 32) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every example's latent, at unit variance."""
    scale = float(autoencoder.config["scaling_factor"])
    device = next(autoencoder.parameters()).device
    means, stds = [], []
    for start in range(0, len(examples), batch):
        x = torch.from_numpy(examples.image[start : start + batch].astype(np.float32))[:, None].to(device)
        found = autoencoder.encode(x).latent_dist
        means.append(found.mean.cpu() * scale)
        stds.append(found.std.cpu() * scale)
    return torch.cat(means), torch.cat(stds)
