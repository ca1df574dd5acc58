"""Runs a utility experiment. What is finished is not done again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.benchmark.jobs import Executor, executor
from lgesynthnet.benchmark.utility.leaks import check_for_leaks
from lgesynthnet.benchmark.utility.plan import Pool, Run, UtilityPlan
from lgesynthnet.benchmark.utility.results import finished_runs
from lgesynthnet.benchmark.utility.runs import fill_pool, train_and_test
from lgesynthnet.benchmark.utility.settings import store_or_compare_settings
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How many jobs are done.

    Attributes:
        last: name and duration of the job that finished last; empty at the start.
    """

    done: int
    total: int
    last: str


def run_experiment(
    experiment: UtilityExperiment,
    *,
    workers: int = 1,
    ray: str | None = None,
    note: Callable[[str], None],
    on_job: Callable[[Progress], None],
) -> tuple[str, Path]:
    """Check the settings, train the missing generators, paint, train and test the segmenters, and write the tables.

    The same call resumes an interrupted experiment.

    Args:
        workers, ray: where the jobs run, see `executor`.
        note: called with a message for the user.
        on_job: called after each job.
    Returns:
        The tables in Markdown, and the path of the HTML page.
    Raises:
        RunError: a model was trained on a tested patient, or the folder belongs to an experiment with other settings.
        InputError: a part of the splits is missing.
    """
    from lgesynthnet.benchmark.utility.page import write

    experiment.check()
    with claimed(experiment.out, FolderKind.BENCHMARK):
        plan = experiment.plan()
        finished_runs(experiment)  # a damaged record is reported now, and not after hours of work
        methods = experiment.pools.methods
        for stage in missing_stages(experiment, plan):
            note(f"training {stage}; checkpoints are in {methods.work}")
            methods.train(stage, lambda stage, done, total: None)
        provenance = check_for_leaks(experiment, plan)
        try:
            with executor(workers, ray=ray) as processes:
                run_jobs(experiment, plan, processes, slots=None if ray else workers, on_job=on_job)
        finally:  # an interrupted experiment has tables of its finished runs
            page = write(experiment, provenance)
        return (experiment.folder / "utility.md").read_text(encoding="utf-8"), page


def missing_stages(experiment: UtilityExperiment, plan: UtilityPlan) -> list[str]:
    """Stages of the generators and of the filter that are not trained yet."""
    methods = experiment.pools.methods
    needed = list(dict.fromkeys(pool.method for pool in plan.pools if pool.method is not None and pool.model is None))
    stages = [stage for stage in methods.missing(needed) if stage != "scar-segmenter-auditor"]  # this experiment needs no auditor
    lacks_filter = bool(needed) and methods.filter() is None and "scar-segmenter-filter" not in stages
    return ["scar-segmenter-filter", *stages] if lacks_filter else stages


def run_jobs(
    experiment: UtilityExperiment,
    plan: UtilityPlan,
    executor: Executor,
    *,
    slots: int | None = None,
    on_job: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Fill the pools, and train and test the segmenters in the order of the plan. A run waits until its pool is full.

    Args:
        slots: number of jobs that are handed over at a time; None hands over all that can begin.
    Raises:
        RunError: the folder belongs to an experiment with other settings.
    """
    _store_settings(experiment)
    experiment.prepare_questions()
    runs = [run for run in plan.runs if not experiment.is_finished(run)]
    pools = [pool for pool in plan.pools if any(pool.name in run.pools for run in runs)]
    unfilled = {pool.name for pool in pools}
    waiting: list[Pool | Run] = [*pools, *runs]
    jobs: dict[Future[float], Pool | Run] = {}
    total, done = len(waiting), 0
    on_job(Progress(done=0, total=total, last=""))
    while waiting or jobs:
        for job in [job for job in waiting if isinstance(job, Pool) or unfilled.isdisjoint(job.pools)]:
            if slots is not None and len(jobs) >= slots:
                break
            waiting.remove(job)
            if isinstance(job, Pool):
                jobs[executor.submit(fill_pool, experiment, job)] = job
            else:
                jobs[executor.submit(train_and_test, experiment, job)] = job
        finished, _ = wait(jobs, return_when=FIRST_COMPLETED)
        for future in finished:
            job = jobs.pop(future)
            seconds = future.result()
            done += 1
            unfilled.discard(job.name)
            on_job(Progress(done=done, total=total, last=f"{job.name}, {seconds:.0f} s"))


def _store_settings(experiment: UtilityExperiment) -> None:
    training = experiment.training_settings
    store_or_compare_settings(experiment.settings.painting | {"train": training["patients"]["train"]}, experiment.out)
    store_or_compare_settings(training, experiment.folder)
