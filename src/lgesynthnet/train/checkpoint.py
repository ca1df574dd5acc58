"""The checkpoint of one training: one safetensors file, so that weights and step can never disagree after a crash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files.reading import checked, parse_json
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.train.work import CHECKPOINT, STATE, damaged_file

_Count = Annotated[int, Field(ge=0)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class Note(BaseModel):
    """What a checkpoint records beside its tensors.

    Attributes:
        step: optimiser steps that are done.
        ema_step: steps of the averaged weights.
        seconds: spent so far.
        recent: losses of the last steps, whose mean is shown.
        metrics: the lines of `metrics.jsonl` so far.
        plan: everything that decides the weights, see `LoopSettings`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    step: _Count
    ema_step: _Count
    seconds: Annotated[_Number, Field(ge=0)]
    recent: list[_Number]
    metrics: list[dict[str, int | _Number]]
    plan: dict[str, Any]


def write_checkpoint(folder: Path, tensors: Mapping[str, Tensor], note: Note) -> None:
    """Write `FOLDER/checkpoint/state.safetensors`."""
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_bytes(folder / CHECKPOINT / STATE, save(copies, metadata={"state": note.model_dump_json()}))


def read_note(folder: Path) -> Note | None:
    """What the checkpoint in `folder` records; None where there is no checkpoint.

    Raises:
        ModelError: it is damaged.
    """
    path = folder / CHECKPOINT / STATE
    if not path.exists() and not path.is_symlink():
        return None
    if not path.is_file():
        raise damaged(folder, "it is not a regular file")
    if damaged_file(path.absolute()) is not None:
        raise damaged(folder, "its bytes are not those that were written")
    try:
        with safe_open(path, "pt") as file:
            words = file.metadata() or {}
        return checked(Note, parse_json(words.get("state", ""), str(path)), str(path))
    except (OSError, SafetensorError, InputError) as fault:
        raise damaged(folder, str(fault).splitlines()[0]) from None


def read_tensors(folder: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the checkpoint in `folder`, on the CPU.

    Args:
        wanted: a tensor of the right shape for each name; "optimizer." may have names beside or without these.
    Raises:
        ModelError: a name is missing or too many, or a tensor has another shape or is not finite.
    """
    try:
        with safe_open(folder / CHECKPOINT / STATE, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open is no mapping
    except (OSError, SafetensorError) as fault:
        raise damaged(folder, str(fault).splitlines()[0]) from None
    stray = {name for name in tensors if not name.startswith("optimizer.")} ^ {name for name in wanted if not name.startswith("optimizer.")}
    if stray or (unknown := tensors.keys() - wanted.keys()):
        raise damaged(folder, f"the tensor {min(stray or unknown)} is missing or does not belong there")
    for name, value in tensors.items():
        if value.shape != wanted[name].shape:
            raise damaged(folder, f"the tensor {name} has the shape {tuple(value.shape)} and not {tuple(wanted[name].shape)}")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise damaged(folder, f"the tensor {name} holds numbers that are not finite")
    return tensors


def damaged(folder: Path, why: str) -> ModelError:
    """The error for a checkpoint that cannot be used, with the remedy."""
    place = folder / CHECKPOINT
    return ModelError(f"{place / STATE}: is damaged ({why}); delete {place} and the same command trains this stage again")


def trainings_on(work: Path, data: str) -> list[Path]:
    """The folders in a work folder with a checkpoint of a training on these data, by their fingerprint."""
    stages = set()
    for path in work.glob(f"**/{CHECKPOINT}/{STATE}"):
        try:
            note = read_note(path.parents[1])
        except ModelError:
            continue
        if note is not None and data in (note.plan.get("data"), note.plan.get("validation")):
            stages.add(work / path.relative_to(work).parts[0])
    return sorted(stages)


def as_json(plan: Mapping[str, object]) -> dict[str, Any]:
    """A plan as a checkpoint gives it back."""
    back: dict[str, Any] = json.loads(json.dumps(plan, default=str))
    return back
