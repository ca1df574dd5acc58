"""The tables of the evidence pages are those of the CSV files beside them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "utility_tables.py"


@pytest.fixture(scope="module")
def script():
    found = importlib.util.spec_from_file_location("utility_tables", SCRIPT)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_every_table_of_a_page_is_what_its_csv_file_says(script):
    for page in script.PAGES:
        text = page.read_text(encoding="utf-8")
        assert script.TABLE.search(text), page
        assert script.filled(text) == text, f"{page}: run python scripts/utility_tables.py"


def test_a_changed_number_is_noticed(script):
    page = script.PAGES[0].read_text(encoding="utf-8")
    first = script.TABLE.search(page)
    changed = page[: first.end(1)] + page[first.end(1) : first.end()].replace("0.", "1.", 1) + page[first.end() :]
    assert script.filled(changed) == page


def test_a_worth_is_found_between_the_measured_numbers_and_not_beyond_them(script):
    curve = [(1.0, 0.2), (2.0, 0.3), (3.0, 0.4)]  # 2, 4 and 8 patients
    assert script._worth(0.3, curve) == "about 4 patients"
    assert script._worth(0.35, curve) == "about 6 patients"
    assert script._worth(0.5, curve) == "more than 8 patients"
    assert script._worth(0.1, curve) == ""
