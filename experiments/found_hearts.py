"""How far the heart that the shipped segmenter finds lies from the labelled one; the crops of the downstream segmenter are placed by it.

python experiments/found_hearts.py --data emidec --splits emidec/splits.json --part train
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.records import Label, wall_of
from lgesynthnet.segmenter.downstream import find_centres, shipped_finder


def main() -> None:
    """Print the quantiles of the distance, and how much of the labelled heart lies in the crop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--part", default="train")
    parser.add_argument("--side-mm", type=float, default=108.0)
    arguments = parser.parse_args()
    cohort, finder = open_cohort(arguments.data), shipped_finder()
    distances, inside = [], []
    for name in read_splits(arguments.splits)[arguments.part]:
        stack = cohort.stack(name)
        found = find_centres(finder.read_stack(stack.image, stack.spacing_mm))
        for k, centre in enumerate(found):
            heart = (stack.labels[:, :, k] == Label.CAVITY) | wall_of(stack.labels[:, :, k])
            if heart.any():
                offsets = (np.argwhere(heart) - np.array(centre)) * np.array(stack.spacing_mm)
                distances.append(float(np.hypot(*offsets.mean(axis=0))))
                inside.append(float((np.abs(offsets).max(axis=1) <= arguments.side_mm / 2).mean()))
    quantiles = np.quantile(distances, (0.5, 0.9, 0.95, 0.99, 1.0))
    print(f"{len(distances)} slices: distance in mm, median, 90 %, 95 %, 99 %, largest: " + ", ".join(f"{q:.1f}" for q in quantiles))
    cut = np.mean(np.array(inside) < 0.99)
    print(f"share of the labelled heart inside the crop: mean {np.mean(inside):.4f}; slices with less than 0.99: {cut:.3f}")


if __name__ == "__main__":
    main()
