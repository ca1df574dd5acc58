"""Draw, paint, judge, keep, until the count is met or the budget is spent. The same command continues a run that was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import chain, filterfalse, islice, takewhile
from pathlib import Path

import numpy as np

from lgesynthnet.conditioning.edit import describe_own_scar
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.errors import AnatomyError, InputError, PrescriptionError, RunError
from lgesynthnet.files.owned import require_outside
from lgesynthnet.files.writing import synced_together
from lgesynthnet.prescription.edits import OwnScar, Prescription
from lgesynthnet.prescription.grammar.language import write_caption, write_sentence
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.quality.verdict import Rules, Verdict
from lgesynthnet.report.data_card import write_card
from lgesynthnet.report.report import write_report
from lgesynthnet.run.folder import HOSTS_CACHE, REPORT, RunFolder
from lgesynthnet.run.ledger import Ledger
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.run.sample_row import KEPT, POOR_TWIN, SURPLUS, UNPAINTABLE, SampleRow
from lgesynthnet.run.summary import seldom_kept
from lgesynthnet.synthesis.attempts import Attempt, attempts_of, draw_attempt, edit_for
from lgesynthnet.synthesis.judging import reading_and_verdict
from lgesynthnet.synthesis.planning import PlannedRun, plan_synthesis
from lgesynthnet.synthesis.quotas import RemainingQuotas
from lgesynthnet.synthesis.twins import make_twin

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
                ledger.write_table(out)
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
    places = RemainingQuotas(plan, planned.hosts.entries, ledger.kept().difference(again)) if request.balance else None
    printed = time.monotonic()

    def is_wanted(k: int) -> bool:
        return (len(counted) < plan.quota or k in again) and time.monotonic() < stop_at

    def make(k: int) -> SampleRow:
        row = _make(planned, run, draw_attempt(plan, planned.hosts.entries, k), places)
        counts = bool(row.file) if request.keep_all else row.kept
        counted.add(k) if counts else counted.discard(k)
        done.add(k)
        on_attempt(len(counted), len(done))
        return row

    on_attempt(len(counted), len(done))
    numbers = takewhile(is_wanted, chain(sorted(again), filterfalse(frozenset(done).__contains__, attempts_of(plan))))
    while _make_batch(numbers, make, ledger):
        if time.monotonic() - printed > TABLE_EVERY_SECONDS:
            ledger.write_table(run.path)
            printed = time.monotonic()


def _make_batch(numbers: Iterator[int], make: Callable[[int], SampleRow], ledger: Ledger) -> bool:
    """Make some attempts, bring their files to the disk, then enter their rows; returns whether there was any."""
    rows: dict[int, SampleRow] = {}
    began = time.monotonic()
    try:
        with synced_together():
            for k in islice(numbers, BATCH):
                rows[k] = make(k)
                if time.monotonic() - began > BATCH_SECONDS:
                    break
    except RunError:  # the disk may not hold the files
        raise
    except BaseException:  # Ctrl-C: what is finished is kept
        ledger.record(rows)
        raise
    ledger.record(rows)
    return bool(rows)


def _make(planned: PlannedRun, run: RunFolder, attempt: Attempt, places: RemainingQuotas | None) -> SampleRow:
    """Make one attempt. Its files are on disk when this returns, and nothing refers to them until the ledger does."""
    began = time.monotonic()
    plan, painter = planned.plan, planned.painter
    host = planned.hosts.fetch(attempt.entry)  # fails where a file has changed; once that is mended, the same command goes on
    row = _described(plan, attempt, host)
    try:
        edit = edit_for(plan, attempt, host)
        sample = painter.generator.apply(host, edit, seed=attempt.seed)
    except (PrescriptionError, AnatomyError, InputError) as fault:
        return replace(row, reason=UNPAINTABLE, why=str(fault))
    _check_contract(sample)
    read, verdict = reading_and_verdict(sample, painter.filter, _rules(plan))
    kept, reason, why = verdict.kept, str(verdict.reason), verdict.explain()
    twin, poor = make_twin(painter, sample, _rules(plan)) if plan.request.twins else (None, None)
    if kept and poor is not None:
        kept, reason, why = False, POOR_TWIN, f"the twin is no healthy slice: {poor}; {why}"
    if kept and planned.selector is not None:
        choice = planned.selector.choose(sample)
        kept, why = choice.wanted, f"{why}; {choice.why}" if choice.wanted else f"{choice.reason}: {choice.why}; {why}"
        reason = reason if choice.wanted else choice.reason
    if kept and places is not None and not places.take(attempt):
        kept, reason, why = False, SURPLUS, f"surplus: enough samples of this kind were kept; {why}"
    row = replace(row, file=run.store(sample, read, attempt.id, kept=kept, twin=twin), kept=kept, reason=reason, why=why)
    return _with_numbers(row, sample, verdict, began)


def _rules(plan: SynthesisPlan) -> Rules:
    request = plan.request
    return Rules.published(request.dice_above) if request.dice_only else Rules(dice_above=request.dice_above)


def _check_contract(sample: SyntheticSample) -> None:
    """Measured here, not believed: a sample that changed more than it may must not leave the program."""
    host = sample.host.slice_.image
    outside = ~sample.hidden
    if sample.image.dtype != host.dtype or sample.image.shape != host.shape or not np.array_equal(sample.image[outside], host[outside]):
        raise RuntimeError(f"{sample.model} changed {sample.host.name} outside the hidden region; this is a bug in the generator")


def _described(plan: SynthesisPlan, attempt: Attempt, host: Host) -> SampleRow:
    """The row of an attempt before anything is painted."""
    entry, wish = attempt.entry, attempt.wish
    if isinstance(wish, OwnScar):
        prescription: Prescription = replace(describe_own_scar(host), intensity_percentile=wish.intensity_percentile)
    else:
        prescription = wish
    return SampleRow(
        id=attempt.id,
        host=entry.patient,
        slice_index=entry.index,
        level=entry.level,
        level_source=entry.order.source,
        insertion_source=entry.insertions.source,
        insertion_confidence=round(entry.insertions.confidence, 3),
        view_source=entry.view_source,
        masks_drawn_by=plan.masks_drawn_by,
        generator=plan.generator_fingerprint,
        filter=plan.filter_fingerprint,
        seed=attempt.seed,
        caption=write_caption(prescription, entry.level),
        sentence=write_sentence(prescription),
        prescription=prescription,
        file="",
        kept=False,
        reason=UNPAINTABLE,
        why="",
        edit=attempt.edit,
    )


def _with_numbers(row: SampleRow, sample: SyntheticSample, verdict: Verdict, began: float) -> SampleRow:
    intended = measure_scar(sample.intended, sample.host.frame, sample.intended_no_reflow)
    return replace(
        row,
        caption=sample.caption,
        sentence=write_sentence(sample.prescription),
        prescription=sample.prescription,
        edit=sample.edit,
        removed_mm2=_rounded(float(sample.removed.sum() * sample.host.frame.pixel_mm2), 2) if sample.removed.any() else None,
        left_mm2=_rounded(verdict.left_mm2, 2),
        core_contrast=_rounded(verdict.core_contrast),
        healed_brightness=_rounded(verdict.healed_brightness),
        healed_grain=_rounded(verdict.healed_grain),
        dice=_rounded(verdict.dice),
        dice_within=_rounded(verdict.dice_within),
        recall=_rounded(verdict.recall),
        precision=_rounded(verdict.precision),
        threshold=verdict.threshold,
        intended_mm2=_rounded(verdict.intended_mm2, 2),
        read_mm2=_rounded(verdict.read_mm2, 2),
        stray_mm2=_rounded(verdict.stray_mm2, 2),
        segment_agreement=_rounded(verdict.segments),
        extent_error=_rounded(verdict.extent_error),
        brightness=_rounded(verdict.brightness),
        spill_mm2=_rounded(verdict.spill_mm2, 2),
        seam=_rounded(verdict.seam),
        segments=tuple(sorted(intended.segments)),
        transmurality=_rounded(intended.transmurality),
        burden=_rounded(intended.burden),
        mvo_share=_rounded(intended.mvo_share),
        max_change_outside=sample.max_change_outside,
        seconds=_rounded(time.monotonic() - began, 3),
    )


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(float(value), digits)
