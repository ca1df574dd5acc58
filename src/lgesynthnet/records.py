"""Data types that three or more packages share: slices, stacks, labels, levels and RV insertions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
OnCase = Callable[[int, int], None]  # gets (done, total) after each case


class Label(IntEnum):
    """Label ids inside the program: the EMIDEC numbering plus an optional RV cavity."""

    BACKGROUND = 0
    CAVITY = 1
    WALL = 2
    SCAR = 3
    NO_REFLOW = 4
    RV = 5


class Level(StrEnum):
    """Third of the length of the left ventricle that a short-axis slice lies in."""

    BASAL = "basal"
    MID = "mid"
    APICAL = "apical"


def wall_of(labels: Shaped[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Mask of the whole myocardium, of the same shape: healthy wall, scar and no-reflow together."""
    return np.asarray((labels == Label.WALL) | (labels == Label.SCAR) | (labels == Label.NO_REFLOW))  # `isin` takes eight times the memory


def scar_of(labels: Shaped[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Mask of the infarct, of the same shape: scar and no-reflow together."""
    return np.asarray((labels == Label.SCAR) | (labels == Label.NO_REFLOW))


@dataclass(frozen=True, kw_only=True)
class ShortAxisSlice:
    """One 2-D short-axis LGE image with its labels, on the scanner's own grid and in its own numbers.

    Attributes:
        patient: name of the patient; data are split by this name.
        index: position in the stack of the file, from 0, in the order of the file.
        image: (rows, cols), stored numbers of any real data type, in the radiological view: the RV is on the viewer's left.
        labels: (rows, cols), values of `Label`.
        spacing_mm: pixel size in mm as (row, column).
        image_path, label_path: the files that the slice came from; None for a slice made in memory.

    Raises:
        InputError: the shapes differ, or the spacing is not positive.
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
            raise InputError(f"{self.name}: the image is {self.image.shape} but its labels are {self.labels.shape}")
        if not min(self.spacing_mm) > 0:
            raise InputError(f"{self.name}: the pixel spacing must be positive, got {self.spacing_mm} mm")

    @property
    def name(self) -> str:
        """Patient and slice index, e.g. P001_s03."""
        return f"{self.patient}_s{self.index:02d}"

    @property
    def wall(self) -> Mask:
        """(rows, cols) the whole myocardium, scar and no-reflow included."""
        return wall_of(self.labels)

    @property
    def cavity(self) -> Mask:
        """(rows, cols) the blood pool of the left ventricle."""
        return np.asarray(self.labels == Label.CAVITY)

    @property
    def scar(self) -> Mask:
        """(rows, cols) scar and no-reflow together."""
        return scar_of(self.labels)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """All short-axis slices of one patient as the files hold them, with the axes turned to (row, column, slice).

    Attributes:
        image: (rows, cols, slices), stored numbers.
        labels: (rows, cols, slices), values of `Label`.
        spacing_mm: pixel size in mm as (row, column).
        slice_step_mm: distance between the centres of neighbouring slices in mm; 0 where a single slice states none.
        flip: whether (rows, columns) were mirrored to reach the radiological view; a writer undoes this.
        base_first: whether slice 0 is the base; None where it is not known. It is never guessed here.
        insertions_deg: slice index -> (anterior, inferior) RV insertion angles in degrees, as the user marked them.

    Raises:
        InputError: the shapes of image and labels differ.
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
            raise InputError(f"{self.patient}: the image is {self.image.shape} but its labels are {self.labels.shape}")

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
    """A case or slice that could not be used, with the reason."""

    name: str
    reason: str


class Source(StrEnum):
    """How the RV insertions were found, the most reliable way first."""

    LANDMARKS = "landmarks"
    RV_LABEL = "rv-label"
    IMAGE = "image"
    ASSUMED = "assumed"


@dataclass(frozen=True, kw_only=True)
class Insertions:
    """The anterior and the inferior RV insertion, in degrees counter-clockwise from image right round the LV centre.

    Attributes:
        confidence: 0 to 1; landmarks and labels have 1, the assumed pair has 0.
    """

    anterior_deg: float
    inferior_deg: float
    source: Source
    confidence: float

    @property
    def septum_deg(self) -> float:
        """Extent of the septum in degrees, counter-clockwise from the anterior to the inferior insertion, in [0, 360)."""
        return (self.inferior_deg - self.anterior_deg) % 360.0
