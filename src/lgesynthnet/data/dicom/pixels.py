"""The stored numbers of DICOM frames, decoded where they are compressed. Slope and intercept are not applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from lgesynthnet.data.dicom.codestreams import stated_size
from lgesynthnet.data.dicom.files import quiet, read_whole
from lgesynthnet.data.dicom.headers import Frame, frames_of
from lgesynthnet.data.nifti import most_voxels
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import reason_of

BYTES_PER_VOXEL = 4  # the widest stored number


def read_pixels(frames: Sequence[Frame]) -> list[Shaped[np.ndarray, "rows columns"]]:
    """The stored integers of each frame, in the order of `frames`; each file is read once.

    Raises:
        InputError: a file has changed since its header was read, is too large, is damaged, or is compressed in a way that is not read.
    """
    pixels: dict[tuple[Path, int], Shaped[np.ndarray, "rows columns"]] = {}
    for path in dict.fromkeys(frame.plane.path for frame in frames):
        wanted = [frame for frame in frames if frame.plane.path == path]
        now = frames_of(path)
        if any(frame not in now for frame in wanted):
            raise InputError(f"{path}: has changed while it was read; try again")
        dataset = read_whole(path, most_voxels() * BYTES_PER_VOXEL + 2**20)
        for frame in wanted:
            pixels[path, frame.plane.frame] = _decoded(dataset, frame)
    return [pixels[frame.plane.path, frame.plane.frame] for frame in frames]


def _decoded(dataset: Any, frame: Frame) -> Shaped[np.ndarray, "rows columns"]:
    place = frame.plane.path
    _require_stated_size(dataset, frame)
    try:
        from pydicom.pixels.utils import pixel_array

        with quiet():
            decoded = np.asarray(pixel_array(dataset, index=frame.plane.frame, raw=True))
    except Exception as fault:  # the decoders raise errors of every kind on damaged files
        why = reason_of(fault, 160)
        raise InputError(f"{place}: its pixels cannot be decoded ({why}); export it uncompressed (Explicit VR Little Endian)") from None
    if decoded.shape != frame.plane.shape or decoded.dtype.kind not in "iu":
        raise InputError(f"{place}: decodes to {decoded.shape}, but states {frame.plane.shape} pixels; export it uncompressed")
    return _stored_numbers(decoded, frame)


def _stored_numbers(decoded: Shaped[np.ndarray, "rows columns"], frame: Frame) -> Shaped[np.ndarray, "rows columns"]:
    """The used bits as numbers; the bits above them may hold anything, such as an overlay, and repeat the sign of a negative number."""
    storage = frame.storage
    allocated, used = storage.bits
    numbers = decoded.astype(storage.dtype.newbyteorder("="))  # the same bits, whatever sign the decoder took them to have
    if used < allocated:
        unused = allocated - used
        numbers = np.right_shift(np.left_shift(numbers, unused), unused)
    return np.ascontiguousarray(numbers)


def _require_stated_size(dataset: Any, frame: Frame) -> None:
    """Refuse a compressed frame that holds another number of pixels than its header states, before it is decoded."""
    try:
        from pydicom.encaps import get_frame
        from pydicom.uid import UID

        if not UID(frame.storage.transfer_syntax).is_encapsulated:
            return
        with quiet():
            content = get_frame(dataset.PixelData, frame.plane.frame, number_of_frames=frame.storage.frames)
    except Exception:
        return  # pixel_array says what is wrong
    size = stated_size(content)
    if size is not None and size != frame.plane.shape:
        raise InputError(
            f"{frame.plane.path}: its compressed pixels are {size[0]} x {size[1]}, but its header states "
            f"{frame.plane.shape[0]} x {frame.plane.shape[1]}; export it again"
        )
