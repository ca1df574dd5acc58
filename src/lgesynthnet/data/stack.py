"""Read the image and the label file of one patient into a `Stack`."""

from __future__ import annotations

import math
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
    broken = [int((~np.isfinite(image.stored[:, :, index])).sum()) for index in range(image.stored.shape[2])]
    slices = np.flatnonzero(broken)
    if slices.size:
        count = broken[slices[0]]
        more = f" (and {len(slices) - 1} more slices)" if len(slices) > 1 else ""
        raise InputError(f"{image.path}: slice {slices[0]} holds NaN or Inf in {count} pixels{more}; replace them, e.g. by 0")


def _translate_labels(label: Volume, label_map: Mapping[int, Label]) -> UInt8[np.ndarray, "columns rows slices"]:
    """Label ids of the file to `Label`. Floats are accepted where they are whole numbers, as in the files of EMIDEC."""
    labels = np.zeros(label.stored.shape, dtype=np.uint8)
    for index in range(label.stored.shape[2]):  # one slice at a time, because scaled numbers take eight bytes
        values: Float[np.ndarray, "columns rows"] | Shaped[np.ndarray, "columns rows"] = label.stored[:, :, index]
        if (label.slope, label.inter) != (1.0, 0.0):
            with np.errstate(over="ignore", invalid="ignore"):
                values = values.astype(np.float64) * label.slope + label.inter
        for value in np.unique(values):
            here = values == value
            if not np.isfinite(value) or value != np.rint(value) or int(value) not in label_map:
                count = int(here.sum() if np.isfinite(value) else (~np.isfinite(values)).sum())
                raise _unknown_label(label.path, index, float(value), count, label_map)
            labels[:, :, index][here] = label_map[int(value)]
    return labels


def _unknown_label(path: Path, index: int, value: float, count: int, label_map: Mapping[int, Label]) -> InputError:
    known = ",".join(f"{number}={label.name.lower().replace('_', '-')}" for number, label in label_map.items())
    whole = math.isfinite(value) and value == value // 1
    kind = f"label id {value:g}" if whole else f"the label value {value:g}, which is not a whole number,"
    return InputError(
        f"{path}: slice {index} holds {kind} in {count} pixels; the known ids are {known}; name it with --labels, e.g. {EXAMPLE}"
    )
