"""A run in numbers, for the report and the data card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.prescription.strata import sort_strata, strata
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_row import KEPT, SURPLUS, SampleRow

LEAST_PAINTED = 10  # with fewer, a share below half may be chance


@dataclass(frozen=True)
class RunSummary:
    """Counts of a run, each with its uncertainty."""

    run: RunFolder

    @property
    def rows(self) -> tuple[SampleRow, ...]:
        return self.run.rows

    @cached_property
    def pseudonyms(self) -> dict[str, str]:
        """Patient -> pseudonym: pages show no name of a patient."""
        return self.run.pseudonyms(row.host for row in self.rows)

    @cached_property
    def kept(self) -> list[SampleRow]:
        return [row for row in self.rows if row.kept]

    @cached_property
    def rejected(self) -> list[SampleRow]:
        return [row for row in self.rows if not row.kept]

    @property
    def pass_rate(self) -> float | None:
        return len(self.kept) / len(self.rows) if self.rows else None

    @property
    def pass_interval(self) -> tuple[float, float] | None:
        """95 % interval of the pass rate."""
        return wilson_interval(len(self.kept), len(self.rows)) if self.rows else None

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Verdicts and their counts: kept first, then the most frequent."""
        counts = Counter(KEPT if row.kept else row.reason for row in self.rows)
        return sorted(counts.items(), key=lambda item: (item[0] != KEPT, -item[1], item[0]))

    @property
    def acceptance(self) -> list[tuple[str, int, int]]:
        """Kind of scar, painted samples, kept samples: how often the filter keeps each kind."""
        painted, kept = Counter[str](), Counter[str]()
        for row in self.rows:
            if row.transmurality is None or row.intended_mm2 is None:
                continue
            groups = (*strata(row.transmurality, row.intended_mm2, row.shown_segments), *_kinds(row))
            painted.update(groups)
            kept.update(groups if row.kept else ())
        return [(group, painted[group], kept[group]) for group in sort_strata(painted)]

    @property
    def segment_counts(self) -> dict[int, int]:
        """AHA segment -> number of kept samples whose intended scar covers it."""
        return dict(Counter(segment for row in self.kept for segment in row.shown_segments))

    @property
    def orientation_sources(self) -> list[tuple[str, int]]:
        """How the orientation was found, and for how many attempts."""
        return Counter(row.insertion_source.value for row in self.rows).most_common()

    @property
    def seconds(self) -> float:
        """Time spent painting, summed over samples."""
        return sum(row.seconds or 0.0 for row in self.rows)

    @property
    def max_change_outside(self) -> float | None:
        """Largest change outside any hidden region, in stored numbers; None where nothing was measured."""
        return max((row.max_change_outside for row in self.rows if row.max_change_outside is not None), default=None)


def seldom_kept(rows: Iterable[SampleRow]) -> list[tuple[str, int, int]]:
    """Kind of scar or edit, painted samples, kept samples: those kinds of which the filter keeps less than half."""
    painted, kept = Counter[str](), Counter[str]()
    for row in rows:
        if row.file:
            painted.update(_kinds(row))
            kept.update(_kinds(row) if row.kept or row.reason == SURPLUS else ())
    return [(kind, count, kept[kind]) for kind, count in sorted(painted.items()) if count >= LEAST_PAINTED and 2 * kept[kind] < count]


def _kinds(row: SampleRow) -> tuple[str, ...]:
    """The pattern of the scar, if there is one, and what was done."""
    pattern = (f"pattern {row.prescription.pattern}",) if isinstance(row.prescription, ScarPrescription) else ()
    return (*pattern, f"edit {row.edit}")


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a proportion; it stays within 0 to 1, and is wide where trials are few. Source: Wilson (1927)."""
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
