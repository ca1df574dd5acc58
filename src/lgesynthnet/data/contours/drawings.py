"""What the readers of the five formats hand on: outlines and masks in the pixels of the given slices."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lgesynthnet.data.contours.names import ContourNames, Meaning
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import reason_of
from lgesynthnet.records import Mask

MAX_OUTLINE_POINTS = 20_000  # of one outline; those of contouring programs have fewer than 1000
MAX_FILE_POINTS = 1_000_000
MAX_COORDINATE = 1e5  # pixels; what lies farther away comes from damage
LONGEST_NAME = 60  # characters of a name in a message
# What parsers raise when they meet damage. Errors of our own are not among them, so a bug is not reported as a damaged file.
_DAMAGE: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

Outline = Float[np.ndarray, "_ 2"]  # several outlines in one call have different numbers of points


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What one name covers in one slice.

    Attributes:
        index: number of the slice among the given ones.
        outlines: closed outlines of (row, column), in which pixel centres have whole numbers. A point is covered if it lies inside an odd
            number of them, so an outline inside another is a hole.
        mask: (rows, columns), in place of outlines.
    """

    name: str
    meaning: Meaning
    index: int
    outlines: tuple[Outline, ...] = ()
    mask: Mask | None = None


@dataclass(kw_only=True)
class FileDrawings:
    """What one file draws on the given slices; a reader fills it.

    Attributes:
        remedy: how the file is to be exchanged where nothing in it belongs to the slices.
        found: name -> number of contours or mask frames, of all names in the file.
        unknown: the names without a meaning.
        unmatched: number of contours or mask frames that have a meaning and belong to none of the slices.
    """

    path: Path
    names: ContourNames
    drawings: list[Drawing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    unmatched: int = 0
    remedy: str = "give the contours of these images, or the images of these contours"
    _points: int = 0

    def meaning_of(self, name: str, *other_names: str, count: int = 1) -> Meaning | None:
        """What a name of the file means; None where it is to be left out. Every name is remembered for the messages."""
        self.found[name] += count
        meaning = self.names.meaning_of(name, *other_names)
        if meaning is None:
            self.unknown.add(name)
        return None if meaning is Meaning.IGNORE else meaning

    def outline(self, name: str, meaning: Meaning, index: int, outlines: Sequence[Outline]) -> None:
        """Add closed outlines in pixels.

        Raises:
            InputError: a coordinate is not finite or far outside, or there are too many points.
        """
        for points in outlines:
            self.count_points(len(points), name)
            if not (np.abs(points) <= MAX_COORDINATE).all():  # also catches NaN
                raise InputError(
                    f"{self.path}: '{short(name)}' has a coordinate that is no number or lies far outside the image; export it again"
                )
        self.drawings.append(Drawing(name=name, meaning=meaning, index=index, outlines=tuple(outlines)))

    def count_points(self, points: int, name: str) -> None:
        """Count the points of one outline, before memory is taken for them where that is possible.

        Raises:
            InputError: the outline or the file has too many.
        """
        self._points += points
        if points > MAX_OUTLINE_POINTS or self._points > MAX_FILE_POINTS:
            what = (
                f"'{short(name)}' has an outline of {points} points"
                if points > MAX_OUTLINE_POINTS
                else f"has {self._points} points or more"
            )
            limit = MAX_OUTLINE_POINTS if points > MAX_OUTLINE_POINTS else MAX_FILE_POINTS
            raise InputError(f"{self.path}: {what}, and {limit} are allowed; export contours of fewer points")

    def masked(self, name: str, meaning: Meaning, index: int, mask: Mask) -> None:
        """Add a mask on the grid of the slice."""
        self.drawings.append(Drawing(name=name, meaning=meaning, index=index, mask=mask))


@contextmanager
def damage_named(path: Path, what: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn what a parser raises inside the block into one error that names the file.

    Args:
        what: the format, e.g. "a DICOM file".
        errors: what else the parser raises.
    Raises:
        InputError: in place of a parser's own error.
    """
    try:
        yield
    except (*_DAMAGE, *errors) as fault:
        raise InputError(f"{path}: cannot be read as {what} ({reason_of(fault)}); export it again") from None


def short(name: str) -> str:
    """A name from a file, in one line of bounded length."""
    text = name if name.isprintable() else repr(name)[1:-1]
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."
