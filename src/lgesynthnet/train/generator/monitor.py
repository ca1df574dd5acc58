"""Validation during reward training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.files import write_bytes
from lgesynthnet.model.autoencoder import LATENT_CHANNELS, LATENT_SIDE, decode
from lgesynthnet.model.inpainter import Inpainter
from lgesynthnet.model.sampling import denoise
from lgesynthnet.model.tensors import to_inputs
from lgesynthnet.reward.base import Reward, Target
from lgesynthnet.segmenter.reader import TrainedScarSegmenter
from lgesynthnet.train.batches import normal
from lgesynthnet.train.examples.roi import Dropout, Examples
from lgesynthnet.train.generator.novel import novel
from lgesynthnet.train.generator.penalties import asked_brightness, brightness_penalty, context_penalty
from lgesynthnet.train.generator.reward import CORE_DROP, beside


class RewardMonitor:
    """Looks over the training's shoulder: a fixed set of new prescriptions, painted with the averaged weights, read by the filter.

    Where every example holds scar, their own scars are repainted instead.

    A reward can be pleased by pictures that are wrong. So its rise is logged beside what it must not cost: the spread of scar
    intensity, the sharpness of the scar's border, and the opinion of a reader that teaches nothing, with edges and by words alone. The
    weights of the best look are kept in `FOLDER/best.safetensors`: the mean of the filter's two Dice, less the distances from the
    brightness that was asked for and from the host's own blood and wall, since the filter too likes any scar that stands out. The
    auditor is never asked.
    """

    def __init__(
        self,
        model: Inpainter,
        trained: nn.Module,
        reward: Reward,
        judge: TrainedScarSegmenter,
        examples: Examples,
        folder: Path,
        steps: int,
        *,
        levels: Float[np.ndarray, " quantiles"],
        count: int = 16,
    ) -> None:
        rng = np.random.default_rng(0)
        healthy, scarred = np.flatnonzero(~examples.scarred), np.flatnonzero(examples.scarred)
        self.model, self.trained, self.reward, self.judge, self.folder = model, trained, reward, judge, folder
        self.steps = steps

        def drawn(words_alone: float) -> Condition:
            if healthy.size:
                return novel(examples, healthy, rng, words_alone=words_alone)
            return examples.condition(int(rng.choice(scarred)), rng, Dropout(edges=words_alone))

        self.made, self.alone = [drawn(0.0) for _ in range(count)], [drawn(1.0) for _ in range(count)]
        self.asked = asked_brightness(self.made, levels)
        self.noise = normal(rng, count, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)

    @property
    def log(self) -> Path:
        return self.folder / "watch.jsonl"

    @torch.no_grad()
    def __call__(self, step: int) -> None:
        image, target = self._painted(self.made)
        record = {"step": step, "reward_loss": float(self.reward.loss(image, target).mean()), **_looks(image, target)}
        asked = self.asked.to(image.device)
        record["off_brightness"] = float(brightness_penalty(image, target, asked, asked - CORE_DROP).mean())
        record["off_surroundings"] = float(context_penalty(image, target).mean())
        record["filter_dice"] = float(_dice(self.judge, image, target).mean())
        record["words_dice"] = float(_dice(self.judge, *self._painted(self.alone)).mean())
        record["score"] = (record["filter_dice"] + record["words_dice"]) / 2 - record["off_brightness"] - record["off_surroundings"]
        record = {name: round(value, 4) for name, value in record.items()}
        best = max((seen["score"] for seen in self.seen() if seen["step"] < step), default=-np.inf)
        if record["score"] > best:
            weights = {name: value.detach().cpu().contiguous() for name, value in self.trained.state_dict().items()}
            write_bytes(self.folder / "best.safetensors", save(weights, metadata={"step": str(step)}))
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def _painted(self, made: list[Condition]) -> tuple[Float[Tensor, "b 1 128 128"], Target]:
        device = beside(self.model, self.trained)
        latent = denoise(self.model, self.noise.to(device), to_inputs(made, self.model.text, device), steps=self.steps)
        target = Target.of(made, device)
        return target.painted(decode(self.model.autoencoder, latent)), target

    def seen(self) -> list[dict[str, float]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def choose(self) -> dict[str, float]:
        """Put the best weights in place and return their line of the log."""
        self.trained.load_state_dict(load_file(self.folder / "best.safetensors"))
        return max(self.seen(), key=lambda record: (record["score"], -record["step"]))


def _looks(image: Float[Tensor, "b 1 128 128"], target: Target) -> dict[str, float]:
    bright = ((target.scar - target.no_reflow) > 0.5) & (target.wall > 0.5)
    values = image[bright].float().cpu()
    steep = torch.hypot(image.diff(dim=2)[..., :, :-1], image.diff(dim=3)[..., :-1, :])
    inside = target.scar[..., :-1, :-1]
    border = ((target.scar[..., 1:, :-1] != inside) | (target.scar[..., :-1, 1:] != inside)) & (target.wall[..., :-1, :-1] > 0.5)
    low, middle, high = (float(q) for q in torch.quantile(values[:: max(1, len(values) // 100_000)], torch.tensor([0.05, 0.5, 0.95])))
    return {"scar_5": low, "scar_50": middle, "scar_95": high, "edge_sharpness": float(steep[border].mean())}


def _dice(judge: TrainedScarSegmenter, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
    for network in judge.networks:
        network.to(image.device)
    read = judge.chance(torch.cat([image, target.cavity, target.wall], dim=1))[:, 1:].sum(1, keepdim=True) >= judge.threshold
    read, scar = (read & (target.wall > 0.5)).float(), target.scar * target.wall
    return 2 * (read * scar).sum((1, 2, 3)) / (read.sum((1, 2, 3)) + scar.sum((1, 2, 3))).clamp(min=1.0)
