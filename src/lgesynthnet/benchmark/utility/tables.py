"""Tables of the experiment."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from lgesynthnet.benchmark.published import UTILITY
from lgesynthnet.benchmark.utility.results import Finished, Found, Group, _count
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.utility.detection import of_patients
from lgesynthnet.evaluate.utility.metrics import FALSE_POSITIVE_RATE, METRICS, metrics_named, quarters
from lgesynthnet.evaluate.utility.paired import signed_rank
from lgesynthnet.evaluate.utility.scores import per_patient
from lgesynthnet.report.html import markdown_table
from lgesynthnet.terms import Arm

SHOWN = (
    "Dice, slices with scar",
    "Dice, all slices",
    "HD95, mm",
    FALSE_POSITIVE_RATE,
    "scar volume error, ml",
    "balanced accuracy, slices",
    "AUC, slices",
    "balanced accuracy, patients",
    "AUC, patients",
)


NOTE = (
    "Intervals: 95 % bootstrap over patients and seeds together; differences are to real only on the same draws. "
    "At real only's false alarm: the threshold is moved until as many scar-free slices hold false scar, since who calls more of everything "
    "scar has a better Dice where scar is. "
    "Published: 53 patients of another data set, another segmenter; only its rows may be compared with each other."
)


def rows(found: Found, *, few: bool) -> list[list[str]]:
    """Head and one row a group: values, and the differences in the two figures that the experiment is about."""
    chosen = metrics_named(SHOWN)
    head = ["trained on", *(figure.name for figure in chosen), f"change in {SHOWN[0]}", "p, signed rank"]
    head += ["the same at real only's false alarm", f"change in {SHOWN[5]}"]
    head += [] if few else list(PUBLISHED)
    lines = [head]
    for group in found.groups:
        if (group.few is not None) is not few:
            continue
        cells = [group.words, *(_cell(found.value(group, figure)) for figure in chosen)]
        other = found.baseline(group)
        if other is None or other is group:
            cells += ["", "", "", ""]
        else:
            p = _p(signed_rank(group.readings, other.readings))
            cells += [_cell(found.change(group, other, chosen[0]), sign=True), p]
            cells += [
                _cell(found.at_matched_false_positive_rate(group, other)[1], sign=True),
                _cell(found.change(group, other, chosen[5]), sign=True),
            ]
        lines.append(cells + ([] if few else _published(group)))
    return lines


PUBLISHED = ("published: Dice, all slices", "Dice, positive", "accuracy, patients", "balanced accuracy, patients")


def _published(group: Group) -> list[str]:
    known = UTILITY.get((group.arm.value, group.size))
    return (
        [""] * len(PUBLISHED)
        if known is None
        else [f"{v:.2f}" for v in (known.dice_all, known.dice_positive, known.accuracy, known.balanced)]
    )


AGAINST = (*SHOWN[:1], FALSE_POSITIVE_RATE, "balanced accuracy, slices", "AUC, slices", "balanced accuracy, patients")


def against(found: Found) -> list[list[str]]:
    """Head and one row for every other arm of all patients: LGESynthNet's figures less that arm's, on the same draws."""
    chosen = metrics_named(AGAINST)
    everyone = [group for group in found.groups if group.few is None]
    ours = next((group for group in everyone if group.arm is Arm.LGESYNTHNET), None)  # that of the size which every arm has
    lines = [["LGESynthNet less", *(figure.name for figure in chosen), "Dice at that arm's false alarm", "p, signed rank of Dice"]]
    if ours is None:
        return lines
    for group in everyone:
        if group.arm is not Arm.LGESYNTHNET:
            cells = [_cell(found.change(ours, group, figure), sign=True) for figure in chosen]
            cells.append(_cell(found.at_matched_false_positive_rate(ours, group)[1], sign=True))
            lines.append([group.words, *cells, _p(signed_rank(ours.readings, group.readings))])
    return lines


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cell(value: Interval | None, *, sign: bool = False) -> str:
    if value is None:
        return ""
    digits = 1 if max(abs(value.low), abs(value.high)) >= 2 else 3
    plus = "+" if sign else ""
    return f"{value.value:{plus}.{digits}f} [{value.low:{plus}.{digits}f}, {value.high:{plus}.{digits}f}]"


def tables(found: Found) -> list[tuple[str, list[list[str]]]]:
    """Title, and head with rows, of each table that has any."""
    made = [
        ("All training patients", rows(found, few=False)),
        ("LGESynthNet against every other arm", against(found)),
        ("Few training patients", rows(found, few=True)),
    ]
    return [(title, table) for title, table in made if len(table) > 1]


def markdown(found: Found, made: Sequence[tuple[str, list[list[str]]]]) -> str:
    text = [f"# What the samples are worth\n\nTested on {found.tested}. {NOTE}\n"]
    text += [f"- {line}" for line in found.learnt]
    for title, table in made:
        text.append(f"\n## {title}\n\n{markdown_table(table)}")
    return "\n".join(text) + "\n"


def to_csv(found: Found) -> str:
    """Every figure of every group, with its difference to real only."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        (
            "arm",
            "size",
            "real_patients",
            "seeds",
            "figure",
            "better",
            "value",
            "low",
            "high",
            "change",
            "change_low",
            "change_high",
            "slices",
        )
    )
    for group in found.groups:
        other = found.baseline(group)
        for figure in (*METRICS, *quarters(group.readings)):
            value = found.value(group, figure)
            change = None if other is None or other is group else found.change(group, other, figure)
            few = "all" if group.few is None else str(group.few)
            better = "more" if figure.better > 0 else "less"
            head = (group.arm.value, group.size, few, len(group.readings), figure.name, better)
            table.writerow((*head, *_numbers(value), *_numbers(change), _count(group)))
        if other is not None and other is not group:
            value, change = found.at_matched_false_positive_rate(group, other)
            head = (group.arm.value, group.size, few, len(group.readings), "Dice at real only's false alarm", "more")
            table.writerow((*head, *_numbers(value), *_numbers(change), _count(group)))
    return text.getvalue()


def _numbers(value: Interval | None) -> list[str]:
    return [""] * 3 if value is None else [f"{v:.6g}" for v in (value.value, value.low, value.high)]


def runs_csv(bench: UtilityExperiment, runs: Sequence[Finished]) -> str:
    """One row a finished run: its figures without intervals, and its confusion matrix of patients as in the published table."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("run", "arm", "size", "seed", "real_patients", *(figure.name for figure in METRICS), "TN", "FP", "FN", "TP"))
    for run in runs:
        once = np.ones((1, len(per_patient(run.reading.slices))))
        values = [float(figure.compute(run.reading, once)[0]) for figure in METRICS]
        shown = ["" if np.isnan(value) else f"{value:.6g}" for value in values]
        patients = run.few or len(bench.splits["train"])
        table.writerow((run.name, run.arm.value, run.size, run.seed, patients, *shown, *of_patients(run.reading).confusion))
    return text.getvalue()
