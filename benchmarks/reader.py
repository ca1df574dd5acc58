"""What a shipped filter reads on real patients: the ceiling of every pass rate that it gives.

    python benchmarks/reader.py [--data FOLDER] [--model phantom]

FOLDER (default: the environment variable LGESYNTHNET_DATA, else ../shared/data) holds emidec/ with splits.json. Nothing is
tuned here. Intervals are 95 % bootstraps over patients.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from pathlib import Path

from intervals import bootstrap

from lgesynthnet.data import open_cohort, usable_slices
from lgesynthnet.overlap import dice
from lgesynthnet.records import Skipped, scar_of
from lgesynthnet.workflow.models import load_painter

FALSE_SCAR_MM2 = 25.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LGESYNTHNET_DATA", "../shared/data")))
    parser.add_argument("--model", default="phantom")
    options = parser.parse_args()
    reader = load_painter(options.model).reader
    cohort = open_cohort(options.data / "emidec")
    splits = json.loads((options.data / "emidec" / "splits.json").read_text())
    part_of = {name: part for part, names in splits.items() for name in names}
    overlap: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    false: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    slices, began = 0, time.perf_counter()
    for stack in cohort.stacks():
        if isinstance(stack, Skipped):
            continue
        for index in usable_slices(stack)[0]:
            slice_ = stack[index]
            read = scar_of(reader.read(slice_))
            slices += 1
            for group in (part_of[stack.patient], "all"):
                if slice_.scar.any():
                    overlap[group][stack.patient].append(dice(read, slice_.scar) or 0.0)
                else:
                    area = float(read.sum()) * slice_.spacing_mm[0] * slice_.spacing_mm[1]
                    false[group][stack.patient].append(float(area > FALSE_SCAR_MM2))
    print(f"{reader.fingerprint}: {(time.perf_counter() - began) / slices:.3f} s a slice")
    for group in ("train", "val", "audit", "test", "all"):
        above = {name: [float(v > 0.6) for v in values] for name, values in overlap[group].items()}
        print(
            f"{group:>6}: scar Dice {_shown(bootstrap(overlap[group]))} on {sum(map(len, overlap[group].values()))} positive slices, "
            f"above 0.6 {_shown(bootstrap(above))}; more than {FALSE_SCAR_MM2:g} mm2 of false scar on "
            f"{_shown(bootstrap(false[group]))} of {sum(map(len, false[group].values()))} others"
        )


def _shown(figure: tuple[float, float, float]) -> str:
    return f"{figure[0]:.2f} [{figure[1]:.2f}, {figure[2]:.2f}]"


if __name__ == "__main__":
    main()
