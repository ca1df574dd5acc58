"""Tables as text: CSV for programs, Markdown for people."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# A spreadsheet takes a cell with such a beginning for a formula, which can send the table elsewhere. After an apostrophe it reads text.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_SHIELDED = re.compile(r"'+[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-](inf|nan)", re.IGNORECASE)


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    r"""A CSV table with one header line.

    Args:
        columns: names of the columns.
        rows: one value a column. `None` becomes an empty cell; a cell with a comma, a quote or a line break is quoted. A text that a
            spreadsheet would take for a formula gets an apostrophe in front, which `original_cell` takes away; numbers stay numbers.
    Returns:
        The table with `\n` at the end of every line, the last one included. The same values give the same bytes on every system.
    """
    return "".join(map(_line, (columns, *rows)))


def original_cell(cell: str) -> str:
    """The text that `csv_text` was given, from a cell that was read back."""
    return cell[1:] if _SHIELDED.match(cell) else cell


def _line(row: Iterable[object]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(map(_shielded, row))  # so that a cell with either character is quoted
    return text.getvalue().removesuffix("\r\n") + "\n"


def _shielded(cell: object) -> object:
    is_formula = isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table without a line break at its end. Cells are not escaped: a `|` in a cell would start a new cell."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))
