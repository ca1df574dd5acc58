"""Random draws that all training tasks share."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def normal(rng: np.random.Generator, *shape: int) -> Tensor:
    """Standard normal float32 numbers of this shape."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def drawn_from(
    first: Int[np.ndarray, " m"], second: Int[np.ndarray, " n"], share: float, batch: int, rng: np.random.Generator
) -> Int[np.ndarray, " batch"]:
    """A batch of indices, each taken from `first` with probability `share`, else from `second`; all from the one that is not empty."""
    pools = [pool for pool in (first, second) if pool.size]
    chosen = [pools[int(rng.random() >= share) % len(pools)] for _ in range(batch)]
    return np.array([int(rng.choice(pool)) for pool in chosen])
