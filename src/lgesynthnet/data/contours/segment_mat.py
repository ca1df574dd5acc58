"""Files that Segment (Medviso) saves: contours and scar masks of image stacks in a MATLAB struct `setstruct`.

In Segment X counts rows and Y counts columns, both from 1 at the centre of the first pixel. ImageOrientation(1:3) points along a row and
(4:6) along a column; slice k lies (k - 1) * (SliceThickness + SliceGap) mm from ImagePosition, against the cross product of the two.
EndoX is (points, time frames, slices), with NaN where nothing is drawn. Scar.Result is (rows, columns, slices).
Source of these facts: how public MATLAB programs transform such structs into patient coordinates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lgesynthnet.data.contours.drawings import FileDrawings, Outline, damage_named
from lgesynthnet.data.contours.mat5 import Array, find_variable
from lgesynthnet.data.contours.matching import Slices, onto_slice
from lgesynthnet.data.planes import SlicePlane, Vector
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import read_bytes
from lgesynthnet.records import Mask

MAX_BYTES = 2**29
MAX_SLICES, MAX_SIDE = 512, 8192
MIN_POINTS = 3
_OUTLINES = ("Endo", "Epi", "RVEndo")  # each with the fields NameX and NameY
_MASKS = {"Result": "Scar", "NoReflow": "Scar NoReflow"}  # fields of Scar, and what they are called in messages


@dataclass(frozen=True, kw_only=True)
class _ImageStack:
    """One image stack of a file: its place, and what is drawn on it.

    Attributes:
        name: how messages call it.
        still: whether it has one time frame.
        outlines: (name, slice of the stack from 0, (points, 2) in its pixels).
        masks: (name, slice of the stack from 0, (rows, columns)).
        matched: for each of its slices, the given slice at the same place.
    """

    name: str
    still: bool
    planes: tuple[SlicePlane, ...]
    outlines: tuple[tuple[str, int, Outline], ...]
    masks: tuple[tuple[str, int, Mask], ...]
    matched: tuple[int | None, ...]

    @property
    def drawn(self) -> int:
        """Number of outlines and masks."""
        return len(self.outlines) + len(self.masks)


def read_segment(file: FileDrawings, slices: Slices) -> None:
    """Read the contours of both ventricles, and the scar, of the one image stack that lies on the given slices.

    Raises:
        InputError: the file is damaged, too large, or saved as HDF5 (version 7.3); it has no `setstruct`; a stack with contours has
            no position; several stacks lie on the slices; or contours are drawn in several time frames.
    """
    content = read_bytes(file.path, MAX_BYTES)
    if content.startswith(b"MATLAB 7.3"):
        raise InputError(f"{file.path}: is saved as -v7.3, which is HDF5; open it in MATLAB and save it again with the option -v7")
    with damage_named(file.path, "a MATLAB file"):
        variable = find_variable(content, "setstruct")
        if variable is None or not variable.is_struct:
            raise InputError(f"{file.path}: holds no struct `setstruct`, so Segment did not save it; leave it out")
        stacks = [_stack(file, number, fields, slices) for number, fields in enumerate(variable.structs(), start=1)]
        drawn = [stack for stack in stacks if stack is not None]
        on_slices = [stack for stack in drawn if any(index is not None for index in stack.matched)]
        file.unmatched += sum(stack.drawn for stack in drawn if stack not in on_slices)
        if on_slices:
            _add(file, _chosen(file, on_slices), slices)


def _stack(file: FileDrawings, number: int, fields: dict[str, Array], slices: Slices) -> _ImageStack | None:
    """One image stack; None where nothing is drawn on it."""
    name = f"image stack {number}"
    outlines, masks = _outlines(file, name, fields), _masks(fields)
    if not outlines and not masks:
        return None
    planes = _planes(file.path, name, fields)
    highest = max(k for _, k, _ in (*outlines, *masks))
    if highest >= len(planes):
        raise InputError(f"{file.path}: {name} has {len(planes)} slices, but something is drawn on slice {highest + 1}; save it again")
    return _ImageStack(
        name=name,
        still=_number(fields, "TSize", 1) <= 1,
        planes=planes,
        outlines=tuple(outlines),
        masks=tuple(masks),
        matched=tuple(slices.at(plane) for plane in planes),
    )


def _planes(path: Path, name: str, fields: dict[str, Array]) -> tuple[SlicePlane, ...]:
    """Where the slices of a stack lie in the patient."""
    position, orientation = _vector(fields, "ImagePosition", 3), _vector(fields, "ImageOrientation", 6)
    rows, columns, count = (int(_number(fields, size, 0)) for size in ("XSize", "YSize", "ZSize"))
    down, across = _number(fields, "ResolutionX", 0), _number(fields, "ResolutionY", 0)
    step = _number(fields, "SliceThickness", np.nan) + _number(fields, "SliceGap", 0)
    if position is None or orientation is None or not (np.isfinite(step) or count == 1):
        raise InputError(
            f"{path}: {name} does not say where it lies (ImagePosition, ImageOrientation, SliceThickness), and contours are never matched "
            "by the order of slices; load the DICOM images into Segment, import the contours there, and save them again"
        )
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE and 0 < count <= MAX_SLICES):
        raise InputError(f"{path}: {name} has {count} slices of {rows} x {columns} pixels, which cannot be read here; save it again")
    along_row, along_column = orientation[:3], orientation[3:]
    away = -np.cross(along_row, along_column) * (step if count > 1 else 0.0)
    return tuple(
        SlicePlane(
            shape=(rows, columns),
            origin_mm=_triple(position + away * k),
            along_row=_triple(along_row),
            along_column=_triple(along_column),
            spacing_mm=(down, across),
            path=path,
            frame=k,
        )
        for k in range(count)
    )


def _outlines(file: FileDrawings, stack: str, fields: dict[str, Array]) -> list[tuple[str, int, Outline]]:
    found = []
    frames: set[int] = set()
    for name in _OUTLINES:
        x, y = (_volume(fields, f"{name}{axis}") for axis in "XY")
        if x is None or y is None:
            continue
        if x.shape != y.shape:
            raise InputError(f"{file.path}: {stack} has a {name}X and a {name}Y of different sizes; save it again")
        drawn = ~(np.isnan(x) | np.isnan(y)).all(axis=0)  # (time frames, slices)
        frames.update(np.flatnonzero(drawn.any(axis=1)).tolist())
        for frame, index in np.argwhere(drawn).tolist():
            if len(x) >= MIN_POINTS:
                found.append((name, index, np.stack([x[:, frame, index], y[:, frame, index]], axis=1).astype(np.float64) - 1))
    if len(frames) > 1:
        raise InputError(
            f"{file.path}: {stack} has contours in {len(frames)} time frames, and it is not known which of them the images show; "
            "save the stack of late enhancement alone"
        )
    return found


def _masks(fields: dict[str, Array]) -> list[tuple[str, int, Mask]]:
    scar = fields.get("Scar")
    if scar is None or not scar.is_struct:
        return []
    found = []
    for parts in scar.structs():
        for field, name in _MASKS.items():
            if field in parts:
                mask = parts[field].numbers() > 0
                volume = mask.reshape((*mask.shape, 1)[:3])
                found += [(name, k, np.ascontiguousarray(volume[:, :, k])) for k in np.flatnonzero(volume.any(axis=(0, 1))).tolist()]
    return found


def _chosen(file: FileDrawings, stacks: list[_ImageStack]) -> _ImageStack:
    """The stack whose contours are taken, of those that lie on the given slices: late enhancement is a still stack, cine a moving one."""
    still = [stack for stack in stacks if stack.still] if len(stacks) > 1 else stacks
    if len(still) != 1:
        names = ", ".join(stack.name for stack in stacks)
        raise InputError(f"{file.path}: {names} lie on the same slices and have contours; save the stack of late enhancement alone")
    if len(stacks) > 1:
        file.notes.append(
            f"{file.path}: {still[0].name} is taken; other stacks with contours lie at its place and have several time frames"
        )
    return still[0]


def _add(file: FileDrawings, stack: _ImageStack, slices: Slices) -> None:
    for name, k, points in stack.outlines:
        index, meaning = stack.matched[k], file.meaning_of(name)
        if index is None:
            file.unmatched += meaning is not None
        elif meaning is not None:
            file.outline(name, meaning, index, [slices.planes[index].to_pixels(stack.planes[k].to_patient(points))[:, :2]])
    no_reflow = False
    for name, k, mask in stack.masks:
        index, meaning = stack.matched[k], file.meaning_of(name)
        if index is None:
            file.unmatched += meaning is not None
        elif meaning is not None:
            placed = onto_slice(mask, stack.planes[k], slices.planes[index]) if mask.shape == stack.planes[k].shape else None
            if placed is None:
                raise InputError(
                    f"{file.path}: the pixels of {name} in {stack.name} are not those of {slices.planes[index].path}; "
                    "undo the resampling of the stack in Segment and save it again"
                )
            file.masked(name, meaning, index, placed)
            no_reflow |= name == _MASKS["NoReflow"]
    if no_reflow:
        file.notes.append(f"{file.path}: Segment marks the region in which no-reflow was looked for; all of it is taken as no-reflow")


def _volume(fields: dict[str, Array], name: str) -> Float[np.ndarray, "points frames slices"] | None:
    array = fields.get(name)
    if array is None or 0 in array.shape:
        return None
    values = array.numbers()
    return values.reshape((*values.shape, 1)[:3]).astype(np.float64)


def _number(fields: dict[str, Array], name: str, missing: float) -> float:
    array = fields.get(name)
    return missing if array is None or array.shape != (1, 1) else float(array.numbers()[0, 0])


def _vector(fields: dict[str, Array], name: str, count: int) -> Float[np.ndarray, " numbers"] | None:
    array = fields.get(name)
    if array is None or math.prod(array.shape) != count:
        return None
    return array.numbers().ravel(order="F").astype(np.float64)


def _triple(values: Float[np.ndarray, " xyz"]) -> Vector:
    x, y, z = values.tolist()
    return x, y, z
