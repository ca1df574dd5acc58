"""Validation during reward training."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from pydantic import RootModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files.reading import checked, parse_json, read_text
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.model.autoencoder import LATENT_CHANNELS, LATENT_SIDE, decode
from lgesynthnet.model.sampling import denoise
from lgesynthnet.model.tensors import to_inputs
from lgesynthnet.reward.base import Target
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.train.batches import normal
from lgesynthnet.train.examples.roi import Dropout, Examples
from lgesynthnet.train.generator.novel import novel_condition
from lgesynthnet.train.generator.penalties import brightness_penalty, context_penalty, prescribed_brightness
from lgesynthnet.train.generator.reward import CORE_DROP, PolicyTask, RewardTask, moved_to_trained, reference_image
from lgesynthnet.train.work import damaged_file

BEST = "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """What a `RewardMonitor` paints.

    Attributes:
        steps: sampling steps.
        levels: `Examples.scar_levels` of the training examples.
        count: number of conditions with edges, and of conditions by caption alone.
    """

    steps: int
    levels: Float[np.ndarray, " quantiles"]
    count: int = 16


class Record(RootModel[dict[str, int | float]]):
    """One line of the log of a monitor."""


class RewardMonitor:
    """Validation during reward training: a fixed set of conditions is painted with the averaged weights and scored by the filter.

    The conditions are new prescriptions in scar-free slices; where every example has scar, the examples' own scars are repainted.

    A reward can rise while the images get worse. So `FOLDER/monitor.jsonl` records with it what it must not cost: the spread of scar
    intensity, the sharpness of the scar's border, and the Dice of the filter, which teaches nothing, with edges and by caption alone. The
    weights with the best score are kept in `FOLDER/best.safetensors`. The score is the mean of the two Dice minus the penalties on
    brightness and context, because the filter, too, prefers a scar that is too bright. The auditor is never used.

    Args:
        task: what is trained: its model, its reward, and the model before the reward.
    """

    def __init__(
        self,
        task: RewardTask | PolicyTask,
        filter_: TrainedScarSegmenter,
        examples: Examples,
        folder: Path,
        settings: MonitorSettings,
    ) -> None:
        rng = np.random.default_rng(0)
        healthy, scarred = np.flatnonzero(~examples.scarred), np.flatnonzero(examples.scarred)
        self.model, self.trained, self.reward = task.diffusion.model, task.trained, task.reward
        self.before, self.filter, self.folder = task.reference, filter_, folder
        self.steps, count = settings.steps, settings.count

        def draw(caption_alone: float) -> Condition:
            if healthy.size:
                return novel_condition(examples, healthy, rng, caption_alone=caption_alone)
            return examples.condition(int(rng.choice(scarred)), rng, Dropout(edges=caption_alone))

        self.with_edges, self.by_caption = [draw(0.0) for _ in range(count)], [draw(1.0) for _ in range(count)]
        self.brightness = prescribed_brightness(self.with_edges, settings.levels)
        self.noise = normal(rng, count, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE)
        self._painted_before: Float[Tensor, "b 1 128 128"] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "monitor.jsonl"

    @torch.no_grad()
    def __call__(self, step: int) -> None:
        """Paint, score, append a record to the log, and keep the weights if they are the best so far."""
        image, target = self._paint(self.with_edges)
        scores = {"step": step, "reward_loss": float(self.reward.loss(image, target).mean()), **_appearance(image, target)}
        brightness = self.brightness.to(image.device)
        scores["brightness_penalty"] = float(brightness_penalty(image, target, brightness, brightness - CORE_DROP).mean())
        scores["context_penalty"] = float(context_penalty(image, self._reference(), target).mean())
        scores["filter_dice"] = float(_dice(self.filter, image, target).mean())
        scores["caption_dice"] = float(_dice(self.filter, *self._paint(self.by_caption)).mean())
        mean_dice = (scores["filter_dice"] + scores["caption_dice"]) / 2
        scores["score"] = mean_dice - scores["brightness_penalty"] - scores["context_penalty"]
        record = {name: round(value, 4) for name, value in scores.items()}
        earlier = [line for line in self.records() if line["step"] < step]  # a resumed training comes by some steps again
        best = max((line["score"] for line in earlier), default=-np.inf)
        if record["score"] > best:
            weights = {name: value.detach().cpu().contiguous() for name, value in self.trained.state_dict().items()}
            write_bytes(self.folder / BEST, save(weights, metadata={"step": str(step)}))
        write_bytes(self.log, "".join(json.dumps(line) + "\n" for line in [*earlier, record]).encode())

    def _reference(self) -> Float[Tensor, "b 1 128 128"]:
        """The conditions with edges as the model before the reward paints them."""
        if self._painted_before is None:
            self._painted_before = reference_image(self.before, self.trained, self.noise, self.with_edges, steps=self.steps)
        return self._painted_before

    def _paint(self, conditions: list[Condition]) -> tuple[Float[Tensor, "b 1 128 128"], Target]:
        device = moved_to_trained(self.model, self.trained)
        latent = denoise(self.model, self.noise.to(device), to_inputs(conditions, self.model.text, device), steps=self.steps)
        target = Target.of(conditions, device)
        return target.painted(decode(self.model.autoencoder, latent)), target

    def records(self) -> list[dict[str, float]]:
        """The records of the log, oldest first.

        Raises:
            ModelError: the log is damaged.
        """
        if not os.path.lexists(self.log):
            return []
        try:
            self._require_whole(self.log)
            lines = read_text(self.log).splitlines()
            return [checked(Record, parse_json(line, f"line {i}"), f"line {i}").root for i, line in enumerate(lines, start=1)]
        except InputError as fault:
            raise self._damaged(self.log, fault) from None

    def require_records_until(self, step: int, every: int) -> None:
        """A training that goes on at a step needs the records of the steps before it, to know the best weights.

        Raises:
            ModelError: one is missing.
        """
        steps = {int(record["step"]) for record in self.records()}
        if missing := sorted({*range(0, step, every)} - steps):
            raise self._damaged(self.log, f"the record of step {missing[0]} is missing")

    def load_best(self) -> dict[str, float]:
        """Put the best weights in place and return their record; of equal scores the earliest wins.

        Raises:
            ModelError: the weights are missing or damaged.
        """
        best, path = max(self.records(), key=lambda record: (record["score"], -record["step"])), self.folder / BEST
        try:
            self._require_whole(path)
            with safe_open(path, "pt") as file:
                weights, step = {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get("step")  # noqa: SIM118
            if step != str(int(best["step"])) or not all(bool(torch.isfinite(value).all()) for value in weights.values()):
                raise InputError(f"it holds other weights than those of step {int(best['step'])}")
            self.trained.load_state_dict(weights)
        except (OSError, SafetensorError, RuntimeError, InputError) as fault:
            raise self._damaged(path, str(fault).splitlines()[0]) from None
        return best

    def _require_whole(self, path: Path) -> None:
        if not path.is_file():
            raise InputError("it is missing, or no regular file")
        if damaged_file(path.absolute()) is not None:
            raise InputError("its bytes are not those that were written")

    def _damaged(self, path: Path, why: object) -> ModelError:
        return ModelError(f"{path}: is damaged ({why}); delete {self.folder} and the same command trains this half of the stage again")


def _appearance(image: Float[Tensor, "b 1 128 128"], target: Target) -> dict[str, float]:
    """Quantiles of the bright scar's intensity, and the mean gradient at the scar's border, in heart units (per pixel)."""
    bright = ((target.scar - target.no_reflow) > 0.5) & (target.wall > 0.5)
    values = image[bright].float().cpu()
    gradient = torch.hypot(image.diff(dim=2)[..., :, :-1], image.diff(dim=3)[..., :-1, :])
    inside = target.scar[..., :-1, :-1]
    border = ((target.scar[..., 1:, :-1] != inside) | (target.scar[..., :-1, 1:] != inside)) & (target.wall[..., :-1, :-1] > 0.5)
    low, middle, high = (float(q) for q in torch.quantile(values[:: max(1, len(values) // 100_000)], torch.tensor([0.05, 0.5, 0.95])))
    return {"scar_5": low, "scar_50": middle, "scar_95": high, "edge_sharpness": float(gradient[border].mean())}


def _dice(filter_: TrainedScarSegmenter, image: Float[Tensor, "b 1 128 128"], target: Target) -> Float[Tensor, " b"]:
    for network in filter_.networks:
        network.to(image.device)
    probability = filter_.grid_probabilities(torch.cat([image, target.cavity, target.wall], dim=1))[:, 1:].sum(1, keepdim=True)
    read = ((probability >= filter_.threshold) & (target.wall > 0.5)).float()
    scar = target.scar * target.wall
    return 2 * (read * scar).sum((1, 2, 3)) / (read.sum((1, 2, 3)) + scar.sum((1, 2, 3))).clamp(min=1.0)
