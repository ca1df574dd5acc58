"""A finished run and a cohort of real slices as cases to judge, read back from their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lgesynthnet.conditioning.repaint_region import hidden_region
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError, LGESynthNetError, RunError
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.records import Label, Mask, ShortAxisSlice, scar_of
from lgesynthnet.run.hosts import Told
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.sample_row import Sample
from lgesynthnet.run.summary import summarise


def painted_cases(run: Path, plan: SynthesisPlan, shelf: HostPool, *, kept_only: bool = True) -> list[Case]:
    """The samples of a run in the order of its table.

    Args:
        kept_only: leave out what the filter rejected.
    Raises:
        RunError: no such sample, or a file does not fit its host and prescription any more.
    """
    entries = {(entry.patient, entry.index): entry for entry in shelf.entries}
    cases = []
    for sample in summarise(run).samples:
        if not sample.file or (kept_only and not sample.kept):
            continue
        entry = entries.get((sample.host, sample.slice_index))
        if entry is None:
            raise RunError(f"{run / 'samples.csv'}: {sample.id} names slice {sample.slice_index} of {sample.host}, which is no host")
        cases.append(_case(run, sample, shelf.fetch(entry), plan.flip))
    if not cases:
        hint = "--all also takes what was rejected" if kept_only else "nothing could be painted"
        raise RunError(f"{run}: holds no sample to evaluate; {hint}")
    return cases


def _case(run: Path, sample: Sample, host: Host, flip: tuple[bool, bool]) -> Case:
    path = run / sample.file
    labels_path = path.parent.parent / "labels" / path.name
    try:
        slice_ = read_stack(path, labels_path, sample.host, LABEL_MAPS["lgesynthnet"], flip=flip)[0]
    except InputError as fault:
        raise RunError(f"{run}: sample {sample.id} cannot be read back ({fault})") from None
    if slice_.image.shape != host.slice_.image.shape:
        raise RunError(f"{path}: is {slice_.image.shape}, its host {host.name} is {host.slice_.image.shape}; was the file replaced?")
    scar, core = _intended(sample, slice_, host, path)
    # What differs was repainted, also where another model than the shipped kind repaints more than the scar's surroundings.
    hidden = hidden_region(scar, host.frame.wall, host.frame.spacing_mm) | (slice_.image != host.slice_.image)
    return Case(
        name=sample.id,
        patient=sample.host,
        image=slice_.image,
        host=host.slice_,
        frame=host.frame,
        scar=scar,
        no_reflow=core,
        hidden=hidden,
    )


def _intended(sample: Sample, slice_: ShortAxisSlice, host: Host, path: Path) -> tuple[Mask, Mask]:
    """Scar that was asked for and its core; beside a host's own scar the labels cannot tell them apart, and the prescription does."""
    if not host.slice_.scar.any():
        scar, core = slice_.scar, slice_.labels == Label.NO_REFLOW
    else:
        painted = None
        try:
            painted = rasterize(sample.prescription, host.frame) if sample.prescription is not None else None
        except LGESynthNetError:
            painted = None
        if painted is None or not np.array_equal(host.slice_.scar | painted.scar, scar_of(slice_.labels)):
            raise RunError(
                f"{path}: its label does not hold the scar that its row prescribes; was it edited, or painted by another version?"
            )
        scar, core = painted.scar, painted.no_reflow
    if not scar.any():
        raise RunError(f"{path}: its label holds no scar; was the file edited?")
    return scar, core


def real_cases(cohort: Cohort, patients: Sequence[str] | None = None, on_case: Told | None = None) -> list[Case]:
    """Every usable slice with scar, of the named patients or of all.

    Raises:
        InputError: none of the patients is there.
    """
    wanted = None if patients is None else set(patients)
    if wanted is not None and not wanted & {case.patient for case in cohort.cases}:
        raise InputError(f"{cohort.root}: has none of the patients of that part; it has {cohort.cases[0].patient} and others")
    shelf = find_hosts(cohort, with_scar=True, on_case=on_case)
    hosts = (shelf.fetch(entry) for entry in shelf.entries if wanted is None or entry.patient in wanted)
    return [Case.of_real(host) for host in hosts if host.slice_.scar.any()]
