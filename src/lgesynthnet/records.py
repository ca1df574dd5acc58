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


def without_scar(labels: Shaped[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Cavity and whole wall alone, of the same shape: scar becomes wall, and everything else background."""
    tissue = np.where(wall_of(labels), Label.WALL, np.where(labels == Label.CAVITY, Label.CAVITY, Label.BACKGROUND))
    return np.asarray(tissue.astype(np.uint8))


class ViewSource(StrEnum):
    """How the radiological view of a file was found, the most reliable way first."""

    GIVEN = "given"  # --flip
    AFFINE = "affine"
    STORED = "stored"  # the file says nothing about the patient, so its array is taken to be in the radiological view


@dataclass(frozen=True, kw_only=True)
class View:
    """How a stored slice is turned into the radiological view, in which the RV is on the viewer's left and anterior is up.

    The axes are exchanged first, then mirrored. Nothing is resampled, so turning back gives the stored bytes.

    Attributes:
        transpose: whether rows and columns are exchanged.
        flip_rows, flip_columns: whether the order of the rows (then of the columns) is reversed.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False
    source: ViewSource = ViewSource.STORED

    def turn(self, stored: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """The array in the radiological view; the first two axes of `stored` are the rows and columns of the file."""
        turned = np.swapaxes(stored, 0, 1) if self.transpose else stored
        return turned[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def turn_back(self, viewed: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """The inverse of `turn`."""
        mirrored = viewed[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        return np.swapaxes(mirrored, 0, 1) if self.transpose else mirrored

    def turn_lengths(self, lengths: tuple[float, float]) -> tuple[float, float]:
        """(row, column) lengths of the file, such as its pixel size, in the radiological view; also its own inverse."""
        return (lengths[1], lengths[0]) if self.transpose else lengths


AS_STORED = View()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a slice is stored, so that what is made of it can be written to the same place in space.

    Attributes:
        path: a NIfTI or DICOM file.
        index: slice of the NIfTI file, or frame of the DICOM file, from 0.
        view: how the stored slice was turned into the radiological view.
    """

    path: Path
    index: int
    view: View = AS_STORED


@dataclass(frozen=True, kw_only=True)
class ShortAxisSlice:
    """One 2-D short-axis LGE image with its labels, on the scanner's own grid and in its own numbers.

    Attributes:
        patient: name of the patient; data are split by this name.
        index: position in the stack of the file, from 0, in the order of the file.
        image: (rows, cols), stored numbers of any real data type, in the radiological view: the RV is on the viewer's left.
        labels: (rows, cols), values of `Label`.
        spacing_mm: pixel size in mm as (row, column).
        place: where the image is stored; None for a slice made in memory.

    Raises:
        InputError: the shapes differ, or the spacing is not positive.
    """

    patient: str
    index: int
    image: Image
    labels: Labels
    spacing_mm: tuple[float, float]
    place: Place | None = None

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
        places: where each slice is stored; empty for a stack made in memory.
        base_first: whether slice 0 is the base, as the user said it; None where the user did not.
        base_first_by_affine: the same as the positions of the slices in the patient say it; None where the file has none.
        insertions_deg: slice index -> (anterior, inferior) RV insertion angles in degrees, as the user marked them.
        notes: what was done or noticed when the files were read, one sentence each.

    Raises:
        InputError: the shapes of image and labels differ.
    """

    patient: str
    image: Shaped[np.ndarray, "rows cols slices"]
    labels: UInt8[np.ndarray, "rows cols slices"]
    spacing_mm: tuple[float, float]
    slice_step_mm: float
    places: tuple[Place, ...] = ()
    base_first: bool | None = None
    base_first_by_affine: bool | None = None
    insertions_deg: dict[int, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.image.shape != self.labels.shape:
            raise InputError(f"{self.patient}: the image is {self.image.shape} but its labels are {self.labels.shape}")
        if self.places and len(self.places) != self.image.shape[2]:
            raise InputError(f"{self.patient}: has {self.image.shape[2]} slices, but {len(self.places)} places")

    @property
    def view(self) -> View:
        """How the stored slices were turned into the radiological view; all in one way."""
        return self.places[0].view if self.places else AS_STORED

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
            place=self.places[index] if self.places else None,
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
