"""Check that the same seed gives the same bytes: repeat a run, kill and resume it, divide it into shards, and use two threads.

    python experiments/same_bytes.py --hosts FOLDER [--model phantom] [--attempts 8]

It compares every image, label and row with those of the first run, and prints for each case whether they are equal.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def command(options: argparse.Namespace, out: Path, *more: str) -> list[str]:
    words = ["--hosts", str(options.hosts), "--model", options.model, "--prior", "ischaemic", "--seed", "3", "--keep-all"]
    count = ["--count", str(options.attempts), "--max-attempts", str(options.attempts)]
    return [sys.executable, "-m", "lgesynthnet", "-q", "synthesize", *words, *count, "--out", str(out), *more]


def run(options: argparse.Namespace, out: Path, *more: str, threads: int = 1, kill_after: int | None = None) -> Path:
    """Make one run. With `kill_after`, kill it without warning as soon as that many images exist."""
    process = subprocess.Popen(command(options, out, *more), env=os.environ | {"OMP_NUM_THREADS": str(threads)}, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        if kill_after is not None and len(list((out / "images").glob("s*.nii.gz"))) >= kill_after:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.05)
    return out


def digests(*runs: Path) -> dict[str, str]:
    """Hash of every image, label and filter mask by name, and the text of every row of samples.csv without its seconds."""
    entries = {}
    for out in runs:
        for part in ("images", "labels", "read"):
            for path in sorted((out / part).glob("*.nii.gz")):
                entries[f"{part}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
        with (out / "samples.csv").open(newline="") as table:
            for row in csv.DictReader(table):
                row.pop("seconds")
                entries[f"row {row['id']}"] = repr(sorted(row.items()))
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--attempts", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        first = digests(run(options, root / "first"))
        run(options, root / "killed", kill_after=max(options.attempts // 2, 1))
        half = len(list((root / "killed" / "images").glob("s*.nii.gz")))
        cases = {
            "repeated": digests(run(options, root / "again")),
            f"killed after {half} images, then resumed": digests(run(options, root / "killed")),
            "in two shards": digests(run(options, root / "one", "--shard", "1/2"), run(options, root / "two", "--shard", "2/2")),
            "with two threads": digests(run(options, root / "threads", threads=2)),
        }
    print(f"{len(first)} files and rows of {options.attempts} attempts")
    for name, entries in cases.items():
        unequal = sorted(key for key in first.keys() | entries.keys() if first.get(key) != entries.get(key))
        print(f"{name}: {'equal' if not unequal else f'{len(unequal)} differ, e.g. {unequal[:3]}'}")


if __name__ == "__main__":
    main()
