"""Training and calibrating a reader: strong augmentation, Dice over the batch (over single images it teaches "no scar")."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lgesynthnet.overlap import dice
from lgesynthnet.records import Label
from lgesynthnet.segmenter.networks import OUT_CHANNELS
from lgesynthnet.segmenter.reader import probabilities
from lgesynthnet.train.prepare import Examples
from lgesynthnet.train.tasks import normal


class ReaderTask:
    """Cross-entropy and soft Dice over the batch, both inside the wall."""

    def __init__(self, network: nn.Module, examples: Examples) -> None:
        self.trained = network
        self.examples = examples

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        chosen = rng.integers(len(self.examples), size=batch)
        stack, target = augmented(*to_stack(self.examples, chosen), rng)
        device = next(self.trained.parameters()).device
        stack, target = stack.to(device), target.to(device)
        logits = self.trained(stack)
        wall = stack[:, 2] > 0.5
        entropy = functional.cross_entropy(logits, target, reduction="none")[wall].mean()
        chance = torch.softmax(logits, dim=1)[:, 1:] * wall[:, None]
        truth = functional.one_hot(target, OUT_CHANNELS).permute(0, 3, 1, 2)[:, 1:] * wall[:, None]
        overlap = (chance * truth).sum((0, 2, 3))
        total = chance.sum((0, 2, 3)) + truth.sum((0, 2, 3))
        return entropy + (1 - (2 * overlap + 1) / (total + 1)).mean()


def to_stack(examples: Examples, chosen: Int[np.ndarray, " b"]) -> tuple[Float[Tensor, "b 3 128 128"], Int[Tensor, "b 128 128"]]:
    """Reader input and target (0 healthy, 1 scar, 2 no-reflow) of some examples."""
    labels = examples.labels[chosen]
    wall = labels >= Label.WALL
    stack = np.stack([examples.image[chosen].astype(np.float32), labels == Label.CAVITY, wall], axis=1).astype(np.float32)
    target = np.where(labels == Label.SCAR, 1, np.where(labels == Label.NO_REFLOW, 2, 0))
    return torch.from_numpy(stack), torch.from_numpy(target)


def augmented(
    stack: Float[Tensor, "b 3 128 128"], target: Int[Tensor, "b 128 128"], rng: np.random.Generator
) -> tuple[Float[Tensor, "b 3 128 128"], Int[Tensor, "b 128 128"]]:
    """Any rotation, mirror, scale; contrast, brightness, shading, blur, noise; and contours that miss by up to two pixels."""
    b = stack.shape[0]
    turn, scale = rng.uniform(0, 2 * np.pi, b), rng.uniform(0.85, 1.18, b)
    mirror = rng.choice([-1.0, 1.0], b)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    matrix = np.stack([np.stack([cos * mirror, -sin], 1), np.stack([sin * mirror, cos], 1)], 1)
    matrix = np.concatenate([matrix, rng.uniform(-0.08, 0.08, (b, 2, 1))], axis=2).astype(np.float32)
    grid = functional.affine_grid(torch.from_numpy(matrix), [b, 1, 128, 128], align_corners=False)
    image = functional.grid_sample(stack[:, :1], grid, padding_mode="border", align_corners=False)
    masks = functional.grid_sample(stack[:, 1:], grid, mode="nearest", align_corners=False)
    moved = functional.grid_sample(target[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0].long()

    def uniform(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (b, 1, 1, 1)).astype(np.float32))

    image = (image + 0.5) * uniform(0.7, 1.35) - 0.5 + uniform(-0.2, 0.2)
    ramp = functional.interpolate(normal(rng, b, 1, 3, 3) * 0.12, (128, 128), mode="bicubic", align_corners=True)
    image = image * (1 + ramp)
    blurred = functional.avg_pool2d(functional.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    mix = uniform(0, 1) * (uniform(0, 1) < 0.5)
    image = image * (1 - mix) + blurred * mix
    image = image + normal(rng, b, 1, 128, 128) * uniform(0, 0.15)
    # Real contours are drawn by hand: the masks slip against the image, together with the target.
    down, right = (int(v) for v in rng.integers(-1, 2, 2))
    masks, moved = torch.roll(masks, (down, right), (2, 3)), torch.roll(moved, (down, right), (1, 2))
    return torch.cat([image, masks], dim=1), moved


@torch.no_grad()
def calibrate(network: nn.Module, examples: Examples, *, batch: int = 32) -> dict[str, float]:
    """Threshold with the best mean Dice over scarred slices among those that keep false scar rare, and the scores at it.

    Returns threshold, dice (scarred slices), share_above_0_6, false_scar (share of scar-free slices with more than 25 mm2).
    """
    chance = []
    for start in range(0, len(examples), batch):
        stack, _ = to_stack(examples, np.arange(start, min(start + batch, len(examples))))
        chance.append(probabilities(network, stack)[:, 1:].sum(1).numpy() * stack[:, 2].numpy())
    scores = np.concatenate(chance)
    truth = examples.labels >= Label.SCAR
    best: dict[str, float] = {}
    for threshold in np.arange(0.2, 0.85, 0.05):
        read = scores >= threshold
        found = [dice(r, t) for r, t in zip(read, truth, strict=True)]
        on_scar = [d for d, t in zip(found, truth, strict=True) if d is not None and t.any()]
        empty = [int(r.sum()) > 25 for r, t in zip(read, truth, strict=True) if not t.any()]
        score = {
            "threshold": round(float(threshold), 2),
            "dice": round(float(np.mean(on_scar)), 4) if on_scar else 0.0,
            "share_above_0_6": round(float(np.mean(np.asarray(on_scar) > 0.6)), 4) if on_scar else 0.0,
            "false_scar": round(float(np.mean(empty)), 4) if empty else 0.0,
        }
        if not best or score["dice"] - 0.5 * score["false_scar"] > best["dice"] - 0.5 * best["false_scar"]:
            best = score
    return best
