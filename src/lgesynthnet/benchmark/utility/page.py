"""Writes the results to `OUT/VARIANT`: `runs.csv`, `utility.csv` (every metric), `utility.md`, `charts/` and the page `utility.html`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lgesynthnet.benchmark.utility.charts import TITLES, charts
from lgesynthnet.benchmark.utility.question_tables import tables_of_questions
from lgesynthnet.benchmark.utility.results import finished_runs, group_runs
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.benchmark.utility.tables import NOTE, TITLE, markdown, runs_csv, tables, to_csv
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.report.html import data_uri, fill_template

TEMPLATES = Path(__file__).parents[1] / "templates"


def write(experiment: UtilityExperiment, provenance: Sequence[str]) -> Path:
    """Write all results of the finished runs; returns the path of the page.

    Args:
        provenance: one sentence for each model on its training patients, see `check_for_leaks`.
    """
    out, runs = experiment.folder, finished_runs(experiment)
    results = group_runs(experiment, runs, provenance)
    titled_tables = tables(results) + tables_of_questions(results)
    write_bytes(out / "runs.csv", runs_csv(runs).encode("utf-8"))
    write_bytes(out / "utility.csv", to_csv(results).encode("utf-8"))
    write_bytes(out / "utility.md", markdown(results, titled_tables).encode("utf-8"))
    drawn = charts(results) if results.groups else {}
    for name, svg in drawn.items():
        write_bytes(out / "charts" / f"{name}.svg", svg)
    page = fill_template(
        TEMPLATES,
        "utility.html",
        title=TITLE,
        tested=results.tested,
        note=NOTE,
        provenance=results.provenance,
        tables=[(title, table[0], table[1:]) for title, table in titled_tables],
        charts=[(TITLES[name], data_uri(svg, "svg+xml")) for name, svg in drawn.items()],
    )
    write_bytes(out / "utility.html", page.encode("utf-8"))
    return out / "utility.html"
