"""Write the table of what the training scans of the shipped weights look like: src/lgesynthnet/hosts/known_scans.json.

    python scripts/known_scans.py [--patients 200] [--seed 1]

The shipped weights were trained on simulated patients alone, so the table is measured on such patients.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.files.reading import read_json
from lgesynthnet.hosts.familiarity import TABLE, appearance_of
from lgesynthnet.hosts.suitability import find_host_fault
from lgesynthnet.phantom.cohort import CohortSettings, write_cohort
from lgesynthnet.records import Stack

PERCENTILES = (5, 95)
PLACE = Path(__file__).parents[1] / "src" / "lgesynthnet" / "hosts" / TABLE


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "phantom"
        write_cohort(out, CohortSettings(patients=options.patients, seed=options.seed, positive=0.67, non_ischaemic=0.125), workers=2)
        rows = []
        for stack in open_cohort(out).stacks():
            assert isinstance(stack, Stack)
            seen = appearance_of(stack, [slice_.index for slice_ in stack if find_host_fault(slice_) is None])
            rows.append(asdict(seen) if seen is not None else {})
    ranges = {}
    for name in ("contrast", "noise", "pixel_mm"):
        values = [row[name] for row in rows if row.get(name) is not None]
        ranges[name] = [round(float(np.percentile(values, p)), 3) for p in PERCENTILES]
    about = f"the middle 90 % of {options.patients} simulated patients, seed {options.seed}; scripts/known_scans.py"
    PLACE.write_text(json.dumps({"about": about, "ranges": ranges}, indent=1) + "\n", encoding="utf-8")
    print(read_json(PLACE))


if __name__ == "__main__":
    main()
