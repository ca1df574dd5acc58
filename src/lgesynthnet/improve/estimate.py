"""The dry run of `improve`: what it would do, how long that takes, and how much disk. A few real training steps are timed."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from lgesynthnet.benchmark.utility.estimate import SECONDS_PER_SAMPLE, SECONDS_PER_SLICE
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import require_claimable
from lgesynthnet.improve.setup import Improvement, scarred_patients
from lgesynthnet.records import OnCase
from lgesynthnet.segmenter.downstream import build_downstream
from lgesynthnet.terms import WallFrom
from lgesynthnet.train.segmenters.downstream import CropTask
from lgesynthnet.train.timing import seconds_per_step

ATTEMPTS_PER_KEPT = 3  # the filter keeps about two thirds of the samples, and about half of these are hard
SECONDS_PER_STACK = 1.5  # to find the RV insertions
BYTES_PER_SAMPLE = 60_000
COPIES_OF_WEIGHTS = 5  # in a checkpoint (weights, average, two moments), and the finished network, of 4 bytes each
MEBIBYTE = 2**20


def estimate(improvement: Improvement, *, workers: int, on_case: OnCase | None = None) -> str:
    """The plan as text, one sentence a line. Nothing is written but into a temporary folder, which is removed.

    Raises:
        LGESynthNetError: see `Improvement.of` and `Improvement.prepare`; or the folder holds other things.
    """
    require_claimable(improvement.out, FolderKind.IMPROVEMENT, settings=improvement.decisive())
    with tempfile.TemporaryDirectory() as scratch:
        real = replace(improvement, out=Path(scratch)).prepare(on_case)
    request, training = improvement.request, improvement.training()
    folds = len(improvement.folds(real))
    network = build_downstream(training.recipe.filters, training.wall_from)
    parts = 2 if training.wall_from is WallFrom.CASCADE else 1
    torch.manual_seed(0)
    task = CropTask(network, real, None, training)
    step = seconds_per_step(task, training.recipe.loop.batch, training.precision)
    sets = request.rounds + 1 + request.control
    side_by_side = math.ceil(folds / min(workers, folds))
    training_seconds = (sets * side_by_side + 1) * step * training.recipe.loop.steps * parts
    reading_seconds = 2 * sets * len(real) * SECONDS_PER_SLICE / min(workers, folds) + len(improvement.patients) * SECONDS_PER_STACK
    paintings = request.rounds + request.control
    painting_seconds = paintings * request.count * ATTEMPTS_PER_KEPT * (SECONDS_PER_SAMPLE + SECONDS_PER_SLICE)
    weights = sum(parameter.numel() for parameter in network.parameters()) * parts
    disk = (sets * folds + 1) * COPIES_OF_WEIGHTS * 4 * weights + paintings * request.count * ATTEMPTS_PER_KEPT * BYTES_PER_SAMPLE
    hosts = int(real.free_of_scar.sum())
    minutes = (training_seconds + reading_seconds + painting_seconds) / 60
    return "\n".join(
        [
            f"{len(improvement.patients)} training patients, {len(scarred_patients(real))} of them with scar, in {folds} folds",
            f"{hosts} slices free of scar to paint into, before their orientation is checked",
            f"at most {sets * folds + 1} trainings of {training.recipe.loop.steps * parts} steps: {training_seconds / 60:.0f} minutes",
            f"at most {paintings * request.count} samples to keep: {painting_seconds / 60:.0f} minutes",
            f"at most {minutes:.0f} minutes in all on {min(workers, folds)} idle cores, less where a round gains nothing",
            f"at most {disk / MEBIBYTE:.0f} MB of disk",
        ]
    )
