"""The charts of a utility experiment, as SVG. The same scores give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from lgesynthnet.benchmark.utility.question_tables import MISSING_KINDS, left_out, stratum_metrics
from lgesynthnet.benchmark.utility.results import ExperimentResults, RunGroup
from lgesynthnet.benchmark.utility.tables import CHANGES, MAIN, REFERENCES, SMALLEST_CHANGE
from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.utility.metrics import metrics_named
from lgesynthnet.segmenter.calibration import RATES
from lgesynthnet.terms import Arm

TITLES = {
    "patients": "Number of training patients with scar",
    "changes": f"Change against {REFERENCES[0].label}",
    "missing": MISSING_KINDS,
}
INK, ACCENT, GREY, LIGHT_GREY = "#1c1917", "#b91c1c", "#78716c", "#d6d3d1"
COLOURS = {Arm.RECIPE: ACCENT, Arm.REAL: INK, Arm.PHANTOM_FIRST: GREY}
CURVE_METRICS = metrics_named(CHANGES)


def charts(results: ExperimentResults) -> dict[str, bytes]:
    """SVG files by name, see `TITLES`. A chart without data is left out."""
    drawn = {"patients": _by_patients(results), "changes": _changes(results), "missing": _missing(results)}
    return {name: _svg(figure) for name, figure in drawn.items() if figure is not None}


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lgesynthnet", "svg.fonttype": "none"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    return content.getvalue()


def _by_patients(results: ExperimentResults) -> Figure | None:
    """One curve for each arm over the number of patients with scar, with all training patients without scar."""
    healthy = max((regime.healthy for regime in results.regimes), default=0)
    curves: dict[Arm, list[RunGroup]] = {}
    for group in results.as_labelled:
        if group.regime.healthy == healthy:
            curves.setdefault(group.arm, []).append(group)
    curves = {arm: groups for arm, groups in curves.items() if len(groups) > 1}
    if not curves:
        return None
    figure = Figure(figsize=(10, 3.8))
    for axis, metric in zip(figure.subplots(1, 2), CURVE_METRICS, strict=True):
        for arm, groups in curves.items():
            points = [(group.regime.scarred, value) for group in groups if (value := results.value(group, metric)) is not None]
            values = [value for _, value in points]
            style = {"color": COLOURS.get(arm, LIGHT_GREY), "zorder": 2 if arm in COLOURS else 1}
            axis.errorbar([x for x, _ in points], [v.value for v in values], marker="o", markersize=4, label=arm.label, **style)
        axis.set_xscale("log", base=2)
        counts = sorted({group.regime.scarred for groups in curves.values() for group in groups})
        axis.set_xticks(counts, [str(count) for count in counts])
        axis.minorticks_off()
        axis.set_xlabel("training patients with scar")
        axis.set_title(metric.name, fontsize=9)
    figure.axes[0].legend(frameon=False, fontsize=7)
    return figure


def _changes(results: ExperimentResults) -> Figure | None:
    """A row for each arm and regime: the change of the main metric, with its interval."""
    rows: list[tuple[str, Arm, Interval]] = []
    for regime in results.regimes:
        base = results.group(regime, REFERENCES[0])
        for group in results.as_labelled:
            if base is not None and group.regime == regime and group is not base:
                compared = results.compare(group, base, MAIN)
                rows += [] if compared is None else [(f"{regime.label}: {group.arm.label}", group.arm, compared.change)]
    if not rows:
        return None
    figure = Figure(figsize=(9, 0.32 * len(rows) + 1))
    axis = figure.subplots()
    for place, (_, arm, change) in enumerate(reversed(rows)):
        colour = COLOURS.get(arm, INK)
        axis.errorbar([change.value], [place], xerr=_error_bars([change]), color=colour, marker="o", capsize=3)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.axvline(SMALLEST_CHANGE, color=GREY, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(rows)), [label for label, _, _ in reversed(rows)], fontsize=7)
    axis.set_xlabel(f"change in {MAIN.name}; dotted: the smallest change that matters", fontsize=8)
    return figure


def _missing(results: ExperimentResults) -> Figure | None:
    """A row for each kind of scar: Dice with all slices, without the kind, and with painted ones in its place."""
    rows = left_out(results)
    if results.strata is None or not rows:
        return None
    figure = Figure(figsize=(9, 0.6 * len(rows) + 1))
    axis = figure.subplots()
    shown = (("all slices", INK, 0.2), ("without the kind", GREY, 0.0), ("+ painted ones", ACCENT, -0.2))
    for place, (stratum, *groups) in enumerate(reversed(rows)):
        metric = stratum_metrics(results.strata, stratum)[-1]
        for group, (label, colour, offset) in zip(groups, shown, strict=True):
            value = results.value(group, metric)
            if value is not None:
                name = label if place == 0 else None
                axis.errorbar(
                    [value.value],
                    [place + offset],
                    xerr=_error_bars([value]),
                    color=colour,
                    marker="o",
                    capsize=3,
                    linestyle="",
                    label=name,
                )
    axis.set_yticks(range(len(rows)), [str(stratum) for stratum, *_ in reversed(rows)])
    axis.set_xlabel(f"Dice of the test slices with this kind of scar, at a false-positive rate of {RATES[-1]:.2f}", fontsize=8)
    axis.legend(frameon=False, fontsize=7)
    return figure


def _error_bars(values: Sequence[Interval]) -> Float[np.ndarray, "2 points"]:
    return np.array([[v.value - v.low for v in values], [v.high - v.value for v in values]]).clip(min=0)
