"""One pool to fill, one segmenter to train."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.utility.arms import FILTERED
from lgesynthnet.benchmark.utility.plan import Pool, Run
from lgesynthnet.benchmark.utility.scoring import read_patients
from lgesynthnet.benchmark.utility.setup import REAL, UtilityExperiment
from lgesynthnet.files import write_json
from lgesynthnet.segmenter.heart import ROLE
from lgesynthnet.terms import Arm
from lgesynthnet.threads import one_thread
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset
from lgesynthnet.train.segmenters.downstream import Augmentation, DownstreamSettings, train_downstream


def fill_pool(bench: UtilityExperiment, pool: Pool, read: bool) -> float:
    """One pool, in any process; returns its seconds."""
    began = time.monotonic()
    bench.shelf.fill(pool, read=read)
    return time.monotonic() - began


def make_run(bench: UtilityExperiment, run: Run) -> float:
    """Train and test one run, in any process; returns its seconds. Killed, it goes on from its last checkpoint."""
    began = time.monotonic()
    real, made = training_set(bench, run)
    folder = bench.record_of(run).parent
    with one_thread():
        settings = DownstreamSettings(
            recipe=bench.recipe,
            share=bench.experiment.share,
            augmentation=Augmentation.STRONG if run.arm is Arm.STRONG else Augmentation.GEOMETRIC,
            same_prevalence=bench.experiment.same_prevalence,
            real_last=bench.experiment.real_last,
            init=None if bench.init is None else Path(bench.init),
            seed=run.seed,
            device=bench.shelf.workshop.device,
        )
        segmenter = train_downstream(real, made, folder, settings)
        cohort = bench.shelf.workshop.cohort
        reading = read_patients(
            segmenter, [cohort.stack(name) for name in bench.splits["val"]], [cohort.stack(name) for name in bench.tested]
        )
    segmenter.save(folder / "model" / ROLE, half=True)
    seconds = time.monotonic() - began
    about = {
        "arm": run.arm.value,
        "size": run.size,
        "seed": run.seed,
        "few": run.few,
        "real_slices": len(real),
        "seconds": round(seconds, 1),
    }
    write_json(bench.record_of(run), reading.record() | about)
    return seconds


def training_set(bench: UtilityExperiment, run: Run) -> tuple[SliceDataset, SliceDataset | None]:
    """Real slices of the run's patients, and what is added to them."""
    real = read_slice_dataset(bench.out / "prepared" / f"{REAL}.safetensors")
    real = real.taken(np.flatnonzero([name in run.patients for name in real.patients]))
    if run.arm is Arm.RESAMPLED:
        rng = np.random.default_rng([run.seed, 5])
        return real, real.taken(rng.choice(np.flatnonzero(real.scarred), run.size))
    if run.pool is None:
        return real, None
    made = bench.shelf.slices(run.pool, run.size, kept=run.arm in FILTERED, read=run.arm is Arm.READ, choice=run.choice)
    return real, made
