"""The origin channel of nnU-Net data sets: a second input channel that tells painted slices or stacks from real ones.

A segmenter that trains on painted and real slices without it takes what is peculiar to painted slices for a sign of scar. What it predicts
is real, so the channel is then 0 everywhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from scipy.ndimage import binary_fill_holes

from lgesynthnet.data.nifti import Volume
from lgesynthnet.data.nifti_writing import zeros_like
from lgesynthnet.errors import InputError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed, damaged_files, require_outside, written_again
from lgesynthnet.files.reading import read_bytes
from lgesynthnet.files.writing import synced_together, write_bytes
from lgesynthnet.records import OnCase

IMAGE_CHANNEL, ORIGIN_CHANNEL = "_0000.nii.gz", "_0001.nii.gz"  # endings of nnU-Net's image files
LARGEST_BYTES = 2**30  # no image file is larger


def painted_origin(image: Volume, index: int = 0) -> UInt8[np.ndarray, "rows cols"]:
    """The origin channel of a painted slice: 1 wherever the image is not empty, 0 in the empty border that some images have.

    nnU-Net crops a case to the box in which any channel differs from 0, and normalises what is left. A channel of ones would keep the
    border of painted slices, while real slices lose it, and the two would be normalised differently.

    Args:
        image: file of the slice, in the orientation of the file.
        index: which of its slices it is.
    """
    shown = (image.stored[:, :, index].T * np.float64(image.slope) + image.inter).astype(np.float32)
    filled: UInt8[np.ndarray, "rows cols"] = binary_fill_holes(shown != 0).astype(np.uint8)
    return filled


def painted_origin_of_stack(image: Volume) -> UInt8[np.ndarray, "rows cols slices"]:
    """The origin channel of a painted stack: that of a painted slice in every slice, also in those that are still the host's.

    Marking the painted slices alone would tell the network in which slices the scar lies, and it would look for none elsewhere.

    Args:
        image: file of the stack, in the orientation of the file.
    """
    return np.stack([painted_origin(image, index) for index in range(image.stored.shape[2])], axis=2)


@dataclass(frozen=True, kw_only=True)
class OriginResult:
    """The images that are ready to be predicted, and notes for the user, one sentence each."""

    folder: Path
    images: int
    notes: tuple[str, ...]


def add_origin_channel(images: Path, out: Path, *, on_case: OnCase | None = None) -> OriginResult:
    """Copy images into a new folder, each with an origin channel of zeros, since what is predicted is real.

    The same call completes a folder that was interrupted or damaged.

    Args:
        images: folder of CASE_0000.nii.gz, slices or stacks. Nothing in it is changed.
        out: gets CASE_0000.nii.gz, a copy bit for bit, and CASE_0001.nii.gz, zeros with the same geometry.
        on_case: gets (done, total) after each image.
    Raises:
        InputError: the folder has no such images, or other channels beside them, or an image cannot be read.
        RunError: the new folder lies in that of the images, or holds something else, or it cannot be written.
    """
    require_outside(out, "images", images)
    paths = _images_in(images)
    contents = {path.name: hashlib.sha256(read_bytes(path, LARGEST_BYTES)).hexdigest() for path in paths}
    record = {"images": len(paths), "identity": hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:16]}
    damaged = damaged_files(out, FolderKind.EXPORT, settings=record)
    if damaged == []:
        return OriginResult(folder=out, images=len(paths), notes=("the same folder existed already, so nothing was written",))
    with claimed(out, FolderKind.EXPORT, settings=record) as manifest, synced_together():
        for done, path in enumerate(paths, start=1):
            copy, origin = path.name, path.name.removesuffix(IMAGE_CHANNEL) + ORIGIN_CHANNEL
            if not manifest.is_whole(origin):
                write_bytes(out / origin, zeros_like(path))
            if not manifest.is_whole(copy):
                write_bytes(out / copy, read_bytes(path, LARGEST_BYTES))
            if on_case is not None:
                on_case(done, len(paths))
    return OriginResult(folder=out, images=len(paths), notes=(written_again(damaged),) if damaged else ())


def _images_in(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name.

    Raises:
        InputError: see `add_origin_channel`.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.name.endswith(".nii.gz") and not path.name.startswith("."))
    except OSError as fault:
        raise InputError(f"{folder}: cannot be read ({fault.strerror or fault}); give the folder of the images to predict") from None
    for path in files:
        if not path.name.endswith(IMAGE_CHANNEL):
            hint = "has an origin channel already" if path.name.endswith(ORIGIN_CHANNEL) else "is not named as nnU-Net names images"
            raise InputError(f"{path}: {hint}; give a folder that holds CASE{IMAGE_CHANNEL} alone")
    if not files:
        raise InputError(f"{folder}: holds no image CASE{IMAGE_CHANNEL}; name the images to predict so, as nnU-Net wants them")
    return files
