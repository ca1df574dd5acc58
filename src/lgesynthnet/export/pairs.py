"""Export image and label side by side in one folder, with a table of cases. Any training program can be adapted to this layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lgesynthnet.data.declaration import DECLARATION
from lgesynthnet.export.cases import ENDING, ExportCase, Origin
from lgesynthnet.export.folder import ENTRY, NOTICE, TABLE, atomic_folder, export_identity, is_same_export, write_cases, write_readable_json
from lgesynthnet.records import OnCase


def write_pairs(
    cases: Sequence[ExportCase],
    out: Path,
    *,
    provenance: dict[str, Any],
    notice: str,
    on_case: OnCase | None = None,
) -> bool:
    """Write `OUT/ID_image.nii.gz`, `OUT/ID_label.nii.gz` (labels 0 to 5 of `Label`) and `OUT/cases.csv`.

    The folder is written completely or not at all.

    Returns:
        Whether the same export existed already; then nothing is written.
    Raises:
        RunError: the folder already holds something else, or it cannot be written.
        InputError: a file cannot be read.
    """
    files = {case.id: (f"{case.id}_image{ENDING}", f"{case.id}_label{ENDING}") for case in cases}
    identity = export_identity({"made": provenance}, cases)
    if is_same_export(out, DECLARATION, identity, [TABLE, NOTICE, *(name for pair in files.values() for name in pair)]):
        return True
    synthetic = [case.id for case in cases if case.origin is Origin.SYNTHETIC]
    # The same file declares the labels, so that lgesynthnet can read the folder without options.
    record = {ENTRY: {"labels": "lgesynthnet", "base_first": None, "identity": identity, **provenance, "synthetic": synthetic}}
    with atomic_folder(out) as partial:
        write_cases(partial, cases, files, notice=notice, on_case=on_case)
        write_readable_json(partial / DECLARATION, record)
    return False
