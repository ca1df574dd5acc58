"""The labels of a DICOM stack: contours that lie beside the images, or a NIfTI label that a converter or a drawing program made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from lgesynthnet.data.contours.finding import find_contour_files, is_contour_file, names_an_instance
from lgesynthnet.data.contours.names import ContourNames
from lgesynthnet.data.contours.reading import read_contour_labels
from lgesynthnet.data.dicom.reading import DicomImage
from lgesynthnet.data.dicom.scanning import DicomSource
from lgesynthnet.data.label_maps import EXAMPLE
from lgesynthnet.data.label_reading import fill_cavities, translate_labels
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label

ON_GRID = 0.1  # voxels; a corner of the image that is further from the centre of a voxel lies on another grid


class NoLabelsError(InputError):
    """Nobody labelled the images of a patient."""


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """What the user said about the labels of DICOM images.

    Attributes:
        contours: a folder with a sub-folder for each patient, or with the files of the only one; None looks beside the images.
        several: whether the images are of several patients. What has no sub-folder in `contours` then counts only where the file names the
            images it is drawn on: the number of a slice, or its place, may be the same in two patients.
        contour_names: what the names in the files mean; None takes the usual names.
    """

    contours: Path | None = None
    several: bool = False
    contour_names: ContourNames | None = None


@dataclass(frozen=True, kw_only=True)
class DicomLabels:
    """Labels in the orientation of the stored slices, and what was done or noticed."""

    labels: UInt8[np.ndarray, "rows columns slices"]
    notes: tuple[str, ...] = ()


def read_mask(label_path: Path, image: DicomImage, label_map: Mapping[int, Label]) -> DicomLabels:
    """The labels of a NIfTI file, matched with the slices by where both lie in the patient. Slices that it does not hold are unlabelled.

    Raises:
        InputError: the file cannot be used, its label ids are not known, or it lies on another grid than the slices.
    """
    if not label_map:
        raise InputError(f"{label_path}: what its label ids mean is not known; add --dataset emidec (or acdc, mnms, ...), or {EXAMPLE}")
    label = read_volume(label_path)
    meant = translate_labels(label, label_map)
    labels = np.zeros(image.stored.shape, dtype=np.uint8)
    matched = 0
    for index, plane in enumerate(image.planes):
        slice_labels = _on_plane(meant, label.affine, plane)
        if slice_labels is not None:
            labels[:, :, index] = slice_labels
            matched += 1
    if not matched:
        raise InputError(
            f"{label_path}: lies on another grid than the slices of {image.stack}; save the labels on the grid of the images, or name "
            "the stack that they were drawn on with --series"
        )
    labels, filled = fill_cavities(labels)
    notes = [f"{label_path}: no cavity is labelled in {len(filled)} slices; the hole of the wall is taken as the cavity"] if filled else []
    if matched < len(image.planes):
        notes.append(f"{label_path}: holds {matched} of the {len(image.planes)} slices; the others are taken to be unlabelled")
    return DicomLabels(labels=labels, notes=tuple(notes))


def read_contours(image: DicomImage, source: DicomSource, patient: str, options: LabelOptions) -> DicomLabels:
    """The labels that contours and masks draw: those in the user's folder where it is given, else those beside the images.

    Raises:
        NoLabelsError: there is none.
        InputError: see `read_contour_labels`.
    """
    paths = _contour_files(image, source, patient, options)
    if not paths and options.contours is not None:
        raise NoLabelsError(f"{options.contours}: holds no contours for {patient}; put them into the sub-folder {patient}")
    if not paths:
        where = source.folder
        if source.shared:
            raise NoLabelsError(
                f"{where}: holds no labels for {patient}: no contours that name its images, and none in {where / patient}; "
                "put its contours there"
            )
        raise NoLabelsError(f"{where}: holds no labels for {patient}; put its contours, or a label such as {patient}_label.nii.gz, there")
    fault: InputError | None = None
    for planes in (image.planes, *map(list, image.twins)):
        try:
            drawn = read_contour_labels(paths, planes, options.contour_names)
        except InputError as first:
            fault = fault or first
            continue
        note = f"{paths[0]}: is drawn on {planes[0].path.name}, another image of the same slices"
        return DicomLabels(labels=drawn.labels, notes=drawn.notes if fault is None else (*drawn.notes, note))
    raise fault or InputError(f"{source.folder}: has no slices")


def _contour_files(image: DicomImage, source: DicomSource, patient: str, options: LabelOptions) -> list[Path]:
    contours = options.contours
    instances = {plane.sop_instance_uid for planes in (image.planes, *image.twins) for plane in planes if plane.sop_instance_uid}
    if contours is not None:
        if not contours.is_dir():
            raise InputError(f"{contours}: is not a folder; give a folder of contours, or one with a sub-folder for each patient")
        own = contours / patient
        if own.is_dir():
            return find_contour_files(own)
        return [path for path in find_contour_files(contours) if not options.several or names_an_instance(path, instances)]
    # In a folder of several patients, contours are a patient's own by the instances that they name, or by the sub-folder that they lie in.
    named_so = {path for path in image.others if not source.shared or patient in path.relative_to(source.folder).parts[:-1]}
    return sorted(path for path in image.others if is_contour_file(path) and (path in named_so or names_an_instance(path, instances)))


def _on_plane(
    labels: Shaped[np.ndarray, "i j k"], affine: Float[np.ndarray, "4 4"], plane: SlicePlane
) -> Shaped[np.ndarray, "rows columns"] | None:
    """The labels at the pixels of a slice; None where a corner of the slice lies outside or between the voxels."""
    rows, columns = plane.shape
    to_voxel = np.linalg.inv(affine) @ plane.affine
    corners = to_voxel @ np.array([[0, columns - 1, 0, columns - 1], [0, 0, rows - 1, rows - 1], [0] * 4, [1] * 4], dtype=np.float64)
    nearest = np.rint(corners[:3])
    inside = (nearest >= 0).all() and (nearest < np.array(labels.shape)[:, None]).all()
    if not inside or np.abs(corners[:3] - nearest).max() > ON_GRID:
        return None
    column, row = np.meshgrid(np.arange(columns), np.arange(rows))
    pixels = np.stack([column.ravel(), row.ravel(), np.zeros(column.size), np.ones(column.size)])
    i, j, k = np.rint((to_voxel @ pixels)[:3]).astype(int)
    return np.asarray(labels[i, j, k].reshape(rows, columns))
