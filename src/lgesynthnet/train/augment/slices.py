"""Domain randomisation of whole slices: each slice as another scanner, in another chest, could have shown it.

A simulated heart is right in its shape and in the order of its brightnesses, and wrong in nearly everything else. So everything else
is drawn at random: position, rotation and deformation of the heart, the curve from signal to grey value, and the background.

Source: the idea of SynthSeg (Billot et al., 2023), applied to simulated images instead of labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from lgesynthnet.segmenter.heart import PADDING, normalised
from lgesynthnet.train.batches import normal

SIDE = 144  # pixels of 1.5 mm, 216 mm: a crop holds the heart and its surroundings
TURN_DEG = 45.0  # hearts lie in this range of rotations; no mirror, because the RV is on the viewer's left
SHIFT = 0.3125  # largest distance of the heart from the crop's centre, as a share of the side; so the corners of large images are seen too
KNOTS = 8


def randomised_crop(
    image: Float[Tensor, "b 1 rows cols"],
    labels: Float[Tensor, "b 1 rows cols"],
    centre: Float[Tensor, "b 2"],
    known_surroundings: Bool[Tensor, " b"],
    rng: np.random.Generator,
    side: int = SIDE,
) -> tuple[Float[Tensor, "b 1 side side"], Int[Tensor, "b side side"]]:
    """A random crop of each canvas in random contrast, normalised as `HeartSegmenter` normalises a slice; with its labels.

    Args:
        image: grey values 0 to 1, 0 is padding.
        labels: of `Label`, as floats.
        centre: (row, column) of the heart.
        known_surroundings: whether the whole heart, RV included, is labelled, so that everything else may be changed.
        side: side of the crop in pixels of 1.5 mm.
    """
    moved, target = random_crop(image, labels, centre, rng, side)
    measured = moved > 0.5 / 255
    moved, measured = fill_padding(moved, measured, rng)
    x = random_gamma_curve(moved, rng, monotone=True)
    x = randomise_background(x, target > 0, known_surroundings, rng)
    x = bias_field(x, rng)
    x = lower_resolution(x, rng)
    x = add_noise(x, rng)
    measured = measured & ~black_border(len(x), side, rng)
    return normalised(x, measured), target[:, 0].long()


def elastic_crop(
    image: Float[Tensor, "b 1 rows cols"],
    labels: Float[Tensor, "b 1 rows cols"],
    centre: Float[Tensor, "b 2"],
    rng: np.random.Generator,
    side: int = SIDE,
) -> tuple[Float[Tensor, "b 1 side side"], Int[Tensor, "b side side"]]:
    """A random crop of each canvas in its own contrast, rotated, scaled and deformed: the geometric half of `randomised_crop`.

    The grey values are normalised over the whole canvas, as when a slice is read. A crop round the heart has another mean, and here no
    random contrast hides the difference.
    """
    unit = normalised(image, image > 0.5 / 255) - PADDING
    moved, target = random_crop(unit, labels, centre, rng, side)  # 0, that is padding, beyond the canvas
    return moved + PADDING, target[:, 0].long()


def random_crop(
    image: Float[Tensor, "b 1 rows cols"],
    labels: Float[Tensor, "b 1 rows cols"],
    centre: Float[Tensor, "b 2"],
    rng: np.random.Generator,
    side: int,
) -> tuple[Float[Tensor, "b 1 side side"], Float[Tensor, "b 1 side side"]]:
    """Grey values (interpolated) and labels (nearest) of one random crop of each canvas."""
    grid = crop_grid(centre, image.shape[-1], rng, side)
    moved = functional.grid_sample(image, grid, align_corners=False)
    return moved, functional.grid_sample(labels, grid, mode="nearest", align_corners=False)


def crop_grid(centre: Float[Tensor, "b 2"], canvas: int, rng: np.random.Generator, side: int) -> Float[Tensor, "b side side 2"]:
    """Position on the canvas of every pixel of random crops, in the units of `grid_sample`."""
    deformation = Deformation(log_scale=(np.log(0.75), np.log(1.3)), aspect=0.06, shift=SHIFT * side, bends=((4, 5.0), (9, 1.8)))
    return for_grid_sample(random_places(centre, rng, side, deformation), canvas)


@dataclass(frozen=True, kw_only=True)
class Deformation:
    """How much random crops are deformed, beside a rotation of up to 45 degrees.

    Attributes:
        log_scale: smallest and largest logarithm of canvas pixels per crop pixel.
        aspect: standard deviation of the logarithm of the ratio of both axes.
        shift: largest distance of the heart from the crop's centre by row and by column, in pixels.
        bends: knots along a side, and largest displacement in pixels, of each smooth displacement.
    """

    log_scale: tuple[float, float]
    aspect: float
    shift: float
    bends: tuple[tuple[int, float], ...]


def random_places(
    centre: Float[Tensor, "b 2"], rng: np.random.Generator, side: int, deformation: Deformation
) -> Float[Tensor, "b side side 2"]:
    """(column, row) on the canvas of every pixel of random crops: rotated, scaled, shifted and bent."""
    b = len(centre)
    turn = np.radians(rng.uniform(-TURN_DEG, TURN_DEG, b))
    scale = np.exp(rng.uniform(*deformation.log_scale, b))
    aspect = np.exp(rng.normal(0, deformation.aspect, b))
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    matrix = torch.from_numpy(np.stack([cos * aspect, -sin, sin * aspect, cos], 1).reshape(b, 2, 2).astype(np.float32))
    line = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    across, down = torch.meshgrid(line, line, indexing="xy")
    offset = torch.stack([across, down], dim=-1).reshape(1, -1, 2) @ matrix.transpose(1, 2)
    middle = centre.flip(1) + torch.from_numpy(rng.uniform(-deformation.shift, deformation.shift, (b, 2)).astype(np.float32))
    bend = torch.stack([smooth_displacement(rng, b, side, knots, pixels) for knots, pixels in deformation.bends]).sum(0)
    return offset.reshape(b, side, side, 2) + middle[:, None, None] + bend


def smooth_displacement(rng: np.random.Generator, b: int, side: int, knots: int, largest: float) -> Float[Tensor, "b side side 2"]:
    """A smooth random displacement; its standard deviation at the knots is uniform between 0 and `largest` pixels, image by image."""
    coarse = normal(rng, b, 2, knots, knots) * uniform(rng, b, 0, largest)
    return functional.interpolate(coarse, (side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def for_grid_sample(place: Float[Tensor, "b side side 2"], canvas: int) -> Float[Tensor, "b side side 2"]:
    """Positions in the units of `grid_sample`."""
    return (2 * place + 1) / canvas - 1


def fill_padding(
    x: Float[Tensor, "b 1 h w"], measured: Bool[Tensor, "b 1 h w"], rng: np.random.Generator
) -> tuple[Float[Tensor, "b 1 h w"], Bool[Tensor, "b 1 h w"]]:
    """Replace padding by texture in half of the images: a real field of view has no empty corners, and a rotated crop always does.

    Returns:
        The images, and which of their pixels now count as measured.
    """
    fill = chosen(rng, len(x), 0.5)
    return torch.where(fill & ~measured, texture(rng, len(x), x.shape[-1]), x), measured | fill


def random_gamma_curve(x: Float[Tensor, "b 1 h w"], rng: np.random.Generator, *, monotone: bool) -> Float[Tensor, "b 1 h w"]:
    """A random curve from signal to grey value for each image; a monotone one keeps scar brighter than wall."""
    b = len(x)
    if monotone:
        rise = rng.gamma(rng.choice([1.5, 4.0, 20.0], (b, 1)), size=(b, KNOTS)) + 0.05
        knots = np.concatenate([np.zeros((b, 1)), rise.cumsum(1) / rise.sum(1, keepdims=True)], axis=1)
    else:
        knots = rng.uniform(0, 1, (b, KNOTS + 1))
    return _through(x, torch.from_numpy(knots.astype(np.float32)))


def randomise_background(
    x: Float[Tensor, "b 1 h w"], heart: Bool[Tensor, "b 1 h w"], known: Bool[Tensor, " b"], rng: np.random.Generator
) -> Float[Tensor, "b 1 h w"]:
    """In half of the images with known surroundings: other grey values or pure texture beyond 0 to 12 mm around the heart."""
    b = len(x)
    grow = 2 * int(rng.integers(0, 9)) + 1
    keep = functional.max_pool2d(heart.float(), grow, stride=1, padding=grow // 2)
    keep = functional.avg_pool2d(keep, 3, stride=1, padding=1)
    other = random_gamma_curve(x, rng, monotone=False)
    share = uniform(rng, b, 0, 1) * chosen(rng, b, 0.5)
    other = (1 - share) * other + share * texture(rng, b, x.shape[-1])
    change = (chosen(rng, b, 0.5) & known[:, None, None, None]).float() * (1 - keep)
    return x * (1 - change) + other * change


def texture(rng: np.random.Generator, b: int, side: int) -> Float[Tensor, "b 1 side side"]:
    """Random texture with values 0 to 1: smooth hills or flat islands of 20 to 70 mm, with fine noise."""
    knots = int(rng.integers(5, 14))
    islands = functional.interpolate(normal(rng, b, 1, knots, knots), (side, side), mode="bicubic", align_corners=True)
    grain = functional.interpolate(normal(rng, b, 1, side // 3, side // 3), (side, side), mode="bilinear", align_corners=True)
    steps = (islands * 2).round() / 2
    return (0.5 + 0.3 * torch.where(chosen(rng, b, 0.5), steps, islands) + uniform(rng, b, 0, 0.1) * grain).clamp(0, 1)


def bias_field(x: Float[Tensor, "b 1 h w"], rng: np.random.Generator) -> Float[Tensor, "b 1 h w"]:
    """Brighter near the coil and darker far from it: a smooth random factor."""
    field = functional.interpolate(normal(rng, len(x), 1, 3, 3), x.shape[-2:], mode="bicubic", align_corners=True)
    return x * torch.exp(field * uniform(rng, len(x), 0, 0.35))


def lower_resolution(x: Float[Tensor, "b 1 h w"], rng: np.random.Generator, *, lowest: float = 0.33) -> Float[Tensor, "b 1 h w"]:
    """Half of the images at a lower resolution, down to `lowest` times their own; one factor for the batch."""
    side = round(x.shape[-1] * float(rng.uniform(lowest, 0.9)))
    coarse = functional.interpolate(x, (side, side), mode="bilinear", align_corners=False, antialias=True)
    coarse = functional.interpolate(coarse, x.shape[-2:], mode="bicubic", align_corners=False)
    return torch.where(chosen(rng, len(x), 0.5), coarse, x)


def add_noise(x: Float[Tensor, "b 1 h w"], rng: np.random.Generator) -> Float[Tensor, "b 1 h w"]:
    """Add white noise, and noise with a grain of two pixels, as interpolated images have."""
    b, _, h, w = x.shape
    wide = functional.interpolate(normal(rng, b, 1, h // 2, w // 2), (h, w), mode="bilinear", align_corners=False)
    return x + normal(rng, b, 1, h, w) * uniform(rng, b, 0, 0.08) + wide * uniform(rng, b, 0, 0.08)


def black_border(b: int, side: int, rng: np.random.Generator) -> Bool[Tensor, "b 1 side side"]:
    """Where a black border along one random side lies, in a quarter of the images; False elsewhere."""
    black = torch.zeros((b, 1, side, side), dtype=torch.bool)
    for i in np.flatnonzero(rng.random(b) < 0.25):
        depth = int(rng.integers(1, max(2, round(0.28 * side))))
        black[i, 0, :depth] = True
        black[i] = torch.rot90(black[i], int(rng.integers(4)), (1, 2))
    return black


def uniform(rng: np.random.Generator, b: int, low: float, high: float) -> Float[Tensor, "b 1 1 1"]:
    """One number for each image, uniform between `low` and `high`."""
    return torch.from_numpy(rng.uniform(low, high, (b, 1, 1, 1)).astype(np.float32))


def chosen(rng: np.random.Generator, b: int, share: float) -> Bool[Tensor, "b 1 1 1"]:
    """True for each image with probability `share`."""
    return torch.from_numpy(rng.random((b, 1, 1, 1)) < share)


def _through(x: Float[Tensor, "b 1 h w"], knots: Float[Tensor, "b k"]) -> Float[Tensor, "b 1 h w"]:
    """Apply to each image the piecewise linear curve through its knots, which are evenly spaced over 0 to 1."""
    place = x.clamp(0, 1) * (knots.shape[1] - 1)
    below = place.floor().clamp(max=knots.shape[1] - 2)
    index = below.long().flatten(1)
    low, high = knots.gather(1, index).view_as(x), knots.gather(1, index + 1).view_as(x)
    return low + (high - low) * (place - below)
