"""Operating points of a downstream segmenter: thresholds at which a chosen share of the slices without scar is called scarred.

They are set on patients whom the network that reads them has not seen; on training patients every network looks better than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from lgesynthnet.errors import InputError
from lgesynthnet.records import Stack, scar_of, wall_of
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2, RATES
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, OperatingPoint, scar_share
from lgesynthnet.terms import WallFrom

# A rate is set where it lets this many of the slices without scar be called scarred; with one slice it would be an accident.
LEAST_FALSE = 2


@dataclass(frozen=True, kw_only=True)
class SliceReading:
    """How a segmenter read one slice whose wall is labelled.

    Attributes:
        patient, index: name of the patient, and the slice, from 0.
        has_scar: whether scar or no-reflow is labelled in it.
        critical: the largest threshold at which more than 25 mm² of it is called scar, 0 to 1; 0 where the drawn wall is smaller than that.
    """

    patient: str
    index: int
    has_scar: bool
    critical: float


def read_slices(segmenter: DownstreamSegmenter, stack: Stack) -> list[SliceReading]:
    """Read every slice of a stack that has a labelled wall. A segmenter with a known wall is shown the labelled one.

    Raises:
        InputError: see `DownstreamSegmenter.stack_probabilities`.
    """
    known = stack.labels if segmenter.wall_from is WallFrom.KNOWN_WALL else None
    probability = segmenter.stack_probabilities(stack.image, stack.spacing_mm, known)
    wall = wall_of(segmenter.decide(probability, stack.spacing_mm, known))
    share, pixel_mm2 = scar_share(probability), float(np.prod(stack.spacing_mm))
    return [
        SliceReading(
            patient=stack.patient,
            index=k,
            has_scar=bool(scar_of(stack.labels[:, :, k]).any()),
            critical=critical_threshold(share[:, :, k], wall[:, :, k], pixel_mm2),
        )
        for k in range(len(stack))
        if wall_of(stack.labels[:, :, k]).any()
    ]


def critical_threshold(share: Float[np.ndarray, "rows cols"], wall: Bool[np.ndarray, "rows cols"], pixel_mm2: float) -> float:
    """The largest threshold at which more than 25 mm² of the wall is called scar; 0 where the wall is smaller.

    Args:
        share: scar's share of the wall's probability, 0 to 1.
        pixel_mm2: area of one pixel.
    """
    inside = share[wall]
    enough = int(FALSE_SCAR_MM2 // pixel_mm2) + 1  # pixels that are more than 25 mm²
    return float(np.partition(inside, -enough)[-enough]) if len(inside) >= enough else 0.0


def set_points(readings: Sequence[SliceReading], rates: Sequence[float] = RATES) -> tuple[OperatingPoint, ...]:
    """The lowest threshold for each rate at which no larger share of the slices without scar is called scarred.

    A rate is left out where too few slices are without scar, or where even a threshold of 1 calls too many of them scarred.
    """
    critical = sorted((reading.critical for reading in readings if not reading.has_scar), reverse=True)
    points = []
    for rate in rates:
        allowed = int(rate * len(critical) + 1e-9)
        if allowed < LEAST_FALSE or not critical[allowed] < 1:
            continue
        above, below = critical[allowed - 1], critical[allowed]
        threshold = (above + below) / 2 if above > below else float(np.nextafter(below, 2))
        points.append(OperatingPoint(false_positive_rate=rate, threshold=threshold))
    return tuple(points)


def slices_needed(rate: float) -> int:
    """How many slices without scar `set_points` needs for a rate."""
    return int(np.ceil(LEAST_FALSE / rate - 1e-9))


def share_called(readings: Sequence[SliceReading], threshold: float, *, has_scar: bool) -> float | None:
    """Share of the slices with (or without) scar that are called scarred: the sensitivity, or the false-positive rate. None without any."""
    called = [reading.critical >= threshold and reading.critical > 0 for reading in readings if reading.has_scar is has_scar]
    return float(np.mean(called)) if called else None


def require_point(segmenter: DownstreamSegmenter, rate: float, *, place: str) -> OperatingPoint:
    """The stored operating point for a false-positive rate.

    Args:
        place: the folder of the segmenter, for the message.
    Raises:
        InputError: the segmenter has none for this rate.
    """
    points = segmenter.settings.points
    for point in points:
        if abs(point.false_positive_rate - rate) < 1e-9:
            return point
    if not points:
        raise InputError(f"--false-positive-rate {rate:g}: {place} has no operating points (too few slices to set them); leave it out")
    known = " or ".join(f"{point.false_positive_rate:g}" for point in points)
    raise InputError(f"--false-positive-rate {rate:g}: {place} has no threshold for it; give {known}, or leave it out")
