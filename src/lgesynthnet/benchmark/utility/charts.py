"""The charts of a utility experiment, as SVG. The same scores give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from lgesynthnet.benchmark.utility.results import ExperimentResults, RunGroup
from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.utility.detection import of_patients
from lgesynthnet.evaluate.utility.metrics import BALANCED, DICE, metrics_named
from lgesynthnet.evaluate.utility.paired import patient_changes
from lgesynthnet.evaluate.utility.scores import RunScores
from lgesynthnet.terms import Arm

TITLES = {
    "scaling": "Number of synthetic slices",
    "low-data": "Number of real patients",
    "patients": "Change of the Dice on slices with scar, by patient",
    "roc": "ROC curves of scar detection by patient",
    "confusion": "Confusion matrices by patient, summed over seeds; the threshold was set on the validation patients",
}
INK, ACCENT, GREY, LIGHT_GREY = "#1c1917", "#b91c1c", "#78716c", "#d6d3d1"
CURVE_METRICS = metrics_named((DICE, BALANCED))
MATRICES_PER_ROW = 4


def charts(results: ExperimentResults) -> dict[str, bytes]:
    """SVG files by name, see `TITLES`. A chart without data is left out."""
    drawn = {
        "scaling": _scaling(results),
        "low-data": _low_data(results),
        "patients": _patient_changes(results),
        "roc": _roc(results),
        "confusion": _confusion(results),
    }
    return {name: _svg(figure) for name, figure in drawn.items() if figure is not None}


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lgesynthnet", "svg.fonttype": "none"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    return content.getvalue()


def _scaling(results: ExperimentResults) -> Figure | None:
    groups = results.select(low_data=False)
    ours = [group for group in groups if group.arm is Arm.LGESYNTHNET]
    real = next((group for group in groups if group.arm is Arm.REAL), None)
    if len(ours) < 2 or real is None:
        return None
    return _curves(results, {"with LGESynthNet": [(0, real), *((group.size, group) for group in ours)]}, "synthetic slices")


def _low_data(results: ExperimentResults) -> Figure | None:
    curves: dict[str, list[tuple[int, RunGroup]]] = {}
    for count, group in sorted(((g.patient_count or 0, g) for g in results.select(low_data=True)), key=lambda point: point[0]):
        curves.setdefault(group.arm.label, []).append((count, group))
    return _curves(results, curves, "real patients") if curves else None


def _curves(results: ExperimentResults, curves: dict[str, list[tuple[int, RunGroup]]], x_label: str) -> Figure:
    """One axis for each metric, with its mean and interval at each x."""
    figure = Figure(figsize=(10, 3.6))
    for axis, metric in zip(figure.subplots(1, 2), CURVE_METRICS, strict=True):
        for colour, (label, points) in zip((ACCENT, INK, GREY), curves.items(), strict=False):
            defined = [(x, value) for x, group in points if (value := results.value(group, metric)) is not None]
            xs, values = [x for x, _ in defined], [value for _, value in defined]
            axis.errorbar(xs, [v.value for v in values], yerr=_error_bars(values), color=colour, marker="o", capsize=3, label=label)
        axis.set_xlabel(x_label)
        axis.set_title(metric.name, fontsize=10)
        axis.legend(frameon=False, fontsize=8)
    return figure


def _error_bars(values: Sequence[Interval]) -> Float[np.ndarray, "2 points"]:
    return np.array([[v.value - v.low for v in values], [v.high - v.value for v in values]]).clip(min=0)


def _patient_changes(results: ExperimentResults) -> Figure | None:
    groups = results.select(low_data=False)
    real = next((group for group in groups if group.arm is Arm.REAL), None)
    others = [group for group in groups if group is not real]
    if real is None or not others:
        return None
    figure = Figure(figsize=(10, 0.42 * len(others) + 1))
    axis = figure.subplots()
    for row, group in enumerate(reversed(others)):
        changes = np.array(list(patient_changes(group.scores, real.scores).values()))
        jitter = np.random.default_rng(0).uniform(-0.12, 0.12, len(changes))
        axis.plot(changes, row + jitter, "o", color=GREY, markersize=3.5, alpha=0.7)
        axis.plot([changes.mean()], [row], "|", color=ACCENT, markersize=16, markeredgewidth=2.5)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_yticks(range(len(others)), [group.label for group in reversed(others)], fontsize=8)
    axis.set_xlabel("change against real only; one dot is a patient, the bar is the mean over patients")
    return figure


def _roc(results: ExperimentResults) -> Figure | None:
    groups = results.select(low_data=False)
    if not groups:
        return None
    figure = Figure(figsize=(5, 4.4))
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":")
    highlights: dict[Arm, str] = {Arm.REAL: INK, Arm.LGESYNTHNET: ACCENT}
    for group in groups:
        x, y = _mean_roc(group.scores)
        colour = highlights.pop(group.arm, None)  # only the first group of LGESynthNet: it has the size that all arms share
        width, zorder = (2, 2) if colour else (0.9, 1)
        axis.plot(x, y, color=colour or LIGHT_GREY, linewidth=width, zorder=zorder, label=group.label if colour else None)
    axis.set_xlabel("false-positive rate")
    axis.set_ylabel("sensitivity")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _mean_roc(scores: Sequence[RunScores]) -> tuple[Float[np.ndarray, " rates"], Float[np.ndarray, " rates"]]:
    """False-positive rates from 0 to 1, and the sensitivity at each, averaged over seeds."""
    rates = np.linspace(0, 1, 101)
    curves = []
    for run in scores:
        detection = of_patients(run)
        cuts = np.concatenate([[np.inf], np.sort(detection.score)[::-1]])
        x = np.array([(detection.score[~detection.truth] >= cut).mean() if (~detection.truth).any() else 0.0 for cut in cuts])
        y = np.array([(detection.score[detection.truth] >= cut).mean() if detection.truth.any() else 0.0 for cut in cuts])
        curves.append(np.array([y[x <= rate + 1e-9].max(initial=0.0) for rate in rates]))
    return rates, np.mean(curves, axis=0)


def _confusion(results: ExperimentResults) -> Figure | None:
    groups = results.select(low_data=False)
    if not groups:
        return None
    rows = -(-len(groups) // MATRICES_PER_ROW)
    figure = Figure(figsize=(10, 2.1 * rows))
    axes = np.atleast_1d(figure.subplots(rows, MATRICES_PER_ROW)).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, group in zip(axes, groups, strict=False):
        counts = np.sum([of_patients(run).confusion for run in group.scores], axis=0).reshape(2, 2)
        shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
        axis.imshow(shares, cmap="Greys", vmin=0, vmax=1.1)
        for (i, j), count in np.ndenumerate(counts):
            text, colour = f"{('TN', 'FP', 'FN', 'TP')[2 * i + j]} {count}", "white" if shares[i, j] > 0.6 else INK
            axis.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
        axis.set_title(group.label, fontsize=8)
    return figure
