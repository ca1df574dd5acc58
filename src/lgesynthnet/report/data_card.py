"""The data card of a run folder: what these files are, what they are for, and what they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lgesynthnet.files import write_bytes
from lgesynthnet.report.command import command_of
from lgesynthnet.report.report import TEMPLATES, duration_text, outside_text, pass_rate_text, setup_rows
from lgesynthnet.run.licence import host_licence
from lgesynthnet.run.summary import Summary, summarise


def write_card(run: Path) -> Path:
    """Write RUN/card.md (YAML header, then Markdown), whole or not at all; returns its path.

    Raises:
        RunError: the folder is no run folder, or the card cannot be written.
    """
    summary = summarise(run)
    path = run / "card.md"
    write_bytes(path, render_card(summary).encode("utf-8"))
    return path


def render_card(summary: Summary) -> str:
    """The card as text."""
    # Markdown, not HTML: cells are made harmless by `_cell`, since escaping would show as &lt; in an editor.
    pages = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters["cell"] = _cell
    licence, source = host_licence(summary)
    return pages.get_template("card.md").render(
        header=yaml.safe_dump(_header(summary, licence), sort_keys=False, allow_unicode=True).strip(),
        name=summary.run.resolve().name,
        summary=summary,
        rate=pass_rate_text(summary),
        duration=duration_text(summary),
        outside=outside_text(summary.max_change_outside),
        setup=setup_rows(summary),
        command=command_of(summary),
        licence=licence,
        source=source,
    )


def _header(summary: Summary, licence: str | None) -> dict[str, Any]:
    return {
        "license": licence or "other",
        "task_categories": ["image-segmentation"],
        "tags": ["medical", "cardiac-mri", "late-gadolinium-enhancement", "myocardial-scar", "synthetic", "lgesynthnet"],
        "synthetic": True,
        "samples": {"kept": len(summary.kept), "attempted": len(summary.samples)},
    }


def _cell(text: object) -> str:
    """Text that stays inside one cell of a table."""
    return " ".join(str(text).split()).replace("|", r"\|").replace("<", r"\<")
