"""The tables of a utility experiment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lgesynthnet.benchmark.utility.results import Comparison, ExperimentResults, FinishedRun, RunGroup
from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.utility.metrics import (
    AUC,
    BALANCED,
    BALANCED_PATIENTS,
    FALSE_POSITIVE_RATE,
    METRICS,
    NO_REFLOW,
    PATIENT_AUC,
    PATIENT_DICE,
    Metric,
    at_rate,
    metrics_named,
)
from lgesynthnet.evaluate.utility.paired import corrected
from lgesynthnet.evaluate.utility.scores import per_patient
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2, RATES
from lgesynthnet.tables import csv_text, markdown_table
from lgesynthnet.terms import Arm

Table = list[list[str]]
"""The head, then the rows."""

TITLE = "Utility of samples for training a segmenter"
MAIN = at_rate(RATES[-1])
SHOWN = (
    PATIENT_DICE,
    *(at_rate(rate).name for rate in RATES),
    FALSE_POSITIVE_RATE,
    AUC,
    BALANCED,
    BALANCED_PATIENTS,
    PATIENT_AUC,
)
CHANGES = (MAIN.name, AUC)
REFERENCES = (Arm.REAL, Arm.PHANTOM_FIRST)
SMALLEST_CHANGE, LARGEST_LOSS = 0.02, 0.01
COLUMNS = (
    "scarred_patients",
    "healthy_patients",
    "arm",
    "real_slices",
    "draws",
    "metric",
    "better",
    "value",
    "low",
    "high",
    "reference",
    "change",
    "change_low",
    "change_high",
    "p",
)
NOTE = (
    "Intervals are 95 % bootstrap intervals over test patients and over draws of the training patients. A change is a paired difference on "
    "the same bootstrap draws, and its p value is corrected for the number of arms of the regime (Holm). "
    f"The smallest change that matters was set beforehand: +{SMALLEST_CHANGE:g} Dice of patients at a matched false-positive rate, with an "
    f"AUC that is not lower by more than {LARGEST_LOSS:g}. The false-positive rate is the share of slices without scar on which more than "
    f"{FALSE_SCAR_MM2:g} mm2 of scar is found; at a matched rate, the scar of whole slices is erased, the smallest "
    "expected area first, until the rate is reached."
)


def tables(results: ExperimentResults) -> list[tuple[str, Table]]:
    """Title and content of each table that has rows."""
    titled = [("Scores", values_table(results))]
    titled += [(f"Change against {reference.label}", changes_table(results, reference)) for reference in REFERENCES]
    titled.append(("No-reflow as a class of its own", values_table(results, NO_REFLOW)))
    return [(title, table) for title, table in titled if len(table) > 1]


def values_table(results: ExperimentResults, shown: Sequence[str] = SHOWN) -> Table:
    """One row for each group in which one of the metrics is defined."""
    metrics = metrics_named(shown)
    table = [["patients", "trained on", "draws", *(metric.name for metric in metrics)]]
    for group in results.as_labelled:
        values = [results.value(group, metric) for metric in metrics]
        if any(value is not None for value in values):
            table.append([group.regime.label, group.arm.label, str(len(group.scores)), *map(cell, values)])
    return table


def changes_table(results: ExperimentResults, reference: Arm) -> Table:
    """One row for each group with a reference in its regime: changes, p values, and whether the change matters."""
    metrics = metrics_named(CHANGES)
    head = ["patients", "trained on", "draws"]
    for metric in metrics:
        head += [f"change in {metric.name}", "p"]
    table = [[*head, "matters"]]
    for regime in results.regimes:
        base = results.group(regime, reference)
        others = [group for group in results.as_labelled if group.regime == regime and group.arm is not reference]
        if base is None or reference is Arm.PHANTOM_FIRST:
            others = [group for group in others if group.arm is not Arm.REAL]
        if base is None:
            continue
        by_metric = [_compared(results, others, base, metric) for metric in metrics]
        for i, group in enumerate(others):
            found = [item for column in by_metric if (item := column[i]) is not None]
            if len(found) < len(metrics):
                continue
            cells = [regime.label, group.arm.label, str(found[0][0].draws)]
            for comparison, p in found:
                cells += [cell(comparison.change, sign=True), _p_value(p)]
            table.append([*cells, _verdict([comparison for comparison, _ in found])])
    return table


def _compared(
    results: ExperimentResults, groups: Sequence[RunGroup], base: RunGroup, metric: Metric
) -> list[tuple[Comparison, float] | None]:
    """Each group against the base, with its corrected p value."""
    compared = [results.compare(group, base, metric) for group in groups]
    p_values = iter(corrected([item.p for item in compared if item is not None]))
    return [None if item is None else (item, next(p_values)) for item in compared]


def _verdict(comparisons: Sequence[Comparison]) -> str:
    """Whether the interval of the main change lies above 0, its size matters, and the AUC is not lost."""
    dice, auc = (item.change for item in comparisons)
    if dice.low > 0 and dice.value >= SMALLEST_CHANGE and auc.value >= -LARGEST_LOSS:
        return "better"
    return "worse" if dice.high < 0 or auc.high < -LARGEST_LOSS else "not shown"


def _p_value(value: float) -> str:
    return "< 0.002" if value < 0.002 else f"{value:.3f}"


def cell(value: Interval | None, *, sign: bool = False) -> str:
    """An estimate with its interval, or nothing where it is not defined."""
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
    """Every metric of every group, with its changes against the references; p values are not corrected."""
    rows: list[tuple[object, ...]] = []
    for group in results.groups:
        head = (group.regime.scarred, group.regime.healthy, group.arm.value, group.real.value, len(group.scores))
        for metric in METRICS:
            value = results.value(group, metric)
            better = {1: "higher", -1: "lower", 0: "nearer to 0"}[metric.better]
            rows.append((*head, metric.name, better, *_numbers(value), "", "", "", "", ""))
            for reference in REFERENCES:
                base = results.group(group.regime, reference, group.real)
                compared = None if base is None or base is group else results.compare(group, base, metric)
                if compared is not None:
                    rows.append(
                        (*head, metric.name, better, *_numbers(value), reference.value, *_numbers(compared.change), f"{compared.p:.4g}")
                    )
    return csv_text(COLUMNS, rows)


def _numbers(value: Interval | None) -> list[str]:
    return [""] * 3 if value is None else [f"{number:.6g}" for number in (value.value, value.low, value.high)]


def runs_csv(runs: Sequence[FinishedRun]) -> str:
    """One row for each finished run: its metrics without intervals."""
    columns = ("run", "arm", "real_slices", "scarred_patients", "healthy_patients", "draw", "seconds", *(metric.name for metric in METRICS))
    rows = []
    for run in runs:
        each_patient_once = np.ones((1, len(per_patient(run.scores.slices))))
        values = [float(metric.compute(run.scores, each_patient_once)[0]) for metric in METRICS]
        cells = ["" if np.isnan(value) else f"{value:.6g}" for value in values]
        rows.append((run.name, run.arm.value, run.real.value, run.regime.scarred, run.regime.healthy, run.draw, run.seconds, *cells))
    return csv_text(columns, rows)
