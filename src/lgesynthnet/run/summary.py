"""A run in numbers, for the report and the data card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.prescription.strata import ALL, EXTENTS, band_name, sort_strata, strata
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_row import KEPT, OF_REJECTED, SURPLUS, SampleRow
from lgesynthnet.run.stack_row import StackRow

LEAST_PAINTED = 10  # with fewer, a share below half may be chance


@dataclass(frozen=True)
class RunSummary:
    """Counts of a run, each with its uncertainty. What is counted are its attempts: slices, or whole hearts."""

    run: RunFolder

    @property
    def attempts(self) -> tuple[SampleRow, ...] | tuple[StackRow, ...]:
        return self.run.attempts

    @property
    def rows(self) -> tuple[SampleRow, ...]:
        """The rows of slices: the attempts of a run of slices, or every painted slice of a run of stacks."""
        return self.run.rows

    @cached_property
    def pseudonyms(self) -> dict[str, str]:
        """Patient -> pseudonym: pages show no name of a patient."""
        return self.run.pseudonyms(row.host for row in self.attempts)

    @cached_property
    def kept(self) -> list[SampleRow | StackRow]:
        return [row for row in self.attempts if row.kept]

    @property
    def pass_rate(self) -> float | None:
        return len(self.kept) / len(self.attempts) if self.attempts else None

    @property
    def pass_interval(self) -> tuple[float, float] | None:
        """95 % interval of the pass rate."""
        return wilson_interval(len(self.kept), len(self.attempts)) if self.attempts else None

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Verdicts on the attempts and their counts: kept first, then the most frequent."""
        return _count_reasons(self.attempts)

    @property
    def slice_reasons(self) -> list[tuple[str, int]]:
        """The same for the slices. Of a run of stacks, a slice is kept where the filter keeps both it and its stack."""
        return _count_reasons(self.rows)

    @property
    def kept_of_hosts(self) -> dict[str, int]:
        """Patient -> number of kept attempts, for patients that have any."""
        return dict(Counter(row.host for row in self.kept))

    @property
    def acceptance(self) -> list[tuple[str, int, int]]:
        """Kind of scar, painted samples, kept samples: how often the filter keeps each kind."""
        painted, kept = Counter[str](), Counter[str]()
        for row in self.attempts:
            groups = _groups(row)
            painted.update(groups)
            kept.update(groups if row.kept else ())
        return [(group, painted[group], kept[group]) for group in sort_strata(painted)]

    @property
    def segment_counts(self) -> dict[int, int]:
        """AHA segment -> number of kept samples whose intended scar covers it."""
        return dict(Counter(segment for row in self.kept for segment in row.shown_segments))

    @property
    def orientation_sources(self) -> list[tuple[str, int]]:
        """How the orientation was found, and for how many slices."""
        return Counter(row.insertion_source.value for row in self.rows).most_common()

    @property
    def seconds(self) -> float:
        """Time spent painting, summed over samples."""
        return sum(row.seconds or 0.0 for row in self.attempts)

    @property
    def max_change_outside(self) -> float | None:
        """Largest change outside any hidden region, in stored numbers; None where nothing was measured."""
        return max((row.max_change_outside for row in self.attempts if row.max_change_outside is not None), default=None)


def seldom_kept(rows: Iterable[SampleRow]) -> list[tuple[str, int, int]]:
    """Kind of scar or edit, painted samples, kept samples: those kinds of which the filter keeps less than half."""
    painted, kept = Counter[str](), Counter[str]()
    for row in rows:
        if row.file:
            painted.update(_kinds(row))
            kept.update(_kinds(row) if row.kept or row.reason in (SURPLUS, OF_REJECTED) else ())
    return [(kind, count, kept[kind]) for kind, count in sorted(painted.items()) if count >= LEAST_PAINTED and 2 * kept[kind] < count]


def _count_reasons(rows: Iterable[SampleRow | StackRow]) -> list[tuple[str, int]]:
    counts = Counter(KEPT if row.kept else row.reason for row in rows)
    return sorted(counts.items(), key=lambda item: (item[0] != KEPT, -item[1], item[0]))


def _groups(row: SampleRow | StackRow) -> tuple[str, ...]:
    """The kinds of scar that a painted attempt belongs to; none where no scar was painted into a slice, or nothing into a heart."""
    if isinstance(row, StackRow):
        return _groups_of_stack(row) if row.file else ()
    if row.transmurality is None or row.intended_mm2 is None:
        return ()
    return (*strata(row.transmurality, row.intended_mm2, row.shown_segments), *_kinds(row))


def _groups_of_stack(row: StackRow) -> tuple[str, ...]:
    scar = row.prescription
    extent = (f"extent {band_name(scar.transmurality, EXTENTS)}",) if isinstance(scar, HeartScar) else ()
    return (ALL, *extent, *_kinds(row))


def _kinds(row: SampleRow | StackRow) -> tuple[str, ...]:
    """The pattern of the scar, if there is one, and what was done."""
    pattern = (f"pattern {row.prescription.pattern}",) if isinstance(row.prescription, ScarPrescription | HeartScar) else ()
    return (*pattern, f"edit {row.edit}")


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a proportion; it stays within 0 to 1, and is wide where trials are few. Source: Wilson (1927)."""
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
