"""Training of the downstream segmenter, which measures what a training set is worth: real slices, with or without synthetic ones.

The number of steps is the same for every training set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.devices import usable_device
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model_store import part_folder
from lgesynthnet.records import Label
from lgesynthnet.segmenter.heart import CLASSES, ROLE, HeartSegmenter, Kind, build_heart_segmenter
from lgesynthnet.train.augment.slices import elastic_crop, randomised_crop
from lgesynthnet.train.examples.slices import SliceDataset
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.recipes import StageRecipe
from lgesynthnet.train.segmenters.heart import heart_segmentation_loss
from lgesynthnet.train.work import owned_work, require_whole

ANOTHER_SEED = 1_000_003  # added to the seed for the batches of the last phase on real slices


class Augmentation(StrEnum):
    """Geometric and elastic changes, as published; or (strong) also changes of contrast, background, bias field, sharpness and noise."""

    GEOMETRIC = "geometric"
    STRONG = "strong"


@dataclass(frozen=True, kw_only=True)
class DownstreamRecipe:
    """One downstream segmenter and its loop.

    Attributes:
        kind, filters: see `HeartSegmenter`.
        loop: settings of the training loop.
        side: side of the training crops in pixels of 1.5 mm. Instance norm takes its statistics from its input, and later whole slices are
            segmented: with crops of 144 mm the shipped segmenter got worse (wall Dice 0.78 before, 0.70 after, 0.77 with 216 mm).
        jaccard: whether the published loss replaces cross-entropy and Dice.
        init: a heart segmenter to start from, or a model that holds one; None starts from random weights.
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


@dataclass(frozen=True, kw_only=True)
class MixingSettings:
    """What the batches of a `MixedTask` hold, and its loss.

    Attributes:
        share: chance of each slice of a batch to be synthetic, 0 or more and below 1.
        side: side of the crops in pixels of 1.5 mm.
        augmentation: which augmentation.
        jaccard: whether the published loss replaces cross-entropy and Dice.
        same_prevalence: keep the share of slices with scar in a batch equal to that of the real slices. Slices with scar are then real or
            synthetic by `share`, and the others are real. Otherwise samples, which all have scar, teach that scar is common.
    """

    share: float
    side: int
    augmentation: Augmentation = Augmentation.GEOMETRIC
    jaccard: bool = False
    same_prevalence: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise InputError(f"the share of synthetic slices is {self.share:g}; it must be 0 or more and below 1")


class MixedTask:
    """Segmentation loss of batches of real slices, mixed with synthetic ones where there are any; nothing else is balanced."""

    def __init__(self, network: nn.Module, real: SliceDataset, synthetic: SliceDataset | None, settings: MixingSettings) -> None:
        self.trained, self.real, self.synthetic, self.settings = network, real, synthetic, settings
        self.share = settings.share if synthetic is not None else 0.0
        self.scarred, self.healthy = np.flatnonzero(real.scarred), np.flatnonzero(~real.scarred)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        parts = self._draw(rng, batch)
        image, labels, centre, has_rv = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("image", "labels", "centre", "has_rv")
        )
        grey = torch.from_numpy(image.astype(np.float32) / 255)[:, None]
        truth = torch.from_numpy(labels.astype(np.float32))[:, None]
        where, known = torch.from_numpy(centre), torch.from_numpy(has_rv)
        side = self.settings.side
        if self.settings.augmentation is Augmentation.STRONG:
            x, target = randomised_crop(grey, truth, where, known, rng, side)
        else:
            x, target = elastic_crop(grey, truth, where, rng, side)
        device = next(self.trained.parameters()).device
        logits = self.trained(x.to(device))
        if self.settings.jaccard:
            return jaccard_loss(logits, target.to(device))
        return heart_segmentation_loss(logits, target.to(device), known.to(device))

    def _draw(self, rng: np.random.Generator, batch: int) -> list[SliceDataset]:
        """The slices of a batch, one part for each source."""
        synthetic = rng.random(batch) < self.share
        if self.settings.same_prevalence and self.healthy.size:
            healthy = rng.random(batch) < self.healthy.size / len(self.real)
            synthetic &= ~healthy
            sources = [(self.real, self.healthy, healthy), (self.real, self.scarred, ~healthy & ~synthetic)]
        else:
            sources = [(self.real, np.arange(len(self.real)), ~synthetic)]
        if self.synthetic is not None:
            sources.append((self.synthetic, np.arange(len(self.synthetic)), synthetic))
        return [slices.taken(among[rng.integers(len(among), size=int(places.sum()))]) for slices, among, places in sources if places.any()]


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
class DownstreamSettings:
    """How one downstream segmenter is trained.

    Attributes:
        recipe: its network and its loop.
        share: share of synthetic slices in a batch; None takes their share of the training set.
        augmentation: which augmentation.
        same_prevalence: see `MixingSettings`; the share is then one of the slices with scar.
        real_last: number of further steps on the real slices alone, with a warm-up and a decay of their own. Samples change how common and
            how large scar seems to a segmenter; what it learns last it keeps.
        init: a heart segmenter to start from, or a model that holds one.
        seed, device: see `LoopSettings`; the first weights follow from the seed.
    """

    recipe: DownstreamRecipe
    share: float | None = None
    augmentation: Augmentation = Augmentation.GEOMETRIC
    same_prevalence: bool = False
    real_last: int = 0
    init: Path | None = None
    seed: int = 0
    device: str = "cpu"


