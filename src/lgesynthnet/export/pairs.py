"""Export image and label side by side in one folder, with a table of cases. Any training program can be adapted to this layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lgesynthnet.data.declaration import DECLARATION
from lgesynthnet.export.cases import ENDING, ExportCase, Origin
from lgesynthnet.export.folder import ENTRY, NOTICE, TABLE, ExportContent, case_table, counts, export_identity, readable_json, write_export
from lgesynthnet.records import OnCase


def write_pairs(
    cases: Sequence[ExportCase],
    out: Path,
    *,
    provenance: dict[str, Any],
    notice: str,
    on_case: OnCase | None = None,
) -> list[str] | None:
    """Write `OUT/ID_image.nii.gz`, `OUT/ID_label.nii.gz` (labels 0 to 5 of `Label`) and `OUT/cases.csv`.

    Returns:
        What was missing or damaged in the same, finished export and is written again; None for one that was new or interrupted.
    Raises:
        RunError: the folder already holds something else, or it cannot be written.
        InputError: a file cannot be read.
    """
    files = {case.id: (f"{case.id}_image{ENDING}", f"{case.id}_label{ENDING}") for case in cases}
    identity = export_identity({"made": provenance}, cases)
    synthetic = [case.id for case in cases if case.origin is Origin.SYNTHETIC]
    # The same file declares the labels, so that lgesynthnet can read the folder without options.
    declaration = {ENTRY: {"labels": "lgesynthnet", "base_first": None, "identity": identity, **provenance, "synthetic": synthetic}}
    texts = {TABLE: case_table(cases, files), NOTICE: notice, DECLARATION: readable_json(declaration)}
    content = ExportContent(cases=cases, files=files, texts=texts, record=provenance | counts(cases) | {"identity": identity})
    return write_export(out, content, on_case)
