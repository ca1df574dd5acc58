"""The utility experiment in charts: scaling, few patients, differences by patient, and what detectors say of patients."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas

from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.utility.detection import of_patients
from lgesynthnet.evaluate.utility.metrics import BALANCED, DICE, metrics_named
from lgesynthnet.evaluate.utility.paired import patient_changes
from lgesynthnet.evaluate.utility.scores import RunScores
from lgesynthnet.terms import Arm

if TYPE_CHECKING:
    from lgesynthnet.benchmark.utility.results import Found, Group

TITLES = {
    "scaling": "How many samples",
    "low-data": "How many patients",
    "patients": "Change by patient, mean Dice of slices with scar",
    "roc": "Patients with scar told from those without",
    "confusion": "Patients, at the cut-off of the validation patients; all seeds together",
}
INK, ACCENT, GREY = "#1c1917", "#b91c1c", "#78716c"
_SHOWN = metrics_named((DICE, BALANCED))


def charts(found: Found) -> dict[str, bytes]:
    """Name -> SVG; a chart for which nothing is finished is left out. The same figures give the same bytes."""
    made = {
        "scaling": _scaling(found),
        "low-data": _low_data(found),
        "patients": _patients(found),
        "roc": _roc(found),
        "confusion": _confusion(found),
    }
    return {name: _svg(canvas) for name, canvas in made.items() if canvas is not None}


def _svg(canvas: Canvas) -> bytes:
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lgesynthnet", "svg.fonttype": "none"}):
        canvas.savefig(content, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    return content.getvalue()


def _scaling(found: Found) -> Canvas | None:
    ours = [group for group in found.groups if group.few is None and group.arm is Arm.LGESYNTHNET]
    real = next((group for group in found.groups if group.few is None and group.arm is Arm.REAL), None)
    if len(ours) < 2 or real is None:
        return None
    return _curves(found, {"with LGESynthNet": [(0, real), *((group.size, group) for group in ours)]}, "synthetic slices")


def _low_data(found: Found) -> Canvas | None:
    lines: dict[str, list[tuple[int, Group]]] = {}
    for group in sorted((g for g in found.groups if g.few is not None), key=lambda g: g.few or 0):
        lines.setdefault(group.arm.words, []).append((group.few or 0, group))
    return _curves(found, lines, "real patients") if lines else None


def _curves(found: Found, lines: dict[str, list[tuple[int, Group]]], below: str) -> Canvas:
    canvas = Canvas(figsize=(10, 3.6))
    for axis, figure in zip(canvas.subplots(1, 2), _SHOWN, strict=True):
        for colour, (words, points) in zip((ACCENT, INK, GREY), lines.items(), strict=False):
            known = [(x, value) for x, group in points if (value := found.value(group, figure)) is not None]
            xs, values = [x for x, _ in known], [value for _, value in known]
            axis.errorbar(xs, [v.value for v in values], yerr=_bars(values), color=colour, marker="o", capsize=3, label=words)
        axis.set_xlabel(below)
        axis.set_title(figure.name, fontsize=10)
        axis.legend(frameon=False, fontsize=8)
    return canvas


def _bars(values: list[Interval]) -> np.ndarray:
    return np.array([[v.value - v.low for v in values], [v.high - v.value for v in values]]).clip(min=0)


def _patients(found: Found) -> Canvas | None:
    real = next((group for group in found.groups if group.few is None and group.arm is Arm.REAL), None)
    others = [group for group in found.groups if group.few is None and group is not real]
    if real is None or not others:
        return None
    canvas = Canvas(figsize=(10, 0.42 * len(others) + 1))
    axis = canvas.subplots()
    for row, group in enumerate(reversed(others)):
        changes = np.array(list(patient_changes(group.readings, real.readings).values()))
        jitter = np.random.default_rng(0).uniform(-0.12, 0.12, len(changes))
        axis.plot(changes, row + jitter, "o", color=GREY, markersize=3.5, alpha=0.7)
        axis.plot([changes.mean()], [row], "|", color=ACCENT, markersize=16, markeredgewidth=2.5)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_yticks(range(len(others)), [group.words for group in reversed(others)], fontsize=8)
    axis.set_xlabel("difference to real only; the bar is the mean over patients")
    return canvas


def _roc(found: Found) -> Canvas | None:
    groups = [group for group in found.groups if group.few is None]
    if not groups:
        return None
    canvas = Canvas(figsize=(5, 4.4))
    axis = canvas.subplots()
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=":")
    marked: dict[Arm, str] = {Arm.REAL: INK, Arm.LGESYNTHNET: ACCENT}
    for group in groups:
        x, y = _mean_curve(group.readings)
        colour = marked.pop(group.arm, None)  # of LGESynthNet the size that every arm has
        width, above = (2, 2) if colour else (0.9, 1)
        axis.plot(x, y, color=colour or "#d6d3d1", linewidth=width, zorder=above, label=group.words if colour else None)
    axis.set_xlabel("false positive rate")
    axis.set_ylabel("sensitivity")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8, loc="lower right")
    return canvas


def _mean_curve(readings: tuple[RunScores, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Sensitivity at every false positive rate, averaged over seeds."""
    rates = np.linspace(0, 1, 101)
    curves = []
    for reading in readings:
        said = of_patients(reading)
        cuts = np.concatenate([[np.inf], np.sort(said.score)[::-1]])
        x = np.array([(said.score[~said.truth] >= cut).mean() if (~said.truth).any() else 0.0 for cut in cuts])
        y = np.array([(said.score[said.truth] >= cut).mean() if said.truth.any() else 0.0 for cut in cuts])
        curves.append(np.array([y[x <= rate + 1e-9].max(initial=0.0) for rate in rates]))
    return rates, np.mean(curves, axis=0)


def _confusion(found: Found) -> Canvas | None:
    groups = [group for group in found.groups if group.few is None]
    if not groups:
        return None
    columns = 4
    lines = -(-len(groups) // columns)
    canvas = Canvas(figsize=(10, 2.1 * lines))
    for axis in (grid := np.atleast_1d(canvas.subplots(lines, columns)).ravel()):
        axis.axis("off")
    for axis, group in zip(grid, groups, strict=False):
        counts = np.sum([of_patients(reading).confusion for reading in group.readings], axis=0).reshape(2, 2)
        shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
        axis.imshow(shares, cmap="Greys", vmin=0, vmax=1.1)
        for (i, j), count in np.ndenumerate(counts):
            words, colour = f"{('TN', 'FP', 'FN', 'TP')[2 * i + j]} {count}", "white" if shares[i, j] > 0.6 else INK
            axis.text(j, i, words, ha="center", va="center", fontsize=8, color=colour)
        axis.set_title(group.words, fontsize=8)
    return canvas
