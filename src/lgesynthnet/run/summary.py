"""A finished or half-finished run folder, read back for people: its samples as typed rows, its counts with their uncertainty."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lgesynthnet.data.layout import find_cases
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.prescription.strata import sort_strata, strata
from lgesynthnet.run.sample_row import CELL_LIMIT, Sample, _sample

KEPT = "kept"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A run folder in numbers."""

    run: Path
    plan: dict[str, Any]
    samples: tuple[Sample, ...]

    @property
    def kept(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.kept]

    @property
    def rejected(self) -> list[Sample]:
        return [sample for sample in self.samples if not sample.kept]

    @property
    def pass_rate(self) -> float | None:
        return len(self.kept) / len(self.samples) if self.samples else None

    @property
    def pass_interval(self) -> tuple[float, float] | None:
        """95 % interval of the pass rate."""
        return wilson_interval(len(self.kept), len(self.samples)) if self.samples else None

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Verdicts and their counts: kept first, then by count."""
        counts = Counter(KEPT if sample.kept else sample.reason for sample in self.samples)
        return sorted(counts.items(), key=lambda item: (item[0] != KEPT, -item[1], item[0]))

    @property
    def acceptance(self) -> list[tuple[str, int, int]]:
        """Stratum, painted samples, kept ones: what the filter lets pass of each kind of scar."""
        painted, kept = Counter[str](), Counter[str]()
        for sample in self.samples:
            if sample.transmurality is None or sample.intended_mm2 is None:
                continue
            groups = strata(sample.transmurality, sample.intended_mm2, sample.segments)
            painted.update(groups)
            kept.update(groups if sample.kept else ())
        return [(group, painted[group], kept[group]) for group in sort_strata(painted)]

    @property
    def segment_counts(self) -> dict[int, int]:
        """AHA segment -> number of kept samples whose intended scar covers it."""
        return dict(Counter(segment for sample in self.kept for segment in sample.segments))

    @property
    def orientation_sources(self) -> list[tuple[str, int]]:
        return Counter(sample.insertion_source or "not recorded" for sample in self.samples).most_common()

    @property
    def seconds(self) -> float:
        """Time spent painting, summed over samples."""
        return sum(sample.seconds or 0.0 for sample in self.samples)

    @property
    def max_change_outside(self) -> float | None:
        """Largest change outside any hidden region, stored numbers; None where nothing was measured."""
        return max((s.max_change_outside for s in self.samples if s.max_change_outside is not None), default=None)

    @property
    def flip(self) -> tuple[bool, bool]:
        """(rows, cols) mirroring into the radiological view, as the run was told."""
        rows, cols = self.plan.get("flip") or (False, False)
        return bool(rows), bool(cols)

    def told(self, key: str) -> str:
        """An entry of the plan as text; "not recorded" where the plan does not hold it."""
        value = self.plan.get(key)
        return "not recorded" if value is None or value == "" else str(value)


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval of a proportion that stays inside 0 to 1 and is honest at 0 and at all. Source: Wilson (1927)."""
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def summarise(run: Path) -> Summary:
    """Read samples.csv and plan.json of a run folder.

    Raises:
        RunError: samples.csv is missing or is not ours. A missing plan only leaves its numbers out.
    """
    table = run / "samples.csv"
    csv.field_size_limit(CELL_LIMIT)
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as fault:
        raise RunError(f"{table}: cannot be read ({fault.strerror}); give the folder that `lgesynthnet synthesize --out` made") from None
    except (csv.Error, UnicodeDecodeError) as fault:
        raise RunError(f"{table}: is not a table of samples ({fault})") from None
    plan = _plan(run / "plan.json")
    hosts = _host_files(plan)
    try:
        return Summary(run=run, plan=plan, samples=tuple(_sample(row, hosts) for row in rows))
    except (KeyError, ValueError) as fault:
        raise RunError(f"{table}: a row lacks or garbles a column ({fault}); was the file edited?") from None


def _plan(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise RunError(f"{path}: cannot be understood ({fault}); the plan is written by `lgesynthnet synthesize`") from None
    return plan if isinstance(plan, dict) else {}


def _host_files(plan: dict[str, Any]) -> dict[str, Path]:
    """Patient -> image file of the run's hosts; empty where the folder is gone, which only costs the pictures of the hosts."""
    try:
        return {case.patient: case.image_path for case in find_cases(Path(str(plan["hosts"]))).cases}
    except (KeyError, InputError):
        return {}
