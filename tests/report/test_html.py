"""Templates: which values are escaped, and which templates are refused."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from lgesynthnet.report.html import data_uri, fill_template

TEXT = "a <b> | c\nd"


@pytest.fixture
def templates(tmp_path):
    (tmp_path / "page.html").write_text("{% if name %}\n  {% include 'cell.html' %}\n{% endif %}\n")
    (tmp_path / "cell.html").write_text("<td>{{ name }}</td>\n")
    (tmp_path / "card.md").write_text("| {{ name | cell }} |\n{{ name }}\n")
    return tmp_path


def test_a_page_escapes_its_values_also_in_an_included_template(templates):
    assert fill_template(templates, "page.html", name=TEXT).strip() == "<td>a &lt;b&gt; | c\nd</td>"


def test_a_card_escapes_nothing_but_the_cells_of_its_tables(templates):
    assert fill_template(templates, "card.md", name=TEXT) == f"| a \\<b> \\| c d |\n{TEXT}"


def test_a_missing_value_is_an_error(templates):
    with pytest.raises(UndefinedError, match="name"):
        fill_template(templates, "page.html")


def test_a_picture_becomes_an_address():
    assert data_uri(b"\x00", "png") == "data:image/png;base64,AA=="