def train_downstream(
    real: SliceDataset,
    synthetic: SliceDataset | None,
    folder: Path,
    settings: DownstreamSettings,
    *,
    on_progress: Callable[[int, int, float], None] | None = None,
) -> HeartSegmenter:
    """Train in `folder`, or continue from its last checkpoint.

    Args:
        on_progress: see `fit`.
    Raises:
        InputError: there is no real slice with scar.
        ModelError: `init` has another size.
        RunError: the folder was begun with other settings.
    """
    if not real.scarred.any():
        raise InputError("no real slice with scar to train on; choose patients with scar labels")
    recipe = settings.recipe
    network, origin = _first_network(settings)
    count = 0 if synthetic is None else len(synthetic)
    same = settings.same_prevalence
    usable_device(settings.device)
    decides = {
        "data": real.content,
        "added": None if synthetic is None else synthetic.content,
        "network": [recipe.kind, recipe.filters],
    }
    phases = [(synthetic, recipe.loop, folder, origin)]
    if settings.real_last:
        phases = [(synthetic, recipe.loop, folder / "mixed", origin)]
        last = replace(recipe.loop, steps=settings.real_last)
        phases.append((None, last, folder, f"{origin}, {recipe.loop.steps} steps; real last"))
    mixing = MixingSettings(
        share=count / (count + (int(real.scarred.sum()) if same else len(real))) if settings.share is None else settings.share,
        side=recipe.side,
        augmentation=settings.augmentation,
        jaccard=recipe.jaccard,
        same_prevalence=same,
    )
    decides |= asdict(mixing)
    with owned_work(folder):
        for i, (added, steps, place, started_from) in enumerate(phases):
            seed = settings.seed + i * ANOTHER_SEED
            loop = LoopSettings(seed=seed, origin=started_from, stage=folder, decides=decides, device=settings.device)
            fit(MixedTask(network, real, added, mixing), steps, place, loop, on_progress=on_progress)
    halve(network.cpu())
    return HeartSegmenter(network, recipe.filters, kind=recipe.kind)


def _first_network(settings: DownstreamSettings) -> tuple[nn.Module, str]:
    """The network with its first weights, and what these are."""
    recipe, init = settings.recipe, settings.init
    torch.manual_seed(settings.seed)
    network = build_heart_segmenter(recipe.filters, recipe.kind)
    if init is None:
        return network, "random weights"
    require_whole(place := part_folder(init, ROLE), ROLE)
    start = HeartSegmenter.from_pretrained(place)
    if (start.filters, start.kind) != (recipe.filters, recipe.kind):
        raise ModelError(f"{init}: has filters {start.filters}, wanted are {recipe.filters}; give another --init or --downstream")
    network.load_state_dict(start.network.state_dict())
    return network, start.fingerprint
