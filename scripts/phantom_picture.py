"""Draw docs/pictures/phantom.png with simulated patients.

    python scripts/phantom_picture.py docs/pictures/phantom.png

The first row shows one patient from base to apex, the second row the same slices with labels, and the rows below one slice of other
patients.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from lgesynthnet.phantom.patient import simulate
from lgesynthnet.records import ShortAxisSlice

COLUMNS, OTHERS = 7, 14
COLOURS = ListedColormap(["#00000000", "#3b82f6", "#22c55e", "#ef4444", "#facc15", "#a78bfa"])  # blood, wall, scar, no-reflow, RV
WHOLE_STACK_SEED = 48


def main(picture: Path) -> None:
    """Simulate the patients and draw the picture."""
    rows = 2 + OTHERS // COLUMNS
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(2 * COLUMNS, 2 * rows))
    stack = simulate("P", WHOLE_STACK_SEED, infarct=True).stack
    for column, index in enumerate(np.linspace(0, len(stack) - 1, COLUMNS).round().astype(int)):
        show(axes[0, column], stack[int(index)])
        show(axes[1, column], stack[int(index)], labels=True)
    for number, axis in enumerate(axes[2:].ravel()):
        other = simulate("P", 100 + number, infarct=number % 3 > 0).stack
        show(axis, other[len(other) // 2 - number % 2])
    figure.subplots_adjust(0, 0, 1, 1, 0.02, 0.02)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=72)


def show(axis: plt.Axes, slice_: ShortAxisSlice, *, labels: bool = False) -> None:
    present = slice_.image[slice_.image != 0]
    axis.imshow(slice_.image, cmap="gray", vmin=np.percentile(present, 1), vmax=np.percentile(present, 99))
    if labels:
        axis.imshow(slice_.labels, cmap=COLOURS, vmin=0, vmax=5, alpha=0.55, interpolation="nearest")
    axis.axis("off")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
