"""Keeps the scores of a utility experiment in the repository, one compressed table for each baseline, and turns them into records again.

    python experiments/utility_records.py pack runs/few/crop docs/evidence/utility/crop.csv.gz
    python experiments/utility_records.py unpack docs/evidence/utility/crop.csv.gz runs/few/crop

From unpacked records, `lgesynthnet benchmark utility` writes its tables anew, and trains only what is missing.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import write_json

PARTS = ("slices", "training_slices")
SCORES = tuple(field.name for field in fields(SliceScore))
LISTS = ("predicted_at_mm2", "overlap_at_mm2")


def pack(folder: Path, table: Path) -> None:
    """Write one row for each slice of each record of a folder; what else a record holds stands in its first row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("run", "about", "part", *SCORES))
    for path in sorted(folder.glob("runs/*/record.json")):
        record = json.loads(path.read_text())
        about = json.dumps({name: value for name, value in record.items() if name not in PARTS})
        for part in PARTS:
            for row in record[part]:
                cells = [" ".join(f"{value:g}" for value in row[name]) if name in LISTS else json.dumps(row.get(name)) for name in SCORES]
                writer.writerow((path.parent.name, about, part, *cells))
                about = ""
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def unpack(table: Path, folder: Path) -> None:
    """Write the records again, into a folder that the program may continue; a record that is there already stays as it is."""
    records: dict[str, dict[str, Any]] = {}
    for row in csv.DictReader(io.StringIO(gzip.decompress(table.read_bytes()).decode())):
        if row["about"]:
            records[row["run"]] = json.loads(row["about"]) | {part: [] for part in PARTS}
        scores = {name: [float(value) for value in row[name].split()] if name in LISTS else json.loads(row[name]) for name in SCORES}
        records[row["run"]][row["part"]].append(scores)
    with claimed(folder.parent, FolderKind.BENCHMARK, finishes=False):
        for name, record in records.items():
            path = folder / "runs" / name / "record.json"
            if not path.exists():
                write_json(path, record)


if __name__ == "__main__":
    {"pack": pack, "unpack": unpack}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
