"""One training loop for every network: AdamW, warm-up and cosine decay, averaged weights (EMA), and checkpoints.

A run of k steps that is resumed for k more gives the same weights as one run of 2 k steps. A batch depends on the seed and the step
alone, so no random state is stored. Optimiser and averaged weights are stored as safetensors, never as a pickle.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import is_tensorboard_available, set_seed
from diffusers.training_utils import EMAModel
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lgesynthnet.errors import ModelError, RunError
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.terms import Precision
from lgesynthnet.train.recipes import StageRecipe

STATE = "state.safetensors"
LOG_EVERY = 50  # steps
RECENT = 200  # steps over which the loss is averaged


@runtime_checkable
class Task(Protocol):
    """The network that is trained, and its loss."""

    trained: nn.Module

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        """Loss of one batch of `batch` examples; every random draw comes from `rng`."""
        ...


@runtime_checkable
class AdversarialTask(Task, Protocol):
    """A task of two players (generator and discriminator) that take turns, one of them in each step.

    Attributes:
        betas: coefficients of Adam. The first is 0 as a rule: while the opponent changes, momentum leads astray.
    """

    betas: tuple[float, float]

    def learning_rate_share(self, step: int) -> float:
        """Called before each loss, so that the task knows whose turn `step` is; returns that player's share of the learning rate."""
        ...


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How a training runs, whatever its recipe.

    Attributes:
        seed: decides every random draw.
        origin: fingerprint of the weights that the network started from. A checkpoint records it, because it cannot be seen in the weights.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: number format of the forward passes.
    """

    seed: int
    origin: str | None = None
    device: str = "auto"
    precision: Precision = Precision.NO


def fit(
    task: Task,
    recipe: StageRecipe,
    folder: Path,
    settings: LoopSettings,
    *,
    on_progress: Callable[[int, int, float], None] | None = None,
    monitor: Callable[[int], None] | None = None,
    monitor_every: int = 0,
) -> dict[str, object]:
    """Train, or continue from the last checkpoint in `folder`; afterwards `task.trained` holds the averaged weights.

    Writes `FOLDER/metrics.jsonl` (one line every 50 steps) and `FOLDER/checkpoint/`.

    Args:
        on_progress: called after every step with the steps done, the steps in all, and the mean loss of the last 200 steps.
        monitor: called with the step, every `monitor_every` steps and after the last one, while the averaged weights are in place.
    Returns:
        Steps, seconds and the last mean loss.
    Raises:
        RunError: the folder holds a checkpoint of other settings, or of other first weights.
        ModelError: the loss is not finite.
    """
    loop = _Loop(task, recipe, folder, settings)
    while loop.step < recipe.steps:
        loop.advance()
        if on_progress is not None:
            on_progress(loop.step, recipe.steps, loop.mean_loss)
        if loop.is_due(LOG_EVERY):
            loop.log()
        if monitor is not None and monitor_every and loop.is_due(monitor_every):
            loop.show(monitor)
        if loop.is_due(recipe.checkpoint_every):
            loop.save()
    return loop.finish()


class _Loop:
    """State of one training: network, optimiser, averaged weights, and how many steps are done."""

    def __init__(self, task: Task, recipe: StageRecipe, folder: Path, settings: LoopSettings) -> None:
        self.task, self.recipe, self.folder, self.seed = task, recipe, folder, settings.seed
        # TensorBoard where it is installed (extra `track`); `metrics.jsonl` is written either way.
        tracker = "tensorboard" if is_tensorboard_available() else None
        self.accelerator = Accelerator(
            cpu=settings.device == "cpu", mixed_precision=settings.precision.value, log_with=tracker, project_dir=folder
        )
        self.accelerator.init_trackers("tensorboard")
        set_seed(settings.seed)
        self.adversarial = task if isinstance(task, AdversarialTask) else None
        betas = self.adversarial.betas if self.adversarial else (0.9, 0.99)
        self.parameters = [p for p in task.trained.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(self.parameters, lr=recipe.lr, weight_decay=1e-2, betas=betas)
        self.ema = EMAModel(self.parameters, decay=recipe.ema_decay, use_ema_warmup=True, power=0.75)
        # Not wrapped for several processes: tasks call parts of the module and never the module. `advance` averages the gradients.
        task.trained = self.accelerator.prepare_model(task.trained, evaluation_mode=True)
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        self.plan = {"seed": settings.seed, "origin": settings.origin, **asdict(recipe)}
        self.recent: list[float] = []
        self.step, seconds = self._resume()
        self.began = time.monotonic() - seconds  # seconds of earlier calls count
        task.trained.train()

    @property
    def mean_loss(self) -> float:
        return float(np.mean(self.recent))

    def is_due(self, every: int) -> bool:
        """Whether this process does what is done every so many steps and after the last one."""
        return bool(self.accelerator.is_main_process) and (self.step % every == 0 or self.step == self.recipe.steps)

    def advance(self) -> None:
        """One step of the optimiser.

        Raises:
            ModelError: the loss is not finite.
        """
        step, accelerator, processes = self.step, self.accelerator, self.accelerator.num_processes
        share = 1.0 if self.adversarial is None else self.adversarial.learning_rate_share(step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr * share * _pace(step, self.recipe)
        shard = [] if processes == 1 else [accelerator.process_index]
        with accelerator.autocast():
            loss = self.task.loss(np.random.default_rng([self.seed, step, *shard]), -(-self.recipe.batch // processes))
        accelerator.backward(loss)
        if processes > 1:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad = accelerator.reduce(parameter.grad, "mean")
        accelerator.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)  # with None the optimiser skips a player that has no gradient in this step
        self.ema.step(self.parameters)
        self.recent = [*self.recent[1 - RECENT :], float(loss.detach())]
        if not np.isfinite(self.recent[-1]):
            loss_now = self.recent[-1]
            raise ModelError(f"{self.folder}: the loss became {loss_now} at step {step}; lower the learning rate or remove the folder")
        self.step += 1

    def log(self) -> None:
        """Append a line to `metrics.jsonl`."""
        rate = self.recipe.lr * _pace(self.step - 1, self.recipe)
        self.accelerator.log({"loss": self.mean_loss, "learning rate": rate}, step=self.step)
        record = {"step": self.step, "loss": round(self.mean_loss, 6), "seconds": round(time.monotonic() - self.began, 1)}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def show(self, monitor: Callable[[int], None]) -> None:
        """Call the monitor with the averaged weights in place, and leave the training as it was."""
        self.ema.store(self.parameters)
        self.ema.copy_to(self.parameters)
        self.task.trained.eval()
        monitor(self.step)
        self.task.trained.train()
        self.ema.restore(self.parameters)

    def finish(self) -> dict[str, object]:
        """Put the averaged weights in place and report."""
        self.ema.copy_to(self.parameters)
        self.task.trained.eval()
        self.accelerator.end_training()
        return {
            "steps": self.recipe.steps,
            "seconds": round(time.monotonic() - self.began, 1),
            "loss": round(self.mean_loss, 5) if self.recent else None,
        }

    def save(self) -> None:
        """Write the checkpoint, one file: weights and step can never disagree after a crash."""
        tensors = {f"weight.{name}": value for name, value in self.task.trained.state_dict().items()}
        tensors |= {f"ema.{i}": value for i, value in enumerate(self.ema.shadow_params)}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": value for name, value in state.items()}
        seconds = time.monotonic() - self.began
        note = {"step": self.step, "ema_step": self.ema.optimization_step, "seconds": seconds, "plan": self.plan}
        copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        write_bytes(self.folder / "checkpoint" / STATE, save(copies, metadata={"state": json.dumps(note)}))

    def _resume(self) -> tuple[int, float]:
        """Load the last checkpoint where there is one; returns its step and the seconds spent so far."""
        path, module = self.folder / "checkpoint" / STATE, self.task.trained
        if not path.exists():
            return 0, 0.0
        with safe_open(path, "pt") as file:
            note = json.loads(file.metadata()["state"])
        changed = sorted(key for key in self.plan if note["plan"].get(key) != self.plan[key] and key != "checkpoint_every")
        if changed:
            other = f"holds a checkpoint with another {', '.join(changed)}"
            raise RunError(f"{path.parent}: {other}; choose another --work or remove the folder")
        tensors = load_file(path)
        module.load_state_dict({name.removeprefix("weight."): v for name, v in tensors.items() if name.startswith("weight.")})
        device = next(module.parameters()).device
        self.ema.shadow_params = [tensors[f"ema.{i}"].to(device) for i in range(len(self.ema.shadow_params))]
        self.ema.optimization_step = int(note["ema_step"])
        state = self.optimizer.state_dict()
        state["state"] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state["state"].setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict(state)
        return int(note["step"]), float(note["seconds"])


def _pace(step: int, recipe: StageRecipe) -> float:
    """Share of the full learning rate: linear warm-up, then a cosine to zero. It depends on the step alone, so resuming needs no state."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)))
