"""Training of the published downstream segmenter: a U-Net with the encoder of DenseNet-121, on whole slices (Jacob et al., 2026).

The number of steps is the same for every training set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.devices import usable_device
from lgesynthnet.errors import InputError
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.records import Label
from lgesynthnet.segmenter.heart import CLASSES, HeartSegmenter, Kind, build_heart_segmenter
from lgesynthnet.train.augment.slices import elastic_crop
from lgesynthnet.train.examples.slices import SliceDataset
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.recipes import StageRecipe
from lgesynthnet.train.work import owned_work


@dataclass(frozen=True, kw_only=True)
class PublishedRecipe:
    """Size and training of the published segmenter.

    Attributes:
        filters: channels of the decoder's levels, coarsest first.
        loop: settings of the training loop.
        side: side of the training crops in pixels of 1.5 mm. Instance norm takes its statistics from its input, and later whole slices are
            segmented, so the crops are large.
    """

    filters: tuple[int, ...]
    loop: StageRecipe
    side: int


PUBLISHED: dict[str, PublishedRecipe] = {
    "tiny": PublishedRecipe(filters=(8, 8, 8, 8, 8), loop=StageRecipe(steps=2, batch=2, lr=1e-3, warmup=1, checkpoint_every=1), side=64),
    "cpu": PublishedRecipe(
        filters=(256, 128, 64, 32, 16),
        loop=StageRecipe(steps=2400, batch=128, lr=1e-3, ema_decay=0.998, checkpoint_every=100),
        side=144,
    ),
}


class MixedTask:
    """Jaccard loss of batches of real slices, mixed with added ones in proportion to their numbers; nothing is balanced."""

    def __init__(self, network: nn.Module, real: SliceDataset, added: SliceDataset | None, side: int) -> None:
        self.trained, self.real, self.added, self.side = network, real, added, side

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        count = 0 if self.added is None else len(self.added)
        index = rng.integers(len(self.real) + count, size=batch)
        parts = [self.real.taken(index[index < len(self.real)])]
        if self.added is not None:
            parts.append(self.added.taken(index[index >= len(self.real)] - len(self.real)))
        image, labels, centre = (np.concatenate([getattr(part, name) for part in parts]) for name in ("image", "labels", "centre"))
        grey = torch.from_numpy(image.astype(np.float32) / 255)[:, None]
        truth = torch.from_numpy(labels.astype(np.float32))[:, None]
        x, target = elastic_crop(grey, truth, torch.from_numpy(centre), rng, self.side)
        device = next(self.trained.parameters()).device
        return jaccard_loss(self.trained(x.to(device)), target.to(device))


def jaccard_loss(logits: Float[Tensor, "b 6 h w"], target: Int[Tensor, "b h w"]) -> Float[Tensor, ""]:
    """1 minus the soft Jaccard index over the batch: the mean of cavity, wall with scar, and scar. The published loss has no cavity."""
    probability, truth = logits.softmax(dim=1), functional.one_hot(target, CLASSES).permute(0, 3, 1, 2).float()
    losses = []
    for classes in (slice(Label.CAVITY, Label.CAVITY + 1), slice(Label.WALL, Label.RV), slice(Label.SCAR, Label.RV)):
        p, t = probability[:, classes].sum(1), truth[:, classes].sum(1)
        both = (p * t).sum()
        losses.append(1 - (both + 1) / (p.sum() + t.sum() - both + 1))
    return torch.stack(losses).mean()


@dataclass(frozen=True, kw_only=True)
class PublishedTraining:
    """How one published segmenter is trained.

    Attributes:
        seed, device: see `LoopSettings`; the first weights follow from the seed.
    """

    recipe: PublishedRecipe
    seed: int = 0
    device: str = "cpu"


def train_published_segmenter(
    real: SliceDataset,
    added: SliceDataset | None,
    folder: Path,
    settings: PublishedTraining,
    *,
    on_progress: Callable[[int, int, float], None] | None = None,
) -> HeartSegmenter:
    """Train from random weights in `folder`, or continue from its last checkpoint.

    Args:
        on_progress: see `fit`.
    Raises:
        InputError: there is no real slice with scar.
        RunError: the folder was begun with other settings.
    """
    if not real.scarred.any():
        raise InputError("no real slice with scar to train on; choose patients with scar labels")
    usable_device(settings.device)
    recipe = settings.recipe
    torch.manual_seed(settings.seed)
    network = build_heart_segmenter(recipe.filters, Kind.DENSENET121)
    decides = {
        "data": real.content,
        "added": None if added is None else added.content,
        "network": [Kind.DENSENET121, recipe.filters],
        "side": recipe.side,
    }
    with owned_work(folder):
        loop = LoopSettings(seed=settings.seed, origin="random weights", decides=decides, device=settings.device)
        fit(MixedTask(network, real, added, recipe.side), recipe.loop, folder, loop, on_progress=on_progress)
    halve(network.cpu())
    return HeartSegmenter(network, recipe.filters, kind=Kind.DENSENET121)
