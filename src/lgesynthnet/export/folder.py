"""An export stands whole or not at all, and the same export twice is the same folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import ExportCase
from lgesynthnet.files import read_json, write_bytes
from lgesynthnet.tables import csv_text

MARK = "lgesynthnet"  # the entry of a JSON file that tells who made the folder
TABLE, NOTICE = "cases.csv", "README.txt"
COLUMNS = ("id", "origin", "patient", "slice", "label", "scar", "image_file", "label_file")
ROW_COLUMNS = ("sample", "caption", "prescription", "seed", "verdict", "why", "dice")


def identity_of(content: Mapping[str, Any], cases: Sequence[ExportCase]) -> str:
    """Hex digits over everything that decides a byte of the export."""
    pixels = [(case.id, case.label_kind, case.digest) for case in cases]
    return hashlib.sha256(json.dumps([content, pixels], sort_keys=True).encode()).hexdigest()[:16]


def stands_already(target: Path, stamp: str, identity: str, files: Sequence[str]) -> bool:
    """Whether `target` holds this very export; False where nothing is there.

    Args:
        stamp: the JSON file in it that tells what made it.
        files: what it must hold, relative to it.
    Raises:
        RunError: something else is there, or files of it are missing.
    """
    if not target.exists() and not target.is_symlink():
        return False
    found = None
    if (target / stamp).is_file():
        try:
            entry = read_json(target / stamp).get(MARK)
        except InputError:
            entry = None
        found = entry.get("identity") if isinstance(entry, dict) else None
    if found != identity:
        what = "holds another export" if found else "is there and is no export of this program"
        raise RunError(f"{target}: {what}; choose another number, name or folder, or delete it")
    missing = [name for name in files if not (target / name).is_file()]
    if missing:
        raise RunError(f"{target}: is this export, but {missing[0]} is missing; delete the folder and export again")
    return True


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into that takes the target's name at the end, or vanishes.

    Raises:
        RunError: it cannot be written, or something took the name meanwhile.
    """
    making = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        making.mkdir(parents=True)
        yield making
        os.replace(making, target)
    except OSError as fault:
        shutil.rmtree(making, ignore_errors=True)
        raise RunError(f"{target}: cannot be written ({fault.strerror or fault}); free space or choose another folder") from None
    except BaseException:  # also a Ctrl-C leaves nothing half-written
        shutil.rmtree(making, ignore_errors=True)
        raise


def write_table(folder: Path, cases: Sequence[ExportCase], files: Mapping[str, tuple[str, str]]) -> None:
    """Write `cases.csv`, one row a case.

    Args:
        files: case id -> image and label, relative to `folder`.
    """
    rows = []
    for case in cases:
        facts = (case.id, case.origin.value, case.patient, case.slice_index, str(case.label_kind), int(case.has_scar), *files[case.id])
        rows.append([*facts, *(case.row.get(name, "") for name in ROW_COLUMNS)])
    write_bytes(folder / TABLE, csv_text(COLUMNS + ROW_COLUMNS, rows).encode("utf-8"))
