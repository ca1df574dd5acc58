"""The samples of a round as training slices: each may train only where its host's patient may."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.files.manifest import digest
from lgesynthnet.improve.setup import Improvement
from lgesynthnet.records import Stack
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.train.examples.files import PreparedFile
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset, write_slice_dataset


def kept_rows(improvement: Improvement, run: str) -> list[SampleRow]:
    """The kept samples of a run, in order."""
    return [row for row in RunFolder.open(improvement.out / run).rows if row.kept and row.file]


def prepare_samples(improvement: Improvement, run: str) -> None:
    """Prepare the kept samples of a finished run for training, where that is not done yet; a run without any needs nothing."""
    rows = kept_rows(improvement, run)
    if not rows:
        return
    folder = RunFolder.open(improvement.out / run)
    path = improvement.prepared / f"{run}.safetensors"
    fingerprint = digest(f"{folder.plan.hash} {' '.join(row.id for row in rows)}".encode())[:16]
    if not PreparedFile(path).is_made_of(fingerprint):
        wanted = {row.id for row in rows}
        write_slice_dataset(
            _stacks(folder, wanted), path, source=f"{len(rows)} samples of {run}", place=str(folder.path), fingerprint=fingerprint
        )


def painted_slices(improvement: Improvement, runs: Sequence[str], held_out: Collection[str] = ()) -> SliceDataset | None:
    """The prepared samples of some runs, without those in slices of held-out patients; None where there is none."""
    parts = []
    for run in runs:
        host_of = {row.id: row.host for row in kept_rows(improvement, run)}
        if host_of:
            slices = read_slice_dataset(improvement.prepared / f"{run}.safetensors")
            index = np.flatnonzero([host_of[name] not in held_out for name in slices.patients])
            parts += [slices.taken(index)] if index.size else []
    return SliceDataset.joined(parts) if parts else None


def _stacks(folder: RunFolder, wanted: Collection[str]) -> Iterator[Stack]:
    cohort = open_cohort(folder.path)
    for case in cohort.cases:
        if case.patient in wanted:
            yield cohort.read(case)
