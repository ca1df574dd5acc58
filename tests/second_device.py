"""A second device on a machine without one: its tensors are computed on the CPU, and an error is raised where they meet those of the CPU.

    with second_device() as device:
        module.to(device)
        module(torch.zeros(1, 3))  # RuntimeError: two devices meet

It calls itself `lazy`, a device that every build of torch knows and that the automatic gradients treat as they treat the CPU. As on a
GPU, a number without axes and an index may come from the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "lazy"


@contextmanager
def second_device() -> Iterator[torch.device]:
    """Inside, the device exists."""
    with _Constants(), _Watch():
        yield torch.device(NAME)


class _There(torch.Tensor):
    """A tensor on the second device; the numbers are in `inner`, on the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor, requires_grad: bool = False) -> _There:
        there = torch.Tensor._make_wrapper_subclass(cls, inner.size(), strides=inner.stride(), dtype=inner.dtype, device=NAME)
        there.inner = inner
        return there

    def __repr__(self) -> str:
        return f"{self.inner} on the second device"

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class _Constants(TorchFunctionMode):
    """Makes tensors of Python's numbers, which torch builds on the CPU behind the back of a dispatch mode."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.new_tensor and isinstance(args[0], _There):
            return torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)).to(NAME)
        if function is torch.tensor and kwargs.get("device") is not None and torch.device(kwargs["device"]).type == NAME:
            return function(*args, **{**kwargs, "device": "cpu"}).to(NAME)
        return function(*args, **kwargs)


class _Watch(TorchDispatchMode):
    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


def _run(operation: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, _There)]
    name, asked = str(operation), kwargs.get("device")
    if there and "copy" not in name and "index" not in name and any(t.dim() and not isinstance(t, _There) for t in tensors):
        raise RuntimeError(f"two devices meet in {name}")
    if asked is None:
        stays = isinstance(args[0], _There) if "copy_" in name and args else bool(there)
    else:
        stays = torch.device(asked).type == NAME
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = operation(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if not stays:
        return result

    def on_second_device(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        changed = [tensor for tensor in there if tensor.inner is value]  # in place
        return changed[0] if changed else _There(value)

    return tree_map(on_second_device, result)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, _There) else value
