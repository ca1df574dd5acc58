"""The utility experiment in `OUT/VARIANT`: `runs.csv`, `utility.csv` (every figure), `utility.md` and one HTML page with its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lgesynthnet.benchmark.utility.charts import TITLES
from lgesynthnet.benchmark.utility.charts import charts as draw_charts
from lgesynthnet.benchmark.utility.results import finished, gather
from lgesynthnet.benchmark.utility.setup import UtilityExperiment
from lgesynthnet.benchmark.utility.tables import NOTE, markdown, runs_csv, tables, to_csv
from lgesynthnet.files import write_bytes
from lgesynthnet.report.html import page, picture


def write(bench: UtilityExperiment, learnt: Sequence[str]) -> Path:
    """Everything that is finished so far; returns the page."""
    runs = finished(bench)
    out, found = bench.folder, gather(bench, runs, learnt)
    made = tables(found)
    write_bytes(out / "runs.csv", runs_csv(bench, runs).encode("utf-8"))
    write_bytes(out / "utility.csv", to_csv(found).encode("utf-8"))
    write_bytes(out / "utility.md", markdown(found, made).encode("utf-8"))
    charts: Mapping[str, bytes] = draw_charts(found) if found.groups else {}
    for name, content in charts.items():
        write_bytes(out / "charts" / f"{name}.svg", content)
    content = page(
        "utility.html",
        tested=found.tested,
        note=NOTE,
        learnt=found.learnt,
        tables=[(title, table[0], table[1:]) for title, table in made],
        charts=[(TITLES[name], picture(content, "svg+xml")) for name, content in charts.items()],
    )
    write_bytes(out / "utility.html", content)
    return out / "utility.html"
