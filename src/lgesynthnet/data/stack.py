"""One patient's image and label file become a `Stack`, or an error that says what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from lgesynthnet.data.label_maps import EXAMPLE
from lgesynthnet.data.nifti import Volume, read_volume
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, Stack

AFFINE_TOLERANCE = 1e-3


def read_stack(
    image_path: Path,
    label_path: Path,
    patient: str,
    label_map: Mapping[int, Label],
    *,
    base_first: bool | None = None,
    flip: tuple[bool, bool] = (False, False),
    insertions_deg: Mapping[int, tuple[float, float]] | None = None,
) -> Stack:
    """Read a pair of files, turned from (column, row, slice) to (row, column, slice) and flipped as asked.

    Image numbers stay as stored: slope and inter remain with the header. Spacing comes from pixdim, never from the affine,
    which is meaningless in EMIDEC's own files.

    Raises:
        InputError: a file cannot be used, the two do not lie on the same grid, a label id is unknown, the image has NaN or Inf.
    """
    image, label = read_volume(image_path), read_volume(label_path)
    _same_grid(image, label)
    _finite(image)
    labels = _translated(label, label_map)
    across, down, step = image.pixel_mm
    stray = sorted(index for index in insertions_deg or {} if not 0 <= index < image.stored.shape[2])
    if stray:
        raise InputError(f"{image_path}: landmarks name slice {stray[0]} of {patient}, which has {image.stored.shape[2]} slices from 0")
    return Stack(
        patient=patient,
        image=_viewed(image.stored, flip),
        labels=_viewed(labels, flip),
        spacing_mm=(down, across),
        slice_step_mm=step,
        image_path=image_path,
        label_path=label_path,
        flip=flip,
        base_first=base_first,
        insertions_deg=dict(insertions_deg or {}),
    )


def _viewed(stored: Shaped[np.ndarray, "columns rows slices"], flip: tuple[bool, bool]) -> Shaped[np.ndarray, "rows columns slices"]:
    turned = stored.transpose(1, 0, 2)
    return np.ascontiguousarray(turned[:: -1 if flip[0] else 1, :: -1 if flip[1] else 1])


def _same_grid(image: Volume, label: Volume) -> None:
    for what, ours, theirs in (
        ("shape (columns, rows, slices)", np.array(image.stored.shape), np.array(label.stored.shape)),
        ("pixdim in mm", np.array(image.pixel_mm), np.array(label.pixel_mm)),
        ("affine", image.affine, label.affine),
    ):
        if not np.allclose(ours, theirs, rtol=0, atol=AFFINE_TOLERANCE):
            raise InputError(
                f"{label.path}: its {what} is {_short(theirs)}, its image {image.path} has {_short(ours)}; "
                "resample the label onto the image's grid or copy the image's header"
            )


def _short(numbers: Shaped[np.ndarray, "*shape"]) -> str:
    return str(np.round(numbers, 4).tolist()).replace(" ", "")


def _finite(image: Volume) -> None:
    if image.stored.dtype.kind != "f":
        return
    broken = ~np.isfinite(image.stored)
    if broken.any():
        slices = np.flatnonzero(broken.any(axis=(0, 1)))
        count = int(broken[:, :, slices[0]].sum())
        more = f" (and {len(slices) - 1} more slices)" if len(slices) > 1 else ""
        raise InputError(f"{image.path}: slice {slices[0]} holds NaN or Inf in {count} pixels{more}; replace them, e.g. by 0")


def _translated(label: Volume, label_map: Mapping[int, Label]) -> UInt8[np.ndarray, "columns rows slices"]:
    """File ids to `Label`. Floats are welcome where they are whole numbers, as in EMIDEC's own files."""
    values: Float[np.ndarray, "columns rows slices"] | Shaped[np.ndarray, "columns rows slices"] = label.stored
    if (label.slope, label.inter) != (1.0, 0.0):
        values = values.astype(np.float64) * label.slope + label.inter
    present = np.unique(values)
    labels = np.zeros(values.shape, dtype=np.uint8)
    for value in present:
        here = values == value
        if not np.isfinite(value) or value != round(float(value)) or int(value) not in label_map:
            _refuse_id(label.path, float(value), here if np.isfinite(value) else ~np.isfinite(values), label_map)
        labels[here] = label_map[int(value)]
    return labels


def _refuse_id(path: Path, value: float, here: Shaped[np.ndarray, "columns rows slices"], label_map: Mapping[int, Label]) -> None:
    index = int(np.flatnonzero(here.any(axis=(0, 1)))[0])
    count = int(here[:, :, index].sum())
    known = ",".join(f"{number}={label.name.lower().replace('_', '-')}" for number, label in label_map.items())
    kind = f"label id {value:g}" if value == value // 1 else f"the label value {value:g}, which is no whole number,"
    raise InputError(f"{path}: slice {index} holds {kind} in {count} pixels; known here is {known}; name it with --labels, e.g. {EXAMPLE}")
