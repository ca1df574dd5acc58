"""Writes the tables and the figure of the evidence pages out of the CSV files beside them. No number is typed by hand.

    python scripts/utility_tables.py            # writes
    python scripts/utility_tables.py --check    # only says whether a page or the figure differs

A table stands between `<!-- table: NAME FILE -->` and `<!-- end of table -->`; FILE is a path below docs/evidence.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lgesynthnet.evaluate.utility.metrics import AUC, BALANCED, BALANCED_PATIENTS, FALSE_POSITIVE_RATE, PATIENT_DICE, SPECIFICITY, at_rate
from lgesynthnet.tables import markdown_table
from lgesynthnet.terms import Arm, RealSlices

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs/evidence"
PAGES = (EVIDENCE / "utility.md", EVIDENCE / "prior.md", ROOT / "docs/start/when-does-it-help.md", ROOT / "README.md")
FIGURE, FIGURE_OF = ROOT / "docs/pictures/when-it-helps.svg", EVIDENCE / "utility/crop.csv"
VARIANTS = {
    "real": "real slices, random weights",
    "phantom-first": "phantom first",
    "recipe": "recipe",
    "phantom-first-medium": "phantom first, learning rate 0.001",
    "medium": "recipe, learning rate 0.001",
    "phantom-first-fast": "phantom first, learning rate 0.003",
    "fast": "recipe, learning rate 0.003",
    "all-marked": "recipe, 0.003, every painted slice marked",
    "long-all-marked": "recipe, 0.003, every painted slice marked, 2,500 steps of 16",
    "uniform": "recipe, 0.003, real slices drawn evenly",
    "uniform-all-marked": "recipe, 0.003, every painted slice marked, real slices drawn evenly",
}
SCAR_MEASURES = {
    "area_mm2": "area, mm²",
    "area_px": "area, pixels",
    "share_of_wall": "share of the slice's wall",
    "transmurality": "transmural extent",
    "segments": "AHA segments",
    "has_no_reflow": "slices with no-reflow",
    "brightness": "brightness, heart units",
}
CURVES = {Arm.REAL: "#1c1917", Arm.PHANTOM_FIRST: "#78716c", Arm.PAINTED: "#d97706", Arm.RECIPE: "#b91c1c"}
TABLE = re.compile(r"(<!-- table: (\S+) (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
AT_10, AT_20 = at_rate(0.10).name, at_rate(0.20).name
Row = dict[str, str]


def scores(rows: list[Row]) -> str:
    """Scores of every arm in every regime."""
    metrics = (PATIENT_DICE, AT_10, AT_20, FALSE_POSITIVE_RATE, AUC, BALANCED_PATIENTS)
    head = ["with scar", "without", "trained on", "draws", "3-D Dice", "at rate 0.10", "at rate 0.20", "false-positive rate", *metrics[4:]]
    lines = []
    for key, of_group in _groups(rows).items():
        values = {row["metric"]: row for row in of_group if not row["reference"]}
        lines.append([key[0], key[1], Arm(key[2]).label, of_group[0]["draws"], *(_number(values[name]) for name in metrics)])
    return markdown_table(head, lines)


def gains(rows: list[Row]) -> str:
    """Gains of every arm over real slices from random weights, and over those from phantom first weights."""
    head = ["with scar", "without", "trained on"]
    for reference in ("real", "phantom first"):
        head += [f"3-D Dice at 0.20, over {reference}", f"at 0.10, over {reference}", f"AUC, over {reference}"]
    lines = []
    for key, of_group in _groups(rows).items():
        cells = []
        for reference in (Arm.REAL, Arm.PHANTOM_FIRST):
            changes = {row["metric"]: row for row in of_group if row["reference"] == reference}
            cells += [_change(changes.get(name)) for name in (AT_20, AT_10, AUC)]
        if any(cells):
            lines.append([key[0], key[1], Arm(key[2]).label, *cells])
    return markdown_table(head, lines)


def as_written(rows: list[Row]) -> str:
    """A table whose CSV holds it as it is shown: missing kinds (`benchmark utility --regime strata`), and the loop (`improve`)."""
    return markdown_table(list(rows[0]), [list(row.values()) for row in rows])


def regimes(rows: list[Row]) -> str:
    """The user's table: 3-D Dice by number of patients with scar, what first weights and samples gain, and what that is worth."""
    arms = (Arm.REAL, Arm.PHANTOM_FIRST, Arm.RECIPE)
    head = [
        "patients with scar",
        "real slices",
        "phantom first",
        "the recipe",
        "gain of the recipe",
        "of it by samples",
        "gain of AUC",
        "worth",
    ]
    counts = sorted({int(row["scarred_patients"]) for row in rows})
    found = {count: [_find(rows, count, arm, AT_20) for arm in arms] for count in counts}
    curve = [(math.log2(count), float(real["value"])) for count, (real, _, _) in found.items() if real is not None]
    lines = []
    for count, of_arms in found.items():
        values = [float(row["value"]) for row in of_arms if row is not None]
        if len(values) == len(arms):
            changes = [_find(rows, count, Arm.RECIPE, *of) for of in ((AT_20, Arm.REAL), (AT_20, Arm.PHANTOM_FIRST), (AUC, Arm.REAL))]
            lines.append([str(count), *(f"{value:.2f}" for value in values), *map(_change, changes), _worth(values[-1], curve)])
    return markdown_table(head, lines)


