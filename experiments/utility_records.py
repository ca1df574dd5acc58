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

from lgesynthnet.evaluate.utility.scores import SliceScore

ABOUT = ("arm", "scarred", "healthy", "draw", "real_slices", "added_slices", "seconds")
SCORES = tuple(field.name for field in fields(SliceScore))
LISTS = ("predicted_at_mm2", "overlap_at_mm2")


def pack(folder: Path, table: Path) -> None:
    """Write one row for each slice of each record of a folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("run", "patients", *ABOUT, "part", *SCORES))
    for path in sorted(folder.glob("runs/*/record.json")):
        record = json.loads(path.read_text())
        about = [record[name] for name in ABOUT]
        for part in ("slices", "training_slices"):
            for row in record[part]:
                cells = [" ".join(f"{value:g}" for value in row[name]) if name in LISTS else row.get(name) for name in SCORES]
                writer.writerow((path.parent.name, " ".join(record["patients"]), *about, part, *cells))
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def unpack(table: Path, folder: Path) -> None:
    """Write the records again; a record that is there already stays as it is."""
    records: dict[str, dict[str, object]] = {}
    for row in csv.DictReader(io.StringIO(gzip.decompress(table.read_bytes()).decode())):
        about = {name: row[name] if name == "arm" else float(row[name]) if name == "seconds" else int(row[name]) for name in ABOUT}
        empty = {**about, "patients": row["patients"].split(), "slices": [], "training_slices": []}
        record = records.setdefault(row["run"], empty)
        scores = {name: _value(name, row[name]) for name in SCORES}
        record[row["part"]].append({name: value for name, value in scores.items() if value is not None or name == "hd95_mm"})
    for name, record in records.items():
        path = folder / "runs" / name / "record.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))


def _value(name: str, cell: str) -> object:
    if name in LISTS:
        return [float(number) for number in cell.split()]
    if name == "patient" or not cell:
        return cell or None
    number = float(cell)
    return int(number) if name in ("index", "lesions", "found_lesions", "called_lesions", "right_lesions") else number


if __name__ == "__main__":
    {"pack": pack, "unpack": unpack}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
