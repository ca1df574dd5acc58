"""Weights from safetensors, the only format that is read: every tensor that a network has, no other, of the right shape, and finite.

The names and shapes in the file's header are compared with the network before memory is taken for the values.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lgesynthnet.errors import ModelError
from lgesynthnet.files.reading import opened
from lgesynthnet.model_store import REMEDY, model_faults

HEADER_BYTES = 2**22  # a BERT of 24 layers needs 50 kB
MOST_NUMBERS = 350_000_000  # weights in one file; the largest BERT in use has 335 million
FLOATS = frozenset({"F16", "BF16", "F32", "F64"})


def names_in(path: Path) -> set[str]:
    """The names of the tensors in a file.

    Raises:
        ModelError: it is no safetensors file.
    """
    _check_sizes(path)
    with _safely_opened(path) as file:
        return set(file.keys())


def read_weights(path: Path, shapes: Mapping[str, Sequence[int]], *, ignored: AbstractSet[str] = frozenset()) -> dict[str, Tensor]:
    """The tensors of a file, in float32 and in memory of their own.

    Args:
        shapes: name and shape of every tensor that is needed.
        ignored: names of further tensors that the file may hold.
    Raises:
        ModelError: it is no safetensors file, a tensor is missing or not needed, has another shape or no real numbers, or is not finite.
    """
    if (count := sum(map(math.prod, shapes.values()))) > MOST_NUMBERS:
        raise ModelError(f"{path}: its settings ask for {count} weights, and {MOST_NUMBERS} are allowed; {REMEDY}")
    _check_sizes(path)
    weights = {}
    with _safely_opened(path) as file:
        _check_names(path, set(file.keys()) - ignored, set(shapes))
        for name, shape in shapes.items():
            about = file.get_slice(name)
            if list(about.get_shape()) != list(shape):
                raise ModelError(f"{path}: {name} has the shape {about.get_shape()}, not {list(shape)}; {REMEDY}")
            if about.get_dtype() not in FLOATS:
                raise ModelError(f"{path}: {name} holds {about.get_dtype()}, not floating-point numbers; {REMEDY}")
        for name in shapes:
            weights[name] = _read_tensor(file, path, name)
    return weights


def fill_empty(network: nn.Module, path: Path) -> None:
    """Give a network that was built without memory for its weights (on torch's meta device) what the file holds.

    Raises:
        ModelError: see `read_weights`.
    """
    network.load_state_dict(read_weights(path, shapes_of(network)), assign=True)


def shapes_of(network: nn.Module) -> dict[str, torch.Size]:
    """Name and shape of every tensor that a network keeps in its file."""
    return {name: value.shape for name, value in network.state_dict().items()}


def _check_sizes(path: Path) -> None:
    with model_faults(), opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        header = int.from_bytes(file.read(8), "little")
    if not 2 <= header <= min(size - 8, HEADER_BYTES):
        raise ModelError(f"{path}: is no complete safetensors file; {REMEDY}")


def _safely_opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError, OverflowError) as fault:
        raise ModelError(f"{path}: is no complete safetensors file ({_line(fault)}); {REMEDY}") from None


def _check_names(path: Path, present: set[str], needed: set[str]) -> None:
    for names, what in ((needed - present, "is missing"), (present - needed, "belongs to another network")):
        if names:
            more = f", with {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(f"{path}: {min(names)[:100]!r} {what}{more}; {REMEDY}")


def _read_tensor(file: Any, path: Path, name: str) -> Tensor:
    try:
        value: Tensor = file.get_tensor(name).to(torch.float32, copy=True)
    except (SafetensorError, OSError, ValueError, RuntimeError) as fault:
        raise ModelError(f"{path}: {name} cannot be read ({_line(fault)}); {REMEDY}") from None
    if not bool(torch.isfinite(value).all()):
        raise ModelError(f"{path}: {name} holds numbers that are not finite; {REMEDY}")
    return value


def _line(fault: Exception) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:200]
