"""Draw, paint, judge, keep, until the count is met or the budget is spent. Killed at any moment, the same command goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.data.declaration import DECLARATION, write_declaration
from lgesynthnet.errors import AnatomyError, PrescriptionError, RunError
from lgesynthnet.files import write_bytes
from lgesynthnet.prescription.grammar.language import write_caption, write_sentence
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.quality.verdict import Rules, Verdict, inspect
from lgesynthnet.records import Label, Labels, ShortAxisSlice, scar_of
from lgesynthnet.run.ledger import UNPAINTABLE, Attempt, Ledger
from lgesynthnet.run.lock import LOCK, locked
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.sample_files import PARTS, REJECTED, folder_of, write_sample
from lgesynthnet.segmenter.base import ScarSegmenter
from lgesynthnet.synthesis.attempts import Drawn, attempts_of, draw_attempt
from lgesynthnet.synthesis.planning import Planned
from lgesynthnet.synthesis.quotas import SURPLUS, kind_of, quotas

PLAN = "plan.json"
TABLE_EVERY_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended.

    Attributes:
        kept: samples that count towards the quota, over all sessions of this run.
        attempted: attempts made, over all sessions.
        reasons: how often each reason came up, most frequent first.
        seconds: wall time of this session.
    """

    run: Path
    quota: int
    kept: int
    attempted: int
    reasons: dict[str, int]
    seconds: float

    @property
    def complete(self) -> bool:
        return self.kept >= self.quota

    @property
    def report(self) -> Path:
        return self.run / "report.html"


def synthesize(planned: Planned, run: Path, *, on_attempt: Callable[[int, int], None] | None = None) -> RunResult:
    """Make or resume a run.

    Args:
        run: the run folder; made where missing, resumed where it holds the same plan.
        on_attempt: told (kept, attempted) at the start and after each attempt.
    Raises:
        RunError: the folder belongs to another plan or process, holds other things, is read-only or full.
    """
    from lgesynthnet.report.data_card import write_card
    from lgesynthnet.report.report import write_report

    began = time.monotonic()
    with locked(run):
        _prepare(run, planned.plan)
        ledger = Ledger(run, planned.plan.hash)
        try:
            _sweep(run, planned.plan, ledger)
            try:
                _attempt_until_done(planned, run, ledger, began, on_attempt or (lambda kept, attempted: None))
            except KeyboardInterrupt:
                _sweep(run, planned.plan, ledger)
                raise
            finally:
                ledger.write_table(run)
            result = RunResult(
                run=run,
                quota=planned.plan.quota,
                kept=ledger.count(keep_all=planned.plan.keep_all),
                attempted=len(ledger.attempted()),
                reasons=ledger.reasons(),
                seconds=time.monotonic() - began,
            )
        finally:
            ledger.close()
        _guarded(write_report, run)
        _guarded(write_card, run)
    return result


def _guarded(write_it: Callable[[Path], object], run: Path) -> None:
    try:
        write_it(run)
    except OSError as fault:
        raise RunError(f"{run}: the samples stand, but {fault.strerror or fault}; free space, then the same command finishes") from None


def _prepare(run: Path, plan: SynthesisPlan) -> None:
    """Make the folder a run folder, or see that it is one of the same plan; sweep what a killed process left half-written."""
    path = run / PLAN
    try:
        present = {entry.name for entry in run.iterdir()}
        for partial in [*run.rglob(".*.partial")]:
            partial.unlink(missing_ok=True)
    except OSError as fault:
        raise RunError(f"{run}: cannot be used ({fault.strerror or fault}); choose another --out") from None
    present = {name for name in present if not name.endswith(".partial")}
    if PLAN in present:
        before = SynthesisPlan.read(path)
        difference = before.difference(plan)
        if difference is not None:
            raise RunError(f"{run}: was begun with another plan: {difference}; choose another --out, or delete the folder")
    elif present - {LOCK}:
        raise RunError(f"{run}: is not empty and no run folder (no {PLAN}); choose another --out")
    write_bytes(path, (plan.to_json() + "\n").encode())
    if not (run / DECLARATION).exists():
        write_declaration(run, labels="lgesynthnet")


def _attempt_until_done(planned: Planned, run: Path, ledger: Ledger, began: float, on_attempt: Callable[[int, int], None]) -> None:
    plan = planned.plan
    done = ledger.attempted()
    kept = ledger.count(keep_all=plan.keep_all)
    if kept > plan.quota:
        raise RunError(
            f"{run}: holds {kept} samples already, more than the {plan.quota} asked for; ask for as many, or choose another --out"
        )
    room = _Room(planned, ledger.kept()) if plan.balance else None
    on_attempt(kept, len(done))
    printed = time.monotonic()
    for k in attempts_of(plan):
        if kept >= plan.quota or (plan.max_seconds is not None and time.monotonic() - began > plan.max_seconds):
            break
        if k in done:
            continue
        attempt = _attempt(planned, run, draw_attempt(plan, planned.shelf.entries, k), room)
        ledger.record(k, attempt)
        done.add(k)
        kept += bool(attempt.file) if plan.keep_all else attempt.kept
        on_attempt(kept, len(done))
        if time.monotonic() - printed > TABLE_EVERY_SECONDS:
            ledger.write_table(run)
            printed = time.monotonic()


