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
from lgesynthnet.train.augment.slices import bias_field, chosen, lower_resolution, uniform
from lgesynthnet.train.batches import normal

TURN_DEG = 45.0  # added to one of the eight symmetries of the square, so that every rotation occurs
SHIFT_MM = 9.0  # largest distance from the centre, by row and by column; the shipped heart segmenter is within 5 mm in 95 % of the slices
LARGEST_SCALE = 1.2
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
    place = _places(centre, rng, side)
    grid = _for_grid_sample(place, image.shape[-1])
    x = functional.grid_sample(image, grid, align_corners=False)
    target = functional.grid_sample(labels, grid, mode="nearest", align_corners=False)
    x = _other_contrast(normalised(_other_curve(x, rng), x > 0.5 / 255), rng)
    if jitter is not None:
        grid = _for_grid_sample(place + _displacement(jitter, rng, len(x), side), image.shape[-1])
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


def _places(centre: Float[Tensor, "b 2"], rng: np.random.Generator, side: int) -> Float[Tensor, "b side side 2"]:
    """(column, row) on the canvas of every pixel of random crops: rotated, scaled, shifted and bent."""
    b = len(centre)
    turn = np.radians(rng.uniform(-TURN_DEG, TURN_DEG, b))
    scale = np.exp(rng.uniform(-np.log(LARGEST_SCALE), np.log(LARGEST_SCALE), b))
    aspect = np.exp(rng.normal(0, 0.05, b))
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    matrix = torch.from_numpy(np.stack([cos * aspect, -sin, sin * aspect, cos], 1).reshape(b, 2, 2).astype(np.float32))
    line = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    across, down = torch.meshgrid(line, line, indexing="xy")
    offset = torch.stack([across, down], dim=-1).reshape(1, -1, 2) @ matrix.transpose(1, 2)
    shift = SHIFT_MM / PIXEL_MM
    middle = centre.flip(1) + torch.from_numpy(rng.uniform(-shift, shift, (b, 2)).astype(np.float32))
    bend = _smooth(rng, b, side, 4, 2.5) + _smooth(rng, b, side, 8, 0.8)
    return offset.reshape(b, side, side, 2) + middle[:, None, None] + bend


def _displacement(jitter: WallJitter, rng: np.random.Generator, b: int, side: int) -> Float[Tensor, "b side side 2"]:
    """How far each pixel of the shown wall is moved, in pixels."""
    shift = normal(rng, b, 1, 1, 2) * (jitter.shift_mm / PIXEL_MM)
    return shift + _smooth(rng, b, side, 8, jitter.bend_mm / PIXEL_MM)


def _smooth(rng: np.random.Generator, b: int, side: int, knots: int, largest: float) -> Float[Tensor, "b side side 2"]:
    """A smooth random displacement; its standard deviation at the knots is uniform between 0 and `largest` pixels, image by image."""
    coarse = normal(rng, b, 2, knots, knots) * uniform(rng, b, 0, largest)
    return functional.interpolate(coarse, (side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def _for_grid_sample(place: Float[Tensor, "b side side 2"], canvas: int) -> Float[Tensor, "b side side 2"]:
    """Positions in the units of `grid_sample`."""
    return (2 * place + 1) / canvas - 1
