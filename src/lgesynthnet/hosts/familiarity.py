"""Whether a scan resembles those that the shipped weights were trained on, and what to do where it does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

import numpy as np

from lgesynthnet.conditioning.noise import fine_detail
from lgesynthnet.records import Label, ShortAxisSlice, Stack

TABLE = "known_scans.json"  # written by scripts/known_scans.py
MEDIAN_TO_SD = 0.6745  # median of the absolute value of normal noise, in standard deviations
DARK_WALL = 0.25  # share of the range of the image; below it, wall and blood are both nulled
LEAST_PADDING = 0.5  # share of the image's border that has one number
THREE_D_STEP_MM, THREE_D_SLICES = 4.0, 24
OWN_WEIGHTS = "or train weights of your own with `lgesynthnet train all`"


class Strangeness(StrEnum):
    """What is unusual about a scan; also the key by which the same warning of several patients is put into one."""

    DARK_BLOOD = "dark blood"
    EARLY_INVERSION = "early inversion"
    CONTRAST = "contrast"
    NOISE = "noise"
    SPACING = "spacing"
    PADDING = "padding"
    THREE_D = "3-D"


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """A scan in numbers: medians over its usable slices.

    Attributes:
        contrast: blood minus wall, as a share of the range of the image (1st to 99th percentile of what is not 0).
        wall: level of the wall in that range, 0 to 1.
        noise: standard deviation of the noise in the heart, as a share of blood minus wall; None where that is not above 0.
        pixel_mm: the longer side of a pixel.
        padding: number that fills most of the border of the image, where one does and it is not 0; None elsewhere.
    """

    contrast: float
    wall: float
    noise: float | None
    pixel_mm: float
    padding: float | None


def appearance_of(stack: Stack, usable: Sequence[int]) -> Appearance | None:
    """Measure a stack; None where no slice is usable."""
    rows = [_measured(stack[index]) for index in usable]
    if not rows:
        return None
    contrast, wall, noise = (float(np.nanmedian(column)) if not np.isnan(column).all() else np.nan for column in np.array(rows).T)
    return Appearance(
        contrast=contrast,
        wall=wall,
        noise=noise / contrast if contrast > 0 and not np.isnan(noise) else None,
        pixel_mm=max(stack.spacing_mm),
        padding=_padding(stack[usable[0]]),
    )


def strangeness_of(stack: Stack, usable: Sequence[int]) -> list[tuple[Strangeness, str]]:
    """What is unusual about a stack, with what to do about it, one sentence each."""
    seen = appearance_of(stack, usable)
    if seen is None:
        return []
    found = [*_contrast_faults(seen), *_fineness_faults(seen)]
    if seen.padding is not None:
        found.append(
            (
                Strangeness.PADDING,
                f"the border of the image is filled with the number {seen.padding:g}, and the program takes only 0 for padding; replace it "
                "by 0, so that it is not taken for tissue",
            )
        )
    if 0 < stack.slice_step_mm <= THREE_D_STEP_MM and len(stack) >= THREE_D_SLICES:
        found.append(
            (
                Strangeness.THREE_D,
                f"its {len(stack)} slices are {stack.slice_step_mm:.3g} mm apart, as in 3-D LGE, and the weights know single slices of 2-D "
                "LGE; each slice is painted by itself, so neighbours do not match: keep slices that are 8 mm apart",
            )
        )
    return found


def _contrast_faults(seen: Appearance) -> list[tuple[Strangeness, str]]:
    if seen.contrast <= 0 and seen.wall < DARK_WALL:
        return [
            (
                Strangeness.DARK_BLOOD,
                f"blood and wall are both dark, as in dark-blood LGE, and the weights know bright blood; take a bright-blood series, "
                f"{OWN_WEIGHTS}",
            )
        ]
    if seen.contrast <= 0:
        return [
            (
                Strangeness.EARLY_INVERSION,
                "the blood is darker than the wall, as in magnitude images with too short an inversion time; take the phase-sensitive "
                f"(PSIR) series, or images with a longer inversion time, {OWN_WEIGHTS}",
            )
        ]
    least, _ = known_range("contrast")
    if seen.contrast < least:
        return [
            (
                Strangeness.CONTRAST,
                f"the blood is hardly brighter than the wall ({seen.contrast:.2f} of the range of the image, and the weights know "
                f"{least:.2f} and more), as with an inversion time that does not null the wall; take the phase-sensitive (PSIR) series, "
                f"{OWN_WEIGHTS}",
            )
        ]
    return []


def _fineness_faults(seen: Appearance) -> list[tuple[Strangeness, str]]:
    found = []
    finest, coarsest = known_range("pixel_mm")
    if not finest <= seen.pixel_mm <= coarsest:
        found.append(
            (
                Strangeness.SPACING,
                f"its pixels have {seen.pixel_mm:.2f} mm, and the weights know {finest:.2f} to {coarsest:.2f} mm; compare the grain of the "
                f"first samples with their hosts in the report, {OWN_WEIGHTS}",
            )
        )
    _, loudest = known_range("noise")
    if seen.noise is not None and seen.noise > loudest:
        found.append(
            (
                Strangeness.NOISE,
                f"its noise is {seen.noise:.2f} of the contrast between blood and wall, and the weights know up to {loudest:.2f}; compare "
                f"the grain of the first samples with their hosts in the report, {OWN_WEIGHTS}",
            )
        )
    return found


@lru_cache(maxsize=1)
def _known() -> dict[str, tuple[float, float]]:
    table = json.loads((files("lgesynthnet.hosts") / TABLE).read_text(encoding="utf-8"))
    return {name: (float(low), float(high)) for name, (low, high) in table["ranges"].items()}


def known_range(name: str) -> tuple[float, float]:
    """The middle 90 % of the training scans of the shipped weights in a number of `Appearance`."""
    return _known()[name]


def _measured(slice_: ShortAxisSlice) -> tuple[float, float, float]:
    """Contrast and level of the wall as shares of the range, and the noise as a share of it; NaN where there is too little to measure."""
    image = slice_.image.astype(np.float64)
    present = image[image != 0]  # zero is padding, not signal
    low, high = np.percentile(present, (1, 99))
    span = max(float(high - low), np.finfo(np.float64).tiny)
    healthy = slice_.labels == Label.WALL
    wall = float(np.median(image[healthy if healthy.any() else slice_.wall]))
    detail = fine_detail(image, slice_.wall | slice_.cavity)
    noise = float(np.median(detail)) / MEDIAN_TO_SD if detail is not None else np.nan
    return (float(np.median(image[slice_.cavity])) - wall) / span, (wall - float(low)) / span, noise / span


def _padding(slice_: ShortAxisSlice) -> float | None:
    image = slice_.image
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    values, counts = np.unique(border, return_counts=True)
    most = int(np.argmax(counts))
    inside = slice_.wall | slice_.cavity
    if values[most] == 0 or counts[most] < LEAST_PADDING * border.size or values[most] < np.median(image[inside]):
        return None
    return float(values[most])
