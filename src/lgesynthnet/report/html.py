"""What all pages and cards share: how a template is filled in, and how a picture is put into the page itself."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def render(templates_folder: Path, template: str, /, **values: object) -> str:
    """Fill in a template; the result needs no other file.

    Values are escaped in `.html` templates. In Markdown an escape such as `&lt;` would show in an editor, so there each cell of a table
    goes through the filter `cell`.

    Args:
        templates_folder: folder with the template and the templates that it includes.
        template: file name of the template.
        values: by the names that the template uses.
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
    """Text that cannot leave its cell of a Markdown table and cannot start an HTML tag."""
    return " ".join(str(value).split()).replace("|", r"\|").replace("<", r"\<")


def data_uri(content: bytes, image_type: str) -> str:
    """A picture as a `data:` address for an HTML page.

    Args:
        image_type: `png` or `svg+xml`.
    """
    return f"data:image/{image_type};base64,{base64.b64encode(content).decode()}"
