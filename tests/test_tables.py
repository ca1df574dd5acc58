"""The two forms of a table."""

from __future__ import annotations

import csv
import io

import pytest

from lgesynthnet.tables import csv_text, markdown_table, original_cell


def test_a_csv_table_holds_the_values_that_went_in_and_has_plain_line_ends():
    text = csv_text(("name", "value"), [("a, b", 0.5), ('say "c"\nagain', None)])
    assert text == 'name,value\n"a, b",0.5\n"say ""c""\nagain",\n'
    assert list(csv.reader(io.StringIO(text))) == [["name", "value"], ["a, b", "0.5"], ['say "c"\nagain', ""]]


def test_a_markdown_table_has_a_rule_below_its_head_and_ends_without_a_line_break():
    assert markdown_table(("method", "Dice"), [("paste", "0.7"), ("ours", "0.8")]) == (
        "| method | Dice |\n| --- | --- |\n| paste | 0.7 |\n| ours | 0.8 |"
    )


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "'=1", "''@x", "-"]
)
def test_a_text_that_a_spreadsheet_would_calculate_is_shielded_and_comes_back(cell):
    [[written]] = list(csv.reader(io.StringIO(csv_text(("cell",), [(cell,)]), newline="")))[1:]
    assert written == f"'{cell}"
    assert original_cell(written) == cell


@pytest.mark.parametrize("cell", [-0.5, -3, 1e-9, "-0.5", "+3", "-1e-05", "-.5", "-inf", "text", "'quoted'", "a=b", "1-2", "", None])
def test_numbers_and_other_texts_stay_as_they_are(cell):
    written = csv_text(("cell", "end"), [(cell, "x")]).splitlines()[1].removesuffix(",x")
    assert written == ("" if cell is None else str(cell))
    assert original_cell(written) == written
