"""The utility experiment: paint, train, test, in any order that the machine allows, and never twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.jobs import Executor, executor
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files import write_json
from lgesynthnet.model_store import patients_behind
from lgesynthnet.segmenter.heart import ROLE
from lgesynthnet.threads import one_thread
from lgesynthnet.train.examples.slices import WholeSlices, read_whole, whole_slices
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, Augmentation, DownstreamRecipe, train_downstream
from lgesynthnet.workflow.pools import Shelf
from lgesynthnet.workflow.utility_plan import FILTERED, Arm, Experiment, Pool, Run, UtilityPlan, keep_settings, plan
from lgesynthnet.workflow.utility_reading import read_patients

REAL, RECORD = "real", "record.json"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One experiment on one data set, in one folder.

    Attributes:
        unchecked: go on where a model does not say which patients it learnt from.
    """

    shelf: Shelf
    experiment: Experiment
    unchecked: bool = False

    @property
    def out(self) -> Path:
        return self.shelf.out

    @property
    def folder(self) -> Path:
        """Runs and tables of this way of training."""
        return self.out / self.experiment.variant

    @property
    def splits(self) -> Mapping[str, list[str]]:
        return self.shelf.workshop.splits

    @property
    def tested(self) -> list[str]:
        return [name for part in self.experiment.tested for name in self.splits[part]]

    @property
    def recipe(self) -> DownstreamRecipe:
        recipe = DOWNSTREAM[self.experiment.downstream]
        return recipe if self.experiment.steps is None else replace(recipe, loop=replace(recipe.loop, steps=self.experiment.steps))

    @property
    def init(self) -> str | None:
        """First weights of every segmenter."""
        return self.experiment.init or self.recipe.init

    def check(self) -> None:
        """See that parts are there and apart, before anything is painted.

        Raises:
            RunError: an unknown downstream segmenter.
            InputError: a part is missing, or is trained on and tested.
        """
        if self.experiment.downstream not in DOWNSTREAM:
            raise RunError(f"--downstream {self.experiment.downstream}: known are {', '.join(DOWNSTREAM)}")
        for part in ("train", "val", *self.experiment.tested):
            if part not in self.splits or not self.splits[part]:
                raise InputError(f"the splits have no part {part}; they have {', '.join(self.splits)}")
        if {"train", "val"} & set(self.experiment.tested):
            raise InputError("train and val cannot be tested: the first is learnt from, the second sets the thresholds")

    def real(self) -> WholeSlices:
        """The training patients' slices."""
        return whole_slices(self.shelf.workshop.cohort, self.out / "prepared" / f"{REAL}.safetensors", patients=self.splits["train"])

    def plan(self) -> UtilityPlan:
        real = self.real()
        scarred = {name: bool(real.scarred[[who == name for who in real.patients]].any()) for name in self.splits["train"]}
        return plan(self.experiment, self.splits["train"], scarred)

    def record_of(self, run: Run) -> Path:
        experiment = self.experiment if run.size else self.experiment.without_samples
        return self.out / experiment.variant / "runs" / run.name / RECORD

    def done(self, run: Run) -> bool:
        return self.record_of(run).is_file()


