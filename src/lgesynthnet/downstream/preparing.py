"""The prepared slices of a downstream training, and which patients each of its trainings learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.downstream.patients import ChosenPatients, ChosenSamples, choose_patients, choose_samples, content_of, sample_stacks
from lgesynthnet.downstream.request import DownstreamRequest
from lgesynthnet.errors import InputError
from lgesynthnet.export.folds import patient_folds
from lgesynthnet.records import OnCase
from lgesynthnet.segmenter.calibration import RATES
from lgesynthnet.segmenter.operating_points import slices_needed
from lgesynthnet.train.examples.files import PreparedFile
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset, slice_dataset, write_slice_dataset
from lgesynthnet.train.request import NO_SCAR

FINAL = "final"  # name of the training whose network is kept
FOLDS = 2
EVERYWHERE = "scar is drawn wherever it is found"
SAMPLES_GAINED_BELOW = 4  # patients with scar, on EMIDEC; see docs/evidence/utility.md
Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Training:
    """One of the trainings.

    Attributes:
        name: `final`, or `fold-0` and so on; also its folder in the work folder.
        patients: who is learnt from; a sample is learnt from where the patient of its host is.
        held_out: who is read afterwards, for the operating points.
    """

    name: str
    patients: frozenset[str]
    held_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PreparedTraining:
    """Everything that the trainings read.

    Attributes:
        painted: slices of the samples; None without samples.
        trainings: the final one first.
        notes: what the user should know, one sentence each.
    """

    chosen: ChosenPatients
    samples: tuple[ChosenSamples, ...]
    real: SliceDataset
    painted: SliceDataset | None
    trainings: tuple[Training, ...]
    notes: tuple[str, ...]


def prepare(request: DownstreamRequest, folder: Path, *, on_case: OnCase | None = None, on_note: Note | None = None) -> PreparedTraining:
    """Check and read the patients and the samples, and write their slices into `folder`, where they are not there already.

    Args:
        on_case: called after every patient with the patients done and the patients in all.
        on_note: told why a file is prepared again.
    Raises:
        InputError: the patients cannot be used, or none has scar.
        RunError: a run cannot be used, or was painted into somebody who is no training patient.
    """
    chosen = choose_patients(request)
    samples, notes = [], list(chosen.notes)
    for run in request.run_folders:
        of_run, more = choose_samples(run, chosen, request)
        samples.append(of_run)
        notes += more
    real = slice_dataset(
        chosen.cohort, real_slices_path(folder), patients=chosen.patients, on_case=on_case, may_change=True, on_note=on_note
    )
    has_scar = real.has_scar
    if not any(has_scar.values()):
        raise InputError(f"{request.data.root}: {NO_SCAR}")
    if unread := sorted(set(chosen.patients) - set(has_scar)):
        notes.append(f"{len(unread)} patients have no usable slice: {', '.join(unread[:5])}; `lgesynthnet verify` says why")
    trainings, about_folds = plan_trainings(real, request.seed)
    return PreparedTraining(
        chosen=chosen,
        samples=tuple(samples),
        real=real,
        painted=_painted(samples, folder) if samples else None,
        trainings=trainings,
        notes=(*notes, *about_samples(sum(has_scar.values()), given=bool(samples)), *about_folds),
    )


def about_samples(scarred: int, *, given: bool) -> list[str]:
    """What samples were worth with so many patients with scar, where that speaks against what the user does.

    Args:
        given: whether there are samples.
    """
    if given and scarred >= SAMPLES_GAINED_BELOW:
        return [
            f"with {scarred} patients with scar, samples gained nothing over the first weights alone on EMIDEC; train once without "
            "--samples, too, and compare both on patients of your own"
        ]
    if not given and scarred < SAMPLES_GAINED_BELOW:
        return [
            f"with {scarred} patients with scar, samples may help a little, as they did on EMIDEC; paint some into these patients with "
            "`lgesynthnet synthesize`, and give them with --samples"
        ]
    return []


def plan_trainings(real: SliceDataset, seed: int) -> tuple[tuple[Training, ...], list[str]]:
    """The final training and, where they can set operating points, two folds by patient in which patients with scar are spread evenly.

    Returns:
        The trainings, and notes on what is left out.
    """
    has_scar = real.has_scar
    final = Training(name=FINAL, patients=frozenset(has_scar))
    scarred, free = sum(has_scar.values()), int(real.free_of_scar.sum())
    if scarred < FOLDS:
        return (final,), [f"one patient with scar makes no {FOLDS} folds, so no operating point is set: {EVERYWHERE}"]
    if free < slices_needed(max(RATES)):
        needed = " and ".join(f"{slices_needed(rate)} are needed for a rate of {rate:g}" for rate in RATES)
        return (final,), [f"{free} slices without scar are too few for an operating point ({needed}), so none is set: {EVERYWHERE}"]
    folds = patient_folds(has_scar, FOLDS, seed)
    return (
        final,
        *(Training(name=f"fold-{i}", patients=fold.train, held_out=tuple(sorted(fold.val))) for i, fold in enumerate(folds)),
    ), []


def real_slices_path(folder: Path) -> Path:
    """The file of the patients' prepared slices."""
    return folder / "real.safetensors"


def painted_slices_path(folder: Path) -> Path:
    """The file of the samples' prepared slices."""
    return folder / "painted.safetensors"


def _painted(samples: list[ChosenSamples], folder: Path) -> SliceDataset:
    path, fingerprint = painted_slices_path(folder), content_of(samples)
    if not PreparedFile(path).is_made_of(fingerprint):
        places = ", ".join(str(each.run.path) for each in samples)
        write_slice_dataset(sample_stacks(samples), path, source=f"samples of {places}", place=places, fingerprint=fingerprint)
    return read_slice_dataset(path)
