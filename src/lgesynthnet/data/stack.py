"""Read the image and the label file of one patient into a `Stack`."""

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
    """Read an image and its labels. The axes are turned from (column, row, slice) to (row, column, slice) and mirrored as asked.

    The numbers of the image stay as they are stored; slope and intercept are not applied. The spacing comes from pixdim,
    never from the affine, which is meaningless in the files of EMIDEC.

    Args:
        label_map: meaning of each label id.
        base_first: whether slice 0 is the base; None where it is not known.
        flip: whether to mirror (rows, columns) to reach the radiological view.
        insertions_deg: slice index -> (anterior, inferior) RV insertion angles in degrees, as the user marked them.
    Raises:
        InputError: a file cannot be used, the two files have different grids, a label id is unknown, the image holds NaN or
            Inf, or `insertions_deg` names a slice that does not exist.
    """
    image, label = read_volume(image_path), read_volume(label_path)
    _require_same_grid(image, label)
    _require_finite(image)
    labels = _translate_labels(label, label_map)
    across, down, step = image.pixel_mm
    stray = sorted(index for index in insertions_deg or {} if not 0 <= index < image.stored.shape[2])
    if stray:
        raise InputError(
            f"{image_path}: landmarks name slice {stray[0]} of {patient}, which has {image.stored.shape[2]} slices, counted from 0; "
            "correct the landmarks"
        )
    return Stack(
        patient=patient,
        image=_to_view(image.stored, flip),
        labels=_to_view(labels, flip),
        spacing_mm=(down, across),
        slice_step_mm=step,
        image_path=image_path,
        label_path=label_path,
        flip=flip,
        base_first=base_first,
        insertions_deg=dict(insertions_deg or {}),
    )


def _to_view(stored: Shaped[np.ndarray, "columns rows slices"], flip: tuple[bool, bool]) -> Shaped[np.ndarray, "rows columns slices"]:
    turned = stored.transpose(1, 0, 2)
    return np.ascontiguousarray(turned[:: -1 if flip[0] else 1, :: -1 if flip[1] else 1])


def _require_same_grid(image: Volume, label: Volume) -> None:
    for what, of_image, of_label in (
        ("shape (columns, rows, slices)", np.array(image.stored.shape), np.array(label.stored.shape)),
        ("pixdim in mm", np.array(image.pixel_mm), np.array(label.pixel_mm)),
        ("affine", image.affine, label.affine),
    ):
        if not np.allclose(of_image, of_label, rtol=0, atol=AFFINE_TOLERANCE):
            raise InputError(
                f"{label.path}: its {what} is {_rounded(of_label)}, but its image {image.path} has {_rounded(of_image)}; "
                "resample the label onto the image's grid or copy the image's header"
            )


def _rounded(numbers: Shaped[np.ndarray, "*shape"]) -> str:
    return str(np.round(numbers, 4).tolist()).replace(" ", "")


def _require_finite(image: Volume) -> None:
    if image.stored.dtype.kind != "f":
        return
    broken = ~np.isfinite(image.stored)
    if broken.any():
        slices = np.flatnonzero(broken.any(axis=(0, 1)))
        count = int(broken[:, :, slices[0]].sum())
        more = f" (and {len(slices) - 1} more slices)" if len(slices) > 1 else ""
        raise InputError(f"{image.path}: slice {slices[0]} holds NaN or Inf in {count} pixels{more}; replace them, e.g. by 0")


def _translate_labels(label: Volume, label_map: Mapping[int, Label]) -> UInt8[np.ndarray, "columns rows slices"]:
    """Label ids of the file to `Label`. Floats are accepted where they are whole numbers, as in the files of EMIDEC."""
    values: Float[np.ndarray, "columns rows slices"] | Shaped[np.ndarray, "columns rows slices"] = label.stored
    if (label.slope, label.inter) != (1.0, 0.0):
        values = values.astype(np.float64) * label.slope + label.inter
    present = np.unique(values)
    labels = np.zeros(values.shape, dtype=np.uint8)
    for value in present:
        here = values == value
        if not np.isfinite(value) or value != round(float(value)) or int(value) not in label_map:
            _refuse_label(label.path, float(value), here if np.isfinite(value) else ~np.isfinite(values), label_map)
        labels[here] = label_map[int(value)]
    return labels


def _refuse_label(path: Path, value: float, here: Shaped[np.ndarray, "columns rows slices"], label_map: Mapping[int, Label]) -> None:
    index = int(np.flatnonzero(here.any(axis=(0, 1)))[0])
    count = int(here[:, :, index].sum())
    known = ",".join(f"{number}={label.name.lower().replace('_', '-')}" for number, label in label_map.items())
    kind = f"label id {value:g}" if value == value // 1 else f"the label value {value:g}, which is not a whole number,"
    raise InputError(
        f"{path}: slice {index} holds {kind} in {count} pixels; the known ids are {known}; name it with --labels, e.g. {EXAMPLE}"
    )
