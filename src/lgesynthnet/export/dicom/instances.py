"""Read a sample of a run, and the headers of its host, as what its DICOM instances hold: one slice, or every slice of a painted stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from lgesynthnet.data.dicom.files import is_dicom
from lgesynthnet.data.nifti import Volume, read_volume
from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.errors import RunError
from lgesynthnet.export.cases import ExportCase
from lgesynthnet.export.dicom.image import DicomSample, Identity
from lgesynthnet.export.dicom.numbers import StoredNumbers, slices_of, store, store_like, with_one_window
from lgesynthnet.export.dicom.source import SourceHeader, in_one_series, read_source
from lgesynthnet.export.dicom.stacks import is_painted
from lgesynthnet.export.stack_cases import StackCase
from lgesynthnet.records import Labels, Place
from lgesynthnet.run.sample_files import HIDDEN, path_of
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.terms import LabelKind

Voxels = Shaped[np.ndarray, "rows cols slices"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What an export says of each of its instances.

    Attributes:
        key: a text that decides what the instances of a sample hold.
        comments: licence and credit of the host.
    """

    identity: Identity
    key: str
    comments: str = ""


@dataclass(frozen=True, kw_only=True)
class _StoredSlice:
    """One slice of the files of a sample, and the header of its host; None where the host is NIfTI."""

    numbers: StoredNumbers
    labels: Labels
    plane: SlicePlane
    thickness_mm: float
    source: SourceHeader | None = field(repr=False)


def sample_for_dicom(
    case: ExportCase, row: SampleRow, hidden_path: Path, place: Place | None, identity: Identity, *, key: str, comments: str = ""
) -> DicomSample:
    """Read a sample's files, and the header of its host where that is DICOM.

    Args:
        hidden_path: the sample's file with the hidden region.
        place: where the host is stored; None where nothing but the sample is known of it.
        key: a text that decides what the instances hold.
        comments: licence and credit of the host.
    Raises:
        InputError: a file cannot be used.
        RunError: the host is not the one that the sample was painted into.
    """
    _, labels = case.pixels()
    [stored] = _stored_slices(row.id, read_volume(case.image_path), labels[:, :, None], hidden_path, (place,))
    sample = _sample(case, row, stored, Setting(identity=identity, key=key, comments=comments))
    return replace(sample, sentence=row.sentence, masks_drawn_by=row.masks_drawn_by)


def stack_for_dicom(
    case: StackCase, row: StackRow, painted: Mapping[int, SampleRow], places: Sequence[Place | None], setting: Setting
) -> list[DicomSample]:
    """Read the files of a painted stack, and the headers of its host where that is DICOM: every slice, painted or not, in one series.

    Args:
        painted: index in the stack -> row of the painted slice.
        places: where each slice of the host is stored.
    Raises:
        InputError: a file cannot be used.
        RunError: the host is not the one that the stack was painted into.
    """
    drawn_by = next((slice_row.masks_drawn_by for slice_row in painted.values()), None)
    may_differ = is_painted(case.image_path)
    _, labels = case.pixels()
    stored = _stored_slices(row.id, read_volume(case.image_path), labels, path_of(case.image_path, HIDDEN), places)
    return [
        replace(
            _sample(case, row, slice_, replace(setting, key=f"{setting.key}/{index}")),
            sentence=painted[index].sentence if index in painted else "",
            masks_drawn_by=drawn_by,
            stack_key=setting.key,
            number=index + 1,
            painted=bool(may_differ[index]),
        )
        for index, slice_ in enumerate(stored)
    ]


def _sample(case: ExportCase, row: SampleRow | StackRow, stored: _StoredSlice, setting: Setting) -> DicomSample:
    return DicomSample(
        id=row.id,
        key=setting.key,
        sentence="",
        generator=row.generator,
        scar_from=row.filter if case.label_kind == LabelKind.READ else None,
        masks_drawn_by=None,
        comments=setting.comments,
        numbers=stored.numbers,
        labels=stored.labels,
        plane=stored.plane,
        thickness_mm=stored.thickness_mm,
        position=0,
        identity=setting.identity,
        source=stored.source,
    )


def _stored_slices(
    sample_id: str, image: Volume, labels: UInt8[np.ndarray, "rows cols slices"], hidden_path: Path, places: Sequence[Place | None]
) -> list[_StoredSlice]:
    """Every slice of the files of a sample.

    Raises:
        InputError, RunError: see `stack_for_dicom`.
    """
    voxels = image.stored.transpose(1, 0, 2)
    sources = [read_source(place.path, place.index) for place in places if place is not None and is_dicom(place.path)]
    if sources:
        sources, hidden = in_one_series(sources), read_volume(hidden_path).stored.transpose(1, 0, 2)
        numbers = with_one_window([_like_host(sample_id, image, voxels, hidden, k, source) for k, source in enumerate(sources)])
    else:
        numbers = slices_of(store(voxels, image.slope, image.inter))
    return [
        _StoredSlice(
            numbers=numbers[index],
            labels=np.ascontiguousarray(labels[:, :, index]),
            plane=_plane(image, index),
            thickness_mm=image.pixel_mm[2],
            source=sources[index] if sources else None,
        )
        for index in range(voxels.shape[2])
    ]


def _like_host(sample_id: str, image: Volume, voxels: Voxels, hidden: Voxels, index: int, source: SourceHeader) -> StoredNumbers:
    """The pixels of a slice with the bits of its host.

    Raises:
        RunError: the host does not store the pixels that nothing was painted over.
    """
    pixels = voxels[:, :, index]
    numbers = store_like(pixels, source.bits, signed=source.signed, slope=image.slope, intercept=image.inter)
    if (numbers.pixels != pixels)[hidden[:, :, index] == 0].any():
        raise RunError(f"{source.path}: stores other numbers than the host of {sample_id}; give the hosts as they were with --hosts")
    return numbers


def _plane(image: Volume, index: int) -> SlicePlane:
    """Where a slice lies. The affine gives the direction of the step and pixdim its length, as for the sides of the pixels."""
    affine = image.affine.copy()
    along = affine[:3, 2]
    affine[:3, 3] += index * image.pixel_mm[2] * along / np.linalg.norm(along)
    (columns, rows, _), (across, down, _) = image.stored.shape, image.pixel_mm
    return SlicePlane.from_affine(affine, (rows, columns), (down, across), image.path)
