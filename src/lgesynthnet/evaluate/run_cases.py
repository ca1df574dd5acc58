"""A finished run and a cohort of real slices as cases to judge, read back from their files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.records import OnCase, scar_of
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.terms import Edit


def painted_cases(run: RunFolder, hosts: HostPool, *, kept_only: bool = True) -> list[Case]:
    """The samples of a run that have a prescribed scar, in the order of its table.

    Args:
        hosts: the slices that the run painted into, see `RunFolder.hosts`.
        kept_only: leave out what the filter rejected.
    Raises:
        RunError: there is no such sample, or its files do not fit its host.
    """
    entries = {(entry.patient, entry.index): entry for entry in hosts.entries}
    cases = []
    rows = [row for row in run.painted(kept_only=kept_only) if row.edit is not Edit.REMOVE]
    if not rows:
        raise RunError(f"{run.path}: only removes scar, so there is no painted scar to evaluate; its report has the verdicts")
    for row in rows:
        entry = entries.get((row.host, row.slice_index))
        if entry is None:
            raise RunError(f"{run.table}: {row.id} names slice {row.slice_index} of {row.host}, which is not a host of this run")
        cases.append(_case(run, row, hosts.fetch(entry)))
    return cases


def _case(run: RunFolder, row: SampleRow, host: Host) -> Case:
    sample, path = run.sample(row), run.image(row)
    if sample.image.shape != host.slice_.image.shape:
        raise RunError(f"{path}: is {sample.image.shape}, its host {host.name} is {host.slice_.image.shape}; was the file replaced?")
    if not sample.intended_scar.any():
        raise RunError(f"{path}: its intended mask holds no scar; was the file edited?")
    kept = host.slice_.scar & ~scar_of(sample.removed)
    if not np.array_equal(scar_of(sample.labels), kept | sample.intended_scar):
        raise RunError(f"{path}: its label does not hold the intended scar; was one of the two files edited?")
    return Case(
        name=row.id,
        patient=row.host,
        image=sample.image,
        host=host.slice_,
        frame=host.frame,
        scar=sample.intended_scar,
        no_reflow=sample.intended_no_reflow,
        hidden=sample.hidden,
        removed=scar_of(sample.removed),
        heart=row.stack,
    )


def real_cases(cohort: Cohort, patients: Sequence[str] | None = None, on_case: OnCase | None = None) -> list[Case]:
    """Every usable slice with scar, of the named patients or of all.

    Raises:
        InputError: none of the patients is there.
    """
    wanted = None if patients is None else set(patients)
    if wanted is not None and not wanted & {case.patient for case in cohort.cases}:
        raise InputError(f"{cohort.root}: has none of the patients of that part; it has {cohort.cases[0].patient} and others")
    pool = find_hosts(cohort, with_scar=True, on_case=on_case)
    hosts = (pool.fetch(entry) for entry in pool.entries if wanted is None or entry.patient in wanted)
    return [Case.of_real(host) for host in hosts if host.slice_.scar.any()]
