"""A stack of DICOM frames: one image at each position, in the order in which they lie in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from lgesynthnet.data.dicom.headers import Frame, Kind
from lgesynthnet.data.view import LEAST_TILT_DEG, TO_BASE

SHORT_AXIS_DEG = 50.0  # of the normal from the usual long axis; hearts differ by some 20 degrees, long-axis planes by 60 or more
LOCATION_MM = 0.5  # nearer slices lie at one position
GAP = 1.5  # of the usual step; a longer one lacks a slice


def unit(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The vector with length 1."""
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def centre_of(frame: Frame) -> Float[np.ndarray, "3"]:
    """Centre of the image in patient coordinates in mm. Unlike the first pixel it hardly moves where slices are tilted."""
    rows, columns = frame.plane.shape
    return np.asarray(frame.plane.to_patient(np.array([[(rows - 1) / 2, (columns - 1) / 2]]))[0])


def mean_normal(frames: Sequence[Frame]) -> Float[np.ndarray, "3"]:
    """Unit vector along which the slices of a stack are sorted."""
    return unit(np.sum([frame.plane.normal for frame in frames], axis=0))


@dataclass(frozen=True, kw_only=True)
class FrameStack:
    """Frames of one kind and one geometry.

    Attributes:
        frames: one for each position, sorted along `normal`.
        repeats: earlier images of the same slices, which are left out.
        phases: images at each position; 1 for LGE, more for cine, perfusion and series of inversion times.
        number: of the stack in the table of its patient, from 1.
        has_named_images: whether an earlier image was taken because the user named its series.
    """

    frames: tuple[Frame, ...]
    repeats: tuple[Frame, ...] = ()
    phases: int = 1
    number: int = 0
    has_named_images: bool = False

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def first(self) -> Frame:
        return self.frames[0]

    @property
    def kind(self) -> Kind:
        return self.first.kind

    @property
    def name(self) -> str:
        """What `--series` calls the stack: s1, s2, ..."""
        return f"s{self.number}"

    @cached_property
    def normal(self) -> Float[np.ndarray, "3"]:
        return mean_normal(self.frames)

    @cached_property
    def positions_mm(self) -> Float[np.ndarray, " slices"]:
        """Of the centres of the slices along the normal, rising."""
        return np.array([centre_of(frame) @ self.normal for frame in self.frames])

    @cached_property
    def step_mm(self) -> float:
        """The usual distance between neighbouring slices; of a single slice what its file states, or 0."""
        if len(self.frames) > 1:
            return float(np.median(np.diff(self.positions_mm)))
        return self.first.step_mm or self.first.thickness_mm or 0.0

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """(slice before the gap, number of slices that lack there)."""
        steps = np.diff(self.positions_mm)
        return [(i, max(1, round(float(step / self.step_mm)) - 1)) for i, step in enumerate(steps) if step > GAP * self.step_mm]

    @property
    def tilt_deg(self) -> float:
        """Largest angle between a slice and the mean of all."""
        cosines = [min(1.0, float(frame.plane.normal @ self.normal)) for frame in self.frames]
        return float(np.degrees(np.arccos(min(cosines))))

    @property
    def long_axis_deg(self) -> float:
        """Angle between the normal of the slices and the usual long axis of the heart, 0 to 90."""
        return float(np.degrees(np.arccos(min(1.0, abs(float(self.normal @ unit(TO_BASE)))))))

    @property
    def is_short_axis(self) -> bool:
        """By the geometry alone. A plane along the axes of the scanner is none, because no heart lies like that."""
        tilt_deg = float(np.degrees(np.arccos(min(1.0, float(np.abs(self.normal).max())))))
        return tilt_deg >= LEAST_TILT_DEG and self.long_axis_deg <= SHORT_AXIS_DEG

    @property
    def inversion_ms(self) -> tuple[float, float] | None:
        """Shortest and longest inversion time; None where no frame states one."""
        times = [frame.inversion_ms for frame in self.frames if frame.inversion_ms is not None]
        return (min(times), max(times)) if times else None

    @property
    def series_uids(self) -> set[str]:
        return {frame.series.uid for frame in self.frames}

    @property
    def series_numbers(self) -> list[int]:
        return sorted({frame.series.number for frame in self.frames if frame.series.number is not None})

    @property
    def descriptions(self) -> list[str]:
        return sorted({frame.series.description for frame in self.frames if frame.series.description})

    def notes(self) -> list[str]:
        """What is unusual about the stack, one sentence each; nothing of it is changed."""
        notes = [
            f"between slices {before} and {before + 1} {'a slice lacks' if count == 1 else f'{count} slices lack'}"
            for before, count in self.gaps
        ]
        if self.repeats:
            which = "that of the named series is taken" if self.has_named_images else "the later image of each is taken"
            notes.append(f"{len(self.repeats)} of its slices were acquired again; {which}")
        if self.tilt_deg >= 0.1:
            notes.append(
                f"its slices are tilted by up to {self.tilt_deg:.1f} degrees against each other's mean, and each keeps its own plane"
            )
        if len({(frame.slope, frame.intercept) for frame in self.frames}) > 1:
            notes.append("its slices have different slopes or intercepts; the stored numbers are used as they are")
        if (times := self.inversion_ms) and times[1] - times[0] >= 1:
            notes.append(f"its inversion times run from {times[0]:g} to {times[1]:g} ms")
        return notes

    def __str__(self) -> str:
        numbers = ", ".join(map(str, self.series_numbers[:4])) + (" ..." if len(self.series_numbers) > 4 else "")
        words = [f"series {numbers}"] if numbers else []
        words += [f'"{self.descriptions[0][:40]}"'] if self.descriptions else []
        return f"{self.name} ({', '.join([*words, self.kind.value, f'{len(self)} slices'])})"
