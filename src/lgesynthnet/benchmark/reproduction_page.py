"""Writes the comparison as CSV (every metric), as Markdown (the main table) and as an HTML page with example slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.benchmark.published import SLICES, TABLE_1
from lgesynthnet.benchmark.reproduction import NOVEL, OUTSIDE, REAL, REALISM, REPAINT, Comparison, MethodResult
from lgesynthnet.evaluate.alignment import ABOVE, DICE, SEGMENTS
from lgesynthnet.evaluate.intervals import Interval
from lgesynthnet.evaluate.realism import C2ST
from lgesynthnet.evaluate.result_rows import COLUMNS, cells
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.report.html import data_uri, fill_template
from lgesynthnet.tables import csv_text, markdown_table
from lgesynthnet.terms import Method

TEMPLATES = Path(__file__).parent / "templates"
NOTE = (
    f"The published columns come from {SLICES} slices of another data set and from another segmenter: "
    "compare them with one another, not with the columns measured here."
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the main table.

    Attributes:
        title: its head.
        table, metric: where its values come from.
        write: value -> text of the cell.
    """

    title: str
    table: str
    metric: str
    write: Callable[[Interval], str] = str


def _without_interval(value: Interval) -> str:
    return f"{value.value:.3f}"


MEASURED = (
    Column(title="repainted scars: Dice", table=REPAINT, metric=DICE),
    Column(title="repainted scars: share with Dice above 0.6", table=REPAINT, metric=ABOVE),
    Column(title="repainted scars: AHA segments, Jaccard index", table=REPAINT, metric=SEGMENTS, write=_without_interval),
    Column(title="new scars: Dice", table=NOVEL, metric=DICE),
    Column(title="new scars: share with Dice above 0.6", table=NOVEL, metric=ABOVE),
    Column(
        title="new scars: error of the transmural extent", table=NOVEL, metric="transmural extent error, auditor", write=_without_interval
    ),
    Column(title="C2ST AUC", table=REALISM, metric=C2ST),
    Column(title="SSIM to the host, slice", table=REALISM, metric="SSIM to host, whole slice", write=_without_interval),
    Column(title="SSIM to the host, heart", table=REALISM, metric="SSIM to host, heart", write=_without_interval),
    Column(title="RMSE to the host, slice", table=REALISM, metric="RMSE to host, whole slice", write=_without_interval),
    Column(title="largest change outside the hidden region", table=REPAINT, metric=OUTSIDE, write=lambda change: f"{change.value:.3g}"),
)
PUBLISHED = (
    "published: Dice",
    "published: share with Dice above 0.6",
    "published: SSIM, slice",
    "published: SSIM, heart",
)


def head_and_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """The main table: its head, and one row for the real slices (the real ceiling) and for each method."""
    head = ["method", "keeps the host", *(column.title for column in MEASURED), *PUBLISHED]
    first = comparison.results[0].tables[REPAINT] if comparison.results else []
    ceiling = {row.metric: row.real for row in first if row.group == ALL}
    real = [_cell(column, ceiling.get(column.metric) if column.table == REPAINT else None) for column in MEASURED]
    return head, [["real slices (real ceiling)", "", *real, *_published(REAL)], *(_method_row(result) for result in comparison.results)]


def _method_row(result: MethodResult) -> list[str]:
    method = Method(result.method)
    keeps_host = "no, as published" if method.raw else "yes"
    values = {(table, row.metric): row.value for table, rows in result.tables.items() for row in rows if row.group == ALL}
    measured = [_cell(column, values.get((column.table, column.metric))) for column in MEASURED]
    return [method.trained_as, keeps_host, *measured, *_published(method.trained_as)]


def _cell(column: Column, value: Interval | None) -> str:
    return "" if value is None else column.write(value)


def _published(method: str) -> list[str]:
    row = TABLE_1.get(method)
    if row is None:
        return [""] * len(PUBLISHED)
    return [f"{value:.3f}" for value in (row.dice, row.passed, row.ssim_full, row.ssim_heart)]


def title(comparison: Comparison) -> str:
    return f"The methods of the published table on part {comparison.part}"


def markdown(comparison: Comparison) -> str:
    """The main table with a title and notes."""
    table = markdown_table(*head_and_rows(comparison))
    return f"# {title(comparison)}\n\nAuditor: {comparison.auditor}. {NOTE}\n\n{table}\n"


def to_csv(comparison: Comparison) -> str:
    """One row for every method, table, stratum and metric."""
    rows = ((result.method, table, *cells(row)) for result in comparison.results for table, rows in result.tables.items() for row in rows)
    return csv_text(("method", "table", *COLUMNS), rows)


def write(comparison: Comparison, out: Path) -> Path:
    """Write `published.csv`, `published.md` and `published.html`; returns the path of the page."""
    pictures = {
        method: [data_uri(path.read_bytes(), "png") for path in sorted((out / "pictures" / method).glob("*.png"))]
        for method in (REAL, *(result.method for result in comparison.results))
    }
    head, body = head_and_rows(comparison)
    page = fill_template(
        TEMPLATES,
        "published.html",
        title=title(comparison),
        auditor=comparison.auditor,
        note=NOTE,
        head=head,
        body=body,
        pictures=pictures,
    )
    texts = {"published.csv": to_csv(comparison), "published.md": markdown(comparison), "published.html": page}
    with claimed(out, FolderKind.BENCHMARK):
        for name, text in texts.items():
            write_bytes(out / name, text.encode("utf-8"))
    return out / "published.html"
