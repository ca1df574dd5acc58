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
from lgesynthnet.errors import InputError, PrescriptionError, RunError
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.prescription.strata import in_order, strata
from lgesynthnet.records import Source

KEPT = "kept"
ASSUMED_LEVEL = "assumed"
CERTAIN = 0.5  # insertions found in the image with less confidence than this are flagged
CELL_LIMIT = 2**20  # a caption or a prescription is far below; more is not a file of ours


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One row of samples.csv, see `ledger.Attempt` for its columns; numbers that were not measured are None.

    Attributes:
        host_path: image file that it was painted into; None where it cannot be found any more.
        prescription: None where the row holds no readable one.
        file: the image, relative to the run folder; empty where nothing could be painted.
        why: the verdict in words, or what stood against painting.
        segments: AHA segments that the intended mask covers, as measured; the prescribed ones where nobody measured.
    """

    id: str
    host: str
    host_path: Path | None
    slice_index: int
    level: str
    level_source: str
    insertion_source: str
    insertion_confidence: float | None
    seed: str
    caption: str
    sentence: str
    prescription: ScarPrescription | None
    file: str
    kept: bool
    reason: str
    why: str
    segments: tuple[int, ...]
    dice: float | None
    recall: float | None
    precision: float | None
    intended_mm2: float | None
    read_mm2: float | None
    stray_mm2: float | None
    transmurality: float | None
    burden: float | None
    mvo_share: float | None
    max_change_outside: float | None
    seconds: float | None

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader of the report must know before trusting this sample."""
        found = []
        if self.insertion_source == Source.ASSUMED:
            found.append("orientation assumed: no RV insertion was known, so segment names may be turned")
        elif self.insertion_source == Source.IMAGE and (self.insertion_confidence or 0.0) < CERTAIN:
            found.append(f"orientation uncertain: RV insertions estimated from the image, confidence {self.insertion_confidence or 0:.2f}")
        if self.level_source == ASSUMED_LEVEL:
            found.append("level assumed: nothing told base from apex, so basal and apical may be exchanged")
        if self.max_change_outside:
            found.append(f"voxels outside the hidden region differ from the host by up to {self.max_change_outside:g}")
        return tuple(found)


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
        return [(group, painted[group], kept[group]) for group in in_order(painted)]

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


def _sample(row: dict[str, str], hosts: dict[str, Path]) -> Sample:
    prescription = _prescription(row.get("prescription", ""))
    texts: dict[str, Any] = {name: row.get(name) or "" for name in _TEXTS}
    numbers: dict[str, Any] = {name: _number(row.get(name)) for name in _NUMBERS}
    kept = row["kept"].strip().lower() in ("1", "true")
    return Sample(
        id=row["id"],
        host=row["host"],
        host_path=hosts.get(row["host"]),
        slice_index=int(row["slice"]),
        prescription=prescription,
        kept=kept,
        segments=_segments(row.get("segments"), prescription),
        **texts,
        **numbers,
    )


_TEXTS = ("level", "level_source", "insertion_source", "seed", "caption", "sentence", "file", "reason", "why")
_NUMBERS = (
    "insertion_confidence",
    "dice",
    "recall",
    "precision",
    "intended_mm2",
    "read_mm2",
    "stray_mm2",
    "transmurality",
    "burden",
    "mvo_share",
    "max_change_outside",
    "seconds",
)


def _number(cell: str | None) -> float | None:
    return float(cell) if cell not in (None, "", "None") else None


def _prescription(cell: str | None) -> ScarPrescription | None:
    try:
        return ScarPrescription.from_json(cell or "")
    except PrescriptionError:
        return None


def _segments(cell: str | None, prescription: ScarPrescription | None) -> tuple[int, ...]:
    """Numbers separated by blanks; an empty cell falls back on the prescription."""
    if cell:
        return tuple(sorted(int(word) for word in cell.split()))
    return tuple(sorted(prescription.segments)) if prescription else ()
