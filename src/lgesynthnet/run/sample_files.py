"""The files of one sample: image, labels, the scar as the filter read it, the intended scar and the hidden region.

All five have the shape (columns, rows, 1) and the affine of the host slice, so that they lie where the host lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.nifti_writing import write_slice_like
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.records import Image, Label, Labels, Mask, ShortAxisSlice, scar_of

ENDING = ".nii.gz"
REJECTED = Path("rejected")
IMAGES, LABELS, READ, INTENDED, HIDDEN = PARTS = ("images", "labels", "read", "intended", "hidden")


@dataclass(frozen=True, kw_only=True)
class StoredSample:
    """One sample as read back from its files, in the radiological view; all arrays have the shape (rows, cols).

    Attributes:
        slice_: the painted image and its labels (`Label`), in the host's own grid and stored numbers.
        read: scar (3) and no-reflow (4) as the filter read them, 0 elsewhere.
        intended: scar (3) and no-reflow (4) that were to be painted, 0 elsewhere.
        hidden: the only pixels that may differ from the host.
    """

    slice_: ShortAxisSlice
    read: Labels
    intended: Labels
    hidden: Mask

    @property
    def image(self) -> Image:
        return self.slice_.image

    @property
    def labels(self) -> Labels:
        return self.slice_.labels

    @property
    def intended_scar(self) -> Mask:
        """Scar and no-reflow together."""
        return scar_of(self.intended)

    @property
    def intended_no_reflow(self) -> Mask:
        return np.asarray(self.intended == Label.NO_REFLOW)


def folder_of(*, kept: bool, keep_all: bool = False) -> Path:
    """Where the folders `images`, `labels` and so on of a sample stand, relative to the run folder."""
    return Path() if kept or keep_all else REJECTED


def path_of(image: Path, part: str) -> Path:
    """The file of one part of a sample, given its image."""
    return image.parent.parent / part / image.name


def write_sample(sample: SyntheticSample, read: Labels, folder: Path, sample_id: str) -> None:
    """Write the five files of a sample under `folder`; the image has the host's dtype, the others are uint8.

    The bytes depend on the arguments alone.

    Args:
        read: (rows, cols), what the filter detected: 3 scar, 4 no-reflow, 0 elsewhere.
    Raises:
        RunError: the folder is read-only or the disk is full; or the host was made in memory and has no place in space.
    """
    host = sample.host.slice_
    if host.place is None:
        raise RunError(f"{host.name}: was made in memory, so no file tells where it lies; save the host as NIfTI first")
    about = f"SYNTHETIC scar by lgesynthnet, {sample.model}"
    intended = np.where(sample.intended_no_reflow, Label.NO_REFLOW, np.where(sample.intended, Label.SCAR, 0))
    write_slice_like(folder / IMAGES / f"{sample_id}{ENDING}", sample.image, host.place, descrip=about)
    for part, pixels in ((LABELS, sample.labels), (READ, read), (INTENDED, intended), (HIDDEN, sample.hidden)):
        path = folder / part / f"{sample_id}{ENDING}"
        write_slice_like(path, pixels.astype(np.uint8), host.place, dtype=np.uint8, descrip=about)


def read_sample(image: Path, patient: str, *, flip: tuple[bool, bool] | None = None) -> StoredSample:
    """Read what `write_sample` wrote, in the radiological view.

    Args:
        image: the sample's file under `images/`.
        patient: the host's patient.
        flip: how the user wanted the stored (rows, columns) mirrored; None lets the affine decide, as for the host.
    Raises:
        RunError: one of the five files is missing, damaged or lies on another grid.
    """
    parts: dict[str, ShortAxisSlice] = {}
    try:
        for part in (LABELS, READ, INTENDED, HIDDEN):
            parts[part] = read_stack(image, path_of(image, part), patient, LABEL_MAPS["lgesynthnet"], flip=flip)[0]
    except InputError as fault:
        raise RunError(f"{image}: this sample cannot be read back ({fault})") from None
    return StoredSample(slice_=parts[LABELS], read=parts[READ].labels, intended=parts[INTENDED].labels, hidden=parts[HIDDEN].labels > 0)