class _Room:
    """What the quotas by kind still leave, see `balance`."""

    def __init__(self, planned: Planned, kept: set[int]) -> None:
        plan, entries = planned.plan, planned.shelf.entries
        self.left = quotas(lambda k: draw_attempt(plan, entries, k), attempts_of(plan), plan.quota)
        for k in kept:
            self.take(draw_attempt(plan, entries, k))

    def take(self, drawn: Drawn) -> bool:
        """Use up a place; False where none was left. A kind that is rarer than the quotas saw has one."""
        kind = kind_of(drawn)
        self.left[kind] = self.left.get(kind, 1) - 1
        return self.left[kind] >= 0


def _sweep(run: Path, plan: SynthesisPlan, ledger: Ledger) -> None:
    """Remove samples that a killed or interrupted process had written but not yet entered: no row, no sample."""
    known = ledger.ids()
    try:
        for folder in (run, run / REJECTED):
            for part in PARTS:
                for path in (folder / part).glob(f"s{plan.seed}_*.nii.gz"):
                    if path.name.removesuffix(".nii.gz") not in known:
                        path.unlink()
    except OSError as fault:
        raise RunError(f"{run}: cannot be written ({fault.strerror or fault}); choose a writable --out folder") from None


def _attempt(planned: Planned, run: Path, drawn: Drawn, room: _Room | None) -> Attempt:
    """Make attempt k: its files stand when this returns, and nothing tells of them until the ledger does."""
    began = time.monotonic()
    plan, painter = planned.plan, planned.painter
    try:
        host = planned.shelf.fetch(drawn.entry)
        sample = painter.generator.inpaint(host, drawn.prescription, seed=drawn.seed)
    except (PrescriptionError, AnatomyError) as fault:
        return _described(plan, drawn, file="", kept=False, reason=UNPAINTABLE, why=str(fault))
    _check_contract(sample)
    read = read_back(painter.reader, sample)
    rules = Rules.published(plan.dice_above) if plan.dice_only else Rules(dice_above=plan.dice_above)
    verdict = inspect(sample, scar_of(read), rules)
    kept, reason, why = verdict.kept, str(verdict.reason), verdict.explain()
    if kept and room is not None and not room.take(drawn):
        kept, reason, why = False, SURPLUS, f"surplus: enough of this kind were kept; {why}"
    folder = folder_of(kept=kept, keep_all=plan.keep_all)
    write_sample(sample, read, run / folder, drawn.id, flip=plan.flip)
    file = (folder / "images" / f"{drawn.id}.nii.gz").as_posix()
    return _with_numbers(_described(plan, drawn, file=file, kept=kept, reason=reason, why=why), sample, verdict, began)


def read_back(reader: ScarSegmenter, sample: SyntheticSample) -> Labels:
    """What the reader sees in a sample when it is shown wall and cavity, and no scar label."""
    labels = sample.labels.copy()
    labels[scar_of(labels)] = Label.WALL
    host = sample.host.slice_
    return reader.read(
        ShortAxisSlice(patient=host.patient, index=host.index, image=sample.image, labels=labels, spacing_mm=host.spacing_mm)
    )


def _check_contract(sample: SyntheticSample) -> None:
    """Measured here and not believed: a sample that touched more than it may must not leave the program."""
    host = sample.host.slice_.image
    outside = ~sample.hidden
    if sample.image.dtype != host.dtype or sample.image.shape != host.shape or not np.array_equal(sample.image[outside], host[outside]):
        raise RuntimeError(f"{sample.model} changed {sample.host.name} outside the hidden region; this is a bug in the generator")


def _described(plan: SynthesisPlan, drawn: Drawn, *, file: str, kept: bool, reason: str, why: str) -> Attempt:
    entry, prescription = drawn.entry, drawn.prescription
    return Attempt(
        id=drawn.id,
        host=entry.patient,
        slice=entry.index,
        level=entry.level.value,
        level_source=entry.order.source.value,
        insertion_source=entry.insertions.source.value,
        insertion_confidence=round(entry.insertions.confidence, 3),
        model=plan.generator,
        reader=plan.reader,
        seed=drawn.seed,
        caption=write_caption(prescription, entry.level),
        sentence=write_sentence(prescription),
        prescription=prescription.to_json(),
        file=file,
        kept=kept,
        reason=str(reason),
        why=why,
    )


def _with_numbers(attempt: Attempt, sample: SyntheticSample, verdict: Verdict, began: float) -> Attempt:
    found = measure_scar(sample.intended, sample.host.frame, sample.intended_no_reflow)
    return replace(
        attempt,
        caption=sample.caption,
        dice=_rounded(verdict.dice),
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
        segments=" ".join(map(str, sorted(found.segments))),
        transmurality=_rounded(found.transmurality),
        burden=_rounded(found.burden),
        mvo_share=_rounded(found.mvo_share),
        max_change_outside=sample.max_change_outside,
        seconds=_rounded(time.monotonic() - began, 3),
    )


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(float(value), digits)
