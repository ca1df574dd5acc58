"""Tables of the questions beside `few`: what samples bring back of a missing kind of scar, and how labels by a threshold act."""

from __future__ import annotations

from lgesynthnet.benchmark.utility.plan import Regime
from lgesynthnet.benchmark.utility.questions.strata import Strata
from lgesynthnet.benchmark.utility.results import ExperimentResults, RunGroup
from lgesynthnet.benchmark.utility.tables import MAIN, Table, cell
from lgesynthnet.evaluate.utility.metrics import BALANCED, SPECIFICITY, Metric, metrics_named, slice_mean
from lgesynthnet.evaluate.utility.operating_points import slice_dice_at_rate
from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.segmenter.calibration import RATES
from lgesynthnet.terms import Arm, RealSlices, Stratum

MISSING_KINDS = "A kind of scar that is missing from the training slices"
LABELS = "Training labels by readers, and remade by 1.5 standard deviations inside scarred segments"


def tables_of_questions(results: ExperimentResults) -> list[tuple[str, Table]]:
    """Title and content of each table that has rows."""
    titled = [(MISSING_KINDS, strata_table(results)), (LABELS, labels_table(results))]
    return [(title, table) for title, table in titled if len(table) > 1]


def stratum_metrics(strata: Strata, stratum: Stratum) -> tuple[Metric, Metric]:
    """Mean Dice of the test slices with this kind of scar: as called, and at a matched false-positive rate."""

    def belongs(row: SliceScore) -> bool:
        return strata.holds(stratum, row.patient, row.index)

    name = f"Dice, slices with the kind {stratum}"
    return (
        Metric(name=name, better=1, compute=slice_mean(lambda row: row.dice, belongs)),
        Metric(
            name=f"{name}, at a false-positive rate of {RATES[-1]:.2f}",
            better=1,
            compute=lambda scores, weights: slice_dice_at_rate(scores, weights, RATES[-1], belongs),
        ),
    )


def strata_table(results: ExperimentResults) -> Table:
    """Two rows for each kind of scar that was left out and painted: one for each metric."""
    table = [["metric", "test slices", "draws", "all slices", "without the kind", "+ painted ones", "lost", "recovered", "share recovered"]]
    for stratum, everything, without, painted in left_out(results):
        if results.strata is None:
            continue
        count = _tested_slices(results.strata, stratum, everything)
        for metric in stratum_metrics(results.strata, stratum):
            values = [results.value(group, metric) for group in (everything, without, painted)]
            lost, gained = results.compare(everything, without, metric), results.compare(painted, without, metric)
            if lost is None or gained is None:
                continue
            share = results.recovered(painted, without, everything, metric)
            changes = [cell(lost.change, sign=True), cell(gained.change, sign=True), cell(share)]
            table.append([metric.name, str(count), str(gained.draws), *map(cell, values), *changes])
    return table


def left_out(results: ExperimentResults) -> list[tuple[Stratum, RunGroup, RunGroup, RunGroup]]:
    """Each kind of scar with its groups: all slices, those without the kind, and these with painted ones."""
    found = []
    for regime in results.regimes:
        everything = results.group(regime, Arm.PHANTOM_FIRST)
        for stratum in Stratum:
            real = RealSlices.without(stratum)
            without, painted = results.group(regime, Arm.PHANTOM_FIRST, real), results.group(regime, Arm.RECIPE, real)
            if everything is not None and without is not None and painted is not None:
                found.append((stratum, everything, without, painted))
    return found


def _tested_slices(strata: Strata, stratum: Stratum, group: RunGroup) -> int:
    slices = next(iter(group.scores.values())).slices
    return sum(strata.holds(stratum, row.patient, row.index) for row in slices)


def labels_table(results: ExperimentResults) -> Table:
    """One row for each arm and kind of labels: specificity, balanced accuracy and Dice, with their changes against real slices alone."""
    metrics = [*metrics_named((SPECIFICITY, BALANCED)), MAIN]
    head = ["patients", "training labels", "trained on", "draws"]
    for metric in metrics:
        head += [metric.name, "change"]
    table = [head]
    for regime in results.regimes:
        if not any(group.regime == regime and group.real is RealSlices.REMADE_LABELS for group in results.groups):
            continue
        for real, name in ((RealSlices.AS_LABELLED, "readers'"), (RealSlices.REMADE_LABELS, "remade")):
            groups = [group for group in results.groups if (group.regime, group.real) == (regime, real)]
            table += [_labels_row(results, regime, group, name, metrics) for group in groups]
    return table


def _labels_row(results: ExperimentResults, regime: Regime, group: RunGroup, name: str, metrics: list[Metric]) -> list[str]:
    row = [regime.label, name, group.arm.label, str(len(group.scores))]
    base = results.group(regime, Arm.REAL, group.real)
    for metric in metrics:
        compared = None if base is None or base is group else results.compare(group, base, metric)
        row += [cell(results.value(group, metric)), "" if compared is None else cell(compared.change, sign=True)]
    return row
