"""Strong augmentation of crops round the left ventricle, for the downstream segmenter.

Unlike `slices`, which imitates other scanners and other chests, it keeps the heart in the middle: in use, the crop is placed by a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from lgesynthnet.records import Label
from lgesynthnet.segmenter.heart import PIXEL_MM, normalised
from lgesynthnet.segmenter.symmetry import SYMMETRIES, turned
from lgesynthnet.train.augment.slices import (
    Deformation,
    bias_field,
    chosen,
    for_grid_sample,
    lower_resolution,
    random_places,
    smooth_displacement,
    uniform,
)
from lgesynthnet.train.batches import normal

SHIFT_MM = 9.0  # largest distance from the centre, by row and by column; the shipped heart segmenter is within 5 mm in 95 % of the slices
LARGEST_SCALE = 1.2
# With the rotation by up to 45 degrees and one of the eight symmetries of the square, every rotation occurs.
DEFORMATION = Deformation(
    log_scale=(-np.log(LARGEST_SCALE), np.log(LARGEST_SCALE)), aspect=0.05, shift=SHIFT_MM / PIXEL_MM, bends=((4, 2.5), (8, 0.8))
)
GAMMA, CONTRAST = 0.25, 0.1  # standard deviations of the logarithm
BRIGHTNESS, NOISE = 0.1, 0.3  # in standard deviations of the crop


@dataclass(frozen=True, kw_only=True)
class WallJitter:
    """How far the wall that a segmenter is shown lies from the labelled one.

    Attributes:
        shift_mm: standard deviation of its displacement as a whole.
        bend_mm: largest standard deviation of a smooth local displacement.
    """

    shift_mm: float
    bend_mm: float


def random_crops(
    image: Float[Tensor, "b 1 rows cols"],
    labels: Float[Tensor, "b 1 rows cols"],
    centre: Float[Tensor, "b 2"],
    rng: np.random.Generator,
    side: int,
    jitter: WallJitter | None = None,
) -> tuple[Float[Tensor, "b channels side side"], Int[Tensor, "b side side"]]:
    """A random crop of each canvas, normalised as `DownstreamSegmenter` normalises a crop; with its labels.

    Args:
        image: grey values 0 to 1, 0 is padding.
        labels: of `Label`, as floats.
        centre: (row, column) of the heart.
        side: side of the crop in pixels of 1.5 mm.
        jitter: displaces the channels cavity and wall; None leaves them out, so that the image is the only channel.
    """
    place = random_places(centre, rng, side, DEFORMATION)
    grid = for_grid_sample(place, image.shape[-1])
    x = functional.grid_sample(image, grid, align_corners=False)
    target = functional.grid_sample(labels, grid, mode="nearest", align_corners=False)
    x = _other_contrast(normalised(_other_curve(x, rng), x > 0.5 / 255), rng)
    if jitter is not None:
        grid = for_grid_sample(place + _displacement(jitter, rng, len(x), side), image.shape[-1])
        wall = functional.grid_sample(labels, grid, mode="nearest", align_corners=False)
        x = torch.cat([x, (wall == Label.CAVITY).float(), ((wall >= Label.WALL) & (wall < Label.RV)).float()], dim=1)
    views = rng.integers(SYMMETRIES, size=len(x))
    x, target = (torch.stack([turned(one, int(view)) for one, view in zip(part, views, strict=True)]) for part in (x, target))
    return x, target[:, 0].long()


def _other_curve(x: Float[Tensor, "b 1 h w"], rng: np.random.Generator) -> Float[Tensor, "b 1 h w"]:
    """Another gamma curve, another coil and, in half of the images, less sharpness."""
    gamma = torch.exp(normal(rng, len(x), 1, 1, 1) * GAMMA)
    return lower_resolution(bias_field(x.clamp(min=0) ** gamma, rng), rng, lowest=0.5).clamp(min=0)


def _other_contrast(x: Float[Tensor, "b 1 h w"], rng: np.random.Generator) -> Float[Tensor, "b 1 h w"]:
    """Another mean and spread of a normalised image and, in half of the images, white noise."""
    b = len(x)
    noise = normal(rng, *x.shape) * uniform(rng, b, 0, NOISE) * chosen(rng, b, 0.5)
    return x * torch.exp(normal(rng, b, 1, 1, 1) * CONTRAST) + normal(rng, b, 1, 1, 1) * BRIGHTNESS + noise


def _displacement(jitter: WallJitter, rng: np.random.Generator, b: int, side: int) -> Float[Tensor, "b side side 2"]:
    """How far each pixel of the shown wall is moved, in pixels."""
    shift = normal(rng, b, 1, 1, 2) * (jitter.shift_mm / PIXEL_MM)
    return shift + smooth_displacement(rng, b, side, 8, jitter.bend_mm / PIXEL_MM)
