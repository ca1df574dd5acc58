"""Fill in the templates of pages and data cards, and embed pictures in a page."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def fill_template(templates_folder: Path, template: str, /, **values: object) -> str:
    """Fill in a template.

    Values are escaped in `.html` templates. In Markdown, an escape such as `&lt;` would be visible in an editor; there the filter `cell`
    makes a value safe for a table cell.

    Args:
        templates_folder: folder with the template and the templates that it includes.
        template: file name of the template.
        values: the values of the template, by name.
    Raises:
        jinja2.UndefinedError: the template uses a name that has no value.
    """
    environment = Environment(
        loader=FileSystemLoader(templates_folder),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = markdown_cell
    return environment.get_template(template).render(**values)


def markdown_cell(value: object) -> str:
    """The value as text that stays in its cell of a Markdown table and cannot start an HTML tag."""
    return " ".join(str(value).split()).replace("|", r"\|").replace("<", r"\<")


def data_uri(content: bytes, image_type: str) -> str:
    """A picture as a `data:` address for an HTML page.

    Args:
        content: the bytes of the image file.
        image_type: `png` or `svg+xml`.
    """
    return f"data:image/{image_type};base64,{base64.b64encode(content).decode()}"
