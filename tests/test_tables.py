"""The two forms of a table."""

from __future__ import annotations

import csv
import io

from lgesynthnet.tables import csv_text, markdown_table


def test_a_csv_table_holds_the_values_that_went_in_and_has_plain_line_ends():
    text = csv_text(("name", "value"), [("a, b", 0.5), ('say "c"\nagain', None)])
    assert text == 'name,value\n"a, b",0.5\n"say ""c""\nagain",\n'
    assert list(csv.reader(io.StringIO(text))) == [["name", "value"], ["a, b", "0.5"], ['say "c"\nagain', ""]]


def test_a_markdown_table_has_a_rule_below_its_head_and_ends_without_a_line_break():
    assert markdown_table(("method", "Dice"), [("paste", "0.7"), ("ours", "0.8")]) == (
        "| method | Dice |\n| --- | --- |\n| paste | 0.7 |\n| ours | 0.8 |"
    )
