"""Operating points of a downstream segmenter: in which slices it draws scar, for a chosen share of false alarms in slices without.

A slice keeps its scar where the expected area of scar in it is large enough. The alternative, a higher threshold for every pixel, makes
every scar smaller. Operating points are set on patients whom the network that reads them has not seen; on training patients every network
looks better than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from lgesynthnet.errors import InputError
from lgesynthnet.records import Stack, scar_of, wall_of
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2, RATES
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, OperatingPoint, expected_scar_mm2
from lgesynthnet.terms import WallFrom

# A rate is set where it lets this many of the slices without scar be called scarred; with one slice it would be an accident.
LEAST_FALSE = 2
ROUNDING_MM2 = 0.01  # more than what is lost when an expected area is stored


@runtime_checkable
class Read(Protocol):
    """A slice whose wall is labelled, as a segmenter that erases nothing reads it.

    Attributes:
        has_scar: whether scar or no-reflow is labelled in it.
        expected_scar_mm2: see `segmenter.downstream.expected_scar_mm2`.
        is_called: whether more than 25 mm² of scar are drawn.
    """

    @property
    def has_scar(self) -> bool: ...

    @property
    def expected_scar_mm2(self) -> float: ...

    @property
    def is_called(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class SliceReading:
    """How a segmenter read one slice; see `Read`.

    Attributes:
        patient, index: name of the patient, and the slice, from 0.
    """

    patient: str
    index: int
    has_scar: bool
    expected_scar_mm2: float
    is_called: bool


def read_slices(segmenter: DownstreamSegmenter, stack: Stack) -> list[SliceReading]:
    """Read every slice of a stack that has a labelled wall. A segmenter with a known wall is shown the labelled one.

    Raises:
        InputError: see `DownstreamSegmenter.stack_probabilities`.
        ValueError: the segmenter erases scar.
    """
    require_nothing_erased(segmenter)
    known = stack.labels if segmenter.wall_from is WallFrom.KNOWN_WALL else None
    probability = segmenter.stack_probabilities(stack.image, stack.spacing_mm, known)
    drawn = segmenter.decide(probability, stack.spacing_mm, known)
    expected = expected_scar_mm2(probability, drawn, stack.spacing_mm)
    area = scar_of(drawn).sum(axis=(0, 1)) * float(np.prod(stack.spacing_mm))
    return [
        SliceReading(
            patient=stack.patient,
            index=k,
            has_scar=bool(scar_of(stack.labels[:, :, k]).any()),
            expected_scar_mm2=float(expected[k]),
            is_called=bool(area[k] > FALSE_SCAR_MM2),
        )
        for k in range(len(stack))
        if wall_of(stack.labels[:, :, k]).any()
    ]


def require_nothing_erased(segmenter: DownstreamSegmenter) -> None:
    """Check that a segmenter that is to be scored draws all the scar that it finds, because the operating points are set from that.

    Raises:
        ValueError: it erases the scar of some slices.
    """
    if segmenter.least_area_mm2:
        raise ValueError("a segmenter is scored while it erases nothing; set its least_area_mm2 to 0")


def least_area_mm2(readings: Sequence[Read], rate: float) -> float | None:
    """The smallest expected area from which on scar is drawn, at which no larger share of the slices without scar is called scarred.

    0 where the rate is kept without erasing anything; None where no slice is free of scar.
    """
    free = [reading for reading in readings if not reading.has_scar]
    if not free:
        return None
    called = sorted((reading.expected_scar_mm2 for reading in free if reading.is_called), reverse=True)
    allowed = int(rate * len(free) + 1e-9)
    if len(called) <= allowed:
        return 0.0
    erased, kept = called[allowed], called[allowed - 1] if allowed else np.inf
    # Half way between two slices, so that a rounded number or another processor changes nothing. Equal slices lose their scar alike.
    return (erased + kept) / 2 if 2 * ROUNDING_MM2 < kept - erased < np.inf else erased + ROUNDING_MM2


def set_points(readings: Sequence[Read], rates: Sequence[float] = RATES) -> tuple[OperatingPoint, ...]:
    """The operating point for each rate; a rate is left out where too few slices are without scar."""
    free = sum(not reading.has_scar for reading in readings)
    points = []
    for rate in rates:
        least = least_area_mm2(readings, rate) if free >= slices_needed(rate) else None
        if least is not None:
            points.append(OperatingPoint(false_positive_rate=rate, least_area_mm2=least))
    return tuple(points)


def default_area_mm2(points: Sequence[OperatingPoint]) -> float:
    """The least area at which a segmenter draws unless another point is asked for: the point of the lowest rate; 0 without any."""
    return min(points, key=lambda point: point.false_positive_rate).least_area_mm2 if points else 0.0


def slices_needed(rate: float) -> int:
    """How many slices without scar `set_points` needs for a rate."""
    return int(np.ceil(LEAST_FALSE / rate - 1e-9))


def share_called(readings: Sequence[Read], least_area_mm2: float, *, has_scar: bool) -> float | None:
    """Share of the slices with (or without) scar that are called scarred: the sensitivity, or the false-positive rate. None without any."""
    called = [reading.is_called and reading.expected_scar_mm2 >= least_area_mm2 for reading in readings if reading.has_scar is has_scar]
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
        raise InputError(f"--false-positive-rate {rate:g}: {place} has no operating points (too few patients to set them); leave it out")
    known = " or ".join(f"{point.false_positive_rate:g}" for point in points)
    raise InputError(f"--false-positive-rate {rate:g}: {place} has no operating point for it; give {known}, or leave it out")
