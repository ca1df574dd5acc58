"""The two jobs of a utility experiment: fill a pool, and train and test one segmenter. They may run in any process."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.utility.arms import FILTERED
from lgesynthnet.benchmark.utility.plan import Pool, Run
from lgesynthnet.benchmark.utility.scoring import score_segmenter
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.files.writing import write_json
from lgesynthnet.segmenter.heart import ROLE
from lgesynthnet.terms import Arm, LabelKind
from lgesynthnet.threads import one_thread
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset
from lgesynthnet.train.segmenters.published import Augmentation, DownstreamSettings, train_downstream


def fill_pool(experiment: UtilityExperiment, pool: Pool, read: bool) -> float:
    """Fill one pool; returns the seconds that it took.

    Args:
        read: prepare the samples with the filter's labels too.
    """
    began = time.monotonic()
    experiment.pools.fill(pool, label_kinds=tuple(LabelKind) if read else (LabelKind.INTENDED,))
    return time.monotonic() - began


def train_and_test(experiment: UtilityExperiment, run: Run) -> float:
    """Train and test one segmenter; returns the seconds that it took. An interrupted training resumes from its last checkpoint."""
    began = time.monotonic()
    real, synthetic = training_set(experiment, run)
    folder = experiment.record_path(run).parent
    with one_thread():
        settings = DownstreamSettings(
            recipe=experiment.recipe,
            share=experiment.settings.share,
            augmentation=Augmentation.STRONG if run.arm is Arm.STRONG else Augmentation.GEOMETRIC,
            real_last=experiment.settings.real_last,
            init=None if experiment.init is None else Path(experiment.init),
            seed=run.seed,
            device=experiment.pools.methods.device,
        )
        segmenter = train_downstream(real, synthetic, folder, settings)
        cohort = experiment.pools.methods.cohort
        validation = [cohort.stack(name) for name in experiment.splits["val"]]
        scores = score_segmenter(segmenter, validation, [cohort.stack(name) for name in experiment.tested])
    segmenter.save(folder / "model" / ROLE, half=True)
    seconds = time.monotonic() - began
    about_run = {
        "arm": run.arm.value,
        "size": run.size,
        "seed": run.seed,
        "patient_count": run.patient_count,
        "real_slices": len(real),
        "seconds": round(seconds, 1),
    }
    write_json(experiment.record_path(run), scores.record() | about_run)
    return seconds


def training_set(experiment: UtilityExperiment, run: Run) -> tuple[SliceDataset, SliceDataset | None]:
    """The real slices of the run's patients, and the slices that are added to them."""
    real = read_slice_dataset(experiment.real_slices_path)
    real = real.taken(np.flatnonzero([name in run.patients for name in real.patients]))
    if run.arm is Arm.RESAMPLED:
        rng = np.random.default_rng([run.seed, 5])
        return real, real.taken(rng.choice(np.flatnonzero(real.scarred), run.size))
    if run.pool is None:
        return real, None
    labels = LabelKind.READ if run.arm is Arm.READ else LabelKind.INTENDED
    return real, experiment.pools.slices(run.pool, run.size, kept=run.arm in FILTERED, labels=labels)
