"""Training of the downstream segmenter: real slices of few patients, with or without samples; see `segmenter.downstream`.

The number of steps and of slices in a batch is the same for every training set, so that training sets can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import extract_model_from_parallel
from jaxtyping import Float, Int
from torch import Tensor, nn

from lgesynthnet.devices import usable_device
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model_store import part_folder
from lgesynthnet.segmenter.downstream import (
    ROLE,
    WALL_PART,
    DownstreamSegmenter,
    DownstreamSettings,
    build_downstream,
    first_weights_part,
    shipped_finder,
)
from lgesynthnet.segmenter.heart import CLASSES
from lgesynthnet.terms import Precision, WallFrom
from lgesynthnet.train.augment.crops import WallJitter, random_crops
from lgesynthnet.train.examples.slices import SliceDataset
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.recipes import StageRecipe
from lgesynthnet.train.segmenters.heart import heart_segmentation_loss
from lgesynthnet.train.work import owned_work, require_whole

EVEN_WEIGHTS = (1.0,) * CLASSES  # a weight on scar makes a segmenter call more of everything scar
LEAST_SCARRED_SHARE = 1 / 3  # of the real slices of a batch, as nnU-Net oversamples the foreground
JITTER = {
    WallFrom.CROP: None,
    WallFrom.CASCADE: WallJitter(shift_mm=1.5, bend_mm=2.0),
    WallFrom.KNOWN_WALL: WallJitter(shift_mm=0.7, bend_mm=0.7),
}


@dataclass(frozen=True, kw_only=True)
class DownstreamRecipe:
    """Size and training of a downstream segmenter.

    Attributes:
        filters, side, views: see `DownstreamSettings`.
        loop: settings of the training loop.
        tuning_lr: largest learning rate where the training starts from first weights; that of random weights would train away what these
            know.
        painted_share: share of painted slices in a batch, where there are any.
        unmarked_share: share of the painted slices, drawn anew in each batch, whose origin channel is 0 as if they were real. What the
            network learns from marked slices would else stay behind the channel, which is 0 in use.
    """

    filters: tuple[int, ...]
    loop: StageRecipe
    side: int = 72
    views: int = 8
    tuning_lr: float = 3e-4
    painted_share: float = 0.4
    unmarked_share: float = 0.5


DOWNSTREAM: dict[str, DownstreamRecipe] = {
    "tiny": DownstreamRecipe(
        filters=(4, 8, 8), loop=StageRecipe(steps=4, batch=4, lr=1e-3, warmup=1, checkpoint_every=2), side=32, views=2
    ),
    "cpu": DownstreamRecipe(
        filters=(16, 32, 64, 96),
        loop=StageRecipe(steps=1000, batch=12, lr=3e-3, ema_decay=0.99, checkpoint_every=250),
    ),
}


class CropTask:
    """Segmentation loss of batches of random crops: real slices and, by their share, painted ones."""

    def __init__(self, network: nn.Module, real: SliceDataset, painted: SliceDataset | None, settings: DownstreamTraining) -> None:
        self.trained, self.real, self.painted, self.settings = network, real, painted, settings
        self.scarred = np.flatnonzero(real.scarred)

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        settings = self.settings
        painted = rng.random(batch) < settings.recipe.painted_share if self.painted is not None else np.zeros(batch, bool)
        parts = [self.real.taken(self._drawn(rng, int((~painted).sum())))]
        if self.painted is not None:
            parts.append(self.painted.taken(rng.integers(len(self.painted), size=int(painted.sum()))))
        image, labels, centre, has_rv = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("image", "labels", "centre", "has_rv")
        )
        grey = torch.from_numpy(image.astype(np.float32) / 255)[:, None]
        truth = torch.from_numpy(labels.astype(np.float32))[:, None]
        x, target = random_crops(grey, truth, torch.from_numpy(centre), rng, settings.recipe.side, JITTER[settings.wall_from])
        x = torch.cat([x[:, :1], self._origin(rng, x, len(parts[0])), x[:, 1:]], dim=1)
        device = next(self.trained.parameters()).device
        logits = self.trained(x.to(device))
        return heart_segmentation_loss(logits.float(), target.to(device), torch.from_numpy(has_rv).to(device), EVEN_WEIGHTS)

    def _origin(self, rng: np.random.Generator, x: Tensor, real: int) -> Float[Tensor, "b 1 side side"]:
        """The origin channel of a batch whose first `real` slices are real: 1 for the painted ones, but for those that go unmarked."""
        marked = np.zeros(len(x), np.float32)
        if self.settings.origin:
            marked[real:] = rng.random(len(x) - real) >= self.settings.recipe.unmarked_share
        return torch.from_numpy(marked)[:, None, None, None].expand_as(x[:, :1])

    def _drawn(self, rng: np.random.Generator, count: int) -> Int[np.ndarray, " count"]:
        """Real slices, by chance a third of them from those with scar, the others from all."""
        scarred = rng.random(count) < LEAST_SCARRED_SHARE
        return np.where(scarred, rng.choice(self.scarred, size=count), rng.integers(len(self.real), size=count))


@dataclass(frozen=True, kw_only=True)
class DownstreamTraining:
    """How one downstream segmenter is trained.

    Attributes:
        recipe: its network and its loop.
        wall_from: what it is told of the wall.
        origin: whether the origin channel marks the painted slices; without it, it is 0 for all slices.
        wall_segmenter: of a cascade, its first network where that was trained before; the second training does not depend on it.
        init: first weights: a model folder that holds a downstream segmenter of this kind, or that segmenter's folder; None is random.
        seed, device, precision: see `LoopSettings`; random first weights follow from the seed.
    """

    recipe: DownstreamRecipe
    wall_from: WallFrom = WallFrom.CROP
    origin: bool = True
    init: Path | None = None
    wall_segmenter: DownstreamSegmenter | None = None
    seed: int = 0
    device: str = "cpu"
    precision: Precision = Precision.NO


def train_downstream_segmenter(
    real: SliceDataset,
    painted: SliceDataset | None,
    folder: Path,
    settings: DownstreamTraining,
    *,
    on_progress: Callable[[int, int, float], None] | None = None,
) -> DownstreamSegmenter:
    """Train in `folder`, or continue from its last checkpoint.

    A cascade is two trainings: that of its wall segmenter in `folder/wall`, then that of its scar segmenter.

    Args:
        on_progress: see `fit`.
    Raises:
        InputError: there is no real slice with scar.
        ModelError: `init` has another size.
        RunError: the folder was begun with other settings.
    """
    if not real.scarred.any():
        raise InputError("no real slice with scar to train on; choose patients with scar labels")
    usable_device(settings.device)
    recipe = settings.recipe
    wall_segmenter = settings.wall_segmenter
    with owned_work(folder):
        if settings.wall_from is WallFrom.CASCADE and wall_segmenter is None:
            first = replace(settings, wall_from=WallFrom.CROP)
            wall_segmenter = train_downstream_segmenter(real, painted, folder / WALL_PART, first, on_progress=on_progress)
        network, origin = first_network(settings)
        finder = shipped_finder()
        kept = DownstreamSettings(
            role="downstream-segmenter",
            wall_from=settings.wall_from,
            filters=recipe.filters,
            side=recipe.side,
            views=recipe.views,
            finder=finder.fingerprint,
        )
        decides = {
            "data": real.content,
            "added": None if painted is None else painted.content,
            "network": kept.model_dump(mode="json", exclude={"scar_from", "least_area_mm2", "points"}),
            "origin_channel": settings.origin,
            "painted_share": None if painted is None else recipe.painted_share,
            "unmarked_share": None if painted is None else recipe.unmarked_share,
        }
        loop = LoopSettings(
            seed=settings.seed, origin=origin, stage=folder, decides=decides, device=settings.device, precision=settings.precision
        )
        task = CropTask(network, real, painted, settings)
        stage = recipe.loop if settings.init is None else replace(recipe.loop, lr=recipe.tuning_lr)
        fit(task, stage, folder, loop, on_progress=on_progress)
        extract_model_from_parallel(network, keep_fp32_wrapper=False)  # else its forward pass would stay in the training's bfloat16
        halve(network.cpu())
        return DownstreamSegmenter(network, kept, finder, wall_segmenter=wall_segmenter)


def first_network(settings: DownstreamTraining) -> tuple[nn.Module, str]:
    """The network with its first weights, and what these are."""
    recipe, init = settings.recipe, settings.init
    torch.manual_seed(settings.seed)
    network = build_downstream(recipe.filters, settings.wall_from)
    if init is None:
        return network, "random weights"
    part = first_weights_part(settings.wall_from)
    require_whole(place := part_folder(init, part), "downstream")
    start = DownstreamSegmenter.from_pretrained(place)
    if (start.settings.filters, f"{ROLE}-{start.wall_from}") != (recipe.filters, part):
        raise ModelError(f"{init}: holds a {start.wall_from} segmenter with filters {start.settings.filters}; choose another --init")
    network.load_state_dict(start.network.state_dict())
    return network, start.fingerprint
