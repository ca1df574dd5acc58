"""Write the folder of an export completely or not at all. Exporting the same cases again changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import UNCHANGED, ExportCase, write_case
from lgesynthnet.files.reading import read_json
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.records import OnCase
from lgesynthnet.tables import csv_text

ENTRY = "lgesynthnet"  # key of a JSON file in the folder, under which the export records its origin
TABLE, NOTICE = "cases.csv", "README.txt"
COLUMNS = ("id", "origin", "patient", "slice", "label", "scar", "image_file", "label_file")
ROW_COLUMNS = ("sample", "caption", "prescription", "seed", "verdict", "why", "dice")


def export_identity(content: Mapping[str, Any], cases: Sequence[ExportCase]) -> str:
    """Hash of everything that the bytes of the export depend on, 16 hexadecimal digits."""
    pixels = [(case.id, case.label_kind, case.digest) for case in cases]
    return hashlib.sha256(json.dumps([content, pixels], sort_keys=True).encode()).hexdigest()[:16]


def is_same_export(target: Path, record: str, identity: str, files: Sequence[str]) -> bool:
    """Whether `target` holds the same export; False if `target` does not exist.

    Args:
        record: name of the JSON file in the folder that records the identity of the export.
        files: files that the export must hold, relative to `target`.
    Raises:
        RunError: `target` holds something else, or files are missing.
    """
    if not target.exists() and not target.is_symlink():
        return False
    existing = None
    if (target / record).is_file():
        try:
            entry = read_json(target / record).get(ENTRY)
        except InputError:
            entry = None
        existing = entry.get("identity") if isinstance(entry, dict) else None
    if existing != identity:
        problem = "already holds another export" if existing else "already exists and was not created by lgesynthnet export"
        raise RunError(f"{target}: {problem}; choose another number, name or folder, or delete it")
    missing = [name for name in files if not (target / name).is_file()]
    if missing:
        raise RunError(f"{target}: already holds this export, but {missing[0]} is missing; delete the folder and export again")
    return True


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder to write into; rename it to `target` at the end, or delete it after an error.

    Raises:
        RunError: the folder cannot be written, or `target` was created meanwhile.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        os.replace(partial, target)
    except OSError as fault:
        shutil.rmtree(partial, ignore_errors=True)
        raise RunError(f"{target}: cannot be written ({fault.strerror or fault}); free space or choose another folder") from None
    except BaseException:  # Ctrl-C too must leave nothing half-written
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_cases(
    folder: Path,
    cases: Sequence[ExportCase],
    files: Mapping[str, tuple[str, str]],
    *,
    notice: str,
    stored_values: UInt8[np.ndarray, " labels"] = UNCHANGED,
    on_case: OnCase | None = None,
) -> None:
    """Write the images and labels, `cases.csv` with one row for each case, and `README.txt`.

    Args:
        files: case id -> image file and label file, relative to `folder`.
        notice: text of README.txt.
        stored_values: `Label` -> the number to store.
        on_case: gets (done, total) after each case.
    """
    for done, case in enumerate(cases, start=1):
        image_file, label_file = files[case.id]
        write_case(case, folder / image_file, folder / label_file, stored_values)
        if on_case is not None:
            on_case(done, len(cases))
    write_bytes(folder / TABLE, _table(cases, files).encode("utf-8"))
    write_bytes(folder / NOTICE, notice.encode("utf-8"))


def write_readable_json(path: Path, content: object) -> None:
    """Write JSON for people and other programs: the order of the keys and letters outside ASCII are kept."""
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8"))


def _table(cases: Sequence[ExportCase], files: Mapping[str, tuple[str, str]]) -> str:
    rows = []
    for case in cases:
        values = (case.id, case.origin.value, case.patient, case.slice_index, str(case.label_kind), int(case.has_scar), *files[case.id])
        rows.append([*values, *(case.row.get(name, "") for name in ROW_COLUMNS)])
    return csv_text(COLUMNS + ROW_COLUMNS, rows)
