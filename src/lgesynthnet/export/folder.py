"""Write the folder of an export. Exporting the same cases again changes nothing, and completes what an interrupted export left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lgesynthnet.export.cases import ExportCase, Origin, SliceCase, write_case
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed, damaged_files
from lgesynthnet.files.writing import synced_together, write_bytes
from lgesynthnet.records import OnCase
from lgesynthnet.tables import csv_text

ENTRY = "lgesynthnet"  # key of a JSON file in the folder, under which the export records its origin
TABLE, NOTICE = "cases.csv", "README.txt"
COLUMNS = ("id", "origin", "patient", "slice", "label", "scar", "image_file", "label_file")
CaseWriter = Callable[..., None]  # gets the case, and then the path of each of its files
ROW_COLUMNS = ("sample", "edit", "twin", "caption", "prescription", "seed", "verdict", "why", "dice")
STACK_COLUMNS = (  # in place of `ROW_COLUMNS`
    *("first_slice", "slices", "painted_slices"),
    *("sample", "edit", "twin", "sentence", "prescription", "seed", "verdict", "why", "dice"),
)


def export_identity(content: Mapping[str, Any], cases: Sequence[ExportCase]) -> str:
    """Hash of everything that the bytes of the export depend on, 16 hexadecimal digits."""
    pixels = [(case.id, case.label_kind, case.digest) for case in cases]
    return hashlib.sha256(json.dumps([content, pixels], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class ExportContent:
    """Everything that one export writes.

    Attributes:
        files: case id -> image file, label file and any further files, relative to the folder.
        texts: more files by name, in the order of writing.
        write: writes the files of a case.
        record: what decides the content of every file, its `identity` included; the folder's list of files holds it.
    """

    cases: Sequence[ExportCase]
    files: Mapping[str, tuple[str, ...]]
    texts: Mapping[str, str]
    write: CaseWriter = write_case
    record: dict[str, Any]


def write_export(target: Path, content: ExportContent, on_case: OnCase | None = None) -> list[str] | None:
    """Write the images and labels and all texts. The same call completes an export that was interrupted or damaged.

    Args:
        on_case: gets (done, total) after each case.
    Returns:
        What was missing or damaged in the same, finished export and is written again; None for one that was new or interrupted.
    Raises:
        RunError: the folder holds another export or something else, or it cannot be written.
        InputError: a file of a case cannot be read.
    """
    damaged = damaged_files(target, FolderKind.EXPORT, settings=content.record)
    if damaged == []:
        return damaged
    with claimed(target, FolderKind.EXPORT, settings=content.record) as manifest, synced_together():
        for done, case in enumerate(content.cases, start=1):
            names = content.files[case.id]
            if not all(map(manifest.is_whole, names)):
                content.write(case, *(target / name for name in names))
            if on_case is not None:
                on_case(done, len(content.cases))
        for name, text in content.texts.items():
            if not manifest.is_whole(name):
                write_bytes(target / name, text.encode("utf-8"))
    return damaged


def readable_json(content: object) -> str:
    """JSON for people and other programs: the order of the keys and letters outside ASCII are kept."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def counts(cases: Sequence[ExportCase]) -> dict[str, int]:
    """The number of cases of each origin, for the record of an export."""
    return {f"{origin}_cases": sum(case.origin is origin for case in cases) for origin in Origin}


def case_table(cases: Sequence[ExportCase], files: Mapping[str, tuple[str, ...]]) -> str:
    """The text of `cases.csv`, with one row for each case; all cases are of one kind."""
    more = ROW_COLUMNS if all(isinstance(case, SliceCase) for case in cases) else STACK_COLUMNS
    rows = []
    for case in cases:
        values = (
            case.id,
            case.origin.value,
            case.shown_as,
            case.slice_index if isinstance(case, SliceCase) else None,
            str(case.label_kind),
            int(case.has_scar),
            *files[case.id][:2],
        )
        rows.append([*values, *(case.columns.get(name, "") for name in more)])
    return csv_text(COLUMNS + more, rows)
