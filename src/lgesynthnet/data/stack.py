"""Read the image and the label file of one patient into a `Stack`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from lgesynthnet.data.conversion import place_like, resample
from lgesynthnet.data.label_reading import StoredLabels, fill_cavities, translate_labels
from lgesynthnet.data.nifti import Volume, read_volume
from lgesynthnet.data.view import anatomical_directions, base_first_of, view_of
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, Place, Stack, View

SPACING_TOLERANCE = 1e-3  # of a pixel size in mm, also as a share of it
CORNER_TOLERANCE = 0.05  # of a pixel; by so much may the corners of an image and of its labels lie apart
IDENTITY = (0, 1, 2), (False, False, False)


def read_stack(
    image_path: Path,
    label_path: Path,
    patient: str,
    label_map: Mapping[int, Label],
    *,
    base_first: bool | None = None,
    flip: tuple[bool, bool] | None = None,
    insertions_deg: Mapping[int, tuple[float, float]] | None = None,
) -> Stack:
    """Read an image and its labels, and turn both into the radiological view. Nothing is resampled.

    The numbers of the image stay as they are stored; slope and intercept are not applied. The spacing comes from pixdim,
    never from the affine, which is meaningless in the files of EMIDEC. Labels whose grid is a permutation and mirroring of the image's are
    turned onto it.

    Args:
        label_map: meaning of each label id.
        base_first: whether slice 0 is the base; None where it is not known.
        flip: whether the user wants the stored (rows, columns) mirrored; None lets the affine decide.
        insertions_deg: slice index -> (anterior, inferior) RV insertion angles in degrees in that view, as the user marked them.
    Raises:
        InputError: a file cannot be used, the two files have different grids, a label id is unknown, the image holds NaN or
            Inf, or `insertions_deg` names a slice that does not exist.
    """
    image, label = read_volume(image_path), read_volume(label_path)
    label, notes = _on_the_grid_of(image, label)
    _require_finite(image)
    labels, filled = fill_cavities(translate_labels(label, label_map))
    if filled:
        notes.append(f"{label_path}: no cavity is labelled in {_slices(filled)}; the hole of the wall is taken as the cavity")
    return stack_of(
        image, labels, patient, base_first=base_first, view=view_of(image.affine, flip), insertions_deg=insertions_deg, notes=notes
    )


def read_image(image_path: Path, patient: str, *, base_first: bool | None = None, flip: tuple[bool, bool] | None = None) -> Stack:
    """Read an image without labels: every pixel is background. Otherwise as `read_stack`.

    Raises:
        InputError: the file cannot be used, or the image holds NaN or Inf.
    """
    image = read_volume(image_path)
    _require_finite(image)
    background = np.zeros(image.stored.shape, dtype=np.uint8)
    return stack_of(image, background, patient, base_first=base_first, view=view_of(image.affine, flip))


def stack_of(
    image: Volume,
    labels: StoredLabels,
    patient: str,
    *,
    base_first: bool | None = None,
    view: View,
    insertions_deg: Mapping[int, tuple[float, float]] | None = None,
    notes: list[str] | None = None,
) -> Stack:
    """A stack from an image and labels in the orientation of its file; see `read_stack`."""
    across, down, step = image.pixel_mm
    slices = image.stored.shape[2]
    stack = Stack(
        patient=patient,
        image=_in_view(image.stored, view),
        labels=_in_view(labels, view),
        spacing_mm=view.turn_lengths((down, across)),
        slice_step_mm=step,
        places=tuple(Place(path=image.path, index=index, view=view) for index in range(slices)),
        base_first=base_first,
        base_first_by_affine=base_first_of(image.affine),
        notes=(*image.notes, *(notes or [])),
    )
    return with_insertions(stack, insertions_deg, image.path)


def with_insertions(stack: Stack, insertions_deg: Mapping[int, tuple[float, float]] | None, place: Path) -> Stack:
    """The stack with the RV insertions that the user marked.

    Raises:
        InputError: a slice is named that does not exist; the message begins with `place`.
    """
    stray = sorted(index for index in insertions_deg or {} if not 0 <= index < len(stack))
    if stray:
        raise InputError(
            f"{place}: landmarks name slice {stray[0]} of {stack.patient}, which has {len(stack)} slices, counted from 0; "
            "correct the landmarks"
        )
    return replace(stack, insertions_deg=dict(insertions_deg or {}))


def _in_view(stored: Shaped[np.ndarray, "file_columns file_rows slices"], view: View) -> Shaped[np.ndarray, "rows columns slices"]:
    return np.ascontiguousarray(view.turn(stored.transpose(1, 0, 2)))


def _on_the_grid_of(image: Volume, label: Volume) -> tuple[Volume, list[str]]:
    """The label with the axes of its image, where the two grids are the same voxels in another order; and what was done."""
    fault = _grid_fault(image, label)
    if fault is None:
        return label, []
    for order, mirrored in itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3)):
        turned = _turned(label, order, mirrored)
        if (order, mirrored) != IDENTITY and _grid_fault(image, turned) is None:
            return turned, [f"{label.path}: its axes run differently from its image's; the labels were turned onto the image's grid"]
    what, of_image, of_label = fault
    is_placeless = anatomical_directions(label.affine) is None
    if is_placeless and image.stored.shape == label.stored.shape:
        remedy = f"the label does not say where it lies: if its pixels are the image's, e.g. {place_like(label.path, image.path)}"
    elif is_placeless and anatomical_directions(image.affine) is not None:
        remedy = "the label does not say where it lies: save it again where it was drawn, with the image's grid"
    else:
        remedy = f"resample the label onto the image's grid, e.g. {resample(label.path, image.path)}"
    raise InputError(f"{label.path}: its {what} is {of_label}, but its image {image.path} has {of_image}; {remedy}")


def _turned(label: Volume, order: tuple[int, ...], mirrored: tuple[bool, ...]) -> Volume:
    """The same voxels with axis `order[k]` as axis k, reversed where `mirrored[k]`; the affine follows."""
    stored = label.stored.transpose(order)
    affine = label.affine[:, [*order, 3]].copy()
    for axis, reverse in enumerate(mirrored):
        if reverse:
            affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
            affine[:3, axis] *= -1
    stored = stored[tuple(slice(None, None, -1 if reverse else 1) for reverse in mirrored)]
    across, down, step = (label.pixel_mm[axis] for axis in order)
    return replace(label, stored=stored, affine=affine, pixel_mm=(across, down, step))


def _grid_fault(image: Volume, label: Volume) -> tuple[str, str, str] | None:
    """The first difference between two grids with both values; None where they are equal but for the rounding of other programs."""
    if image.stored.shape != label.stored.shape:
        return "shape (columns, rows, slices)", _rounded(np.array(image.stored.shape)), _rounded(np.array(label.stored.shape))
    if not np.allclose(image.pixel_mm, label.pixel_mm, rtol=SPACING_TOLERANCE, atol=SPACING_TOLERANCE):
        return "pixdim in mm", _rounded(np.array(image.pixel_mm)), _rounded(np.array(label.pixel_mm))
    ends = np.array(list(itertools.product(*((0, side - 1) for side in image.stored.shape), (1,))), dtype=np.float64)
    apart_mm = np.linalg.norm(((image.affine - label.affine) @ ends.T)[:3], axis=0).max()
    if apart_mm > CORNER_TOLERANCE * min(image.pixel_mm[:2]):
        return "affine", _rounded(image.affine), _rounded(label.affine)
    return None


def _rounded(numbers: Shaped[np.ndarray, "*shape"] | Float[np.ndarray, "*shape"]) -> str:
    return str(np.round(numbers, 4).tolist()).replace(" ", "")


def _slices(indices: list[int]) -> str:
    return f"slice {indices[0]}" if len(indices) == 1 else f"{len(indices)} slices"


def _require_finite(image: Volume) -> None:
    if image.stored.dtype.kind != "f":
        return
    broken = [int((~np.isfinite(image.stored[:, :, index])).sum()) for index in range(image.stored.shape[2])]
    slices = np.flatnonzero(broken)
    if slices.size:
        count = broken[slices[0]]
        more = f" (and {len(slices) - 1} more slices)" if len(slices) > 1 else ""
        raise InputError(f"{image.path}: slice {slices[0]} holds NaN or Inf in {count} pixels{more}; replace them, e.g. by 0")
