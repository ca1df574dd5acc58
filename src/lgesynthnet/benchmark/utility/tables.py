"""The tables of a utility experiment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lgesynthnet.benchmark.published import UTILITY
from lgesynthnet.benchmark.utility.results import ExperimentResults, FinishedRun, RunGroup
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.utility.detection import of_patients
from lgesynthnet.evaluate.utility.metrics import BALANCED, DICE, FALSE_POSITIVE_RATE, METRICS, metrics_named, quarters
from lgesynthnet.evaluate.utility.paired import signed_rank
from lgesynthnet.evaluate.utility.scores import per_patient
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2
from lgesynthnet.tables import csv_text, markdown_table
from lgesynthnet.terms import Arm

Table = list[list[str]]
"""The head, then the rows."""

TITLE = "Utility of synthetic slices for training a segmenter"
SHOWN = (
    DICE,
    "Dice, all slices",
    "HD95, mm",
    FALSE_POSITIVE_RATE,
    "scar volume error, ml",
    BALANCED,
    "AUC, slices",
    "balanced accuracy, patients",
    "AUC, patients",
)
SHOWN_DIFFERENCES = (DICE, FALSE_POSITIVE_RATE, BALANCED, "AUC, slices", "balanced accuracy, patients")
PUBLISHED = (
    "published: Dice, all slices",
    "published: Dice, slices with scar",
    "published: accuracy, patients",
    "published: balanced accuracy, patients",
)
MATCHED = "Dice at the false-positive rate of real only"
COLUMNS = (
    "arm",
    "size",
    "real_patients",
    "seeds",
    "metric",
    "better",
    "value",
    "low",
    "high",
    "change",
    "change_low",
    "change_high",
    "slices",
)
NOTE = (
    "Intervals are 95 % bootstrap intervals over patients and seeds. Changes are differences to real only, on the same bootstrap draws. "
    "A segmenter that calls more pixels scar has a higher Dice on slices with scar, and more false positives on the other slices. "
    "One column therefore compares the Dice at a threshold where both segmenters have the same false-positive rate: the share of slices "
    f"without scar on which more than {FALSE_SCAR_MM2:g} mm2 of scar is found. "
    "The published columns come from 53 patients of another data set and from another segmenter: compare them with one another only."
)


def tables(results: ExperimentResults) -> list[tuple[str, Table]]:
    """Title and content of each table that has rows."""
    titled = [
        ("All training patients", values_table(results, low_data=False)),
        ("LGESynthNet against every other arm", differences_table(results)),
        ("Few training patients", values_table(results, low_data=True)),
    ]
    return [(title, table) for title, table in titled if len(table) > 1]


def values_table(results: ExperimentResults, *, low_data: bool) -> Table:
    """One row for each group: its metrics, and its changes against real only."""
    metrics = metrics_named(SHOWN)
    head = ["trained on", *(metric.name for metric in metrics), f"change in {DICE}", "p, Wilcoxon signed-rank test"]
    head += [f"change in {MATCHED}", f"change in {BALANCED}"]
    table = [head if low_data else [*head, *PUBLISHED]]
    for group in results.select(low_data=low_data):
        cells = [group.label, *(_cell(results.value(group, metric)) for metric in metrics), *_changes(results, group)]
        table.append(cells if low_data else [*cells, *_published(group)])
    return table


def _changes(results: ExperimentResults, group: RunGroup) -> list[str]:
    """Four cells: change in Dice, its p value, the change at a matched false-positive rate, and the change in balanced accuracy."""
    baseline = results.baseline(group)
    if baseline is None or baseline is group:
        return [""] * 4
    dice, balanced_accuracy = metrics_named((DICE, BALANCED))
    return [
        _cell(results.change(group, baseline, dice), sign=True),
        _p_value(signed_rank(group.scores, baseline.scores)),
        _cell(results.at_matched_false_positive_rate(group, baseline)[1], sign=True),
        _cell(results.change(group, baseline, balanced_accuracy), sign=True),
    ]


def _published(group: RunGroup) -> list[str]:
    row = UTILITY.get((group.arm.value, group.size))
    if row is None:
        return [""] * len(PUBLISHED)
    return [f"{value:.2f}" for value in (row.dice_all, row.dice_positive, row.accuracy, row.balanced)]


def differences_table(results: ExperimentResults) -> Table:
    """LGESynthNet minus every other arm, on the same bootstrap draws. Only groups with all training patients are compared."""
    metrics = metrics_named(SHOWN_DIFFERENCES)
    head = ["LGESynthNet minus", *(metric.name for metric in metrics), "Dice at the false-positive rate of that arm"]
    table = [[*head, "p of Dice, Wilcoxon signed-rank test"]]
    groups = results.select(low_data=False)
    # The first group has the size that all arms share.
    ours = next((group for group in groups if group.arm is Arm.LGESYNTHNET), None)
    if ours is None:
        return table
    for group in groups:
        if group.arm is not Arm.LGESYNTHNET:
            cells = [_cell(results.change(ours, group, metric), sign=True) for metric in metrics]
            cells.append(_cell(results.at_matched_false_positive_rate(ours, group)[1], sign=True))
            table.append([group.label, *cells, _p_value(signed_rank(ours.scores, group.scores))])
    return table


def _p_value(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cell(value: Interval | None, *, sign: bool = False) -> str:
    if value is None:
        return ""
    digits = 1 if max(abs(value.low), abs(value.high)) >= 2 else 3
    plus = "+" if sign else ""
    return f"{value.value:{plus}.{digits}f} [{value.low:{plus}.{digits}f}, {value.high:{plus}.{digits}f}]"


def markdown(results: ExperimentResults, titled: Sequence[tuple[str, Table]]) -> str:
    """All tables, with the notes that one needs to read them."""
    text = [f"# {TITLE}\n\nTested on {results.tested}. {NOTE}\n"]
    text += [f"- {sentence}" for sentence in results.provenance]
    for title, table in titled:
        text.append(f"\n## {title}\n\n{markdown_table(table[0], table[1:])}")
    return "\n".join(text) + "\n"


def to_csv(results: ExperimentResults) -> str:
    """Every metric of every group, with its change against real only."""
    rows: list[tuple[object, ...]] = []
    for group in results.groups:
        baseline = results.baseline(group)
        reference = None if baseline is group else baseline
        patients = "all" if group.patient_count is None else str(group.patient_count)
        head = (group.arm.value, group.size, patients, len(group.scores))
        for metric in (*METRICS, *quarters(group.scores)):
            value = results.value(group, metric)
            change = None if reference is None else results.change(group, reference, metric)
            better = "higher" if metric.better > 0 else "lower"
            rows.append((*head, metric.name, better, *_numbers(value), *_numbers(change), group.slice_count))
        if reference is not None:
            value, change = results.at_matched_false_positive_rate(group, reference)
            rows.append((*head, MATCHED, "higher", *_numbers(value), *_numbers(change), group.slice_count))
    return csv_text(COLUMNS, rows)


def _numbers(value: Interval | None) -> list[str]:
    return [""] * 3 if value is None else [f"{number:.6g}" for number in (value.value, value.low, value.high)]


def runs_csv(experiment: UtilityExperiment, runs: Sequence[FinishedRun]) -> str:
    """One row for each finished run: its metrics without intervals, and its confusion matrix by patient as in the published table."""
    columns = ("run", "arm", "size", "seed", "real_patients", *(metric.name for metric in METRICS), "TN", "FP", "FN", "TP")
    rows = []
    for run in runs:
        each_patient_once = np.ones((1, len(per_patient(run.scores.slices))))
        values = [float(metric.compute(run.scores, each_patient_once)[0]) for metric in METRICS]
        cells = ["" if np.isnan(value) else f"{value:.6g}" for value in values]
        patients = run.patient_count or len(experiment.splits["train"])
        rows.append((run.name, run.arm.value, run.size, run.seed, patients, *cells, *of_patients(run.scores).confusion))
    return csv_text(columns, rows)
