"""Tables as text: CSV for programs, Markdown for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    r"""A CSV table with one header line.

    Args:
        columns: names of the columns.
        rows: one value a column. `None` becomes an empty cell; a cell with a comma, a quote or a line break is quoted.
    Returns:
        The table with `\n` at the end of every line, the last one included. The same values give the same bytes on every system.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    return text.getvalue()


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table without a line break at its end. Cells are not escaped: a `|` in a cell would start a new cell."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))
