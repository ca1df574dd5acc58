"""DICOM segmentations: binary, fractional and label map. Source: DICOM PS3.3, sections A.51, A.90 and C.8.20."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from lgesynthnet.data.contours.dicom_files import dicom_dataset, items, numbers
from lgesynthnet.data.contours.drawings import FileDrawings, short
from lgesynthnet.data.contours.matching import Slices, onto_slice
from lgesynthnet.data.contours.names import Meaning
from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.errors import InputError
from lgesynthnet.records import Mask

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_SIDE, MAX_PIXELS = 8192, 2**29  # of a frame, and of all frames together
_TYPES = ("BINARY", "FRACTIONAL", "LABELMAP")


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """One frame of a segmentation.

    Attributes:
        number: of the frame, from 1.
        plane: its place in the patient; None where it states none.
        uids: the DICOM instances that it was drawn on, each with its frame from 0 or None.
        segment: number of the segment; None in a label map.
    """

    number: int
    plane: SlicePlane | None
    uids: tuple[tuple[str, int | None], ...]
    segment: int | None


def read_seg(file: FileDrawings, slices: Slices) -> None:
    """Read the segments that have a meaning, by their label or else by their property type.

    Raises:
        InputError: the file cannot be read or is too large, or its pixels are not those of the slice in some order.
    """
    with dicom_dataset(file.path) as dataset:
        kind = str(dataset.get("SegmentationType", "BINARY")).upper()
        if kind not in _TYPES:
            raise InputError(f"{file.path}: is a segmentation of the type {short(kind)}; export it as BINARY or LABELMAP")
        frames = _frames(file, dataset)
        if kind != "LABELMAP" and any(frame.segment is None for frame in frames):
            raise InputError(f"{file.path}: does not say which segment a frame shows; export it again")
        meanings = _meanings(file, dataset)
        pixels = _pixels(file, dataset, len(frames))
        above = 1
        if kind == "FRACTIONAL":
            highest = int(dataset.MaximumFractionalValue)
            above = max(1, (highest + 1) // 2)
            file.notes.append(f"{file.path}: is fractional; a pixel counts from half of the highest value on ({above} of {highest})")
        for frame, stored in zip(frames, pixels, strict=True):
            for number, mask in _segments(frame, stored, above):
                if number in meanings and mask.any():
                    name, meaning = meanings[number]
                    _place(file, slices, frame, mask, name, meaning)


def _frames(file: FileDrawings, dataset: Dataset) -> list[_Frame]:
    """Place, images and segment of each frame."""
    count = int(dataset.get("NumberOfFrames", 1))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE and 0 < count <= MAX_PIXELS // (rows * columns)):
        raise InputError(f"{file.path}: has {count} frames of {rows} x {columns} pixels, which is more than can be read here; divide it")
    shared: Any = next(iter(items(dataset, "SharedFunctionalGroupsSequence")), None)
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    if len(groups) != count:
        raise InputError(f"{file.path}: has {count} frames, but describes {len(groups)}; export it again")
    return [_frame(file, (rows, columns), k, [group] if shared is None else [group, shared]) for k, group in enumerate(groups)]


def _frame(file: FileDrawings, shape: tuple[int, int], number: int, groups: list[Dataset]) -> _Frame:
    def first(keyword: str) -> Any:
        """The first item of a functional group, of the frame or else of all frames."""
        return next((found[0] for group in groups if (found := items(group, keyword))), None)

    position, orientation, measures = (first(f"{name}Sequence") for name in ("PlanePosition", "PlaneOrientation", "PixelMeasures"))
    plane = None
    if position is not None and orientation is not None and measures is not None:
        origin, spacing = numbers(position, "ImagePositionPatient", 3), numbers(measures, "PixelSpacing", 2)
        cosines = numbers(orientation, "ImageOrientationPatient", 6)
        if origin and spacing and cosines:
            along_row, along_column = (cosines[0], cosines[1], cosines[2]), (cosines[3], cosines[4], cosines[5])
            plane = SlicePlane(
                shape=shape,
                origin_mm=(origin[0], origin[1], origin[2]),
                along_row=along_row,
                along_column=along_column,
                spacing_mm=(spacing[0], spacing[1]),
                path=file.path,
                frame=number,
            )
    uids = []
    for derivation in [item for group in groups for item in items(group, "DerivationImageSequence")]:
        for source in items(derivation, "SourceImageSequence"):
            frame = source.get("ReferencedFrameNumber")
            one = frame if frame is None or isinstance(frame, int | str) else frame[0] if len(frame) == 1 else None
            uids.append((str(source.ReferencedSOPInstanceUID), None if one is None else int(one) - 1))
    segment = first("SegmentIdentificationSequence")
    return _Frame(
        number=number + 1,
        plane=plane,
        uids=tuple(uids),
        segment=None if segment is None else int(segment.ReferencedSegmentNumber),
    )


def _meanings(file: FileDrawings, dataset: Dataset) -> dict[int, tuple[str, Meaning]]:
    """Number of a segment -> its label and what it means."""
    meanings = {}
    for segment in items(dataset, "SegmentSequence"):
        label = str(segment.get("SegmentLabel", ""))
        words = [str(code.get("CodeMeaning", "")) for code in items(segment, "SegmentedPropertyTypeCodeSequence")]
        meaning = file.meaning_of(label, *words)
        if meaning is not None:
            meanings[int(segment.SegmentNumber)] = (label, meaning)
    return meanings


def _pixels(file: FileDrawings, dataset: Dataset, frames: int) -> Shaped[np.ndarray, "frames rows columns"]:
    """The stored numbers; what they take in memory was bounded by `_frames`."""
    if "PixelData" not in dataset:
        raise InputError(f"{file.path}: holds no pixels; export it again")
    pixels = np.asarray(dataset.pixel_array)
    shape = (frames, int(dataset.Rows), int(dataset.Columns))
    if pixels.size != np.prod(shape) or pixels.dtype.kind not in "ui":
        raise InputError(f"{file.path}: its pixels do not fit what it states about them; export it again")
    return pixels.reshape(shape)


def _segments(frame: _Frame, stored: Shaped[np.ndarray, "rows columns"], above: int) -> Iterator[tuple[int, Mask]]:
    if frame.segment is not None:
        yield frame.segment, np.asarray(stored >= above)
    else:
        for number in np.unique(stored).tolist():
            yield int(number), np.asarray(stored == number)


def _place(file: FileDrawings, slices: Slices, frame: _Frame, mask: Mask, name: str, meaning: Meaning) -> None:
    """Add a mask to the slice that its frame belongs to."""
    place = f"{file.path}: '{short(name)}' in frame {frame.number}"
    index = _index(slices, frame, place)
    if index is None:
        file.unmatched += 1
        return
    slice_ = slices.planes[index]
    plane = frame.plane or replace(slice_, path=file.path)  # a frame without a place has the place of its image
    placed = onto_slice(mask, plane, slice_) if mask.shape == plane.shape else None
    if placed is None:
        raise InputError(
            f"{place}: its pixels are not those of its image {slice_.path}; resample the segmentation onto the grid of the image, "
            "with nearest neighbours"
        )
    file.masked(name, meaning, index, placed)


def _index(slices: Slices, frame: _Frame, place: str) -> int | None:
    """The slice of a frame. The images that it names decide where they are given and are DICOM instances, see `Slices.find`."""
    if not frame.uids or not slices.have_uids:
        return None if frame.plane is None else slices.at(frame.plane)
    named = sorted({k for uid, number in frame.uids for k in slices.of_uid(uid) if number is None or slices.planes[k].frame == number})
    if not named:
        return None
    if frame.plane is None:
        return named[0] if len(named) == 1 else None
    near = slices.near(frame.plane, named)
    if len(near) == 1:
        return near[0]
    if near:
        raise InputError(f"{place}: lies on several of the images that it names; give the images of one series only")
    if len(named) == 1:
        raise InputError(f"{place}: lies away from the image that it names; export the segmentation and the images together")
    return None
