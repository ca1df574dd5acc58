"""The tables of an improvement: `rounds.csv` says what each round reached, `cells.csv` what was missed, asked for and kept in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.utility.metrics import FALSE_POSITIVE_RATE, Metric, at_rate, metrics_named
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.improve.cells import CELLS, Axis, counts, traits_of_prescription
from lgesynthnet.improve.deciding import AUC_METRIC, DICE_METRIC, Change, change, value
from lgesynthnet.improve.results import LoopResult, RoundResult
from lgesynthnet.improve.setup import Improvement
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.segmenter.calibration import RATES
from lgesynthnet.tables import csv_text

ROUNDS, CELLS_TABLE = "rounds.csv", "cells.csv"
SHOWN: tuple[tuple[str, Metric], ...] = (
    ("dice_at_rate_0.10", DICE_METRIC),
    ("dice_at_rate_0.20", at_rate(RATES[1])),
    ("auc_slices", AUC_METRIC),
    ("false_positive_rate", metrics_named([FALSE_POSITIVE_RATE])[0]),
)
CELL_COLUMNS = ("round", "axis", "cell", "lesions", "missed", "falsely_called", "asked", "painted", "kept")


@dataclass(frozen=True, kw_only=True)
class CellRow:
    """One cell in one round.

    Attributes:
        round: the round whose segmenters were measured; its samples are those that were painted for it.
        lesions, missed, falsely_called: in held-out patients, by the segmenters of this round.
        asked, painted, kept: prescriptions that were tried in this round, those that could be painted, and those that were kept; 0 in
            round 0.
    """

    round: int
    axis: Axis
    cell: str
    lesions: int
    missed: int
    falsely_called: int
    asked: int
    painted: int
    kept: int


def write_tables(improvement: Improvement, result: LoopResult) -> None:
    """Write both tables of the rounds so far."""
    write_bytes(improvement.out / ROUNDS, rounds_csv(result).encode())
    rows = [[getattr(row, name) for name in CELL_COLUMNS] for row in cell_rows(improvement, result)]
    write_bytes(improvement.out / CELLS_TABLE, csv_text(CELL_COLUMNS, rows).encode())


def rounds_csv(result: LoopResult) -> str:
    """One row for each round and for the control; changes are against round 0, paired over held-out patients."""
    columns = ["training_set", "samples", "chosen", "lesions", "missed", "falsely_called", "least_area_mm2"]
    for name, _ in SHOWN:
        columns += [name, f"{name}_low", f"{name}_high"]
    for name in ("dice_change", "auc_change"):
        columns += [name, f"{name}_low", f"{name}_high"]
    rows = []
    for number, round_ in enumerate(result.rounds):
        rows.append(_round_cells(result, round_, "yes" if number == result.chosen else "no"))
    if result.control is not None:
        rows.append(_round_cells(result, result.control, "no"))
    return csv_text(columns, rows)


def _round_cells(result: LoopResult, round_: RoundResult, chosen: str) -> list[object]:
    findings, first = round_.findings, result.rounds[0]
    cells: list[object] = [
        round_.training_set.name,
        round_.samples,
        chosen,
        len(findings.lesions),
        len(findings.missed),
        len(findings.calls),
    ]
    cells.append(f"{round_.least_area_mm2:.1f}")
    for _, metric in SHOWN:
        cells += _numbers(value(round_.slices, metric))
    compared = Change(dice=None, auc=None, scarred=0) if round_ is first else change(round_.slices, first.slices)
    return cells + _numbers(compared.dice) + _numbers(compared.auc)


def cell_rows(improvement: Improvement, result: LoopResult) -> list[CellRow]:
    """One row for each round and cell in which anything was counted."""
    rows = []
    for number, round_ in enumerate(result.rounds):
        attempts = list(RunFolder.open(improvement.out / round_.training_set.name).rows) if number else []
        rows += _cells_of(number, round_, attempts)
    return rows


def _cells_of(number: int, round_: RoundResult, attempts: Sequence[SampleRow]) -> list[CellRow]:
    findings = round_.findings
    lesions, missed = counts(each.traits for each in findings.lesions), counts(each.traits for each in findings.missed)
    calls = counts(each.traits for each in findings.calls)
    asked, painted, kept = (
        _counts_of(rows) for rows in (attempts, [row for row in attempts if row.file], [row for row in attempts if row.kept])
    )
    rows = []
    for axis, names in CELLS.items():
        for cell, name in enumerate(names):
            found = [table.get((axis, cell), 0) for table in (lesions, missed, calls, asked, painted, kept)]
            if any(found):
                rows.append(
                    CellRow(
                        round=number,
                        axis=axis,
                        cell=name,
                        lesions=found[0],
                        missed=found[1],
                        falsely_called=found[2],
                        asked=found[3],
                        painted=found[4],
                        kept=found[5],
                    )
                )
    return rows


def _counts_of(rows: Sequence[SampleRow]) -> Mapping[tuple[Axis, int], int]:
    asked = ((row.prescription, row.level) for row in rows)
    return counts(traits_of_prescription(scar, level) for scar, level in asked if isinstance(scar, ScarPrescription))


def _numbers(interval: Interval | None) -> list[object]:
    return ["", "", ""] if interval is None else [f"{number:.4f}" for number in (interval.value, interval.low, interval.high)]
