"""Image and label side by side in one folder, with a table: what any trainer can be taught to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lgesynthnet.data.declaration import DECLARATION
from lgesynthnet.export.cases import ENDING, ExportCase, Origin, write_case
from lgesynthnet.export.folder import MARK, NOTICE, TABLE, identity_of, stands_already, whole_folder, write_table
from lgesynthnet.files import write_bytes


def write_pairs(
    cases: Sequence[ExportCase],
    out: Path,
    *,
    provenance: dict[str, Any],
    notice: str,
    on_case: Callable[[int, int], None] | None = None,
) -> bool:
    """Write `OUT/ID_image.nii.gz`, `OUT/ID_label.nii.gz` (labels 0 to 5 of `Label`) and `OUT/cases.csv`, whole or not at all.

    Returns:
        Whether the same export stood there already.
    Raises:
        RunError: the folder holds something else, or cannot be written.
        InputError: a file cannot be read.
    """
    files = {case.id: (f"{case.id}_image{ENDING}", f"{case.id}_label{ENDING}") for case in cases}
    identity = identity_of({"made": provenance}, cases)
    if stands_already(out, DECLARATION, identity, [TABLE, NOTICE, *(name for pair in files.values() for name in pair)]):
        return True
    synthetic = [case.id for case in cases if case.origin is Origin.SYNTHETIC]
    # Also the folder's own word on its labels, so that this program reads it back unasked.
    said = {MARK: {"labels": "lgesynthnet", "base_first": None, "identity": identity, **provenance, "synthetic": synthetic}}
    with whole_folder(out) as making:
        for done, case in enumerate(cases, start=1):
            image_file, label_file = files[case.id]
            write_case(case, making / image_file, making / label_file)
            if on_case is not None:
                on_case(done, len(cases))
        write_table(making, cases, files)
        write_bytes(making / NOTICE, notice.encode("utf-8"))
        write_bytes(making / DECLARATION, (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode("utf-8"))
    return False
