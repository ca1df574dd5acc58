"""Where the slices of the hosts are stored, and whether they still are the slices that were painted into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.dicom.files import is_dicom
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.errors import RunError
from lgesynthnet.records import Place, ShortAxisSlice, Stack
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_files import HIDDEN
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.stack_row import StackRow

REMEDY = "give the hosts as they were with --hosts"


def places_of_hosts(run: RunFolder, rows: Sequence[SampleRow | StackRow], cohort: Cohort) -> dict[str, tuple[Place | None, ...]]:
    """Sample -> the place of the slice of its host; of a stack, that of every slice.

    Raises:
        InputError: the hosts lack a patient, or cannot be read.
        RunError: a host is not the one that its sample was painted into.
    """
    places = dict[str, tuple[Place | None, ...]]()
    for patient in sorted({row.host for row in rows}):
        stack = cohort.stack(patient)
        for row in (row for row in rows if row.host == patient):
            places[row.id] = _places(run, row, stack, cohort.root)
    return places


def _places(run: RunFolder, row: SampleRow | StackRow, stack: Stack, hosts: Path) -> tuple[Place | None, ...]:
    if isinstance(row, SampleRow):
        indices = range(row.slice_index, row.slice_index + 1)
    else:
        indices = range(read_volume(run.image(row)).stored.shape[2])
        if len(indices) < len(stack):
            raise RunError(f"{hosts}: {row.host} has {len(stack)} slices, but {row.id} has {len(indices)}; {REMEDY}")
    if indices[-1] >= len(stack):
        raise RunError(f"{hosts}: {row.host} lacks slice {indices[-1]}; {REMEDY}")
    slices = [stack[index] for index in indices]
    if (first := slices[0].place) is not None and is_dicom(first.path):
        _require_host(run, row, slices)
    return tuple(slice_.place for slice_ in slices)


def _require_host(run: RunFolder, row: SampleRow | StackRow, host: Sequence[ShortAxisSlice]) -> None:
    """Compare the sample with its host where nothing may have changed: the headers of the host are about to be copied."""
    image, hidden = (read_volume(file).stored.transpose(1, 0, 2) for file in (run.image(row), run.part(row, HIDDEN)))
    for number, slice_ in enumerate(host):
        if slice_.place is None:
            continue
        painted, seen = image[:, :, number], slice_.place.view.turn_back(slice_.image)
        same = hidden[:, :, number] == 0
        if painted.shape != seen.shape or not np.array_equal(painted[same], seen[same]):
            raise RunError(f"{slice_.place.path}: is not the host that {row.id} was painted into; {REMEDY}")
