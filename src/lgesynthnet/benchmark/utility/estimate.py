"""The dry run of a utility experiment: what it would do, and how long that takes. A few real training steps are timed."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from lgesynthnet.benchmark.utility.experiment import missing_stages
from lgesynthnet.benchmark.utility.leaks import check_for_leaks
from lgesynthnet.benchmark.utility.plan import Pool, Run, UtilityPlan
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.devices import training_precision
from lgesynthnet.segmenter.downstream import build_downstream
from lgesynthnet.segmenter.heart import Kind, build_heart_segmenter
from lgesynthnet.terms import Baseline, Precision, WallFrom
from lgesynthnet.train.loop import Task
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, CropTask, DownstreamTraining
from lgesynthnet.train.segmenters.published import PUBLISHED, MixedTask
from lgesynthnet.train.timing import seconds_per_step

SECONDS_PER_SAMPLE = 0.6  # to paint, filter and write one sample on one core
SECONDS_PER_SLICE = 0.2  # to segment one slice in eight views on one core
SLICES_PER_PATIENT = 8


def estimate(experiment: UtilityExperiment, *, workers: int) -> str:
    """The plan as text: what has to be trained, the pools, the runs, and the time for all that is not finished yet.

    Raises:
        RunError, InputError: see `UtilityExperiment.check` and `check_for_leaks`.
    """
    experiment.check()
    if experiment.real_slices_path.is_file():
        return _estimate(experiment, workers)
    with tempfile.TemporaryDirectory() as scratch:  # nothing is written to OUT
        return _estimate(replace(experiment, prepared=Path(scratch)), workers)


def _estimate(experiment: UtilityExperiment, workers: int) -> str:
    plan = experiment.plan()
    stages = missing_stages(experiment, plan)
    provenance = [] if stages else check_for_leaks(experiment, plan)
    open_runs = [run for run in plan.runs if not experiment.is_finished(run)]
    lines = [f"to train first: {', '.join(stages)} (minutes to an hour each)"] if stages else []
    lines += provenance
    lines += [_pool_line(experiment, pool) for pool in plan.pools]
    lines += [_run_line(experiment, run) for run in plan.runs]
    seconds = _missing_samples(experiment, plan, open_runs) * SECONDS_PER_SAMPLE
    untrained = [run for run in open_runs if not experiment.record_path(run).is_file()]
    trainings = len(untrained) + len(open_runs) * experiment.settings.folds
    tested = sum(len(experiment.tested_in(run)) for run in untrained) * SLICES_PER_PATIENT
    seconds += trainings * _seconds_per_step(experiment) * experiment.loop.steps + tested * SECONDS_PER_SLICE
    minutes = seconds / max(workers, 1) / 60
    lines.append(f"{len(open_runs)} of {len(plan.runs)} runs to do: about {minutes:.0f} minutes on {workers} idle cores")
    return "\n".join(lines)


def _pool_line(experiment: UtilityExperiment, pool: Pool) -> str:
    needed = f"{pool.kept} kept samples" if pool.kept else f"{pool.count} samples"
    hosts = f"hosts from {len(pool.patients)} patients" if pool.patients else "simulated patients"
    return f"pool {pool.name}: {needed} needed, {len(experiment.pools.samples(pool.name))} painted so far, {hosts}"


def _run_line(experiment: UtilityExperiment, run: Run) -> str:
    finished = ", finished" if experiment.is_finished(run) else ""
    return f"run {run.name}: {run.regime.label}{finished}"


def _missing_samples(experiment: UtilityExperiment, plan: UtilityPlan, open_runs: list[Run]) -> int:
    pools = [pool for pool in plan.pools if any(pool.name in run.pools for run in open_runs)]
    return sum(max(max(pool.count, pool.kept) - len(experiment.pools.samples(pool.name)), 0) for pool in pools)


def _seconds_per_step(experiment: UtilityExperiment) -> float:
    """The fastest of a few real training steps."""
    settings, real = experiment.settings, experiment.real_slices()
    torch.manual_seed(0)
    if settings.baseline is Baseline.PUBLISHED:
        published = PUBLISHED[settings.recipe]
        task: Task = MixedTask(build_heart_segmenter(published.filters, Kind.DENSENET121), real, None, published.side)
    else:
        recipe, wall_from = DOWNSTREAM[settings.recipe], WallFrom(settings.baseline.value)
        task = CropTask(build_downstream(recipe.filters, wall_from), real, None, DownstreamTraining(recipe=recipe, wall_from=wall_from))
    precision = Precision.NO if settings.baseline is Baseline.PUBLISHED else training_precision("cpu")
    return seconds_per_step(task, experiment.loop.batch, precision) * (2 if settings.baseline is Baseline.CASCADE else 1)
