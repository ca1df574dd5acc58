"""Writes the tables of the pages on utility out of the CSV files beside the evidence page, so that no number is typed by hand.

    python scripts/utility_tables.py            # writes
    python scripts/utility_tables.py --check    # only says whether a page differs

A table stands between `<!-- table: NAME FILE -->` and `<!-- end of table -->`.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from lgesynthnet.evaluate.utility.metrics import AUC, BALANCED_PATIENTS, FALSE_POSITIVE_RATE, PATIENT_DICE, at_rate
from lgesynthnet.tables import markdown_table
from lgesynthnet.terms import Arm

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "docs/evidence/utility.md",)
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


def regimes(rows: list[Row]) -> str:
    """The user's table: what the recipe does for each number of patients with scar, and how many patients that is worth."""
    head = ["patients with scar", "3-D Dice at rate 0.20, real slices", "the recipe", "gain", "AUC, real slices", "the recipe", "worth"]
    counts = sorted({int(row["scarred_patients"]) for row in rows})
    real = {count: row for count in counts if (row := _find(rows, count, Arm.REAL, AT_20)) is not None}
    curve = [(math.log2(count), float(row["value"])) for count, row in real.items()]
    lines = []
    for count, row in real.items():
        value, gain = _find(rows, count, Arm.RECIPE, AT_20), _find(rows, count, Arm.RECIPE, AT_20, Arm.REAL)
        auc = [_find(rows, count, arm, AUC) for arm in (Arm.REAL, Arm.RECIPE)]
        if value is not None and gain is not None:
            cells = [f"{float(row['value']):.2f}", f"{float(value['value']):.2f}", _change(gain)]
            cells += [f"{float(of_arm['value']):.2f}" if of_arm else "" for of_arm in auc]
            lines.append([str(count), *cells, _worth(float(value["value"]), curve)])
    return markdown_table(head, lines)


def _find(rows: list[Row], count: int, arm: Arm, metric: str, reference: str = "") -> Row | None:
    wanted = (str(count), arm.value, metric, reference)
    return next((row for row in rows if (row["scarred_patients"], row["arm"], row["metric"], row["reference"]) == wanted), None)


def _worth(value: float, curve: list[tuple[float, float]]) -> str:
    """With how many patients real slices alone reach the value, by straight lines between the measured numbers on a scale of doublings."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if y0 <= value <= y1:
            return f"about {2 ** (x0 + (x1 - x0) * (value - y0) / max(y1 - y0, 1e-9)):.0f} patients"
    return f"more than {2 ** curve[-1][0]:.0f} patients" if curve and value > curve[-1][1] else ""


def _groups(rows: list[Row]) -> dict[tuple[str, str, str], list[Row]]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["scarred_patients"], row["healthy_patients"], row["arm"]), []).append(row)
    return groups


def _number(row: Row) -> str:
    return f"{float(row['value']):.3f} [{float(row['low']):.3f}, {float(row['high']):.3f}]" if row["value"] else ""


def _change(row: Row | None) -> str:
    return f"{float(row['change']):+.3f} [{float(row['change_low']):+.3f}, {float(row['change_high']):+.3f}]" if row else ""


TABLES: dict[str, Callable[[list[Row]], str]] = {"scores": scores, "gains": gains, "regimes": regimes}


def filled(page: str, folder: Path) -> str:
    """The page with every table made anew."""

    def table(match: re.Match[str]) -> str:
        with (folder / match[3]).open(encoding="utf-8", newline="") as file:
            return f"{match[1]}\n{TABLES[match[2]](list(csv.DictReader(file)))}\n\n{match[4]}"

    return TABLE.sub(table, page)


def main() -> int:
    """Write the pages, or with --check compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [page for page in PAGES if page.read_text(encoding="utf-8") != filled(page.read_text(encoding="utf-8"), PAGES[0].parent)]
    for page in stale:
        if not check:
            page.write_text(filled(page.read_text(encoding="utf-8"), PAGES[0].parent), encoding="utf-8")
        print(f"{page.relative_to(ROOT)}: {'differs from its tables' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
