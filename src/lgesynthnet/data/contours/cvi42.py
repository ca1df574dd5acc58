"""Workspaces that cvi42 exports as XML (.cvi42wsx): contours in sub-pixels of the DICOM image that they were drawn on.

A workspace is a tree of `Hash:item` elements with a `Hash:key`. Below an item "ImageStates" lies one item for each DICOM instance, with its
SOP Instance UID as key; below that "Contours", and below that one item for each contour, with its name as key, its "Points" (x and y) and
its "SubpixelResolution". The points count the pixels of an image that is finer by that factor. Its first pixel is taken to begin where the
first pixel of the DICOM image begins, so a point u lies at (u + 0.5) / factor - 0.5 pixels. No public description says so; public programs
divide by the factor alone, which differs by 3/8 of a pixel at the usual factor of 4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np

from lgesynthnet.data.contours.drawings import MAX_FILE_POINTS, MAX_OUTLINE_POINTS, FileDrawings, Outline, damage_named, short
from lgesynthnet.data.contours.matching import Slices
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import read_bytes

MAX_BYTES = 2**28
MAX_DEPTH = 100
MAX_NUMBER = 40  # characters
MAX_FACTOR = 64
_KEY = "Hash:key"
_COPY = re.compile(r"\d{4}$")  # cvi42 numbers several contours of one kind: noReflowAreaContour, noReflowAreaContour0001, ...


@dataclass(kw_only=True)
class _Contour:
    """One contour, as far as it was read."""

    uid: str
    name: str
    depth: int
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    factor: float | None = None


def read_cvi42(file: FileDrawings, slices: Slices) -> None:
    """Read the contours of the given DICOM images.

    Raises:
        InputError: the file is damaged, too large or nested too deeply, has a document type (through which XML can be made to grow or to
            read other files), or draws one contour of one image in two ways.
    """
    contours = _parse(file.path)
    if contours and not slices.have_uids:
        file.remedy = "cvi42 names the DICOM images that it draws on, so give those DICOM images in place of NIfTI files"
    drawn: dict[tuple[str, str], Outline] = {}
    for contour in contours:
        points = _pixels(file.path, contour)
        known = drawn.get((contour.uid, contour.name))
        if known is not None:
            if not np.array_equal(known, points):
                raise InputError(f"{file.path}: draws '{short(contour.name)}' of one image in two ways; export the workspace again")
            continue
        drawn[contour.uid, contour.name] = points
        name = _COPY.sub("", contour.name)
        meaning = file.meaning_of(name)
        if meaning is None:
            continue
        found = slices.of_uid(contour.uid)
        if len(found) != 1:
            file.unmatched += 1
            if len(found) > 1:
                file.remedy = "cvi42 does not say on which frame of an image it draws, so give the image as files of one frame each"
            continue
        file.outline(name, meaning, found[0], [points])


def _pixels(path: Path, contour: _Contour) -> Outline:
    """(points, 2) as (row, column) in pixels."""
    factor = 1.0 if contour.factor is None else contour.factor
    if len(contour.x) != len(contour.y) or not 1 <= factor <= MAX_FACTOR:
        raise InputError(
            f"{path}: '{short(contour.name)}' has {len(contour.x)} x, {len(contour.y)} y and a factor of {factor:g}; export it again"
        )
    points = np.stack([np.array(contour.y, dtype=np.float64), np.array(contour.x, dtype=np.float64)], axis=1)
    return (points + 0.5) / factor - 0.5


def _parse(path: Path) -> list[_Contour]:
    content = read_bytes(path, MAX_BYTES)
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    parser.ExternalEntityRefHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        with damage_named(path, "XML"):
            parser.Parse(content, True)
    except expat.ExpatError as fault:
        raise InputError(f"{path}: is not well-formed XML (line {fault.lineno}); export it again") from None
    return reader.contours


class _Reader:
    """Follows the elements of a workspace and collects its contours. Nothing else is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contours: list[_Contour] = []
        self._keys: list[str] = []  # of the open elements
        self._contour: _Contour | None = None
        self._number: str | None = None  # the text of the open element, where it is a number that is wanted
        self._points = 0

    def refuse(self, *_: Any) -> Any:
        raise InputError(f"{self.path}: has a document type or an entity, which no cvi42 workspace has; export it again")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._keys.append(attributes.get(_KEY, tag))
        if len(self._keys) > MAX_DEPTH:
            raise InputError(f"{self.path}: is nested more than {MAX_DEPTH} levels deep; export it again")
        if self._contour is None and self._keys[-4:-3] == ["ImageStates"] and self._keys[-2] == "Contours":
            self._contour = _Contour(uid=self._keys[-3], name=self._keys[-1], depth=len(self._keys))
        elif self._contour is not None and self._wanted(len(self._keys) - self._contour.depth):
            self._number = ""

    def _wanted(self, below: int) -> bool:
        """Whether the innermost element holds a number of the contour."""
        if below == 1:
            return self._keys[-1] == "SubpixelResolution"
        return below == 3 and self._keys[-3] == "Points" and self._keys[-1] in ("Point:x", "Point:y")

    def text(self, text: str) -> None:
        if self._number is not None:
            self._number += text[:MAX_NUMBER]
            if len(self._number) > MAX_NUMBER:
                raise InputError(f"{self.path}: has a coordinate of more than {MAX_NUMBER} characters; export it again")

    def end(self, _: str) -> None:
        key = self._keys.pop()
        if self._contour is None:
            return
        if self._number is not None:
            self._add(self._contour, key, float(self._number))
            self._number = None
        if len(self._keys) < self._contour.depth:
            if self._contour.x or self._contour.y:
                self.contours.append(self._contour)
            self._contour = None

    def _add(self, contour: _Contour, key: str, value: float) -> None:
        if key == "SubpixelResolution":
            contour.factor = value
            return
        (contour.x if key == "Point:x" else contour.y).append(value)
        self._points += 1
        if len(contour.x) > MAX_OUTLINE_POINTS or self._points > 2 * MAX_FILE_POINTS:
            raise InputError(f"{self.path}: '{short(contour.name)}' has too many points; export contours of fewer points")
