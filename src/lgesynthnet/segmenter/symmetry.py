"""The eight symmetries of the square: four quarter turns, each with and without a mirror."""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor, rot90

SYMMETRIES = 8


def turned(images: Shaped[Tensor, "*batch side side"], view: int) -> Shaped[Tensor, "*batch side side"]:
    """The images in view `view` (0 to 7): `view % 4` quarter turns of the last two axes; from view 4 on, columns are mirrored too."""
    rotated = rot90(images, view % 4, (-2, -1))
    return rotated.flip(-1) if view >= 4 else rotated


def turned_back(images: Shaped[Tensor, "*batch side side"], view: int) -> Shaped[Tensor, "*batch side side"]:
    """The inverse of `turned`."""
    return rot90(images.flip(-1) if view >= 4 else images, -(view % 4), (-2, -1))
