"""From NumPy to torch, in this one place: conditions as a batch of model inputs."""

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


def to_inputs(conditions: list[Condition], text: TextEncoder, device: torch.device | str = "cpu") -> Inputs:
    """Conditions (NumPy, 128 x 128) as one batch on `device`."""
    masked = _stack([c.masked for c in conditions])
    hidden = _stack([c.hidden for c in conditions])
    wall, cavity = _stack([c.wall for c in conditions]), _stack([c.cavity for c in conditions])
    radians = torch.deg2rad(_stack([c.nominal_deg for c in conditions]))
    shown = torch.tensor([float(c.show_anatomy) for c in conditions]).reshape(-1, 1, 1, 1)
    soft = functional.avg_pool2d(torch.cat([wall, cavity, radians.cos(), radians.sin()], dim=1), FACTOR) * shown
    # A latent cell with any hidden pixel is repainted: the maximum, because thin regions would vanish in a mean.
    context = torch.cat([fold(masked), functional.max_pool2d(hidden, FACTOR), soft], dim=1)
    control = torch.from_numpy(np.stack([control_image(c) for c in conditions]))
    return Inputs(context=context.to(device), control=control.to(device), tokens=text.tokens([c.caption for c in conditions]).to(device))


def to_maps(conditions: list[Condition], context: Context, device: torch.device | str = "cpu") -> Float[Tensor, "b channels 128 128"]:
    """Conditions as the semantic maps of a SPADE generator."""
    return torch.from_numpy(np.stack([semantic_map(c, context) for c in conditions])).to(device)


def images(conditions: list[Condition], device: torch.device | str = "cpu") -> Float[Tensor, "b 1 128 128"]:
    """The unmasked images of conditions, heart units."""
    return _stack([c.image for c in conditions]).to(device)


def loss_weight(conditions: list[Condition], *, scar_weight: float = 4.0, device: torch.device | str = "cpu") -> Float[Tensor, "b 1 32 32"]:
    """Weight of each latent cell, with sum 1 in each sample: the hidden region, with more weight on scar; independent of the scar's area.

    Args:
        scar_weight: the scar cells together weigh up to 1 + this, relative to their share of the region.
    """
    hidden = functional.max_pool2d(_stack([c.hidden for c in conditions]), FACTOR)
    scar = functional.avg_pool2d(_stack([c.scar for c in conditions]), FACTOR)
    share = scar.sum((1, 2, 3), keepdim=True).clamp(min=1.0) / hidden.sum((1, 2, 3), keepdim=True).clamp(min=1.0)
    # The factor falls with the scar's share, so that a large scar does not crowd out the healthy wall.
    weight = hidden * (1 + scar_weight * scar * (1 - share).clamp(min=0.0))
    return (weight / weight.sum((1, 2, 3), keepdim=True).clamp(min=1e-6)).to(device)


def _stack(arrays: list[np.ndarray]) -> Float[Tensor, "b 1 128 128"]:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))[:, None]
