"""The segmenter that weighs training sets: real slices, and synthetic ones among them, in equal steps whatever the set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model_store import part_folder
from lgesynthnet.records import Label
from lgesynthnet.segmenter.heart import CLASSES, ROLE, HeartSegmenter, Kind, build_heart_segmenter
from lgesynthnet.train.augment.slices import bent, randomised
from lgesynthnet.train.examples.slices import SliceDataset
from lgesynthnet.train.loop import fit
from lgesynthnet.train.recipes import StageRecipe
from lgesynthnet.train.segmenters.heart import heart_segmentation_loss

ANOTHER_SEED = 1_000_003  # between the batches of the two stages


class Augmentation(StrEnum):
    """Geometric and elastic, as published; or every change of contrast, surroundings, shading, sharpness and noise besides."""

    GEOMETRIC = "geometric"
    STRONG = "strong"


@dataclass(frozen=True, kw_only=True)
class DownstreamRecipe:
    """One downstream segmenter and its loop.

    Attributes:
        side: of the training crops, pixels of 1.5 mm. Instance norm takes its statistics from what it is shown, and whole slices are read:
            trained on 144 mm crops the shipped segmenter got worse (wall Dice 0.78 before, 0.70 after, 0.77 with 216 mm).
        jaccard: the published loss in place of cross-entropy and Dice.
        init: a segmenter to start from, or a model that holds one; None is random weights.
    """

    kind: Kind
    filters: tuple[int, ...]
    loop: StageRecipe
    side: int
    jaccard: bool = False
    init: str | None = None


DOWNSTREAM: dict[str, DownstreamRecipe] = {
    "tiny": DownstreamRecipe(
        kind=Kind.DYNUNET, filters=(4, 8, 8), loop=StageRecipe(steps=4, batch=2, lr=1e-3, warmup=1, checkpoint_every=2), side=32
    ),
    "small": DownstreamRecipe(
        kind=Kind.DYNUNET,
        filters=(12, 24, 48, 96, 128),
        loop=StageRecipe(steps=300, batch=8, lr=5e-4, warmup=50, ema_decay=0.99, checkpoint_every=50),
        side=144,
        init="phantom",
    ),
    "scratch": DownstreamRecipe(
        kind=Kind.DYNUNET,
        filters=(8, 16, 32, 64, 96),
        loop=StageRecipe(steps=1500, batch=8, lr=2e-3, ema_decay=0.995, checkpoint_every=100),
        side=144,
    ),
    "published": DownstreamRecipe(
        kind=Kind.DENSENET121,
        filters=(256, 128, 64, 32, 16),
        loop=StageRecipe(steps=2400, batch=128, lr=1e-3, ema_decay=0.998, checkpoint_every=100),
        side=144,
        jaccard=True,
    ),
}


class MixedTask:
    """Each slice of a batch from the synthetic ones with probability `share`, else from the real ones; nothing else is balanced.

    Args:
        same_prevalence: draw scarred slices as often as they stand among the real ones: from the real and the synthetic ones by `share`,
            and the others from the real ones. Else samples, which all hold scar, teach that scar is common.
    """

    def __init__(
        self,
        network: nn.Module,
        real: SliceDataset,
        synthetic: SliceDataset | None,
        *,
        share: float,
        side: int,
        augmentation: Augmentation = Augmentation.GEOMETRIC,
        jaccard: bool = False,
        same_prevalence: bool = False,
    ) -> None:
        if not 0 <= share < 1:
            raise InputError(f"the share of synthetic slices is {share:g}; it must be 0 or more and below 1")
        self.trained = network
        self.real, self.synthetic, self.share = real, synthetic, share if synthetic is not None else 0.0
        self.side, self.augmentation, self.jaccard, self.same_prevalence = side, augmentation, jaccard, same_prevalence
        self.scarred, self.others = np.flatnonzero(real.scarred), np.flatnonzero(~real.scarred)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        drawn = self._drawn(rng, batch)
        image, labels, centre, has_rv = (
            np.concatenate([getattr(d, name) for d in drawn]) for name in ("image", "labels", "centre", "has_rv")
        )
        grey = torch.from_numpy(image.astype(np.float32) / 255)[:, None]
        truth = torch.from_numpy(labels.astype(np.float32))[:, None]
        where, known = torch.from_numpy(centre), torch.from_numpy(has_rv)
        if self.augmentation is Augmentation.STRONG:
            x, target = randomised(grey, truth, where, known, rng, self.side)
        else:
            x, target = bent(grey, truth, where, rng, self.side)
        device = next(self.trained.parameters()).device
        logits = self.trained(x.to(device))
        if self.jaccard:
            return jaccard_loss(logits, target.to(device))
        return heart_segmentation_loss(logits, target.to(device), known.to(device))

    def _drawn(self, rng: np.random.Generator, batch: int) -> list[SliceDataset]:
        made = rng.random(batch) < self.share
        if self.same_prevalence and self.others.size:
            healthy = rng.random(batch) < self.others.size / len(self.real)
            made &= ~healthy
            wanted = [(self.real, self.others, healthy), (self.real, self.scarred, ~healthy & ~made)]
        else:
            wanted = [(self.real, np.arange(len(self.real)), ~made)]
        if self.synthetic is not None:
            wanted.append((self.synthetic, np.arange(len(self.synthetic)), made))
        return [each.taken(among[rng.integers(len(among), size=int(which.sum()))]) for each, among, which in wanted if which.any()]


def jaccard_loss(logits: Float[Tensor, "b 6 h w"], target: Int[Tensor, "b h w"]) -> Float[Tensor, ""]:
    """One less the soft Jaccard index over the batch, mean of cavity, wall with scar, and scar; as published, plus a cavity."""
    chance, truth = logits.softmax(dim=1), functional.one_hot(target, CLASSES).permute(0, 3, 1, 2).float()
    losses = []
    for classes in (slice(Label.CAVITY, Label.CAVITY + 1), slice(Label.WALL, Label.RV), slice(Label.SCAR, Label.RV)):
        p, t = chance[:, classes].sum(1), truth[:, classes].sum(1)
        both = (p * t).sum()
        losses.append(1 - (both + 1) / (p.sum() + t.sum() - both + 1))
    return torch.stack(losses).mean()


def train_downstream(
    real: SliceDataset,
    synthetic: SliceDataset | None,
    folder: Path,
    recipe: DownstreamRecipe,
    *,
    share: float | None = None,
    augmentation: Augmentation = Augmentation.GEOMETRIC,
    same_prevalence: bool = False,
    real_last: int = 0,
    init: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
) -> HeartSegmenter:
    """Train in `folder`, or go on from its last checkpoint; the network's first weights follow from the seed.

    Args:
        share: of synthetic slices in a batch; None is their share of the set.
        same_prevalence: see `MixedTask`; the share is then one of scarred slices.
        real_last: so many more steps on the real slices alone, warmed up and slowed down anew. Samples shift what a segmenter believes of
            how common and how large scar is; what it learns last it keeps.
        init: a segmenter to start from, or a model that holds one.
    Raises:
        InputError: no real slice with scar.
        ModelError: `init` is of another size.
        RunError: the folder was begun with other settings.
    """
    if not real.scarred.any():
        raise InputError("no real slice with scar to train on; choose patients with scar labels")
    torch.manual_seed(seed)
    network = build_heart_segmenter(recipe.filters, recipe.kind)
    origin = "random weights"
    if init is not None:
        start = HeartSegmenter.from_pretrained(part_folder(init, ROLE))
        if (start.filters, start.kind) != (recipe.filters, recipe.kind):
            raise ModelError(f"{init}: has filters {start.filters}, wanted are {recipe.filters}; give another --init or --downstream")
        network.load_state_dict(start.network.state_dict())
        origin = start.fingerprint
    count = 0 if synthetic is None else len(synthetic)
    natural = count / (count + (int(real.scarred.sum()) if same_prevalence else len(real)))
    origin = f"{origin}, {len(real)} + {count}{', same prevalence' if same_prevalence else ''}"
    stages = [(synthetic, recipe.loop, folder, origin)]
    if real_last:
        stages = [(synthetic, recipe.loop, folder / "mixed", origin)]
        stages += [(None, replace(recipe.loop, steps=real_last), folder, f"{origin}, {recipe.loop.steps} steps; real last")]
    for i, (made, loop, place, known) in enumerate(stages):
        task = MixedTask(
            network,
            real,
            made,
            share=natural if share is None else share,
            side=recipe.side,
            augmentation=augmentation,
            jaccard=recipe.jaccard,
            same_prevalence=same_prevalence,
        )
        fit(task, loop, place, seed=seed + i * ANOTHER_SEED, origin=known, device=device, progress=progress)
    halve(network.cpu())
    return HeartSegmenter(network, recipe.filters, kind=recipe.kind)
