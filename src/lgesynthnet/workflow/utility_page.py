"""The utility experiment in `OUT/VARIANT`: `runs.csv`, `utility.csv` (every figure), `utility.md` and one HTML page with its charts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lgesynthnet.benchmark.published import UTILITY
from lgesynthnet.evaluate.intervals import Interval, estimate
from lgesynthnet.evaluate.utility.detection import of_patients
from lgesynthnet.evaluate.utility.figures import FIGURES, Figure, figures, quarters
from lgesynthnet.evaluate.utility.paired import Resampling, at_equal_alarm, signed_rank
from lgesynthnet.evaluate.utility.scores import Reading, per_patient
from lgesynthnet.files import write_bytes
from lgesynthnet.report.html import markdown_table, page, picture
from lgesynthnet.workflow import utility_charts
from lgesynthnet.workflow.utility import RECORD, Bench
from lgesynthnet.workflow.utility_plan import Arm, TrainingSet

SHOWN = (
    "Dice, slices with scar",
    "Dice, all slices",
    "Hausdorff 95, mm",
    "false scar on other slices",
    "burden error, ml",
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


@dataclass(frozen=True, kw_only=True)
class Group(TrainingSet):
    """All seeds of one arm at one size."""

    readings: tuple[Reading, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Every finished group, those of all patients first, with the draws that they share."""

    groups: tuple[Group, ...]
    resampling: Resampling
    learnt: tuple[str, ...]
    tested: str

    def baseline(self, group: Group) -> Group | None:
        """Real only, of as many patients."""
        return next((one for one in self.groups if one.arm is Arm.REAL and one.few == group.few), None)

    def value(self, group: Group, figure: Figure) -> Interval | None:
        return estimate(self.resampling.values(figure, group.readings), _count(group))

    def change(self, group: Group, other: Group, figure: Figure) -> Interval | None:
        """Difference to another group on the same draws."""
        values = self.resampling.values(figure, group.readings) - self.resampling.values(figure, other.readings)
        return estimate(values, _count(group))

    def at_equal_alarm(self, group: Group, other: Group) -> tuple[Interval | None, Interval | None]:
        """Dice of a group where its false alarm is the other's, and the difference to the other there."""
        found = at_equal_alarm(group.readings, other.readings, self.resampling)
        if found is None:
            return None, None
        ours, others = found
        return estimate(ours, _count(group)), estimate(ours - others, _count(group))


@dataclass(frozen=True, kw_only=True)
class Finished(TrainingSet):
    """One finished run, whichever command made it."""

    seed: int
    name: str
    reading: Reading


def finished(bench: Bench) -> list[Finished]:
    """Every finished run of this way of training, in the order of the tables: a command for a few arms more writes of all of them."""
    shared = bench.out / bench.experiment.without_samples.variant
    paths = {path for folder in (bench.folder, shared) for path in folder.glob(f"runs/*/{RECORD}")}
    found = []
    for path in paths:
        record = json.loads(path.read_text())
        if record["seed"] < bench.experiment.seeds and (path.is_relative_to(bench.folder) or not record["size"]):
            about = {"size": record["size"], "seed": record["seed"], "few": record["few"], "name": path.parent.name}
            found.append(Finished(arm=Arm(record["arm"]), reading=Reading.of_record(record), **about))
    return sorted(found, key=lambda run: (run.place, run.seed))


def gather(bench: Bench, runs: Sequence[Finished], learnt: Sequence[str]) -> Found:
    """The groups of which all seeds are finished."""
    by_group: dict[tuple[Arm, int, int | None], list[Reading]] = {}
    for run in runs:
        by_group.setdefault((run.arm, run.size, run.few), []).append(run.reading)
    groups = [
        Group(arm=arm, size=size, few=few, readings=tuple(readings))
        for (arm, size, few), readings in by_group.items()
        if len(readings) == bench.experiment.seeds
    ]
    patients = len(per_patient(groups[0].readings[0].slices)) if groups else 1
    return Found(
        groups=tuple(groups),
        resampling=Resampling.of(patients, bench.experiment.seeds),
        learnt=tuple(learnt),
        tested=f"{' and '.join(bench.experiment.tested)}, {patients} patients",
    )


