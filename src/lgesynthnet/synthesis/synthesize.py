"""Draw, paint, judge, keep, until the count is met or the budget is spent. The same command continues a run that was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, filterfalse, islice, takewhile
from pathlib import Path

from lgesynthnet.errors import RunError
from lgesynthnet.files.owned import require_outside
from lgesynthnet.files.writing import synced_together
from lgesynthnet.report.data_card import write_card
from lgesynthnet.report.report import write_report
from lgesynthnet.run.folder import HOSTS_CACHE, REPORT, RunFolder
from lgesynthnet.run.ledger import Ledger
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.run.sample_row import KEPT
from lgesynthnet.run.summary import seldom_kept
from lgesynthnet.synthesis.attempts import attempts_of
from lgesynthnet.synthesis.planning import PlannedRun, plan_synthesis
from lgesynthnet.synthesis.slices import MadeSlice, SliceMaker
from lgesynthnet.synthesis.stacks import MadeStack, StackMaker

TABLE_EVERY_SECONDS = 20.0
BATCH, BATCH_SECONDS = 64, 5.0  # attempts that are synced and entered together: a power cut costs no more than these

OnAttempt = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended.

    Attributes:
        quota: samples that this run has to keep.
        kept: samples that count towards the quota, over all calls that painted into this run.
        attempted: attempts made, over all of these calls.
        reasons: how often each reason came up, the most frequent first.
        seconds: wall time of this call.
        seldom_kept: kinds of scar and edits of which the filter kept less than half: kind, painted, kept.
        repaired: what was wrong with the samples of earlier calls that were painted again, one sentence each.
    """

    run: Path
    quota: int
    kept: int
    attempted: int
    reasons: dict[str, int]
    seconds: float
    repaired: tuple[str, ...] = ()
    seldom_kept: tuple[tuple[str, int, int], ...] = ()

    @property
    def complete(self) -> bool:
        return self.kept >= self.quota

    @property
    def report(self) -> Path:
        return self.run / REPORT

    @property
    def rejected(self) -> dict[str, int]:
        """The reasons of the attempts that do not count."""
        return {reason: count for reason, count in self.reasons.items() if reason != KEPT}


def synthesize_run(request: SynthesisRequest, out: Path, *, on_attempt: OnAttempt | None = None) -> RunResult:
    """Plan a run and make it, as the command `synthesize` does.

    >>> request = SynthesisRequest(hosts=CohortSource(root=Path("emidec")), prior=Prior.ISCHAEMIC, count=50)
    >>> synthesize_run(request, Path("runs/first")).kept
    50

    Raises:
        LGESynthNetError: see `plan_synthesis` and `synthesize`.
    """
    return synthesize(plan_synthesis(request, run=out), out, on_attempt=on_attempt)


def synthesize(planned: PlannedRun, out: Path, *, on_attempt: OnAttempt | None = None) -> RunResult:
    """Make a run, or continue it.

    Args:
        out: the run folder; it is made where it is missing, and continued where it holds the same plan.
        on_attempt: gets (kept, attempted) at the start and after each attempt.
    Raises:
        RunError: the folder belongs to another plan or process, holds other things, is read-only or full.
    """
    began = time.monotonic()
    seconds = planned.plan.request.max_seconds
    stop_at = math.inf if seconds is None else began + seconds
    for folder in planned.hosts.cohort.folders:
        require_outside(out, "patients", folder)
    with RunFolder.begin(out, planned.plan) as run:
        ledger = run.ledger()
        try:
            again = run.damaged(ledger)
            run.remove_unrecorded(ledger)
            planned.hosts.orientation.save(out / HOSTS_CACHE)
            run.pseudonyms(entry.patient for entry in planned.hosts.entries)
            try:
                _attempt_until_done(planned, run, ledger, again, on_attempt or (lambda kept, attempted: None), stop_at)
            except KeyboardInterrupt:
                run.remove_unrecorded(ledger)
                raise
            finally:
                ledger.write_tables(out)
            result = RunResult(
                run=out,
                quota=planned.plan.quota,
                kept=len(ledger.counted(keep_all=planned.plan.request.keep_all)),
                attempted=len(ledger.attempted()),
                reasons=ledger.reasons(),
                seconds=time.monotonic() - began,
                repaired=tuple(again.values()),
            )
        finally:
            ledger.close()
        for write_page in (write_report, write_card):
            _guarded(write_page, out)
    return replace(result, seldom_kept=tuple(seldom_kept(RunFolder.open(out).rows)))


def _guarded(write_page: Callable[[Path], object], out: Path) -> None:
    try:
        write_page(out)
    except OSError as fault:
        raise RunError(
            f"{out}: the samples are complete, but their report could not be written ({fault.strerror or fault}); free space and "
            "give the same command again"
        ) from None


def _attempt_until_done(
    planned: PlannedRun, run: RunFolder, ledger: Ledger, again: Collection[int], on_attempt: OnAttempt, stop_at: float
) -> None:
    """Make the attempts that are damaged, then those that are missing.

    Args:
        again: numbers of the attempts that are damaged.
        stop_at: value of the monotonic clock after which no further attempt is begun.
    """
    plan, request = planned.plan, planned.plan.request
    done, counted = ledger.attempted(), ledger.counted(keep_all=request.keep_all)
    if len(counted) > plan.quota:
        more = f"holds {len(counted)} samples already, more than the {plan.quota} asked for"
        raise RunError(f"{run.path}: {more}; raise --count, or choose another --out")
    maker = (StackMaker if request.stacks else SliceMaker)(planned, run, ledger.kept().difference(again))
    printed = time.monotonic()

    def goes_on(k: int) -> bool:
        return (len(counted) < plan.quota or k in again) and time.monotonic() < stop_at

    def make(k: int) -> MadeSlice | MadeStack:
        made = maker.make(k)
        counts = bool(made.row.file) if request.keep_all else made.row.kept
        counted.add(k) if counts else counted.discard(k)
        done.add(k)
        on_attempt(len(counted), len(done))
        return made

    on_attempt(len(counted), len(done))
    missing = filter(maker.is_wanted, filterfalse(frozenset(done).__contains__, attempts_of(plan)))
    numbers = takewhile(goes_on, chain(sorted(again), missing))
    while _make_batch(numbers, make, ledger):
        if time.monotonic() - printed > TABLE_EVERY_SECONDS:
            ledger.write_tables(run.path)
            printed = time.monotonic()


def _make_batch(numbers: Iterator[int], make: Callable[[int], MadeSlice | MadeStack], ledger: Ledger) -> bool:
    """Make some attempts, bring their files to the disk, then enter their rows; returns whether there was any."""
    made: dict[int, MadeSlice | MadeStack] = {}
    began = time.monotonic()
    try:
        with synced_together():
            for k in islice(numbers, BATCH):
                made[k] = make(k)
                if time.monotonic() - began > BATCH_SECONDS:
                    break
    except RunError:  # the disk may not hold the files
        raise
    except BaseException:  # Ctrl-C: what is finished is kept
        _record(made, ledger)
        raise
    _record(made, ledger)
    return bool(made)


def _record(made: Mapping[int, MadeSlice | MadeStack], ledger: Ledger) -> None:
    ledger.record({k: attempt.row for k, attempt in made.items()}, {k: attempt.slices for k, attempt in made.items()})
