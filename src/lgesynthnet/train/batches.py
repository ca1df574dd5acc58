"""Random draws that all stages share."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def drawn_from(
    one: Int[np.ndarray, " m"], other: Int[np.ndarray, " n"], share: float, batch: int, rng: np.random.Generator
) -> Int[np.ndarray, " batch"]:
    """A batch of indices, each from `one` with probability `share`, else from `other`; all from the one that is not empty."""
    pools = [pool for pool in (one, other) if pool.size]
    turns = [pools[int(rng.random() >= share) % len(pools)] for _ in range(batch)]
    return np.array([int(rng.choice(pool)) for pool in turns])
