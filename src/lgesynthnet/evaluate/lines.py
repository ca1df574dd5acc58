"""A figure of painted slices with the same figure of real ones beside it, as rows for a table, a file or a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.prescription.strata import ALL


class Goal(StrEnum):
    """Where a figure ought to lie."""

    HIGH = "high"
    LOW = "low"
    ZERO = "0"
    HALF = "0.5"
    AS_REAL = "as real"
    NONE = "none"  # describes, and is no merit


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One figure of one group.

    Attributes:
        value: of the painted slices; None where it is not defined or what it needs is not there.
        real: the same of real slices, or of one half of the real patients against the other where two sets are compared.
        note: why a value is None, or what it was measured on.
    """

    figure: str
    value: Interval | None
    real: Interval | None = None
    aim: Goal = Goal.AS_REAL
    group: str = ALL
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Share of the ceiling, where more is better and there is a ceiling."""
        if self.aim is not Goal.HIGH or self.value is None or self.real is None or self.real.value <= 0:
            return None
        return self.value.value / self.real.value


COLUMNS = ("group", "figure", "value", "low", "high", "n", "real", "real_low", "real_high", "real_n", "ratio", "aim", "note")


def to_csv(lines: Iterable[ResultRow]) -> str:
    """One row a figure, numbers with six digits; an empty cell is not defined."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(cells(line) for line in lines)
    return text.getvalue()


def cells(line: ResultRow) -> list[str]:
    """A line as the cells of `COLUMNS`."""
    ratio = "" if line.ratio is None else f"{line.ratio:.6g}"
    return [line.group, line.figure, *_numbers(line.value), *_numbers(line.real), ratio, line.aim.value, line.note]


def _numbers(found: Interval | None) -> list[str]:
    return [""] * 4 if found is None else [*(f"{number:.6g}" for number in (found.value, found.low, found.high)), str(found.n)]


def to_markdown(lines: Sequence[ResultRow]) -> str:
    """A table for people: value and interval, the same of real slices, and the share of the ceiling where that says something."""
    grouped = any(line.group != ALL for line in lines)
    head = [*(["group"] if grouped else []), "figure", "painted", "n", "real", "n", "painted / real", "aim", "note"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in lines:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        cells = [line.figure, *_shown(line.value), *_shown(line.real), ratio, line.aim.value, line.note]
        rows.append("| " + " | ".join([*([line.group] if grouped else []), *cells]) + " |")
    return "\n".join(rows) + "\n"


def _shown(found: Interval | None) -> tuple[str, str]:
    return ("", "") if found is None else (str(found), str(found.n))
