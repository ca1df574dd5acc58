"""The comparison as CSV (every figure), Markdown (the table) and one HTML page with the same ten slices by every method."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.benchmark.published import SLICES, TABLE_1
from lgesynthnet.benchmark.reproduction import NOVEL, OUTSIDE, REAL, REPAINT, Comparison, MethodResult
from lgesynthnet.evaluate.alignment import ABOVE, DICE, SEGMENTS
from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.realism import C2ST
from lgesynthnet.evaluate.result_rows import COLUMNS, cells
from lgesynthnet.files import write_bytes
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.report.html import markdown_table, page, picture
from lgesynthnet.terms import Method

NOTE = f"Published: {SLICES} slices of another data set, judged by another segmenter; only its rows may be compared with each other."


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table: where its figure is found, and how a cell is written."""

    title: str
    table: str
    figure: str
    write: Callable[[Interval], str] = str


def _plain(value: Interval) -> str:
    return f"{value.value:.3f}"


OURS = (
    Column(title="repainted: Dice", table=REPAINT, figure=DICE),
    Column(title="above 0.6", table=REPAINT, figure=ABOVE),
    Column(title="segments", table=REPAINT, figure=SEGMENTS, write=_plain),
    Column(title="new scars: Dice", table=NOVEL, figure=DICE),
    Column(title="above 0.6", table=NOVEL, figure=ABOVE),
    Column(title="extent error", table=NOVEL, figure="transmural extent error, auditor", write=_plain),
    Column(title="C2ST AUC", table="realism", figure=C2ST),
    Column(title="SSIM to host", table="realism", figure="SSIM to host, whole slice", write=_plain),
    Column(title="SSIM, heart", table="realism", figure="SSIM to host, heart", write=_plain),
    Column(title="RMSE", table="realism", figure="RMSE to host, whole slice", write=_plain),
    Column(title="changed outside", table=REPAINT, figure=OUTSIDE, write=lambda found: f"{found.value:.3g}"),
)
PUBLISHED = ("published: Dice", "above 0.6", "SSIM", "SSIM, heart")


def rows(found: Comparison) -> list[list[str]]:
    """Head, the real slices' row, one row a method."""
    head = ["method", "keeps its host", *(column.title for column in OURS), *PUBLISHED]
    ceiling = {line.metric: line.real for line in found.judged[0].lines[REPAINT] if line.group == ALL} if found.judged else {}
    real = [_cell(column, ceiling.get(column.figure) if column.table == REPAINT else None) for column in OURS]
    return [head, ["real slices (the ceiling)", "", *real, *_published(REAL)], *(_row(one) for one in found.judged)]


def _row(one: MethodResult) -> list[str]:
    method = Method(one.method)
    keeps = "no, as published" if method.raw else "yes"
    values = {(table, line.metric): line.value for table, lines in one.lines.items() for line in lines if line.group == ALL}
    ours = [_cell(column, values.get((column.table, column.figure))) for column in OURS]
    return [method.trained_as, keeps, *ours, *_published(method.trained_as)]


def _cell(column: Column, value: Interval | None) -> str:
    return "" if value is None else column.write(value)


def _published(method: str) -> list[str]:
    known = TABLE_1.get(method)
    if known is None:
        return [""] * len(PUBLISHED)
    return [f"{value:.3f}" for value in (known.dice, known.passed, known.ssim_full, known.ssim_heart)]


def markdown(found: Comparison) -> str:
    table = markdown_table(rows(found))
    return f"# The published comparison on part {found.part}\n\nJudged by {found.auditor}. {NOTE}\n\n{table}\n"


def to_csv(found: Comparison) -> str:
    """Every figure of every method, stratum and table."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("method", "table", *COLUMNS))
    for one in found.judged:
        for name, lines in one.lines.items():
            table.writerows((one.method, name, *cells(line)) for line in lines)
    return text.getvalue()


def write(found: Comparison, out: Path) -> Path:
    """`table1.csv`, `table1.md` and `table1.html`; returns the page."""
    write_bytes(out / "table1.csv", to_csv(found).encode("utf-8"))
    write_bytes(out / "table1.md", markdown(found).encode("utf-8"))
    shown = [REAL, *(one.method for one in found.judged)]
    pictures = {
        method: [picture(path.read_bytes(), "png") for path in sorted((out / "pictures" / method).glob("*.png"))] for method in shown
    }
    head, *body = rows(found)
    content = page("table1.html", part=found.part, auditor=found.auditor, note=NOTE, head=head, body=body, pictures=pictures)
    write_bytes(out / "table1.html", content)
    return out / "table1.html"
