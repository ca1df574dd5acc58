"""What the header of a DICOM file says about its frames: where each lies in the patient, what it shows, and how its numbers are stored."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np

from lgesynthnet.data.dicom import tags
from lgesynthnet.data.dicom.elements import Elements
from lgesynthnet.data.dicom.files import NotInstalledError, Opened, read_header
from lgesynthnet.data.nifti import MAX_AFFINE, MAX_FIELD_MM, MAX_PIXEL_MM, MAX_SIDE, MAX_STEP_MM, MAX_STRETCH, MIN_SIDE
from lgesynthnet.data.planes import SlicePlane, Vector
from lgesynthnet.errors import InputError

MOST_FRAMES = 10_000  # of one file
MONOCHROME = "MONOCHROME2"
NO_IMAGES = ("1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.1.1.4.2")  # the SOP classes of a DICOMDIR and of MR spectroscopy
_DATES = (
    (tags.ACQUISITION_DATE, tags.ACQUISITION_TIME),
    (tags.CONTENT_DATE, tags.CONTENT_TIME),
    (tags.SERIES_DATE, tags.SERIES_TIME),
)


MR_IMAGES = tuple(f"1.2.840.10008.5.1.4.1.1.4{ending}" for ending in ("", ".1", ".3", ".4"))


class Kind(StrEnum):
    """What the numbers of an image are, the kind that suits LGE best first."""

    PSIR = "PSIR"  # phase-sensitive inversion recovery
    REAL = "real"
    MAGNITUDE = "magnitude"
    OTHER = "other"
    PHASE = "phase"


@dataclass(frozen=True, kw_only=True)
class Series:
    """The series that a frame was stored in."""

    patient_id: str
    study_uid: str
    uid: str
    number: int | None
    description: str


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How a file stores its numbers.

    Attributes:
        frames: number of frames of the file.
        shape: (rows, columns).
        bits: of each stored number that are allocated, and of these the lower ones that are used.
        transfer_syntax: UID; empty where the file states none.
    """

    frames: int
    shape: tuple[int, int]
    bits: tuple[int, int]
    signed: bool
    transfer_syntax: str

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits[0] // 8}")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One image of a DICOM file.

    Attributes:
        localizer: whether the file says that it is a localizer.
        acquired: date and time as digits, which sort; empty where the file has none.
        instance: InstanceNumber, or the number of the frame; only the later of two images of one slice is known by it.
        inversion_ms, trigger_ms: inversion time, and delay after the R wave, in ms; None where the file has none.
        thickness_mm, step_mm: SliceThickness and SpacingBetweenSlices; None where the file has none that can be used.
        slope, intercept: displayed value = stored number * slope + intercept.
    """

    plane: SlicePlane
    series: Series
    storage: Storage
    kind: Kind
    localizer: bool = False
    acquired: str = ""
    instance: int = 0
    inversion_ms: float | None = None
    trigger_ms: float | None = None
    thickness_mm: float | None = None
    step_mm: float | None = None
    slope: float = 1.0
    intercept: float = 0.0


def frames_of(path: Path) -> tuple[Frame, ...]:
    """The frames of a file in their order; empty for a file that is no DICOM, or no MR image (a report, a contour, a DICOMDIR).

    Raises:
        InputError: the file is damaged or states something that cannot be used. What it says is kept until the file changes.
    """
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        about = None
    frames = _read(path, about and (about.st_size, about.st_mtime_ns, about.st_ino))
    if isinstance(frames, str):
        raise InputError(frames)
    return frames


@lru_cache(maxsize=20_000)
def _read(path: Path, stamp: tuple[int, ...] | None) -> tuple[Frame, ...] | str:
    """The frames, or the fault as text. `stamp` keeps the cache from returning the content of a replaced file."""
    try:
        opened = read_header(path, tags.READ)
        return () if opened is None else tuple(_frames(path, opened))
    except NotInstalledError:
        raise
    except InputError as fault:
        return str(fault)
    except RecursionError:
        return f"{path}: is damaged (nested too deeply); copy or export it again"


def _frames(path: Path, opened: Opened) -> Iterator[Frame]:
    utf8 = "ISO_IR 192" in Elements(opened.dataset).texts(tags.SPECIFIC_CHARACTER_SET)
    root = Elements(opened.dataset, utf8=utf8)
    sop_class = root.text(tags.SOP_CLASS_UID) or opened.sop_class
    if root.text(tags.MODALITY) not in ("MR", "") or sop_class in NO_IMAGES:
        return
    if root.whole(tags.ROWS) is None and opened.pixel_bytes == -1 and sop_class not in (*MR_IMAGES, ""):
        return  # a report, or raw data
    storage = _storage(path, root, opened)
    series = Series(
        patient_id=root.text(tags.PATIENT_ID),
        study_uid=root.text(tags.STUDY_INSTANCE_UID),
        uid=root.text(tags.SERIES_INSTANCE_UID),
        number=root.whole(tags.SERIES_NUMBER),
        description=root.text(tags.SERIES_DESCRIPTION),
    )
    shared = root.item(tags.SHARED_FUNCTIONAL_GROUPS)
    own = root.items(tags.FRAME_FUNCTIONAL_GROUPS)
    if storage.frames > 1 and len(own) != storage.frames:
        raise InputError(f"{path}: has {storage.frames} frames but positions for {len(own)}; export it as one file for each slice")
    for index in range(storage.frames):
        sources = [each for each in ((own[index] if own else None), shared) if each is not None]
        yield _frame(path, index, _Groups(root, sources, single=storage.frames == 1), series, storage)


class _Groups:
    """Where an element of one frame is looked for: its own functional groups, the shared ones, then the file itself.

    In a file with one frame the file itself comes first: some programs add functional groups that say nothing.
    """

    def __init__(self, root: Elements, groups: list[Elements], *, single: bool) -> None:
        self._root, self._groups, self._single = root, groups, single

    def places(self, *sequences: int) -> Iterator[Elements]:
        """The file itself and the first items of these sequences in the functional groups, the one that counts most first."""
        nested = [item for group in self._groups for sequence in sequences if (item := group.item(sequence)) is not None]
        yield from ((self._root, *nested) if self._single else (*nested, self._root))

    def numbers(self, tag: int, *sequences: int) -> tuple[float, ...]:
        return next((numbers for place in self.places(*sequences) if (numbers := place.numbers(tag))), ())

    def number(self, tag: int, *sequences: int) -> float | None:
        return next(iter(self.numbers(tag, *sequences)), None)

    def texts(self, tag: int, *sequences: int) -> list[str]:
        return next((texts for place in self.places(*sequences) if (texts := place.texts(tag)) and any(texts)), [])


CONVERTED = (tags.FRAME_CONVERTED_ATTRIBUTES, tags.SHARED_CONVERTED_ATTRIBUTES)


def _frame(path: Path, index: int, groups: _Groups, series: Series, storage: Storage) -> Frame:
    kinds = groups.texts(tags.FRAME_TYPE, tags.MR_IMAGE_FRAME_TYPE_SEQUENCE) or groups.texts(tags.IMAGE_TYPE, *CONVERTED)
    words = [word.upper() for word in kinds]
    component = next(iter(groups.texts(tags.COMPLEX_IMAGE_COMPONENT, tags.MR_IMAGE_FRAME_TYPE_SEQUENCE)), "").upper()
    measures = (tags.PIXEL_MEASURES_SEQUENCE, *CONVERTED)
    inversion = groups.number(tags.INVERSION_TIMES, tags.MR_MODIFIER_SEQUENCE) or groups.number(tags.INVERSION_TIME, *CONVERTED)
    trigger = groups.number(tags.TRIGGER_TIME, *CONVERTED)
    if trigger is None:
        trigger = groups.number(tags.NOMINAL_CARDIAC_TRIGGER_DELAY, tags.CARDIAC_SYNCHRONIZATION_SEQUENCE)
    slope = groups.number(tags.RESCALE_SLOPE, tags.PIXEL_VALUE_TRANSFORMATION_SEQUENCE)
    intercept = groups.number(tags.RESCALE_INTERCEPT, tags.PIXEL_VALUE_TRANSFORMATION_SEQUENCE)
    return Frame(
        plane=_plane(path, index, groups, storage),
        series=series,
        storage=storage,
        kind=_kind(words, component),
        localizer="LOCALIZER" in words,
        acquired=_acquired(groups),
        instance=int(groups.number(tags.INSTANCE_NUMBER, *CONVERTED) or 0) if storage.frames == 1 else index,
        inversion_ms=inversion if inversion and inversion > 0 else None,
        trigger_ms=trigger,
        thickness_mm=_length(groups.number(tags.SLICE_THICKNESS, *measures)),
        step_mm=_length(groups.number(tags.SPACING_BETWEEN_SLICES, *measures)),
        slope=slope if slope else 1.0,
        intercept=intercept or 0.0,
    )


def _length(number: float | None) -> float | None:
    return abs(number) if number is not None and 0 < abs(number) <= MAX_STEP_MM else None


def _kind(words: list[str], component: str) -> Kind:
    """From ImageType (or FrameType) and ComplexImageComponent; vendors write the kind into any value after the second."""
    rest = [word.replace("-", "_") for word in words[2:]]
    if "MAG" not in rest and any(word in ("PSIR", "PS_IR") or word.startswith(("PSIR_", "PS_IR_")) for word in rest):
        return Kind.PSIR
    for kind, letters, names in (
        (Kind.PHASE, ("P", "I"), ("PHASE", "PHASE MAP", "IMAGINARY")),
        (Kind.REAL, ("R", "CR"), ("REAL",)),
        (Kind.MAGNITUDE, ("M",), ("MAGNITUDE", "MAG")),
    ):
        if any(word in letters or word in names or word.startswith(tuple(f"{letter}_" for letter in letters)) for word in rest):
            return kind
        if component in names:
            return kind
    return Kind.OTHER


def _acquired(groups: _Groups) -> str:
    whole = groups.texts(tags.FRAME_ACQUISITION_DATE_TIME, tags.FRAME_CONTENT_SEQUENCE)
    whole = whole or groups.texts(tags.ACQUISITION_DATE_TIME, *CONVERTED)
    if whole and whole[0][:14].isdecimal():
        return whole[0]
    for date, time in _DATES:
        days, hours = groups.texts(date, *CONVERTED), groups.texts(time, *CONVERTED)
        if hours:
            return (days[0].replace(".", "") if days else "") + hours[0].replace(":", "")
    return ""


def _plane(path: Path, index: int, groups: _Groups, storage: Storage) -> SlicePlane:
    place = f"{path}: frame {index}" if storage.frames > 1 else str(path)
    origin = groups.numbers(tags.IMAGE_POSITION, tags.PLANE_POSITION_SEQUENCE, *CONVERTED)
    directions = groups.numbers(tags.IMAGE_ORIENTATION, tags.PLANE_ORIENTATION_SEQUENCE, *CONVERTED)
    spacing = groups.numbers(tags.PIXEL_SPACING, tags.PIXEL_MEASURES_SEQUENCE, *CONVERTED)
    for what, numbers, count in (("position", origin, 3), ("orientation", directions, 6), ("pixel spacing", spacing, 2)):
        if len(numbers) != count:
            raise InputError(f"{place}: states no {what} in the patient that can be used; export it again with its geometry")
    down, across = spacing
    rows, columns = storage.shape
    if not (min(spacing) > 0 and max(spacing) <= MAX_PIXEL_MM) or max(spacing) > MAX_STRETCH * min(spacing):
        raise InputError(f"{place}: its pixels are {down:g} x {across:g} mm, must lie in (0, {MAX_PIXEL_MM:g}]; export it again")
    if max(rows * down, columns * across) > MAX_FIELD_MM or max(map(abs, origin)) >= MAX_AFFINE:
        raise InputError(f"{place}: is {rows * down:g} x {columns * across:g} mm or lies outside of any scanner; export it again")
    return SlicePlane(
        shape=storage.shape,
        origin_mm=_vector(origin),
        along_row=_vector(directions[:3]),
        along_column=_vector(directions[3:]),
        spacing_mm=(down, across),
        path=path,
        frame=index,
        sop_instance_uid=next(iter(groups.texts(tags.SOP_INSTANCE_UID)), None),
    )


def _vector(numbers: tuple[float, ...]) -> Vector:
    x, y, z = numbers
    return x, y, z


def _storage(path: Path, root: Elements, opened: Opened) -> Storage:
    """How the numbers are stored, after sizes and formats were found usable, before any pixel is read."""
    rows, columns = root.whole(tags.ROWS), root.whole(tags.COLUMNS)
    frames = root.whole(tags.NUMBER_OF_FRAMES)
    frames = 1 if frames is None else frames
    allocated, stored = root.whole(tags.BITS_ALLOCATED), root.whole(tags.BITS_STORED)
    if rows is None or columns is None or opened.pixel_bytes == -1:
        raise InputError(f"{path}: ends before its pixels, or does not state their number; copy or export it again")
    if min(rows, columns) < MIN_SIDE or max(rows, columns) > MAX_SIDE:
        raise InputError(f"{path}: states {rows} x {columns} pixels, usable are {MIN_SIDE} to {MAX_SIDE}; export it again")
    if not 1 <= frames <= MOST_FRAMES:
        raise InputError(f"{path}: states {frames} frames, usable are 1 to {MOST_FRAMES}; export it as one file for each slice")
    photometric = root.text(tags.PHOTOMETRIC_INTERPRETATION)
    samples = root.whole(tags.SAMPLES_PER_PIXEL)
    if samples not in (1, None) or photometric not in (MONOCHROME, ""):
        why = "shows bright as dark" if photometric == "MONOCHROME1" else "is not a grey image"
        raise InputError(f"{path}: is stored as {photometric or 'unknown'} and {why}; export it as {MONOCHROME}")
    stored = allocated if stored is None else stored
    high = root.whole(tags.HIGH_BIT)
    if allocated not in (8, 16, 32) or stored is None or not 1 <= stored <= allocated or high not in (None, stored - 1):
        raise InputError(f"{path}: stores {stored} of {allocated} bits (high bit {high}), which is not read; export it with 16 bits")
    size = math.prod((rows, columns, frames)) * allocated // 8
    if opened.pixel_bytes is not None and opened.pixel_bytes < size:
        raise InputError(f"{path}: holds {opened.pixel_bytes} of the {size} bytes that its header states; export it again")
    if opened.left_bytes < (size if opened.pixel_bytes is not None else 1):
        raise InputError(f"{path}: ends before the {size} bytes of pixels that its header states; copy or export it again")
    return Storage(
        frames=frames,
        shape=(rows, columns),
        bits=(allocated, stored),
        signed=root.whole(tags.PIXEL_REPRESENTATION) == 1,
        transfer_syntax=opened.transfer_syntax,
    )