def recipes(rows: list[Row]) -> str:
    """Means over draws of what was tried on training patients."""
    columns = {AT_10: "3-D Dice at rate 0.10", AT_20: "at rate 0.20", AUC: AUC} | {
        f"by pixels, {rate}": f"3-D Dice at rate {rate}, by pixels" for rate in ("0.10", "0.20")
    }
    head = ["with scar", "trained on", "draws", *columns.values()]
    lines = []
    for count in sorted({int(row["scarred_patients"]) for row in rows}):
        for variant, label in VARIANTS.items():
            found = [row for row in rows if (row["scarred_patients"], row["variant"]) == (str(count), variant)]
            if found:
                means = (sum(float(row[name]) for row in found) / len(found) for name in columns)
                lines.append([str(count), label, ", ".join(row["draw"] for row in found), *(f"{mean:.3f}" for mean in means)])
    return markdown_table(head, lines)


def labels(rows: list[Row]) -> str:
    """What samples change where the training labels are the readers', and where they are remade as published."""
    metrics = (SPECIFICITY, BALANCED, AT_20)
    head = [
        "training labels",
        "trained on",
        "draws",
        "specificity, slices",
        "change",
        BALANCED,
        "change",
        "3-D Dice at rate 0.20",
        "change",
    ]
    remade = [row for row in rows if row["real_slices"] == RealSlices.REMADE_LABELS]
    key = {(row["scarred_patients"], row["healthy_patients"], row["arm"]) for row in remade}
    lines = []
    for real, label in ((RealSlices.AS_LABELLED, "the readers'"), (RealSlices.REMADE_LABELS, "remade")):
        mine = [row for row in rows if row["real_slices"] == real and (row["scarred_patients"], row["healthy_patients"], row["arm"]) in key]
        for arm in dict.fromkeys(row["arm"] for row in mine):
            cells = []
            for metric in metrics:
                found = [row for row in mine if (row["arm"], row["metric"]) == (arm, metric)]
                change = next((row for row in found if row["reference"] == Arm.REAL), None)
                cells += [_number(found[0]), _change(change)]
            lines.append([label, Arm(arm).label, next(row["draws"] for row in mine if row["arm"] == arm), *cells])
    return markdown_table(head, lines)


def pixels(rows: list[Row]) -> str:
    """Means over trainings of what a pixel's least probability does to Dice and volume."""
    head = ["segmenters", "a pixel is scar from", "3-D Dice at rate 0.10", "at rate 0.20", "drawn / labelled volume", "volume error, ml"]
    lines = []
    for label, variants in (("recipe and phantom first", {"recipe", "phantom-first"}), ("all", set(VARIANTS))):
        for least in sorted({row["pixel_from"] for row in rows}, key=float):
            found = [row for row in rows if row["pixel_from"] == least and row["variant"] in variants]
            means = {name: sum(float(row[name]) for row in found) / len(found) for name in (AT_10, AT_20, "mean_error_ml")}
            ratio = sum(float(row["drawn_ml"]) for row in found) / sum(float(row["labelled_ml"]) for row in found)
            dice = (f"{means[name]:.3f}" for name in (AT_10, AT_20))
            lines.append(
                [f"{label}, {len(found)} trainings", f"{float(least):.2f}", *dice, f"{ratio:.2f}", f"{means['mean_error_ml']:.1f}"]
            )
    return markdown_table(head, lines)


def scars_drawn(rows: list[Row]) -> str:
    """Scars that two priors draw beside real ones: quantiles, and Kolmogorov-Smirnov and Wasserstein distances."""
    head = ["checked on", "drawn into slices", "measure", "real", "ischaemic prior", "learnt prior", "K-S distance", "Wasserstein distance"]
    real = {(row["checked"], row["measure"]): row for row in rows if row["masks"] == "real"}
    lines = []
    for key in dict.fromkeys((row["checked"], row["frames"]) for row in rows):
        about = f"{key[0]}: {next(row['patients'] for row in rows if row['checked'] == key[0])} patients"
        drawn = {(row["masks"], row["measure"]): row for row in rows if (row["checked"], row["frames"]) == key}
        for measure, label in SCAR_MEASURES.items():
            both = [drawn["ischaemic", measure], drawn["fitted", measure]]
            cells = [_quantiles(row) for row in (real[key[0], measure], *both)]
            lines.append([about, key[1], label, *cells, *(" → ".join(row[name] for row in both) for name in ("ks", "wasserstein"))])
    return markdown_table(head, lines)


