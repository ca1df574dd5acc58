"""Train a downstream segmenter on patients and samples, set its operating points, and write it as a model folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.devices import training_precision, usable_device
from lgesynthnet.downstream.card import licence_of_segmenter
from lgesynthnet.downstream.jobs import TrainingJob, TrainingReport, run_job
from lgesynthnet.downstream.packing import TrainedNetwork, pack_segmenter
from lgesynthnet.downstream.preparing import FINAL, PreparedTraining, prepare
from lgesynthnet.downstream.request import DownstreamRequest
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed, require_claimable, require_outside
from lgesynthnet.model_store import OWN_LICENCE
from lgesynthnet.segmenter.calibration import RATES
from lgesynthnet.segmenter.downstream import OperatingPoint
from lgesynthnet.segmenter.operating_points import SliceReading, set_points, slices_needed
from lgesynthnet.terms import Precision, WallFrom
from lgesynthnet.train.checkpoint import read_note
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining, first_network
from lgesynthnet.train.work import claimed_work, require_apart
from lgesynthnet.workers import results_in_order

STAGE = "downstream"  # folder in the work folder
MOST_WORKERS = 3  # as many as there are trainings


@dataclass(frozen=True, kw_only=True)
class DownstreamResult:
    """A trained segmenter.

    Attributes:
        folder: the model folder.
        least_area_mm2: scar is drawn in a slice from this expected area on.
        points: least areas for chosen false-positive rates; empty where too few slices are without scar.
        notes: what the user should know, one sentence each.
    """

    folder: Path
    least_area_mm2: float
    points: tuple[OperatingPoint, ...]
    notes: tuple[str, ...]


def train_downstream(
    request: DownstreamRequest,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> DownstreamResult:
    """Train, set operating points, and write the model folder `request.out`. The same request again continues where it stopped.

    The network that is kept learns from all training patients. Two more, each of which learns from half of them, read the other half; from
    that the operating points for false-positive rates of 0.10 and 0.20 are set. The first is the default, because without one the rate is
    whatever the training set makes of it.

    Args:
        on_progress: called with the steps done and the steps in all, after every step or, where several trainings run side by side, after
            every training.
        on_note: told why prepared slices are prepared again.
    Raises:
        InputError: the patients cannot be used.
        ModelError: the first weights have another size or another kind of input, or a checkpoint is damaged.
        RunError: a run was painted into somebody who is no training patient; or a folder holds other things, or other settings.
    """
    settings = check_request(request)
    work = request.work_folder
    with claimed_work(work), claimed(request.out, FolderKind.MODEL):
        prepared = prepare(request, work / STAGE, on_note=on_note)
        jobs = jobs_of(prepared, settings, work / STAGE)
        reports: list[TrainingReport] = []
        readings: list[SliceReading] = []
        for report, of_job in _results(jobs, workers_of(request, len(jobs)), on_progress):
            reports.append(report)
            readings += of_job
        points = set_points(readings)
        trained = TrainedNetwork(place=work / STAGE / FINAL, settings=settings, reports=reports, readings=readings, points=points)
        least_area_mm2 = pack_segmenter(trained, prepared, request)
    notes = [*prepared.notes, *(_missing_points(points) if len(jobs) > 1 else [])]
    if (licence := licence_of_segmenter(prepared, request)) not in (None, OWN_LICENCE):
        notes.append(f"{request.out}: its weights are under {licence}, as that of what they learnt from")
    return DownstreamResult(folder=request.out, least_area_mm2=least_area_mm2, points=points, notes=tuple(notes))


def check_request(request: DownstreamRequest) -> DownstreamTraining:
    """How the networks are trained, after a check of everything that can be checked before a patient is read. Nothing is written.

    Raises:
        ModelError, RunError, InputError: see `train_downstream`.
    """
    work, out = request.work_folder, request.out
    require_apart(work, out)
    for folder, what, place in ((out, "patients", request.data.root), (work, "patients", request.data.root)):
        if place.is_dir():
            require_outside(folder, what, place)
    for run in request.run_folders:
        for folder in (out, work):
            require_outside(folder, "run", run)
    require_claimable(work, FolderKind.WORK)
    require_claimable(out, FolderKind.MODEL)
    usable_device(request.device)
    settings = DownstreamTraining(
        recipe=DOWNSTREAM[request.recipe.value],
        wall_from=request.wall_from,
        origin=request.origin,
        init=request.first_weights,
        seed=request.seed,
        device=request.device,
        precision=precision_of(request),
    )
    first_network(settings)
    return settings


def precision_of(request: DownstreamRequest) -> Precision:
    """The precision that was asked for; else that of a training that was begun, else bfloat16 on a processor that multiplies it fast.

    Raises:
        ModelError: a checkpoint is damaged.
    """
    if request.precision is not None:
        return request.precision
    note = read_note(request.work_folder / STAGE / FINAL)
    if note is not None and note.plan.get("precision") in list(Precision):
        return Precision(note.plan["precision"])
    return training_precision(request.device)


def jobs_of(prepared: PreparedTraining, settings: DownstreamTraining, folder: Path) -> list[TrainingJob]:
    """The trainings as jobs, the final one first."""
    return [
        TrainingJob(
            training=training, settings=settings, cohort=prepared.chosen.cohort, folder=folder, has_samples=prepared.painted is not None
        )
        for training in prepared.trainings
    ]


def workers_of(request: DownstreamRequest, jobs: int) -> int:
    """How many trainings run side by side."""
    return min(request.workers if request.workers is not None else min(os.cpu_count() or 1, MOST_WORKERS), jobs)


def steps_of(settings: DownstreamTraining) -> int:
    """Steps of one training; a cascade is two."""
    return settings.recipe.loop.steps * (2 if settings.wall_from is WallFrom.CASCADE else 1)


def _results(
    jobs: list[TrainingJob], workers: int, on_progress: Callable[[int, int], None] | None
) -> Iterator[tuple[TrainingReport, list[SliceReading]]]:
    """What each job did, in order, as soon as it is known."""
    advance = on_progress or (lambda done, total: None)
    steps = [steps_of(job.settings) for job in jobs]
    if workers > 1:
        for number, result in enumerate(results_in_order(run_job, jobs, workers), start=1):
            advance(sum(steps[:number]), sum(steps))
            yield result
        return
    for number, job in enumerate(jobs):
        before = sum(steps[:number])
        yield run_job(job, _counted(advance, before, sum(steps)))


def _counted(advance: Callable[[int, int], None], before: int, total: int) -> Callable[[int, int, float], None]:
    """Count the steps of one training, whose first network of a cascade counts by itself."""
    seen = {"done": 0, "earlier": 0}

    def on_step(done: int, of: int, loss: float) -> None:
        if done < seen["done"]:
            seen["earlier"] += of
        seen["done"] = done
        advance(before + seen["earlier"] + done, total)

    return on_step


def _missing_points(points: tuple[OperatingPoint, ...]) -> list[str]:
    """A note on each rate that could not be set."""
    known = {point.false_positive_rate for point in points}
    return [
        f"no operating point for a false-positive rate of {rate:g}: it needs {slices_needed(rate)} slices without scar"
        for rate in RATES
        if rate not in known
    ]
