"""The loop: train and score the folds, paint what they miss, train again, and stop where the held-out patients gain nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.benchmark.jobs import Executor, executor
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.improve.deciding import Advice, change
from lgesynthnet.improve.jobs import measure_fold, read_fold, read_misses, train_final, train_fold
from lgesynthnet.improve.misses import Findings
from lgesynthnet.improve.page import write_page
from lgesynthnet.improve.painting import RoundPlan, paint_control, paint_round
from lgesynthnet.improve.request import ImproveRequest
from lgesynthnet.improve.results import LoopResult, RoundResult, least_area_of
from lgesynthnet.improve.samples import kept_rows
from lgesynthnet.improve.setup import SEGMENTER, Improvement, TrainingSet, control_name, round_name
from lgesynthnet.improve.tables import write_tables
from lgesynthnet.run.folder import HOSTS_CACHE
from lgesynthnet.segmenter.operating_points import set_points


@dataclass(frozen=True, kw_only=True)
class ImproveResult:
    """What `improve` left in its folder.

    Attributes:
        segmenter: folder of the final segmenter.
        report: the page.
        samples: number of samples that the segmenter learnt from.
    """

    segmenter: Path
    report: Path
    advice: Advice
    samples: int
    stopped: str


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Who is told how far the command is.

    Attributes:
        on_job: called with a sentence, the jobs done, and the most jobs that there may be.
        on_attempt: called with the samples kept and the attempts made in a round.
    """

    on_job: Callable[[str, int, int], None] = lambda what, done, total: None
    on_attempt: Callable[[int, int], None] = lambda kept, attempted: None


def improve(request: ImproveRequest, out: Path, *, workers: int = 1, listeners: Listeners | None = None) -> ImproveResult:
    """Improve a segmenter, as the command `improve` does.

    >>> request = ImproveRequest(data=CohortSource(root=Path("emidec")), splits=Path("splits.json"), rounds=2)
    >>> improve(request, Path("runs/improved")).advice.sentence

    Args:
        out: the folder to write into; it is made where it is missing, and continued where it was begun with the same request.
        workers: folds that are trained side by side.
    Raises:
        LGESynthNetError: see `Improvement.of` and `run_improvement`.
    """
    return run_improvement(Improvement.of(request, out), workers=workers, listeners=listeners)


def run_improvement(improvement: Improvement, *, workers: int = 1, listeners: Listeners | None = None) -> ImproveResult:
    """Run the loop, or continue it: what is finished is not done again.

    Raises:
        LGESynthNetError: the patients, a model or the folder cannot be used; the message says what to do.
    """
    processes = executor(workers) if workers > 1 else nullcontext()
    with claimed(improvement.out, FolderKind.IMPROVEMENT, settings=improvement.decisive()), processes as pool:
        runner = _Runner(improvement, pool, listeners or Listeners())
        result = LoopResult(rounds=[runner.evaluate(TrainingSet.of_round(0))])
        for number in range(1, improvement.request.rounds + 1):
            write_tables(improvement, result)
            if not runner.paint(number, result.rounds[-1]):
                result.stopped = f"round {number} kept no sample: nothing that the filter confirmed was hard"
                break
            result.rounds.append(runner.evaluate(TrainingSet.of_round(number)))
            gain = change(result.rounds[-1].slices, result.rounds[result.chosen].slices).gain
            if gain is None:
                result.stopped = f"round {number} gained nothing on held-out patients"
                break
            result.chosen = number
        result.stopped = result.stopped or f"all {improvement.request.rounds} rounds were made"
        best = result.best_with_samples
        if improvement.request.control and best is not None:
            result.control = runner.evaluate_control(best.samples)
        chosen = result.rounds[result.chosen]
        train_final(improvement, chosen.training_set, set_points(chosen.slices))
        write_tables(improvement, result)
        report = write_page(improvement, result)
    return ImproveResult(
        segmenter=improvement.out / SEGMENTER, report=report, advice=result.advice, samples=chosen.samples, stopped=result.stopped
    )


class _Runner:
    """Does the work of the rounds, and counts it; without processes of its own, in this one."""

    def __init__(self, improvement: Improvement, processes: Executor | None, listeners: Listeners) -> None:
        self.improvement, self.processes, self.listeners = improvement, processes, listeners
        listeners.on_job("reading the training patients", 0, 1)
        real = improvement.prepare()
        self.folds = len(improvement.folds(real))
        self.done, self.total = 0, jobs_at_most(improvement, self.folds)
        hosts = improvement.find_hosts()
        hosts.orientation.save(improvement.prepared / HOSTS_CACHE)

    def evaluate(self, training_set: TrainingSet) -> RoundResult:
        """Train and score the folds of a training set, and measure what they miss."""
        improvement = self.improvement
        self._each_fold(f"training for {training_set.name}", train_fold, training_set)
        slices = [row for fold in range(self.folds) for row in read_fold(improvement, training_set, fold).slices]
        self._each_fold(f"measuring {training_set.name}", measure_fold, training_set, least_area_of(slices))
        parts = [read_misses(improvement, training_set, fold).findings for fold in range(self.folds)]
        samples = sum(len(kept_rows(improvement, run)) for run in training_set.runs)
        return RoundResult(training_set=training_set, samples=samples, slices=slices, findings=Findings.joined(parts))

    def paint(self, number: int, before: RoundResult) -> bool:
        """Paint a round; returns whether it kept any sample."""
        plan = RoundPlan(number=number, before=before.training_set, least_area_mm2=before.least_area_mm2)
        paint_round(self.improvement, plan, self.folds, self.listeners.on_attempt)
        self._count(f"painting {round_name(number)}")
        return bool(kept_rows(self.improvement, round_name(number)))

    def evaluate_control(self, count: int) -> RoundResult | None:
        """Paint and evaluate the random prescriptions; None where the filter kept none."""
        paint_control(self.improvement, count, self.listeners.on_attempt)
        self._count("painting random prescriptions")
        name = control_name(count)
        return self.evaluate(TrainingSet(name=name, runs=(name,))) if kept_rows(self.improvement, name) else None

    def _each_fold(self, what: str, job: Callable[..., None], *arguments: object) -> None:
        """Run a job for every fold, side by side where there are workers."""
        training_set, *rest = arguments
        each = [(self.improvement, training_set, fold, *rest) for fold in range(self.folds)]
        started = [] if self.processes is None else [self.processes.submit(job, *words) for words in each]
        for fold, words in enumerate(each):
            if self.processes is None:
                job(*words)
            else:
                started[fold].result()
            self._count(f"{what}, fold {fold + 1} of {self.folds}")

    def _count(self, what: str) -> None:
        self.done += 1
        self.listeners.on_job(what, self.done, self.total)


def jobs_at_most(improvement: Improvement, folds: int) -> int:
    """Number of jobs where no round stops the loop: two for each fold of a training set, and one for each painting."""
    request = improvement.request
    return 2 * folds * (request.rounds + 1 + request.control) + request.rounds + request.control