def _quantiles(row: Row) -> str:
    """The 5th, 25th, 50th and 75th percentile; of a share, the share itself."""
    if row["measure"] == "has_no_reflow":
        return f"{float(row['median']):.2f}"
    return " / ".join(f"{float(row[name]):.3g}" for name in ("q05", "q25", "median", "q75"))


def _find(rows: list[Row], count: int, arm: Arm, metric: str, reference: str = "") -> Row | None:
    wanted = (str(count), arm.value, metric, reference)
    of_readers = (row for row in rows if row["real_slices"] == RealSlices.AS_LABELLED)
    return next((row for row in of_readers if (row["scarred_patients"], row["arm"], row["metric"], row["reference"]) == wanted), None)


def _worth(value: float, curve: list[tuple[float, float]]) -> str:
    """With how many patients real slices alone reach the value, by straight lines between the measured numbers on a scale of doublings."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if y0 <= value <= y1:
            return f"about {2 ** (x0 + (x1 - x0) * (value - y0) / max(y1 - y0, 1e-9)):.0f} patients"
    return f"more than {2 ** curve[-1][0]:.0f} patients" if curve and value > curve[-1][1] else ""


def _groups(rows: list[Row]) -> dict[tuple[str, str, str], list[Row]]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row["real_slices"] == RealSlices.AS_LABELLED:
            groups.setdefault((row["scarred_patients"], row["healthy_patients"], row["arm"]), []).append(row)
    return groups


def _number(row: Row) -> str:
    return f"{float(row['value']):.3f} [{float(row['low']):.3f}, {float(row['high']):.3f}]" if row["value"] else ""


def _change(row: Row | None) -> str:
    return f"{float(row['change']):+.3f} [{float(row['change_low']):+.3f}, {float(row['change_high']):+.3f}]" if row else ""


TABLES: dict[str, Callable[[list[Row]], str]] = {
    "scores": scores,
    "gains": gains,
    "regimes": regimes,
    "as-written": as_written,
    "recipes": recipes,
    "pixels": pixels,
    "labels": labels,
    "scars-drawn": scars_drawn,
}


def figure(rows: list[Row]) -> bytes:
    """The SVG file of the figure: scores by number of patients with scar, and the gains of the recipe with their intervals."""
    drawn = Figure(figsize=(10, 4.2))
    left, right = drawn.subplots(1, 2)
    counts = sorted({int(row["scarred_patients"]) for row in rows})
    for arm, colour in CURVES.items():
        points = [(count, float(row["value"])) for count in counts if (row := _find(rows, count, arm, AT_20)) is not None]
        left.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=arm.label)
    left.set_ylabel("3-D Dice of patients with scar\nat a false-positive rate of 0.20")
    left.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    for shift, reference in ((0.97, Arm.REAL), (1.03, Arm.PHANTOM_FIRST)):
        gains = [(count, row) for count in counts if (row := _find(rows, count, Arm.RECIPE, AT_20, reference)) is not None]
        values = [[float(row[name]) for _, row in gains] for name in ("change", "change_low", "change_high")]
        errors = [[v - low for v, low in zip(*values[:2], strict=True)], [high - v for v, _, high in zip(*values, strict=True)]]
        style = {"color": CURVES[reference], "marker": "o", "markersize": 4, "capsize": 3, "linestyle": ""}
        right.errorbar([count * shift for count, _ in gains], values[0], yerr=errors, label=f"over {reference.label}", **style)
    right.axhline(0, color="#1c1917", linewidth=0.8)
    right.set_ylabel("gain of the recipe, with 95 % interval")
    right.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    for axis in (left, right):
        _by_doublings(axis, counts)
    drawn.tight_layout(w_pad=3)
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "lgesynthnet"}):
        drawn.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()


def _by_doublings(axis: Axes, counts: list[int]) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.minorticks_off()
    axis.set_xlabel("training patients with scar")
    axis.spines[["top", "right"]].set_visible(False)


def filled(page: str) -> str:
    """The page with every table made anew."""

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]](read(EVIDENCE / match[3]))}\n\n{match[4]}"

    return TABLE.sub(table, page)


def read(table: Path) -> list[Row]:
    """The rows of a CSV file."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> int:
    """Write the pages and the figure, or with --check compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = {page: filled(page.read_text(encoding="utf-8")).encode() for page in PAGES} | {FIGURE: figure(read(FIGURE_OF))}
    stale = [path for path, content in wanted.items() if not path.exists() or path.read_bytes() != content]
    for path in stale:
        if not check:
            path.write_bytes(wanted[path])
        print(f"{path.relative_to(ROOT)}: {'differs from its tables' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
