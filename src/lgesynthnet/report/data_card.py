"""Write the data card of a run: content, origin, licence, intended use and limits of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lgesynthnet.files.writing import write_bytes
from lgesynthnet.report.html import fill_template
from lgesynthnet.report.report import TEMPLATES, shared_values
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.licence import host_licence, licence_of_weights
from lgesynthnet.run.summary import RunSummary


def write_card(path: Path) -> Path:
    """Write RUN/card.md, a YAML header and Markdown, completely or not at all; returns its path.

    Raises:
        RunError: the folder is not a run folder, or the card cannot be written.
    """
    run = RunFolder.open(path)
    with run.held():
        write_bytes(run.data_card, render_card(RunSummary(run)).encode("utf-8"))
    return run.data_card


def render_card(summary: RunSummary) -> str:
    """The data card as text."""
    licence, source = host_licence(summary.run.plan.request.hosts)
    return fill_template(
        TEMPLATES,
        "card.md",
        header=yaml.safe_dump(_header(summary, licence), sort_keys=False, allow_unicode=True).strip(),
        **shared_values(summary),
        licence=licence,
        weights_licence=licence_of_weights(summary.run.plan.request.model),
        source=source,
        per_host=summary.run.plan.request.per_host,
    )


def _header(summary: RunSummary, licence: str | None) -> dict[str, Any]:
    slices = {"slices": {"kept": sum(row.kept for row in summary.rows), "painted": len(summary.rows)}} if summary.run.of_stacks else {}
    return {
        "license": licence or "other",
        "task_categories": ["image-segmentation"],
        "tags": ["medical", "cardiac-mri", "late-gadolinium-enhancement", "myocardial-scar", "synthetic", "lgesynthnet"],
        "synthetic": True,
        "samples": {"kept": len(summary.kept), "attempted": len(summary.attempts)},
        **slices,
    }
