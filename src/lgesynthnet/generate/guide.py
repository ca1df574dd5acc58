"""Who may steer a sample while it is painted, or choose among several; the generator itself knows no judge."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from lgesynthnet.conditioning.condition import Condition


@runtime_checkable
class Guide(Protocol):
    """How far a picture is from its condition, differentiable in the picture."""

    @property
    def fingerprint(self) -> str:
        """Goes into the generator's fingerprint, since it decides pixels."""
        ...

    def loss(self, image: Float[Tensor, "b 1 128 128"], made: list[Condition]) -> Float[Tensor, " b"]:
        """One number a sample, lower is better; `image` in heart units."""
        ...
