"""What the comparisons' pages share: a template filled in, a picture inside the page, a table for people."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, **values: object) -> bytes:
    """One HTML page that needs no other file."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(template).render(**values).encode("utf-8")


def picture(content: bytes, kind: str) -> str:
    """A picture as an address of its own; `kind` is png or svg+xml."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Head and rows as Markdown."""
    head, *body = lines
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *body))
