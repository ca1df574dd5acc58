"""The device that networks run on: the name that the user gave, checked against what this machine and this torch have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lgesynthnet.errors import InputError
from lgesynthnet.terms import Precision

if TYPE_CHECKING:
    import torch

_NAME = re.compile(r"(?:auto|cpu|mps|(?:cuda|gpu)(?::\d{1,4})?)")


def check_device_name(name: str) -> None:
    """Refuse what can be no device on any machine. Torch is not loaded.

    Raises:
        InputError: the name is none of auto, cpu, cuda, cuda:N and mps (gpu means cuda).
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"--device {name[:60]!r}: is no device; give auto, cpu, cuda, cuda:N (the number of a card) or mps")


def usable_device(name: str) -> torch.device:
    """The device of this name; `auto` takes the first CUDA card where there is one, else the CPU.

    Args:
        name: auto, cpu, cuda, cuda:N or mps (gpu means cuda).
    Raises:
        InputError: the name is no device, or this machine or this build of torch does not have it.
    """
    check_device_name(name)
    import torch

    name = name.replace("gpu", "cuda")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda"):
        _check_cuda(name)
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device mps: this machine has no such device, or this build of torch cannot use it; give --device cpu")
    return torch.device(name)


def training_precision(device: str) -> Precision:
    """The number format that trains fastest on this device: bfloat16 on processors with matrix units for it (AMX), else float32.

    Raises:
        InputError: see `usable_device`.
    """
    import torch

    if usable_device(device).type != "cpu":
        return Precision.NO
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # newer versions of torch
    if capabilities is not None:
        return Precision.BF16 if capabilities().get("amx_bf16", False) else Precision.NO
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return Precision.BF16 if supported is not None and supported() else Precision.NO


def _check_cuda(name: str) -> None:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        raise InputError(f"--device {name}: this build of torch has no CUDA; install one that has it, or give --device cpu")
    if not torch.cuda.is_available():
        raise InputError(f"--device {name}: torch finds no usable CUDA card or driver on this machine; give --device cpu")
    cards = torch.cuda.device_count()
    if int(name.partition(":")[2] or 0) >= cards:
        there = "cuda:0" if cards == 1 else f"cuda:0 to cuda:{cards - 1}"
        raise InputError(f"--device {name}: this machine has {there} alone; give one of them")
