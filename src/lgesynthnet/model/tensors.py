"""NumPy to torch, in this one place: conditions as a batch of model inputs."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lgesynthnet.conditioning.condition import Condition, control_image, semantic_map
from lgesynthnet.model.autoencoder import FACTOR
from lgesynthnet.model.inpainter import Inputs, fold
from lgesynthnet.model.text import TextEncoder
from lgesynthnet.terms import Context


def to_inputs(made: list[Condition], text: TextEncoder, device: torch.device | str = "cpu") -> Inputs:
    """Conditions (NumPy, 128 x 128) as one batch on `device`."""
    masked = _stack([m.masked for m in made])
    hidden = _stack([m.hidden for m in made])
    wall, cavity = _stack([m.wall for m in made]), _stack([m.cavity for m in made])
    radians = torch.deg2rad(_stack([m.nominal_deg for m in made]))
    shown = torch.tensor([float(m.show_anatomy) for m in made]).reshape(-1, 1, 1, 1)
    soft = functional.avg_pool2d(torch.cat([wall, cavity, radians.cos(), radians.sin()], dim=1), FACTOR) * shown
    # A latent cell with any hidden pixel is the model's to paint: max, or thin regions would vanish.
    context = torch.cat([fold(masked), functional.max_pool2d(hidden, FACTOR), soft], dim=1)
    control = torch.from_numpy(np.stack([control_image(m) for m in made]))
    return Inputs(context=context.to(device), control=control.to(device), tokens=text.tokens([m.caption for m in made]).to(device))


def to_maps(made: list[Condition], context: Context, device: torch.device | str = "cpu") -> Float[Tensor, "b channels 128 128"]:
    """Conditions as the semantic maps of a SPADE generator."""
    return torch.from_numpy(np.stack([semantic_map(m, context) for m in made])).to(device)


def images(made: list[Condition], device: torch.device | str = "cpu") -> Float[Tensor, "b 1 128 128"]:
    return _stack([m.image for m in made]).to(device)


def loss_weight(made: list[Condition], *, scar_weight: float = 4.0, device: torch.device | str = "cpu") -> Float[Tensor, "b 1 32 32"]:
    """Per latent cell, summing to 1 in each sample: the hidden region, scar cells up-weighted; independent of the scar's area."""
    hidden = functional.max_pool2d(_stack([m.hidden for m in made]), FACTOR)
    scar = functional.avg_pool2d(_stack([m.scar for m in made]), FACTOR)
    share = scar.sum((1, 2, 3), keepdim=True).clamp(min=1.0) / hidden.sum((1, 2, 3), keepdim=True).clamp(min=1.0)
    # Scar cells together weigh up to `scar_weight` times their share, whatever that share is.
    weight = hidden * (1 + scar_weight * scar * (1 - share).clamp(min=0.0))
    return (weight / weight.sum((1, 2, 3), keepdim=True).clamp(min=1e-6)).to(device)


def _stack(arrays: list[np.ndarray]) -> Float[Tensor, "b 1 128 128"]:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))[:, None]
