"""The dry run of `train downstream`: what it would do, how long that takes and how much disk. A few real steps are timed."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import torch

from lgesynthnet.devices import usable_device
from lgesynthnet.downstream.preparing import PreparedTraining, prepare
from lgesynthnet.downstream.request import DownstreamRequest
from lgesynthnet.downstream.training import check_request, steps_of, workers_of
from lgesynthnet.records import OnCase
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, DownstreamSettings, build_downstream, shipped_finder
from lgesynthnet.segmenter.operating_points import read_slices
from lgesynthnet.terms import Precision, WallFrom
from lgesynthnet.train.segmenters.downstream import CropTask, DownstreamTraining, first_network
from lgesynthnet.train.timing import seconds_per_step

COPIES = 4  # of the weights in a checkpoint: the weights, their average, and two moments of the optimiser
MEBIBYTE = 2**20


def estimate(request: DownstreamRequest, *, on_case: OnCase | None = None) -> str:
    """The plan as text, one sentence a line. Nothing is written but into a temporary folder, which is removed.

    Args:
        on_case: called after every patient with the patients done and the patients in all.
    Raises:
        LGESynthNetError: see `train_downstream`.
    """
    settings = check_request(request)
    with tempfile.TemporaryDirectory() as scratch:
        prepared = prepare(request, Path(scratch), on_case=on_case)
        slices_bytes = sum(path.stat().st_size for path in Path(scratch).iterdir())
    network, _ = first_network(settings)
    weights = sum(parameter.numel() for parameter in network.parameters()) * (2 if settings.wall_from is WallFrom.CASCADE else 1)
    task = CropTask(network.to(usable_device(settings.device)).train(), prepared.real, prepared.painted, settings)
    step_seconds = seconds_per_step(task, settings.recipe.loop.batch, settings.precision)
    patient_seconds = _seconds_per_patient(network, prepared, settings)
    trainings, workers = prepared.trainings, workers_of(request, len(prepared.trainings))
    seconds = [steps_of(settings) * step_seconds + len(training.held_out) * patient_seconds for training in trainings]
    minutes = max(sum(seconds) / workers, math.ceil(len(trainings) / workers) * min(seconds)) / 60
    disk = slices_bytes + len(trainings) * COPIES * 4 * weights + 2 * 2 * weights
    has_scar = prepared.real.has_scar
    painted = sum(len(samples.rows) for samples in prepared.samples)
    lines = [
        f"learns from {len(has_scar)} patients, {sum(has_scar.values())} with scar: {len(prepared.real)} slices, "
        f"{prepared.real.free_of_scar.sum()} of them with a wall and without scar",
        f"and from {painted} painted slices, {'marked by the origin channel' if settings.origin else 'not marked'}"
        if painted
        else "no samples",
        f"first weights: {request.init}; wall: {settings.wall_from}; {'bfloat16' if settings.precision is Precision.BF16 else 'float32'}",
        *prepared.notes,
        *(_training_line(training.name, len(training.patients), len(training.held_out), steps_of(settings)) for training in trainings),
        f"about {minutes:.0f} minutes on {workers} idle cores ({step_seconds:.2f} s a step)"
        if minutes >= 1
        else f"less than a minute on {workers} idle cores",
        f"about {math.ceil(disk / MEBIBYTE)} MB in {request.work_folder} and {request.out}; the work folder holds slices of the patients",
    ]
    return "\n".join(lines)


def _training_line(name: str, patients: int, held_out: int, steps: int) -> str:
    then = f", then reads the {held_out} others to set operating points" if held_out else ", and is kept"
    return f"training {name}: {steps} steps on {patients} patients{then}"


def _seconds_per_patient(network: torch.nn.Module, prepared: PreparedTraining, settings: DownstreamTraining) -> float:
    """To read one patient, as the folds do; the time does not depend on the weights."""
    if len(prepared.trainings) == 1:
        return 0.0
    recipe, finder = settings.recipe, shipped_finder()
    kept = DownstreamSettings(
        role="downstream-segmenter",
        wall_from=WallFrom.CROP if settings.wall_from is WallFrom.CASCADE else settings.wall_from,
        filters=recipe.filters,
        side=recipe.side,
        views=recipe.views,
        finder=finder.fingerprint,
    )
    [patient, *_] = prepared.trainings[1].held_out
    stack = prepared.chosen.cohort.stack(patient)
    if settings.wall_from is WallFrom.CASCADE:
        network = build_downstream(recipe.filters, kept.wall_from)
    segmenter = DownstreamSegmenter(network.cpu(), kept, finder)
    began = time.monotonic()
    read_slices(segmenter, stack)
    seconds = time.monotonic() - began
    return 2 * seconds if settings.wall_from is WallFrom.CASCADE else seconds
