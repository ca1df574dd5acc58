"""The utility experiment: paint, train, test, in any order that the machine allows, and never twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.benchmark.jobs import Executor, executor
from lgesynthnet.benchmark.utility.leaks import refuse_leaks
from lgesynthnet.benchmark.utility.plan import Pool, Run, UtilityPlan
from lgesynthnet.benchmark.utility.runs import fill_pool, make_run
from lgesynthnet.benchmark.utility.settings import keep_settings
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.terms import Arm


def measure(
    bench: UtilityExperiment, *, workers: int = 1, ray: str | None = None, note: Callable[[str], None], on_job: Callable[[State], None]
) -> tuple[str, Path]:
    """The whole experiment: check, train the painters that are missing, paint, train, test, write. The same call goes on.

    Returns:
        The table in Markdown, and the page.
    Raises:
        RunError: a leak, or the folder was begun with other settings.
        InputError: a part of the splits is missing.
    """
    from lgesynthnet.benchmark.utility.page import write

    bench.check()
    work = bench.plan()
    workshop = bench.shelf.workshop
    for stage in missing_stages(bench, work):
        note(f"training {stage}; its checkpoints are in {workshop.work}")
        workshop.train(stage, lambda what, done, total: None)
    learnt = refuse_leaks(bench, work.pools)
    try:
        with executor(workers, ray=ray) as pool:
            carry_out(bench, work, pool, on_job=on_job)
    finally:  # stopped half-way, what is finished can be read
        page = write(bench, learnt)
    return (bench.folder / "utility.md").read_text(), page


def missing_stages(bench: UtilityExperiment, work: UtilityPlan) -> list[str]:
    """Stages of the painters and of their filter that are still to be trained."""
    wanted = list(dict.fromkeys(pool.method for pool in work.pools if pool.method is not None and pool.model is None))
    stages = [stage for stage in bench.shelf.workshop.missing(wanted) if stage != "scar-segmenter-auditor"]  # nobody is audited here
    unjudged = bool(wanted) and bench.shelf.workshop.filter() is None and "scar-segmenter-filter" not in stages
    return ["scar-segmenter-filter", *stages] if unjudged else stages


@dataclass(frozen=True, kw_only=True)
class State:
    """How far an experiment is, told after every job."""

    done: int
    total: int
    last: str


def carry_out(
    bench: UtilityExperiment, work: UtilityPlan, executor: Executor, *, on_job: Callable[[State], None] = lambda state: None
) -> None:
    """Fill the pools and make the runs; a run starts when its pool is full. What is finished is not done again.

    Raises:
        RunError: the folder was begun with other settings.
    """
    experiment, who = bench.experiment, {part: sorted(bench.splits[part]) for part in ("train", "val", *bench.experiment.tested)}
    keep_settings(experiment.painting | {"train": who["train"]}, bench.out)
    for each in (experiment.without_samples, experiment):
        keep_settings(each.training | {"patients": who}, bench.out / each.variant)
    pools = {pool.name: pool for pool in work.pools}
    waiting = [run for run in work.runs if not bench.done(run)]
    # The longest pool first; runs that need none fill the other processes meanwhile.
    needed = [pools[name] for name in pools if any(run.pool == name for run in waiting)]
    reads = {run.pool for run in waiting if run.arm is Arm.READ}
    jobs: dict[Future[float], Pool | Run] = {executor.submit(fill_pool, bench, pool, pool.name in reads): pool for pool in needed}
    jobs |= {executor.submit(make_run, bench, run): run for run in waiting if run.pool is None}
    waiting = [run for run in waiting if run.pool is not None]
    total, finished = len(jobs) + len(waiting), 0
    on_job(State(done=0, total=total, last=""))
    while jobs:
        over, _ = wait(jobs, return_when=FIRST_COMPLETED)
        for future in over:
            job = jobs.pop(future)
            seconds = future.result()
            finished += 1
            on_job(State(done=finished, total=total, last=f"{job.name}, {seconds:.0f} s"))
            if isinstance(job, Pool):
                ready = [run for run in waiting if run.pool == job.name]
                waiting = [run for run in waiting if run.pool != job.name]
                jobs |= {executor.submit(make_run, bench, run): run for run in ready}