def _count(group: Group) -> int:
    return len(group.readings[0].slices)


def rows(found: Found, *, few: bool) -> list[list[str]]:
    """Head and one row a group: values, and the differences in the two figures that the experiment is about."""
    chosen = figures(SHOWN)
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
            cells += [_cell(found.at_equal_alarm(group, other)[1], sign=True), _cell(found.change(group, other, chosen[5]), sign=True)]
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


AGAINST = (*SHOWN[:1], "false scar on other slices", "balanced accuracy, slices", "AUC, slices", "balanced accuracy, patients")


def against(found: Found) -> list[list[str]]:
    """Head and one row for every other arm of all patients: LGESynthNet's figures less that arm's, on the same draws."""
    chosen = figures(AGAINST)
    everyone = [group for group in found.groups if group.few is None]
    ours = next((group for group in everyone if group.arm is Arm.LGESYNTHNET), None)  # that of the size which every arm has
    lines = [["LGESynthNet less", *(figure.name for figure in chosen), "Dice at that arm's false alarm", "p, signed rank of Dice"]]
    if ours is None:
        return lines
    for group in everyone:
        if group.arm is not Arm.LGESYNTHNET:
            cells = [_cell(found.change(ours, group, figure), sign=True) for figure in chosen]
            cells.append(_cell(found.at_equal_alarm(ours, group)[1], sign=True))
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
        for figure in (*FIGURES, *quarters(group.readings)):
            value = found.value(group, figure)
            change = None if other is None or other is group else found.change(group, other, figure)
            few = "all" if group.few is None else str(group.few)
            better = "more" if figure.better > 0 else "less"
            head = (group.arm.value, group.size, few, len(group.readings), figure.name, better)
            table.writerow((*head, *_numbers(value), *_numbers(change), _count(group)))
        if other is not None and other is not group:
            value, change = found.at_equal_alarm(group, other)
            head = (group.arm.value, group.size, few, len(group.readings), "Dice at real only's false alarm", "more")
            table.writerow((*head, *_numbers(value), *_numbers(change), _count(group)))
    return text.getvalue()


def _numbers(value: Interval | None) -> list[str]:
    return [""] * 3 if value is None else [f"{v:.6g}" for v in (value.value, value.low, value.high)]


def runs_csv(bench: Bench, runs: Sequence[Finished]) -> str:
    """One row a finished run: its figures without intervals, and its confusion matrix of patients as in the published table."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("run", "arm", "size", "seed", "real_patients", *(figure.name for figure in FIGURES), "TN", "FP", "FN", "TP"))
    for run in runs:
        once = np.ones((1, len(per_patient(run.reading.slices))))
        values = [float(figure.of(run.reading, once)[0]) for figure in FIGURES]
        shown = ["" if np.isnan(value) else f"{value:.6g}" for value in values]
        patients = run.few or len(bench.splits["train"])
        table.writerow((run.name, run.arm.value, run.size, run.seed, patients, *shown, *of_patients(run.reading).confusion))
    return text.getvalue()


def write(bench: Bench, learnt: Sequence[str]) -> Path:
    """Everything that is finished so far; returns the page."""
    runs = finished(bench)
    out, found = bench.folder, gather(bench, runs, learnt)
    made = tables(found)
    write_bytes(out / "runs.csv", runs_csv(bench, runs).encode("utf-8"))
    write_bytes(out / "utility.csv", to_csv(found).encode("utf-8"))
    write_bytes(out / "utility.md", markdown(found, made).encode("utf-8"))
    charts: Mapping[str, bytes] = utility_charts.charts(found) if found.groups else {}
    for name, content in charts.items():
        write_bytes(out / "charts" / f"{name}.svg", content)
    content = page(
        "utility.html",
        tested=found.tested,
        note=NOTE,
        learnt=found.learnt,
        tables=[(title, table[0], table[1:]) for title, table in made],
        charts=[(utility_charts.TITLES[name], picture(content, "svg+xml")) for name, content in charts.items()],
    )
    write_bytes(out / "utility.html", content)
    return out / "utility.html"
