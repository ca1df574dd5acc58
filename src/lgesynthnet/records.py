"""Words that three or more layers speak. Imports nothing of ours but the errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from lgesynthnet.errors import InputError

Labels = UInt8[np.ndarray, "rows cols"]
Mask = Bool[np.ndarray, "rows cols"]
Image = Shaped[np.ndarray, "rows cols"]
Field = Float[np.ndarray, "rows cols"]


class Label(IntEnum):
    """Label ids inside the program, the EMIDEC numbering plus an optional RV cavity."""

    BACKGROUND = 0
    CAVITY = 1
    WALL = 2
    SCAR = 3
    NO_REFLOW = 4
    RV = 5


class Level(StrEnum):
    """Third of the left ventricle's length that a short-axis slice lies in."""

    BASAL = "basal"
    MID = "mid"
    APICAL = "apical"


def wall_of(labels: Shaped[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """The whole myocardium: healthy wall, scar and no-reflow together."""
    return np.isin(labels, (Label.WALL, Label.SCAR, Label.NO_REFLOW))


def scar_of(labels: Shaped[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Everything the field counts as infarct: scar and no-reflow together."""
    return np.isin(labels, (Label.SCAR, Label.NO_REFLOW))


@dataclass(frozen=True, kw_only=True)
class ShortAxisSlice:
    """One 2-D short-axis LGE image with its labels, in the scanner's own grid and numbers.

    Attributes:
        patient: who it was taken from; splits go by this name.
        index: position in the file's stack, from 0, in the file's own order.
        image: (rows, cols), stored numbers (any real dtype), radiological view: RV on the viewer's left.
        labels: (rows, cols) of `Label`.
        spacing_mm: pixel size as (row, column).
        image_path, label_path: the files it came from; None for a slice made in memory.

    Raises:
        InputError: shapes differ, spacing is not positive.
    """

    patient: str
    index: int
    image: Image
    labels: Labels
    spacing_mm: tuple[float, float]
    image_path: Path | None = None
    label_path: Path | None = None

    def __post_init__(self) -> None:
        if self.image.shape != self.labels.shape:
            raise InputError(f"{self.name}: image is {self.image.shape} but its labels are {self.labels.shape}")
        if not min(self.spacing_mm) > 0:
            raise InputError(f"{self.name}: pixel spacing must be positive, got {self.spacing_mm} mm")

    @property
    def name(self) -> str:
        return f"{self.patient}_s{self.index:02d}"

    @property
    def wall(self) -> Mask:
        return wall_of(self.labels)

    @property
    def cavity(self) -> Mask:
        return self.labels == Label.CAVITY

    @property
    def scar(self) -> Mask:
        return scar_of(self.labels)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """All short-axis slices of one patient as the files hold them, turned to (row, column, slice).

    Attributes:
        image: (rows, cols, slices), stored numbers.
        labels: (rows, cols, slices) of `Label`.
        spacing_mm: pixel size as (row, column).
        slice_step_mm: distance between neighbouring slice centres.
        flip: (rows, cols) flips that were applied to reach the radiological view; a writer undoes them.
        base_first: True, False, or None where nobody said; never guessed here.
        insertions_deg: per slice index, (anterior, inferior) RV insertion angles given by the user.
    """

    patient: str
    image: Shaped[np.ndarray, "rows cols slices"]
    labels: UInt8[np.ndarray, "rows cols slices"]
    spacing_mm: tuple[float, float]
    slice_step_mm: float
    image_path: Path | None = None
    label_path: Path | None = None
    flip: tuple[bool, bool] = (False, False)
    base_first: bool | None = None
    insertions_deg: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.image.shape != self.labels.shape:
            raise InputError(f"{self.patient}: image is {self.image.shape} but its labels are {self.labels.shape}")

    def __len__(self) -> int:
        return int(self.image.shape[2])

    def __getitem__(self, index: int) -> ShortAxisSlice:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.patient} has slices 0 to {len(self) - 1}, asked for {index}")
        return ShortAxisSlice(
            patient=self.patient,
            index=index,
            image=np.ascontiguousarray(self.image[:, :, index]),
            labels=np.ascontiguousarray(self.labels[:, :, index]),
            spacing_mm=self.spacing_mm,
            image_path=self.image_path,
            label_path=self.label_path,
        )

    def __iter__(self) -> Iterator[ShortAxisSlice]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """What could not be used, and why: skipping is a result, not a silence."""

    name: str
    reason: str


class Source(StrEnum):
    """How the right-ventricular insertions were found, best first."""

    LANDMARKS = "landmarks"
    RV_LABEL = "rv-label"
    IMAGE = "image"
    ASSUMED = "assumed"


@dataclass(frozen=True, kw_only=True)
class Insertions:
    """Anterior and inferior RV insertion, degrees counter-clockwise from image right round the LV centre.

    Attributes:
        confidence: 0 to 1; landmarks and labels carry 1, the assumed pair 0.
    """

    anterior_deg: float
    inferior_deg: float
    source: Source
    confidence: float

    @property
    def septum_deg(self) -> float:
        """Septal arc, counter-clockwise from the anterior to the inferior insertion."""
        return (self.inferior_deg - self.anterior_deg) % 360.0
