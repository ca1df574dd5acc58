"""Make one attempt at a slice: draw it, paint it, judge it, write its files."""

from __future__ import annotations

import time
from collections.abc import Set
from dataclasses import dataclass, field, replace

from lgesynthnet.conditioning.edit import describe_own_scar
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import AnatomyError, InputError, PrescriptionError
from lgesynthnet.prescription.edits import OwnScar, Prescription
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_row import POOR_TWIN, SURPLUS, UNPAINTABLE, SampleRow
from lgesynthnet.synthesis.attempts import Attempt, draw_attempt, edit_for
from lgesynthnet.synthesis.judging import reading_and_verdict
from lgesynthnet.synthesis.planning import PlannedRun
from lgesynthnet.synthesis.quotas import RemainingQuotas
from lgesynthnet.synthesis.rows import check_contract, rules_of, unpainted_row, with_numbers
from lgesynthnet.synthesis.twins import make_twin


@dataclass(frozen=True, kw_only=True)
class MadeSlice:
    """An attempt at a slice, whose files are on the disk."""

    row: SampleRow
    slices: tuple[SampleRow, ...] = field(default=())


class SliceMaker:
    """Makes attempts at slices.

    Args:
        kept: numbers of the attempts that were kept already.
    """

    def __init__(self, planned: PlannedRun, run: RunFolder, kept: Set[int]) -> None:
        self.planned, self.run = planned, run
        plan, entries = planned.plan, planned.hosts.entries
        self.places = RemainingQuotas(lambda k: draw_attempt(plan, entries, k), plan, kept) if plan.request.balance else None

    def is_wanted(self, k: int) -> bool:
        """Every attempt is."""
        return True

    def make(self, k: int) -> MadeSlice:
        """Make one attempt. Its files are on disk when this returns, and nothing refers to them until the ledger does."""
        began = time.monotonic()
        planned, plan, painter = self.planned, self.planned.plan, self.planned.painter
        attempt = draw_attempt(plan, planned.hosts.entries, k)
        host = planned.hosts.fetch(attempt.entry)  # fails where a file has changed; once that is mended, the same command goes on
        row = unpainted_row(plan, attempt.entry, attempt.id, _prescription(attempt, host), attempt.edit, attempt.seed)
        try:
            edit = edit_for(plan, attempt, host)
            sample = painter.generator.apply(host, edit, seed=attempt.seed)
        except (PrescriptionError, AnatomyError, InputError) as fault:
            return MadeSlice(row=replace(row, reason=UNPAINTABLE, why=str(fault)))
        check_contract(sample)
        read, verdict = reading_and_verdict(sample, painter.filter, rules_of(plan))
        kept, reason, why = verdict.kept, str(verdict.reason), verdict.explain()
        twin, poor = make_twin(painter, sample, rules_of(plan)) if plan.request.twins else (None, None)
        if kept and poor is not None:
            kept, reason, why = False, POOR_TWIN, f"the twin is no healthy slice: {poor}; {why}"
        if kept and planned.selector is not None:
            choice = planned.selector.choose(sample)
            kept, why = choice.wanted, f"{why}; {choice.why}" if choice.wanted else f"{choice.reason}: {choice.why}; {why}"
            reason = reason if choice.wanted else choice.reason
        if kept and self.places is not None and not self.places.take(attempt):
            kept, reason, why = False, SURPLUS, f"surplus: enough samples of this kind were kept; {why}"
        row = replace(row, file=self.run.store(sample, read, attempt.id, kept=kept, twin=twin), kept=kept, reason=reason, why=why)
        return MadeSlice(row=with_numbers(row, sample, verdict, time.monotonic() - began))


def _prescription(attempt: Attempt, host: Host) -> Prescription:
    """What a sample is to show; that of the host's own scar is described once the slice is read."""
    wish = attempt.wish
    if isinstance(wish, OwnScar):
        return replace(describe_own_scar(host), intensity_percentile=wish.intensity_percentile)
    return wish
