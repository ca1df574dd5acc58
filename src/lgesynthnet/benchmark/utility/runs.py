"""The two jobs of a utility experiment: fill a pool, and train and test one segmenter. They may run in any process."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.utility.arms import Added
from lgesynthnet.benchmark.utility.plan import SIMULATED, Pool, Run
from lgesynthnet.benchmark.utility.scoring import Segmenter, score_stack
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.devices import training_precision
from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.files.writing import write_json
from lgesynthnet.segmenter.downstream import ROLE
from lgesynthnet.terms import Baseline, LabelKind, WallFrom
from lgesynthnet.threads import one_thread
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining, train_downstream_segmenter
from lgesynthnet.train.segmenters.published import PUBLISHED, PublishedTraining, train_published_segmenter


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
    real, added = training_set(experiment, run)
    folder = experiment.record_path(run).parent
    cohort = experiment.pools.methods.cohort
    with one_thread():
        segmenter = train(experiment, run, real, added, folder)
        slices = [row for name in experiment.tested for row in score_stack(segmenter, cohort.stack(name))]
        training_slices = out_of_fold_scores(experiment, run, real, added) if experiment.settings.folds else []
    segmenter.save(folder / "model" / ROLE)
    seconds = time.monotonic() - began
    write_json(
        experiment.record_path(run),
        {
            "arm": run.arm.value,
            "scarred": run.regime.scarred,
            "healthy": run.regime.healthy,
            "draw": run.draw,
            "patients": list(run.patients),
            "real_slices": len(real),
            "added_slices": 0 if added is None else len(added),
            "seconds": round(seconds, 1),
            "slices": [row.record() for row in slices],
            "training_slices": [row.record() for row in training_slices],
        },
    )
    return seconds


def train(experiment: UtilityExperiment, run: Run, real: SliceDataset, added: SliceDataset | None, folder: Path) -> Segmenter:
    """Train one segmenter in a folder."""
    settings, about, device = experiment.settings, run.settings, experiment.pools.methods.device
    if settings.baseline is Baseline.PUBLISHED:
        published = replace(PUBLISHED[settings.recipe], loop=experiment.loop)
        return train_published_segmenter(real, added, folder, PublishedTraining(recipe=published, seed=run.draw, device=device))
    training = DownstreamTraining(
        recipe=replace(DOWNSTREAM[settings.recipe], loop=experiment.loop),
        wall_from=WallFrom(settings.baseline.value),
        origin=about.origin,
        init=experiment.first if about.phantom_first else None,
        seed=run.draw,
        device=device,
        precision=training_precision(device),
    )
    return train_downstream_segmenter(real, added, folder, training)


def out_of_fold_scores(experiment: UtilityExperiment, run: Run, real: SliceDataset, added: SliceDataset | None) -> list[SliceScore]:
    """Scores of the training patients, each by a segmenter that was trained without them."""
    cohort, rows = experiment.pools.methods.cohort, []
    for fold, held_out in enumerate(folds_of(real, experiment.settings.folds, seed=run.draw)):
        rest = real.taken(np.flatnonzero([name not in held_out for name in real.patients]))
        if not rest.scarred.any():
            continue
        others = replace(run, patients=tuple(name for name in run.patients if name not in held_out))
        mine = None if added is None else training_set(experiment, others)[1]
        segmenter = train(experiment, others, rest, mine, experiment.record_path(run).parent / f"fold-{fold}")
        rows += [row for name in held_out for row in score_stack(segmenter, cohort.stack(name))]
    return rows


def folds_of(real: SliceDataset, count: int, *, seed: int) -> list[list[str]]:
    """The patients in folds, those with scar and those without spread evenly."""
    rng = np.random.default_rng([seed, 29])
    diseased = {name for name, has_scar in zip(real.patients, real.scarred, strict=True) if has_scar}
    names = sorted(set(real.patients))
    ordered = [[group[i] for i in rng.permutation(len(group))] for group in (sorted(diseased), [n for n in names if n not in diseased])]
    spread = [name for group in ordered for name in group]
    return [sorted(spread[fold::count]) for fold in range(count)]


def training_set(experiment: UtilityExperiment, run: Run) -> tuple[SliceDataset, SliceDataset | None]:
    """The real slices of the run's patients, and the slices that are added to them."""
    real = read_slice_dataset(experiment.real_slices_path)
    real = real.taken(np.flatnonzero([name in run.patients for name in real.patients]))
    about = run.settings
    match about.added:
        case Added.NOTHING:
            return real, None
        case Added.SCARRED_AGAIN:
            return real, real.taken(np.flatnonzero(real.scarred))
        case Added.HOSTS_AGAIN:
            return real, real.taken(np.flatnonzero(~real.scarred))
    pool, size = run.pool or SIMULATED, experiment.settings.size
    return real, experiment.pools.slices(pool, size, patients=run.patients, kept=about.filtered, labels=about.labels)
