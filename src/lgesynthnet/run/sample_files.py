"""The files of one sample: image, labels, the scar as the filter read it, the intended scar and the hidden region.

Where scar of the host is removed or painted anew, a sixth file says which; with `--twins`, two more hold the twin. The files of a slice
have the shape (columns, rows, 1), those of a painted stack that of the host's volume; the affine places them where the host lies.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from lgesynthnet.conditioning.heart import StackSample
from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.nifti_writing import volume_like, write_slice_like
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.records import Image, Label, Labels, Mask, ShortAxisSlice, scar_of

ENDING = ".nii.gz"
REJECTED = Path("rejected")
IMAGES, LABELS, READ, INTENDED, HIDDEN = PARTS = ("images", "labels", "read", "intended", "hidden")
REMOVED = "removed"
TWIN_IMAGES, TWIN_LABELS = TWIN = ("twin-images", "twin-labels")
EVERY_PART = (*PARTS, REMOVED, *TWIN)


@dataclass(frozen=True, kw_only=True)
class Twin:
    """The other half of a pair, on the grid of the host: the slice without the painted scar, or with the scar that was removed.

    Attributes:
        image: (rows, cols), in the data type of the host; of a stack (rows, cols, slices).
        labels: of the same shape, values of `Label`.
    """

    image: Shaped[np.ndarray, "rows cols *slices"]
    labels: UInt8[np.ndarray, "rows cols *slices"]


@dataclass(frozen=True, kw_only=True)
class StoredSample:
    """One sample as read back from its files, in the radiological view; all arrays have the shape (rows, cols).

    Attributes:
        slice_: the painted image and its labels (`Label`), in the host's own grid and stored numbers.
        read: scar (3) and no-reflow (4) as the filter read them, 0 elsewhere.
        intended: scar (3) and no-reflow (4) that were to be painted, 0 elsewhere.
        hidden: the only pixels that may differ from the host.
        removed: scar (3) and no-reflow (4) of the host that were removed or painted anew, 0 elsewhere.
        twin: the other half of the pair; None where twins were not asked for.
    """

    slice_: ShortAxisSlice
    read: Labels
    intended: Labels
    hidden: Mask
    removed: Labels
    twin: ShortAxisSlice | None = None

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


def label_of(image: Path) -> Path:
    """The file of the labels of a sample or a twin, given its image."""
    return path_of(image, TWIN_LABELS if image.parent.name == TWIN_IMAGES else LABELS)


def write_sample(
    sample: SyntheticSample, read: Labels, folder: Path, sample_id: str, *, parts: Collection[str] = PARTS, twin: Twin | None = None
) -> None:
    """Write the files of a sample under `folder`; images have the host's dtype, the others are uint8.

    The bytes depend on the arguments alone.

    Args:
        read: (rows, cols), what the filter detected: 3 scar, 4 no-reflow, 0 elsewhere.
        parts: which of `EVERY_PART` to write.
        twin: for the parts of `TWIN`.
    Raises:
        RunError: the folder is read-only or the disk is full; or the host was made in memory and has no place in space.
    """
    host = sample.host.slice_
    if host.place is None:
        raise RunError(f"{host.name}: was made in memory, so no file tells where it lies; save the host as NIfTI first")
    about = f"SYNTHETIC scar by lgesynthnet, {sample.model}"
    intended = np.where(sample.intended_no_reflow, Label.NO_REFLOW, np.where(sample.intended, Label.SCAR, 0))
    pixels = {
        IMAGES: sample.image,
        LABELS: sample.labels,
        READ: read,
        INTENDED: intended,
        HIDDEN: sample.hidden,
        REMOVED: np.where(sample.removed, host.labels, 0),
        **({} if twin is None else {TWIN_IMAGES: twin.image, TWIN_LABELS: twin.labels}),
    }
    for part in parts:
        path = folder / part / f"{sample_id}{ENDING}"
        if part in (IMAGES, TWIN_IMAGES):
            write_slice_like(path, pixels[part], host.place, descrip=about)
        else:
            write_slice_like(path, pixels[part].astype(np.uint8), host.place, dtype=np.uint8, descrip=about)


def write_stack_sample(
    sample: StackSample,
    read: UInt8[np.ndarray, "rows cols slices"],
    folder: Path,
    sample_id: str,
    *,
    parts: Collection[str] = PARTS,
    twin: Twin | None = None,
) -> None:
    """Write the files of a painted stack under `folder`, as `write_sample` writes those of a slice.

    Raises:
        RunError: the folder is read-only or the disk is full; or the host was made in memory and has no place in space.
        InputError: the host's slices do not lie on one grid.
    """
    stack = sample.heart.stack
    if not stack.places:
        raise RunError(f"{stack.patient}: was made in memory, so no file tells where it lies; save the host as NIfTI first")
    about = f"SYNTHETIC scar by lgesynthnet, {next(iter(sample.samples.values())).model}"
    volumes = {
        IMAGES: sample.image,
        LABELS: sample.labels,
        READ: read,
        INTENDED: sample.intended,
        HIDDEN: sample.hidden,
        REMOVED: sample.removed,
        **({} if twin is None else {TWIN_IMAGES: twin.image, TWIN_LABELS: twin.labels}),
    }
    for part in parts:
        dtype = None if part in (IMAGES, TWIN_IMAGES) else np.uint8
        write_bytes(folder / part / f"{sample_id}{ENDING}", volume_like(stack, volumes[part], dtype, descrip=about))


def read_sample(
    image: Path, patient: str, *, index: int = 0, flip: tuple[bool, bool] | None = None, parts: Collection[str] = PARTS
) -> StoredSample:
    """Read what `write_sample` wrote, in the radiological view; or one slice of what `write_stack_sample` wrote.

    Args:
        image: the sample's file under `images/`.
        patient: the host's patient.
        index: of the slice in the files.
        flip: how the user wanted the stored (rows, columns) mirrored; None lets the affine decide, as for the host.
        parts: those of `EVERY_PART` that were written.
    Raises:
        RunError: one of the files is missing, damaged or lies on another grid.
    """
    found: dict[str, ShortAxisSlice] = {}
    try:
        for part in parts:
            if part not in (IMAGES, TWIN_IMAGES):
                shown = path_of(image, TWIN_IMAGES) if part == TWIN_LABELS else image
                found[part] = read_stack(shown, path_of(image, part), patient, LABEL_MAPS["lgesynthnet"], flip=flip)[index]
    except (InputError, IndexError) as fault:
        raise RunError(f"{image}: this sample cannot be read back ({fault})") from None
    return StoredSample(
        slice_=found[LABELS],
        read=found[READ].labels,
        intended=found[INTENDED].labels,
        hidden=found[HIDDEN].labels > 0,
        removed=found[REMOVED].labels if REMOVED in found else np.zeros_like(found[LABELS].labels),
        twin=found.get(TWIN_LABELS),
    )
