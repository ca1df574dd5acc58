"""One loop for every stage: AdamW, warm-up and cosine, EMA, and checkpoints from which k + k steps equal 2 k steps.

Batches are a pure function of (seed, step), so no random state needs saving; optimiser and EMA go to safetensors, never to a pickle.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
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
from lgesynthnet.files import write_bytes
from lgesynthnet.train.recipes import StageRecipe

STATE = "state.safetensors"


@runtime_checkable
class Task(Protocol):
    """What a stage trains and what it calls a mistake."""

    trained: nn.Module

    def loss(self, rng: np.random.Generator, batch: int) -> Tensor:
        """Loss of one batch; every draw comes from `rng`."""
        ...


@runtime_checkable
class AdversarialTask(Task, Protocol):
    """A task of two players that learn against each other, one of them a step.

    Attributes:
        betas: Adam's; a player whose opponent moves must not go on by momentum.
    """

    betas: tuple[float, float]

    def learning_rate_share(self, step: int) -> float:
        """Told before each loss: whose turn it is follows from the step alone. Returns that player's share of the learning rate."""
        ...


def fit(
    task: Task,
    recipe: StageRecipe,
    folder: Path,
    *,
    seed: int,
    origin: str | None = None,
    device: str = "auto",
    progress: Callable[[int, int, float], None] | None = None,
    watch: Callable[[int], None] | None = None,
    watch_every: int = 0,
    precision: str = "no",
) -> dict[str, object]:
    """Train, or go on from the last checkpoint in `folder`; leaves the EMA weights in `task.trained`.

    Writes `metrics.jsonl` (one line per 50 steps) and `checkpoint/`. Returns steps, seconds and the last mean loss.

    Args:
        origin: fingerprint of the weights that the network came with; a checkpoint does not know what its first weights were.
        precision: `no` (float32), or `bf16` where the device is good at it.
        watch, watch_every: called with the step, at every so many steps and at the last, while the averaged weights are in place.
    Raises:
        RunError: the folder holds a checkpoint of other settings, or of another origin.
    """
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision, log_with=_trackers(), project_dir=folder)
    accelerator.init_trackers("tensorboard")
    ranks = accelerator.num_processes
    shard = [] if ranks == 1 else [accelerator.process_index]  # one process alone draws what it always drew
    set_seed(seed)
    duel = task if isinstance(task, AdversarialTask) else None
    parameters = [p for p in task.trained.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=1e-2, betas=duel.betas if duel else (0.9, 0.99))
    ema = EMAModel(parameters, decay=recipe.ema_decay, use_ema_warmup=True, power=0.75)
    # Not wrapped for several processes: tasks call the parts of the module and never the module, so gradients are averaged below.
    task.trained = accelerator.prepare_model(task.trained, evaluation_mode=True)
    optimizer = accelerator.prepare_optimizer(optimizer)
    plan = {"seed": seed, "origin": origin, **asdict(recipe)}
    start, spent = _resume(folder / "checkpoint", plan, task.trained, optimizer, ema)
    began = time.monotonic() - spent  # seconds of earlier sessions count
    recent: list[float] = []
    task.trained.train()
    for step in range(start, recipe.steps):
        share = 1.0 if duel is None else duel.learning_rate_share(step)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * share * _pace(step, recipe)
        with accelerator.autocast():
            loss = task.loss(np.random.default_rng([seed, step, *shard]), -(-recipe.batch // ranks))
        accelerator.backward(loss)
        if ranks > 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad = accelerator.reduce(parameter.grad, "mean")
        accelerator.clip_grad_norm_(parameters, recipe.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # and a player without a gradient is passed over
        ema.step(parameters)
        recent = [*recent[-199:], float(loss.detach())]
        if not np.isfinite(recent[-1]):
            raise ModelError(f"{folder}: the loss became {recent[-1]} at step {step}; lower the learning rate or remove the folder")
        if progress is not None:
            progress(step + 1, recipe.steps, float(np.mean(recent)))
        if accelerator.is_main_process and ((step + 1) % 50 == 0 or step + 1 == recipe.steps):
            accelerator.log({"loss": float(np.mean(recent)), "learning rate": recipe.lr * _pace(step, recipe)}, step=step + 1)
            _log(folder / "metrics.jsonl", step + 1, float(np.mean(recent)), time.monotonic() - began)
        if (
            watch is not None
            and watch_every
            and accelerator.is_main_process
            and ((step + 1) % watch_every == 0 or step + 1 == recipe.steps)
        ):
            _look(watch, step + 1, task.trained, ema, parameters)
        if accelerator.is_main_process and ((step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps):
            _save(folder / "checkpoint", step + 1, plan, task.trained, optimizer, ema, time.monotonic() - began)
    ema.copy_to(parameters)
    task.trained.eval()
    accelerator.end_training()
    return {
        "steps": recipe.steps,
        "seconds": round(time.monotonic() - began, 1),
        "loss": round(float(np.mean(recent)), 5) if recent else None,
    }


def _trackers() -> str | None:
    """TensorBoard where it is installed (the extra `track`); `metrics.jsonl` is written either way."""
    return "tensorboard" if is_tensorboard_available() else None


def _look(watch: Callable[[int], None], step: int, module: nn.Module, ema: EMAModel, parameters: list[nn.Parameter]) -> None:
    """The watcher sees what would be kept, and leaves no trace in what is trained."""
    ema.store(parameters)
    ema.copy_to(parameters)
    module.eval()
    watch(step)
    module.train()
    ema.restore(parameters)


def _pace(step: int, recipe: StageRecipe) -> float:
    """Share of the full learning rate: linear warm-up, then a cosine to zero; a function of the step alone, so resuming needs no state."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)))


def _log(path: Path, step: int, loss: float, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({"step": step, "loss": round(loss, 6), "seconds": round(seconds, 1)}) + "\n")


def _save(
    folder: Path, step: int, plan: dict[str, object], module: nn.Module, optimizer: torch.optim.Optimizer, ema: EMAModel, seconds: float
) -> None:
    tensors = {f"weight.{name}": value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    tensors |= {f"ema.{i}": value.detach().cpu().contiguous() for i, value in enumerate(ema.shadow_params)}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": value.detach().cpu().contiguous() for name, value in state.items()}
    # The plan travels inside the one file, so that weights and step can never disagree after a crash.
    note = {"step": step, "ema_step": ema.optimization_step, "seconds": seconds, "plan": plan}
    weights = {name: value.clone() for name, value in tensors.items()}
    write_bytes(folder / STATE, save(weights, metadata={"state": json.dumps(note)}))


def _resume(folder: Path, plan: dict[str, object], module: nn.Module, optimizer: torch.optim.Optimizer, ema: EMAModel) -> tuple[int, float]:
    path = folder / STATE
    if not path.exists():
        return 0, 0.0
    with safe_open(path, "pt") as file:
        note = json.loads(file.metadata()["state"])
    changed = sorted(key for key in plan if note["plan"].get(key) != plan[key] and key != "checkpoint_every")
    if changed:
        raise RunError(f"{folder}: holds a checkpoint with another {', '.join(changed)}; choose another --work or remove the folder")
    tensors = load_file(path)
    module.load_state_dict({name.removeprefix("weight."): v for name, v in tensors.items() if name.startswith("weight.")})
    device = next(module.parameters()).device
    ema.shadow_params = [tensors[f"ema.{i}"].to(device) for i in range(len(ema.shadow_params))]
    ema.optimization_step = int(note["ema_step"])
    state = optimizer.state_dict()
    state["state"] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state["state"].setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(state)
    step = int(note["step"])
    return step, float(note["seconds"])
