"""Rows of the evaluation tables: a metric of synthetic slices beside the same metric of real slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.tables import csv_text, markdown_table


class Goal(StrEnum):
    """Where the value of a metric should lie."""

    HIGH = "high"
    LOW = "low"
    ZERO = "0"
    HALF = "0.5"
    AS_REAL = "as real"
    NONE = "none"  # the metric describes; no value is better than another


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One metric of one group of slices.

    Attributes:
        metric: its name, with the unit where it has one.
        value: of the synthetic slices; None where the metric is not defined or its inputs are missing.
        real: the same metric of real slices. For a distance between two sets: one half of the real patients against the other half.
        goal: where the value should lie.
        group: a stratum of `prescription.strata`.
        note: why the value is None, or what it was measured on.
    """

    metric: str
    value: Interval | None
    real: Interval | None = None
    goal: Goal = Goal.AS_REAL
    group: str = ALL
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Synthetic over real; None unless more is better and the real value is above 0."""
        if self.goal is not Goal.HIGH or self.value is None or self.real is None or self.real.value <= 0:
            return None
        return self.value.value / self.real.value


COLUMNS = ("group", "metric", "value", "low", "high", "n", "real", "real_low", "real_high", "real_n", "ratio", "goal", "note")


def to_csv(rows: Iterable[ResultRow]) -> str:
    """One line a metric, numbers with six significant digits; an empty cell means "not defined"."""
    return csv_text(COLUMNS, map(cells, rows))


def cells(row: ResultRow) -> list[str]:
    """The cells of one row, in the order of `COLUMNS`."""
    ratio = "" if row.ratio is None else f"{row.ratio:.6g}"
    return [row.group, row.metric, *_csv_cells(row.value), *_csv_cells(row.real), ratio, row.goal.value, row.note]


def _csv_cells(interval: Interval | None) -> list[str]:
    if interval is None:
        return [""] * 4
    return [*(f"{number:.6g}" for number in (interval.value, interval.low, interval.high)), str(interval.n)]


def to_markdown(rows: Sequence[ResultRow]) -> str:
    """A table for people: value and interval of synthetic slices, the same of real slices, and their ratio where it is defined.

    The column `group` is left out where all rows are of the group `all`.
    """
    grouped = any(row.group != ALL for row in rows)
    head = ["metric", "synthetic", "n", "real", "n", "synthetic / real", "goal", "note"]
    body = [
        [
            row.metric,
            *_markdown_cells(row.value),
            *_markdown_cells(row.real),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.goal.value,
            row.note,
        ]
        for row in rows
    ]
    if grouped:
        head, body = ["group", *head], [[row.group, *line] for row, line in zip(rows, body, strict=True)]
    return markdown_table(head, body) + "\n"


def _markdown_cells(interval: Interval | None) -> tuple[str, str]:
    return ("", "") if interval is None else (str(interval), str(interval.n))
