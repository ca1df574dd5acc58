"""Make one attempt at a whole heart: draw it, paint its slices, judge them together, write the stack."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, replace

import numpy as np

from lgesynthnet.conditioning.heart import StackSample
from lgesynthnet.errors import AnatomyError, InputError, PrescriptionError
from lgesynthnet.generate.stacks import apply_to_stack
from lgesynthnet.hosts.hearts import fetch_heart
from lgesynthnet.prescription.edits import OwnScar
from lgesynthnet.prescription.grammar.language import write_heart_sentence
from lgesynthnet.prescription.heart_edits import HeartWish
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.quality.stack_verdict import StackVerdict, judge_slices
from lgesynthnet.records import Label, scar_of, wall_of
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_files import Twin
from lgesynthnet.run.sample_row import OF_REJECTED, POOR_TWIN, SURPLUS, UNPAINTABLE, SampleRow, slice_id
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.synthesis.heart_attempts import HeartAttempt, draw_heart_attempt, edit_for_heart
from lgesynthnet.synthesis.judging import reading_and_verdict
from lgesynthnet.synthesis.planning import PlannedRun
from lgesynthnet.synthesis.quotas import RemainingQuotas
from lgesynthnet.synthesis.rows import check_contract, rounded, rules_of, unpainted_row, with_numbers
from lgesynthnet.synthesis.twins import make_twin


@dataclass(frozen=True, kw_only=True)
class MadeStack:
    """An attempt at a whole heart, whose files are on the disk, with the rows of its painted slices."""

    row: StackRow
    slices: tuple[SampleRow, ...] = ()


class StackMaker:
    """Makes attempts at whole hearts.

    Args:
        kept: numbers of the attempts that were kept already.
    """

    def __init__(self, planned: PlannedRun, run: RunFolder, kept: Set[int]) -> None:
        self.planned, self.run = planned, run
        self.entries = planned.hearts
        plan = planned.plan
        self.places = RemainingQuotas(self._draw, plan, kept) if plan.request.balance else None
        self.kept_of = Counter(self._draw(k).entry.patient for k in kept) if plan.request.per_host is not None else Counter[str]()

    def _draw(self, k: int) -> HeartAttempt:
        return draw_heart_attempt(self.planned.plan, self.entries, k)

    def is_wanted(self, k: int) -> bool:
        """Whether the patient of an attempt may have one more sample."""
        most = self.planned.plan.request.per_host
        return most is None or self.kept_of[self._draw(k).entry.patient] < most

    def make(self, k: int) -> MadeStack:
        """Make one attempt. Its files are on disk when this returns, and nothing refers to them until the ledger does."""
        began = time.monotonic()
        planned, plan, painter = self.planned, self.planned.plan, self.planned.painter
        attempt = self._draw(k)
        heart = fetch_heart(planned.hosts, attempt.entry)
        row = _unpainted(planned, attempt)
        try:
            sample = apply_to_stack(painter.generator, heart, edit_for_heart(plan, attempt, heart), seed=attempt.seed)
        except (PrescriptionError, AnatomyError, InputError) as fault:
            return MadeStack(row=replace(row, why=str(fault)))
        for slice_sample in sample.samples.values():
            check_contract(slice_sample)
        readings = {index: reading_and_verdict(painted, painter.filter, rules_of(plan)) for index, painted in sample.samples.items()}
        verdict = judge_slices({index: found for index, (_, found) in readings.items()}, rules_of(plan))
        twin, poor = self._twin(sample) if plan.request.twins else (None, None)
        kept, reason, why = verdict.kept, str(verdict.reason), verdict.explain()
        if kept and poor is not None:
            kept, reason, why = False, POOR_TWIN, f"the twin is no healthy heart: {poor}; {why}"
        if kept and self.places is not None and not self.places.take(attempt):
            kept, reason, why = False, SURPLUS, f"surplus: enough stacks of this kind were kept; {why}"
        self.kept_of[attempt.entry.patient] += kept
        read = sample.in_slices(lambda painted: readings[painted.host.slice_.index][0])
        file = self.run.store_stack(sample, read, attempt.id, kept=kept, twin=twin)
        seconds = time.monotonic() - began
        row = replace(row, file=file, kept=kept, reason=reason, why=why, prescription=sample.edit.wish)
        row = _with_numbers(row, sample, verdict, seconds)
        return MadeStack(row=row, slices=tuple(self._slice_rows(attempt, row, sample, verdict, seconds / len(sample.samples))))

    def _twin(self, sample: StackSample) -> tuple[Twin, str | None]:
        """The twin of a stack, and what is wrong with it in the first slice where something is."""
        stack, faults = sample.heart.stack, []
        image, labels = stack.image.copy(), stack.labels.copy()
        for index, painted in sample.samples.items():
            twin, poor = make_twin(self.planned.painter, painted, rules_of(self.planned.plan))
            image[:, :, index], labels[:, :, index] = twin.image, twin.labels
            faults += [f"slice {index}: {poor}"] if poor is not None else []
        return Twin(image=image, labels=labels), next(iter(faults), None)

    def _slice_rows(
        self, attempt: HeartAttempt, row: StackRow, sample: StackSample, verdict: StackVerdict, seconds: float
    ) -> list[SampleRow]:
        """The rows of the painted slices; such a slice is kept where the filter keeps both it and the stack."""
        entries = {entry.index: entry for entry in attempt.entry.slices}
        rows = []
        for index, painted in sample.samples.items():
            found = verdict.slices[index]
            bare = unpainted_row(
                self.planned.plan, entries[index], slice_id(attempt.id, index), painted.prescription, painted.edit, painted.seed
            )
            reason = OF_REJECTED if found.kept and not row.kept else str(found.reason)
            why = f"{found.explain()}; the stack: {row.why}"
            bare = replace(bare, stack=attempt.id, file=row.file, kept=found.kept and row.kept, reason=reason, why=why)
            rows.append(with_numbers(bare, painted, found, seconds))
        return sorted(rows, key=lambda slice_row: slice_row.slice_index)


def _unpainted(planned: PlannedRun, attempt: HeartAttempt) -> StackRow:
    """The row of an attempt before anything is painted."""
    wish = attempt.wish
    return StackRow(
        id=attempt.id,
        host=attempt.entry.patient,
        generator=planned.plan.generator_fingerprint,
        filter=planned.plan.filter_fingerprint,
        seed=attempt.seed,
        edit=attempt.edit,
        sentence=_sentence(wish),
        prescription=wish,
        file="",
        kept=False,
        reason=UNPAINTABLE,
        why="",
    )


def _sentence(wish: HeartWish) -> str:
    if not isinstance(wish, OwnScar):
        return write_heart_sentence(wish)
    depth = "" if wish.transmurality is None else f", {100 * wish.transmurality:g} % transmural"
    return f"Its own scar at the percentile {wish.intensity_percentile:g} of brightness{depth}"


def _with_numbers(row: StackRow, sample: StackSample, verdict: StackVerdict, seconds: float) -> StackRow:
    stack, labels, intended = sample.heart.stack, sample.labels, sample.intended
    voxel_ml = stack.spacing_mm[0] * stack.spacing_mm[1] * stack.slice_step_mm / 1000

    def volume(mask: np.ndarray) -> float | None:
        return rounded(float(mask.sum()) * voxel_ml, 3) if voxel_ml else None  # a single slice states no distance

    scar = scar_of(intended)
    segments = [measure_scar(painted.intended, painted.host.frame).segments for painted in sample.samples.values()]
    return replace(
        row,
        sentence=_sentence(sample.edit.wish),
        edit=sample.edit.kind,
        dice=rounded(verdict.dice),
        threshold=verdict.threshold,
        slices=len(verdict.slices),
        kept_slices=verdict.kept_slices,
        left_out="; ".join(f"slice {index}: {why}" for index, why in sorted(sample.edit.left_out.items())),
        intended_ml=volume(scar),
        read_ml=rounded(sum(found.read_mm2 for found in verdict.slices.values()) * stack.slice_step_mm / 1000, 3) if voxel_ml else None,
        wall_ml=volume(wall_of(labels)),
        burden=rounded(float(scar_of(labels).sum()) / max(float(wall_of(labels).sum()), 1.0)),
        mvo_share=rounded(float((intended == Label.NO_REFLOW).sum()) / max(float(scar.sum()), 1.0)),
        segments=tuple(sorted(frozenset().union(*segments))),
        removed_ml=volume(sample.removed > 0) if sample.removed.any() else None,
        max_change_outside=sample.max_change_outside,
        seconds=rounded(seconds, 3),
    )
