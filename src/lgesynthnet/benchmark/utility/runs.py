"""The two jobs of a utility experiment: fill a pool, and train and test one segmenter. They may run in any process."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.utility.arms import Added
from lgesynthnet.benchmark.utility.plan import Pool, Prepared, Run, edited_size, spread
from lgesynthnet.benchmark.utility.questions.strata import read_strata
from lgesynthnet.benchmark.utility.scoring import Segmenter, score_stack
from lgesynthnet.benchmark.utility.settings import changed_settings
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.devices import training_precision
from lgesynthnet.errors import RunError
from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.files.reading import read_json
from lgesynthnet.files.writing import write_json
from lgesynthnet.segmenter.downstream import ROLE, DownstreamSegmenter
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.terms import Baseline, RealSlices, WallFrom
from lgesynthnet.threads import one_thread
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining, train_downstream_segmenter
from lgesynthnet.train.segmenters.published import PUBLISHED, PublishedTraining, train_published_segmenter


def fill_pool(experiment: UtilityExperiment, pool: Pool) -> float:
    """Fill one pool; returns the seconds that it took."""
    began = time.monotonic()
    experiment.pools.fill(pool)
    return time.monotonic() - began


def train_and_test(experiment: UtilityExperiment, run: Run) -> float:
    """Train and test one segmenter; returns the seconds that it took. An interrupted training resumes from its last checkpoint."""
    began = time.monotonic()
    path, folds, baseline = experiment.record_path(run), experiment.settings.folds, experiment.settings.baseline
    real, added = training_set(experiment, run)
    with one_thread():
        record = read_json(path) if path.is_file() else _trained_and_tested(experiment, run, real, added)
        if path.is_file() and experiment.lacks_scores(run):
            segmenter = (HeartSegmenter if baseline is Baseline.PUBLISHED else DownstreamSegmenter).from_pretrained(
                path.parent / "model" / ROLE
            )
            record |= {"slices": _tested(experiment, run, segmenter)}
        if folds and record.get("folds") != folds:
            record |= {"folds": folds, "training_slices": [row.record() for row in out_of_fold_scores(experiment, run, real, added)]}
    seconds = time.monotonic() - began
    write_json(path, record | {"seconds": round(float(str(record["seconds"])) + seconds, 1)})
    return seconds


def _trained_and_tested(experiment: UtilityExperiment, run: Run, real: SliceDataset, added: SliceDataset | None) -> dict[str, object]:
    """The record of a run without its folds."""
    folder = experiment.record_path(run).parent
    segmenter = train(experiment, run, real, added, folder)
    slices = _tested(experiment, run, segmenter)
    segmenter.save(folder / "model" / ROLE)
    return {
        "arm": run.arm.value,
        "scarred": run.regime.scarred,
        "healthy": run.regime.healthy,
        "draw": run.draw,
        "real": run.real.value,
        "fold": run.fold,
        "patients": list(run.patients),
        "real_slices": len(real),
        "added_slices": 0 if added is None else len(added),
        "seconds": 0.0,
        "slices": slices,
        "training_slices": [],
    }


def _tested(experiment: UtilityExperiment, run: Run, segmenter: Segmenter) -> list[dict[str, object]]:
    """The scores of the test slices of a run, as records."""
    cohort = experiment.pools.methods.cohort
    return [row.record() for name in experiment.tested_in(run) for row in score_stack(segmenter, cohort.stack(name))]


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
        wall_segmenter=_finished_wall(experiment, run) if settings.baseline is Baseline.CASCADE else None,
        seed=run.draw,
        device=device,
        precision=training_precision(device),
    )
    return train_downstream_segmenter(real, added, folder, training)


def _finished_wall(experiment: UtilityExperiment, run: Run) -> DownstreamSegmenter | None:
    """The segmenter of the same run with the baseline `crop`, where it is finished: a cascade would train the same one again."""
    crop = replace(experiment, settings=replace(experiment.settings, baseline=Baseline.CROP))
    path = crop.record_path(run)
    if not path.is_file() or changed_settings(crop.training_settings, crop.folder):
        return None
    if read_json(path).get("patients") != list(run.patients):  # of a fold
        return None
    return DownstreamSegmenter.from_pretrained(path.parent / "model" / ROLE)


def out_of_fold_scores(experiment: UtilityExperiment, run: Run, real: SliceDataset, added: SliceDataset | None) -> list[SliceScore]:
    """Scores of the training patients, each by a segmenter that was trained without them."""
    cohort, count, rows = experiment.pools.methods.cohort, experiment.settings.folds, []
    for fold, held_out in enumerate(folds_of(real, count, seed=run.draw)):
        others = replace(run, patients=tuple(name for name in run.patients if name not in held_out))
        rest = real.of(others.patients)
        if not held_out or not rest.scarred.any():
            continue
        mine = None if added is None else training_set(experiment, others, samples_needed=False)[1]
        segmenter = train(experiment, others, rest, mine, experiment.record_path(run).parent / f"fold-{fold + 1}-of-{count}")
        rows += [row for name in held_out for row in score_stack(segmenter, cohort.stack(name))]
    return rows


def folds_of(real: SliceDataset, count: int, *, seed: int) -> list[list[str]]:
    """The patients in folds, those with scar and those without spread evenly."""
    return spread(list(real.has_scar), real.has_scar, count, seed=seed)


def training_set(experiment: UtilityExperiment, run: Run, *, samples_needed: bool = True) -> tuple[SliceDataset, SliceDataset | None]:
    """The real slices of the run's patients, and the slices that are added to them.

    Args:
        samples_needed: whether the lack of any sample in these patients is an error.
    Raises:
        RunError: no sample lies in these patients.
    """
    remade = run.real is RealSlices.REMADE_LABELS
    real = read_slice_dataset(experiment.remade_slices_path if remade else experiment.real_slices_path)
    if run.real.left_out is not None:
        strata = read_strata(experiment.folder)
        if strata is None:
            raise RunError(f"{experiment.folder}: has no list of the kinds of scar; the same command makes it")
        real = real.taken(strata.rows_without(run.real.left_out, real.patients))
    real = real.of(run.patients)
    about = run.settings
    match about.added:
        case Added.NOTHING:
            return real, None
        case Added.SCARRED_AGAIN:
            return real, real.taken(np.flatnonzero(real.scarred))
        case Added.HOSTS_AGAIN:
            return real, real.taken(np.flatnonzero(~real.scarred))
    parts = [_of_pool(experiment, run, pool, samples_needed=samples_needed) for pool in run.pools]
    found = [part for part in parts if part is not None]
    return real, SliceDataset.joined(found) if found else None


def _of_pool(experiment: UtilityExperiment, run: Run, pool: str, *, samples_needed: bool) -> SliceDataset | None:
    """The slices of one pool that lie in the run's patients; twins follow the samples."""
    about, size, pools = run.settings, experiment.settings.size, experiment.pools
    if about.edit is not None and pool != run.pools[0]:
        size = edited_size(size)
    added = pools.slices(pool, size, patients=run.patients, kept=about.filtered, prepared=Prepared(about.labels.value))
    if added is None:
        if samples_needed:
            raise RunError(
                f"{pools.folder(pool)}: no sample lies in a heart of {', '.join(run.patients[:5])}; choose more patients with "
                "--scarred and --healthy, more samples with --size, or leave the arms with painted slices out"
            )
        return None
    twins = pools.slices(pool, size, patients=run.patients, kept=about.filtered, prepared=Prepared.TWINS) if about.twins else None
    return added if twins is None else SliceDataset.joined([added, twins])
