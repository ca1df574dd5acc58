"""Whom a downstream segmenter may learn from: the training patients, and samples that were painted into these patients alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.downstream.request import DownstreamRequest
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.manifest import file_digest
from lgesynthnet.model_store import part_folder, patients_behind
from lgesynthnet.records import Stack
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_files import LABELS
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.terms import Method, Role

TRAIN = "train"


@dataclass(frozen=True, kw_only=True)
class ChosenPatients:
    """The patients to learn from.

    Attributes:
        patients: names of the training patients, sorted.
        part_of: patient -> part of the splits; empty without splits.
        notes: what the user should know, one sentence each.
    """

    cohort: Cohort
    patients: list[str]
    part_of: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ChosenSamples:
    """The kept samples of one run.

    Attributes:
        behind: names of the patients that the generator and the filter were trained on; None where that is not recorded.
    """

    run: RunFolder
    rows: Sequence[SampleRow]
    behind: frozenset[str] | None


def choose_patients(request: DownstreamRequest) -> ChosenPatients:
    """The patients of the part `train`, or all patients of the folder where no splits are given. No voxel is read.

    Raises:
        InputError: there are no cases, no part `train`, or none of its patients is in the folder.
    """
    cohort = request.data.open()
    present = [case.patient for case in cohort.cases]
    notes = [note] if (note := cohort.drawn_labels_note) is not None else []
    if request.splits is None:
        every = f"no --splits: it learns from all {len(present)} patients, and nobody is left to test it on"
        return ChosenPatients(
            cohort=cohort,
            patients=sorted(present),
            part_of={},
            notes=(*notes, f"{every}; `lgesynthnet split {request.data.root}` sets patients aside"),
        )
    splits = read_splits(request.splits)
    if not splits.get(TRAIN):
        raise InputError(f'{request.splits}: has no patients in "{TRAIN}"; it has {", ".join(splits) or "no parts"}')
    patients = sorted(set(splits[TRAIN]) & set(present))
    if not patients:
        raise InputError(f'{request.splits}: none of the patients of "{TRAIN}" is in {request.data.root}; give the folder that was split')
    if absent := sorted(set(splits[TRAIN]) - set(present)):
        named = ", ".join(absent[:5]) + (" ..." if len(absent) > 5 else "")
        notes.append(f"{request.splits}: {len(absent)} patients of {TRAIN} are not in {request.data.root}: {named}")
    part_of = {patient: part for part, names in splits.items() for patient in names}
    return ChosenPatients(cohort=cohort, patients=patients, part_of=part_of, notes=tuple(notes))


def choose_samples(folder: Path, chosen: ChosenPatients, request: DownstreamRequest) -> tuple[ChosenSamples, list[str]]:
    """The kept samples of a run, after a check that they bring nobody but training patients into the training.

    Returns:
        The samples, and notes for the user.
    Raises:
        RunError: the folder is no run, holds no kept sample, or a sample was painted into somebody who is no training patient.
    """
    run = RunFolder.open(folder)
    rows = run.painted(kept_only=True)
    for host in sorted({row.host for row in rows} - set(chosen.patients)):
        part = chosen.part_of.get(host)
        where = f"is in the part {part}" if part else f"is not among the patients of {request.data.root}"
        if request.splits is not None:
            remedy = f"make another run with `synthesize --splits {request.splits} --part {TRAIN}`"
        else:
            remedy = "make another run with --hosts as --data here"
        raise RunError(f"--samples {folder}: was painted into {host}, who {where} and would be learnt from; {remedy}, or leave it out")
    hosts = run.plan.request.hosts.root
    notes = []
    if not run.is_finished:
        notes.append(f"{folder}: the command that paints this run has not ended, so only what is painted so far is learnt from")
    if hosts.absolute() != request.data.root.absolute():
        notes.append(f"{folder}: was painted into {hosts}; its patients are taken to be those of {request.data.root} with the same names")
    behind = _patients_behind(run)
    if behind is None:
        notes.append(f"{folder}: whom its generator learnt from is not recorded, so benchmarks will not test this segmenter")
    elif strangers := sorted(name for name in behind if chosen.part_of.get(name, TRAIN) != TRAIN):
        notes.append(
            f"{folder}: its generator or filter learnt from {len(strangers)} patients of other parts, such as {strangers[0]}; "
            "do not test on them"
        )
    return ChosenSamples(run=run, rows=rows, behind=behind), notes


def _patients_behind(run: RunFolder) -> frozenset[str] | None:
    """Whom the networks of a run learnt from; empty where all were trained on simulated hearts, or none paints."""
    request = run.plan.request
    found = [] if request.model == Method.PASTE else [patients_behind(request.model)]
    if request.filter is not None:
        of_folder = patients_behind(request.filter)  # of a work folder, the segmenter inside it says so
        found.append(of_folder if of_folder is not None else patients_behind(part_folder(request.filter, Role.FILTER.value)))
    names: set[str] = set()
    for behind in found:
        if behind is None:
            return None
        names |= behind
    return frozenset(names)


def sample_stacks(samples: Sequence[ChosenSamples]) -> Iterator[Stack]:
    """Every sample as a stack of one slice with its intended labels, named after the patient of its host.

    Raises:
        RunError: a file of a sample is missing or damaged.
    """
    for chosen in samples:
        for row in chosen.rows:
            slice_ = chosen.run.sample(row).slice_
            yield Stack(
                patient=row.host,
                image=slice_.image[:, :, None],
                labels=slice_.labels[:, :, None],
                spacing_mm=slice_.spacing_mm,
                slice_step_mm=0.0,
            )


def content_of(samples: Sequence[ChosenSamples]) -> str:
    """Fingerprint of the images and labels of the samples, and of whose they are.

    Raises:
        RunError: a file is missing.
    """
    digest = hashlib.sha256()
    for chosen in samples:
        for row in chosen.rows:
            for path in (chosen.run.image(row), chosen.run.part(row, LABELS)):
                try:
                    digest.update(f"{row.host} {file_digest(path)}\n".encode())
                except OSError as fault:
                    why = fault.strerror or str(fault)
                    raise RunError(f"{path}: cannot be read ({why}); `lgesynthnet verify {chosen.run.path}` says what to do") from None
    return digest.hexdigest()[:16]
