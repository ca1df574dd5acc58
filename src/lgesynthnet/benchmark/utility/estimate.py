"""What the experiment would do and about how long it takes, before it does anything: a few real training steps are timed."""

from __future__ import annotations

import time

import numpy as np
import torch

from lgesynthnet.benchmark.utility.experiment import missing_stages
from lgesynthnet.benchmark.utility.leaks import refuse_leaks
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.segmenter.heart import build_heart_segmenter
from lgesynthnet.threads import one_thread
from lgesynthnet.train.segmenters.downstream import MixedTask, MixingSettings

SAMPLE_SECONDS = 0.6  # painted, judged and written, on one core; `samples.csv` of a run tells one's own
SLICE_SECONDS = 0.1  # read by the small segmenter, on one core
STEPS = 3


def estimate(bench: UtilityExperiment, *, workers: int) -> str:
    """A plan for people: stages, pools and runs with what is finished, and the time that is left."""
    bench.check()
    work = bench.plan()
    stages = missing_stages(bench, work)
    learnt = [] if stages else refuse_leaks(bench, work.pools)
    left = [run for run in work.runs if not bench.done(run)]
    lines = [f"to train first: {', '.join(stages)} (minutes to an hour each)"] if stages else []
    lines += [f"learnt from: {line}" for line in learnt]
    painting = 0.0
    for pool in work.pools:
        there = len(bench.shelf.samples(pool.name, pool.choice))
        missing = max(pool.count, pool.kept) - there if any(run.pool == pool.name for run in left) else 0
        painting += max(missing, 0) * SAMPLE_SECONDS
        wanted = f"{pool.kept} kept" if pool.kept else f"{pool.count} painted"
        lines.append(f"pool {pool.name}: {wanted}, {there} there, hosts of {len(pool.patients) or 'simulated'} patients")
    for run in work.runs:
        lines.append(f"run {run.name}: {len(run.patients)} patients + {run.size} slices{', done' if bench.done(run) else ''}")
    slices = 8 * (len(bench.tested) + len(bench.splits["val"]))
    seconds = painting + len(left) * (
        _step_seconds(bench) * (bench.recipe.loop.steps + bench.experiment.real_last) + slices * SLICE_SECONDS
    )
    lines.append(f"{len(left)} of {len(work.runs)} runs left, about {seconds / max(workers, 1) / 60:.0f} minutes with {workers} idle cores")
    return "\n".join(lines)


def _step_seconds(bench: UtilityExperiment) -> float:
    recipe = bench.recipe
    torch.manual_seed(0)
    mixing = MixingSettings(share=0.0, side=recipe.side, jaccard=recipe.jaccard)
    task = MixedTask(build_heart_segmenter(recipe.filters, recipe.kind), bench.real(), None, mixing)
    with one_thread():
        seconds = []
        for step in range(STEPS):
            began = time.monotonic()
            task.loss(np.random.default_rng(step), recipe.loop.batch).backward()
            seconds.append(time.monotonic() - began)
    return min(seconds)
