"""Read the DICOM files of one patient, with their labels, into a `Stack`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.data.dicom.labels import DicomLabels, LabelOptions, read_contours, read_mask
from lgesynthnet.data.dicom.reading import DicomImage, read_dicom_image
from lgesynthnet.data.dicom.scanning import DicomSource
from lgesynthnet.data.nifti import Volume
from lgesynthnet.data.stack import stack_of
from lgesynthnet.data.view import view_of
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, Place, Stack, View


@dataclass(frozen=True, kw_only=True)
class DicomOptions(LabelOptions):
    """What the user said about DICOM files.

    Attributes:
        series: which stack to read, see `choosing.choose`; None lets the program choose.
    """

    series: str | None = None


@dataclass(frozen=True, kw_only=True)
class Mask:
    """A NIfTI label on the grid of the stack; where there is none, contours are looked for.

    Attributes:
        label_map: meaning of its label ids.
    """

    path: Path | None
    label_map: Mapping[int, Label]


def read_dicom_stack(
    source: DicomSource,
    patient: str,
    options: DicomOptions,
    mask: Mask | None,
    *,
    flip: tuple[bool, bool] | None = None,
    base_first: bool | None = None,
) -> Stack:
    """Read the chosen stack and its labels, and turn both into the radiological view. Nothing is resampled or scaled.

    Args:
        mask: None reads the image alone; every pixel is then background.
        flip: whether the user wants the stored (rows, columns) mirrored; None lets the planes decide.
        base_first: whether slice 0 is the base; None where it is not known.
    Raises:
        NoLabelsError: labels are wanted, and there are none.
        InputError: no stack can be chosen, a file cannot be used, or the planes show several views of the patient.
    """
    image = read_dicom_image(source, options.series)
    view = _view_of(image, flip, source.folder)
    background = DicomLabels(labels=np.zeros(image.stored.shape, dtype=np.uint8))
    labels = background if mask is None else _labels_of(image, source, patient, options, mask)
    first, step_mm = image.planes[0], image.stack.step_mm
    affine = first.affine
    affine[:3, 2] *= step_mm or 1.0
    volume = Volume(
        path=source.folder,
        stored=image.stored.transpose(1, 0, 2),
        affine=affine,
        pixel_mm=(first.spacing_mm[1], first.spacing_mm[0], step_mm),
        slope=1.0,
        inter=0.0,
        notes=image.notes,
    )
    stack = stack_of(volume, labels.labels.transpose(1, 0, 2), patient, base_first=base_first, view=view, notes=list(labels.notes))
    places = tuple(Place(path=plane.path, index=plane.frame, view=view) for plane in image.planes)
    return replace(stack, places=places)


def _view_of(image: DicomImage, flip: tuple[bool, bool] | None, folder: Path) -> View:
    """The view that all slices have; a tilt of a few degrees changes it only where the heart lies very unusually."""
    views = list(dict.fromkeys(view_of(plane.affine, flip) for plane in image.planes))
    if len(views) > 1:
        raise InputError(f"{folder}: the planes of its slices show different views of the patient; say how to mirror them with --flip")
    return views[0]


def _labels_of(image: DicomImage, source: DicomSource, patient: str, options: DicomOptions, mask: Mask) -> DicomLabels:
    if mask.path is not None and options.contours is None:
        return read_mask(mask.path, image, mask.label_map)
    return read_contours(image, source, patient, options)