def refuse_leaks(bench: Bench, pools: tuple[Pool, ...]) -> list[str]:
    """See that nobody who paints, teaches or filters has learnt from a patient who is tested; returns who learnt from whom, in words.

    Raises:
        RunError: somebody has, or does not say and `unchecked` is off.
    """
    workshop, tested, words = bench.shelf.workshop, set(bench.tested), []
    models: dict[str, Path | str | None] = {}
    for pool in pools:
        if pool.model is not None:
            models[f"{pool.model}, painter and filter of the low-data curve"] = pool.model
        elif pool.method is not None:
            models[f"painter {pool.method.value}"] = workshop.find(pool.method.trained_as)
            models["filter"] = (folder := workshop.filter()) and folder.parent
            if pool.name == Arm.COPY_PASTE.value:
                words.append(f"donors of copied scars: the {len(bench.splits['train'])} training patients")
    if bench.init is not None:
        models["first weights of the segmenter"] = bench.init
    for who, model in models.items():
        if model is None:
            continue
        seen = patients_behind(model)
        if seen is None and not bench.unchecked:
            raise RunError(
                f"{model}: does not say which patients it learnt from ({who}), so nobody knows whether it saw those who are tested; "
                "train it again with --splits, or give --unchecked if you know better"
            )
        if seen is not None and seen & tested:
            raise RunError(
                f"{model}: learnt from {', '.join(sorted(seen & tested)[:5])}, who are tested ({who}). "
                "Train it on the train part alone, or test others with --tested"
            )
        words.append(
            f"{who}: " + ("not said" if seen is None else "simulated patients only" if not seen else f"{len(seen)} patients, none tested")
        )
    return words


def measure(
    bench: Bench, *, workers: int = 1, ray: str | None = None, note: Callable[[str], None], on_job: Callable[[State], None]
) -> tuple[str, Path]:
    """The whole experiment: check, train the painters that are missing, paint, train, test, write. The same call goes on.

    Returns:
        The table in Markdown, and the page.
    Raises:
        RunError: a leak, or the folder was begun with other settings.
        InputError: a part of the splits is missing.
    """
    from lgesynthnet.workflow.utility_page import write

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


def missing_stages(bench: Bench, work: UtilityPlan) -> list[str]:
    """Stages of the painters and of their filter that are still to be trained."""
    wanted = list(dict.fromkeys(pool.method for pool in work.pools if pool.method is not None and pool.model is None))
    stages = [stage for stage in bench.shelf.workshop.missing(wanted) if stage != "reader-auditor"]  # nobody is audited here
    unjudged = bool(wanted) and bench.shelf.workshop.filter() is None and "reader-filter" not in stages
    return ["reader-filter", *stages] if unjudged else stages


@dataclass(frozen=True, kw_only=True)
class State:
    """How far an experiment is, told after every job."""

    done: int
    total: int
    last: str


def carry_out(bench: Bench, work: UtilityPlan, executor: Executor, *, on_job: Callable[[State], None] = lambda state: None) -> None:
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


def fill_pool(bench: Bench, pool: Pool, read: bool) -> float:
    """One pool, in any process; returns its seconds."""
    began = time.monotonic()
    bench.shelf.fill(pool, read=read)
    return time.monotonic() - began


def make_run(bench: Bench, run: Run) -> float:
    """Train and test one run, in any process; returns its seconds. Killed, it goes on from its last checkpoint."""
    began = time.monotonic()
    real, made = training_set(bench, run)
    folder = bench.record_of(run).parent
    with one_thread():
        segmenter = train_downstream(
            real,
            made,
            folder,
            bench.recipe,
            share=bench.experiment.share,
            augmentation=Augmentation.STRONG if run.arm is Arm.STRONG else Augmentation.GEOMETRIC,
            same_prevalence=bench.experiment.same_prevalence,
            real_last=bench.experiment.real_last,
            init=None if bench.init is None else Path(bench.init),
            seed=run.seed,
            device=bench.shelf.workshop.device,
        )
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


def training_set(bench: Bench, run: Run) -> tuple[WholeSlices, WholeSlices | None]:
    """Real slices of the run's patients, and what is added to them."""
    real = read_whole(bench.out / "prepared" / f"{REAL}.safetensors")
    real = real.taken(np.flatnonzero([name in run.patients for name in real.patients]))
    if run.arm is Arm.RESAMPLED:
        rng = np.random.default_rng([run.seed, 5])
        return real, real.taken(rng.choice(np.flatnonzero(real.scarred), run.size))
    if run.pool is None:
        return real, None
    made = bench.shelf.slices(run.pool, run.size, kept=run.arm in FILTERED, read=run.arm is Arm.READ, choice=run.choice)
    return real, made
