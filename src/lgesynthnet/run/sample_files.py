"""One synthetic sample as files: image, labels and the reader's mask, lying in space where the host slice lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.data.nifti_writing import write_slice_like
from lgesynthnet.errors import RunError
from lgesynthnet.records import Labels

REJECTED = Path("rejected")
PARTS = ("images", "labels", "read")


def folder_of(*, kept: bool, keep_all: bool = False) -> Path:
    """Where a sample's `images`, `labels` and `read` folders stand, relative to the run folder."""
    return Path() if kept or keep_all else REJECTED


def write_sample(sample: SyntheticSample, read: Labels, folder: Path, sample_id: str, *, flip: tuple[bool, bool] = (False, False)) -> None:
    """Write `images/ID.nii.gz` (host's dtype), `labels/ID.nii.gz` and `read/ID.nii.gz` (uint8) under `folder`.

    All three have shape (columns, rows, 1) and one affine. The bytes depend on the arguments alone.

    Args:
        read: (rows, cols) what the filter reader saw: 3 scar, 4 no-reflow, 0 elsewhere.
        flip: the flips that turned the host's file to the radiological view; undone here.
    Raises:
        RunError: read-only, full disk, or the host was made in memory and has no place in space.
    """
    slice_ = sample.host.slice_
    if slice_.image_path is None:
        raise RunError(f"{slice_.name}: was made in memory, so no file tells where it lies; save the host as NIfTI first")
    about = f"SYNTHETIC scar by lgesynthnet, {sample.model}"
    like, index = slice_.image_path, slice_.index
    write_slice_like(folder / "images" / f"{sample_id}.nii.gz", sample.image, like, index, flip, descrip=about)
    for part, labels in (("labels", sample.labels), ("read", read)):
        path = folder / part / f"{sample_id}.nii.gz"
        write_slice_like(path, labels.astype(np.uint8), like, index, flip, dtype=np.uint8, descrip=about)
