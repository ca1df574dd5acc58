"""One training loop for every network: AdamW, warm-up and cosine decay, averaged weights (EMA), and checkpoints.

A run of k steps that is resumed for k more gives the same weights as one run of 2 k steps. A batch depends on the seed and the step
alone, so no random state is stored. Optimiser and averaged weights are stored as safetensors, never as a pickle.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import is_tensorboard_available, set_seed
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from lgesynthnet.devices import usable_device
from lgesynthnet.errors import ModelError, RunError
from lgesynthnet.files.owned import owner_of
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.terms import Precision
from lgesynthnet.train.checkpoint import Note, as_json, damaged, read_note, read_tensors, write_checkpoint
from lgesynthnet.train.recipes import StageRecipe
from lgesynthnet.train.work import CHECKPOINT, digest_of, owned_work

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
        stage: folder to delete for a new beginning, where it is another than that of the loop.
        decides: whatever else decides the weights, by name: fingerprints of the data and of frozen networks, sizes, options.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: number format of the forward passes.
    """

    seed: int
    origin: str | None = None
    stage: Path | None = None
    decides: Mapping[str, object] = field(default_factory=dict)
    device: str = "auto"
    precision: Precision = Precision.NO

    def plan(self, recipe: StageRecipe) -> dict[str, object]:
        """Everything that decides the weights; a checkpoint records it, and is continued with the same plan alone."""
        steps = {name: value for name, value in asdict(recipe).items() if name != "checkpoint_every"}
        return as_json({"seed": self.seed, "origin": self.origin, "precision": self.precision, **steps, **self.decides})

    def digest(self, recipe: StageRecipe) -> str:
        """A few digits for the plan; a report records them."""
        return digest_of(self.plan(recipe))


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
        Steps, seconds, the last mean loss, and a digest of all settings.
    Raises:
        InputError: there is no such device.
        RunError: the folder holds a checkpoint of other settings, or of other first weights.
        ModelError: the checkpoint is damaged, or the loss is not finite.
    """
    with owned_work(folder):
        return _fit(_Loop(task, recipe, folder, settings), on_progress, monitor, monitor_every)


def _fit(
    loop: _Loop, on_progress: Callable[[int, int, float], None] | None, monitor: Callable[[int], None] | None, monitor_every: int
) -> dict[str, object]:
    recipe = loop.recipe
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
        self.plan = settings.plan(recipe)
        note = self._note(settings.stage or folder)
        self.accelerator = _accelerator(settings, folder)
        set_seed(settings.seed)
        self.adversarial = task if isinstance(task, AdversarialTask) else None
        betas = self.adversarial.betas if self.adversarial else (0.9, 0.99)
        # Moved first: the optimiser and the averaged weights are made of the weights where they are.
        task.trained.to(_device(settings, self.accelerator))
        self.parameters = [p for p in task.trained.parameters() if p.requires_grad]
        # The fused form saves a tenth of a step of a small network on the CPU; not every device has it.
        fused = all(parameter.device.type in ("cpu", "cuda") for parameter in self.parameters)
        optimizer = torch.optim.AdamW(self.parameters, lr=recipe.lr, weight_decay=1e-2, betas=betas, fused=fused)
        self.ema = EMAModel(self.parameters, decay=recipe.ema_decay, use_ema_warmup=True, power=0.75)
        # Not wrapped for several processes: tasks call parts of the module and never the module. `advance` averages the gradients.
        task.trained = self.accelerator.prepare_model(task.trained, evaluation_mode=True)
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        self.recent: list[float] = []
        self.metrics: list[dict[str, int | float]] = []
        self.step, seconds = (0, 0.0) if note is None else self._resume(note)
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
        """Add a line to `metrics.jsonl`."""
        rate = self.recipe.lr * _pace(self.step - 1, self.recipe)
        self.accelerator.log({"loss": self.mean_loss, "learning rate": rate}, step=self.step)
        record = {"step": self.step, "loss": round(self.mean_loss, 6), "seconds": round(time.monotonic() - self.began, 1)}
        self.metrics.append(record)
        # Written anew each time: after a crash the checkpoint says which lines there are.
        write_bytes(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in self.metrics).encode())

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
            "settings": digest_of(self.plan),
        }

    def save(self) -> None:
        """Write the checkpoint, one file: weights and step can never disagree after a crash."""
        tensors = self._own_tensors()
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": value for name, value in state.items()}
        note = Note(
            step=self.step,
            ema_step=self.ema.optimization_step,
            seconds=time.monotonic() - self.began,
            recent=self.recent,
            metrics=self.metrics,
            plan=self.plan,
        )
        write_checkpoint(self.folder, tensors, note)

    def _own_tensors(self) -> dict[str, Tensor]:
        tensors = {f"weight.{name}": value for name, value in self.task.trained.state_dict().items()}
        return tensors | {f"ema.{i}": value for i, value in enumerate(self.ema.shadow_params)}

    def _note(self, stage: Path) -> Note | None:
        """What the last checkpoint records, after a check that it is one of this training."""
        note = read_note(self.folder)
        if note is None:
            return None
        changed = sorted(key for key in self.plan.keys() | note.plan.keys() if note.plan.get(key) != self.plan.get(key))
        if changed:
            other = f"holds a checkpoint with another {', '.join(changed)}"
            raise RunError(f"{self.folder / CHECKPOINT}: {other}; choose another --work, or delete {stage}")
        if note.step > self.recipe.steps:
            raise damaged(self.folder, f"it says step {note.step} of {self.recipe.steps}")
        return note

    def _resume(self, note: Note) -> tuple[int, float]:
        """Load the last checkpoint; returns its step and the seconds spent so far."""
        module, wanted = self.task.trained, self._own_tensors()
        for i, parameter in enumerate(self.parameters):
            wanted |= {f"optimizer.{i}.exp_avg": parameter, f"optimizer.{i}.exp_avg_sq": parameter, f"optimizer.{i}.step": torch.zeros(())}
        tensors = read_tensors(self.folder, wanted)
        module.load_state_dict({name.removeprefix("weight."): v for name, v in tensors.items() if name.startswith("weight.")})
        self.ema.shadow_params = [tensors[f"ema.{i}"].to(p.device) for i, p in enumerate(self.ema.shadow_params)]
        self.ema.optimization_step = note.ema_step
        state = self.optimizer.state_dict()
        state["state"] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state["state"].setdefault(int(index), {})[key] = value
        if any(len(moments) != 3 for moments in state["state"].values()):
            raise damaged(self.folder, "the state of the optimiser is incomplete")
        self.optimizer.load_state_dict(state)
        self.recent, self.metrics = list(note.recent), list(note.metrics)
        return note.step, note.seconds


def _accelerator(settings: LoopSettings, folder: Path) -> Accelerator:
    device = usable_device(settings.device)
    if PartialState._shared_state and PartialState().num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)  # else the settings of the first training in a process would stay
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    # TensorBoard where it is installed (extra `track`); `metrics.jsonl` is written either way.
    tracker = "tensorboard" if is_tensorboard_available() else None
    accelerator = Accelerator(
        cpu=device.type == "cpu", device_placement=False, mixed_precision=settings.precision.value, log_with=tracker, project_dir=folder
    )
    accelerator.init_trackers("tensorboard")
    if (owned := owner_of(folder / CHECKPOINT)) is not None:  # a file of events names its process, and is listed as soon as it has a name
        owner, manifest = owned
        for events in folder.rglob(f"events.out.tfevents.*.{os.getpid()}.*"):
            if (name := events.relative_to(owner).as_posix()) not in manifest.files:
                manifest.add({"file": name, "bytes": None, "sha256": None})
    return accelerator


def _device(settings: LoopSettings, accelerator: Accelerator) -> torch.device:
    """The device of this process: the chosen one, or where several processes train together the one that it was given."""
    if accelerator.num_processes == 1:
        return usable_device(settings.device)
    device: torch.device = accelerator.device
    return device


def _pace(step: int, recipe: StageRecipe) -> float:
    """Share of the full learning rate: linear warm-up, then a cosine to zero. It depends on the step alone, so resuming needs no state."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)))
