"""Augmentation of training examples of scar segmenters, on the working grid."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from lgesynthnet.train.batches import normal


def augmented(
    stack: Float[Tensor, "b 3 128 128"], target: Int[Tensor, "b 128 128"], rng: np.random.Generator, *, strength: float = 1.0
) -> tuple[Float[Tensor, "b 3 128 128"], Int[Tensor, "b 128 128"]]:
    """Random rotation, mirror, scale and gentle deformation; contrast, brightness, bias field, blur, noise; contours off by one pixel.

    Args:
        stack: image in heart units, cavity and wall.
        target: 0 healthy, 1 scar, 2 no-reflow.
        strength: factor on the range of everything but rotation and mirror; 1 is usual, 0 leaves rotation and mirror only.
    """
    b = stack.shape[0]
    turn, scale = rng.uniform(0, 2 * np.pi, b), np.exp(rng.uniform(-0.165, 0.165, b) * strength)
    mirror = rng.choice([-1.0, 1.0], b)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    matrix = np.stack([np.stack([cos * mirror, -sin], 1), np.stack([sin * mirror, cos], 1)], 1)
    matrix = np.concatenate([matrix, rng.uniform(-0.08, 0.08, (b, 2, 1)) * strength], axis=2).astype(np.float32)
    grid = functional.affine_grid(torch.from_numpy(matrix), [b, 1, 128, 128], align_corners=False)
    grid = grid + _smooth(rng, b, 2, 6).permute(0, 2, 3, 1) * 0.025 * strength  # standard deviation 1.6 pixels
    image = functional.grid_sample(stack[:, :1], grid, padding_mode="border", align_corners=False)
    masks = functional.grid_sample(stack[:, 1:], grid, mode="nearest", align_corners=False)
    moved = functional.grid_sample(target[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0].long()

    def uniform(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (b, 1, 1, 1)).astype(np.float32))

    image = (image + 0.5) * torch.exp(uniform(-0.33, 0.3) * strength) - 0.5 + uniform(-0.2, 0.2) * strength
    image = image * (1 + _smooth(rng, b, 1, 3) * 0.12 * strength)
    blurred = functional.avg_pool2d(functional.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mix = uniform(0, 1) * (uniform(0, 1) < 0.5 * strength)
    image = image * (1 - mix) + blurred * mix
    image = image + normal(rng, b, 1, 128, 128) * uniform(0, 0.15) * strength
    # Real contours are drawn by hand, so the masks are shifted against the image, together with the target.
    down, right = (int(v) for v in rng.integers(-1, 2, 2))
    masks, moved = torch.roll(masks, (down, right), (2, 3)), torch.roll(moved, (down, right), (1, 2))
    return torch.cat([image, masks], dim=1), moved


def _smooth(rng: np.random.Generator, b: int, channels: int, knots: int) -> Float[Tensor, "b c 128 128"]:
    """Smooth random fields: standard normal values at `knots` x `knots` points, interpolated between them."""
    return functional.interpolate(normal(rng, b, channels, knots, knots), (128, 128), mode="bicubic", align_corners=True)
