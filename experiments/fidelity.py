"""Does painted scar look like real scar where it matters: at the blood, round no-reflow, beside it, and where it shall be faint?

    python experiments/fidelity.py [--real emidec --part train] [RUN ...]

All brightness is on a scale with 0 at the median of the slice's own healthy wall and 1 at that of its blood. For each place the median over
slices is printed, with the quartiles and the number of slices. Of a run, all slices that were painted with --keep-all, or else the kept
ones, are measured. Distances are in mm, so that data sets of other pixel sizes can be compared.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Label, Mask, ShortAxisSlice, Stack, scar_of
from lgesynthnet.run.folder import RunFolder

LEAST_TISSUE, LEAST_SCAR, LEAST_PLACE = 40, 20, 5  # pixels
LEAST_CONTRAST = 0.04  # of the largest number in the image; below, the slice says nothing
BINS = ((0, 15), (15, 40), (40, 60), (60, 85), (85, 101))


@dataclass(frozen=True)
class Places:
    """Where in a slice brightness is measured: masks by name."""

    masks: dict[str, Mask]

    @classmethod
    def of(cls, slice_: ShortAxisSlice) -> Places:
        labels, scar = slice_.labels, slice_.scar
        cavity, wall, core = labels == Label.CAVITY, labels == Label.WALL, labels == Label.NO_REFLOW

        def mm_from(mask: Mask) -> np.ndarray:
            return (
                np.asarray(ndimage.distance_transform_edt(~mask, sampling=slice_.spacing_mm)) if mask.any() else np.full(mask.shape, np.inf)
            )

        pixel = max(slice_.spacing_mm) * 1.5  # reaches the neighbours over a corner
        to_scar, to_wall, to_blood, to_core = mm_from(scar), mm_from(wall), mm_from(cavity), mm_from(core)
        far = cavity & (to_scar > to_wall + 4.5)  # blood at healthy wall
        return cls(
            {
                "scar away from blood": scar & ~core & (to_blood > pixel),
                "scar touching blood": scar & ~core & (to_blood <= pixel),
                "blood touching scar": cavity & (to_scar <= pixel),
                "blood 2 to 4.5 mm from scar": cavity & (to_scar > pixel) & (to_scar <= 4.5),
                "blood 4.5 to 7.5 mm from scar": cavity & (to_scar > 4.5) & (to_scar <= 7.5),
                "blood touching healthy wall": far & (to_wall <= pixel),
                "blood 2 to 4.5 mm from healthy wall": far & (to_wall > pixel) & (to_wall <= 4.5),
                "no-reflow": core,
                "scar round no-reflow": scar & ~core & (to_core <= 3.0),
                "wall within 4.5 mm of scar": wall & (to_scar <= 4.5),
            }
        )


def measured(slice_: ShortAxisSlice) -> dict[str, float] | None:
    """Mean brightness in each place that has five pixels; None where the contrast or the scar of the slice is too small."""
    image, labels = slice_.image.astype(np.float64), slice_.labels
    cavity, wall = labels == Label.CAVITY, labels == Label.WALL
    if min(cavity.sum(), wall.sum()) < LEAST_TISSUE or slice_.scar.sum() < LEAST_SCAR:
        return None
    blood, healthy = float(np.median(image[cavity])), float(np.median(image[wall]))
    if blood - healthy < LEAST_CONTRAST * image.max():
        return None
    unit = (image - healthy) / (blood - healthy)
    return {name: float(unit[mask].mean()) for name, mask in Places.of(slice_).masks.items() if mask.sum() >= LEAST_PLACE}


def slices_of_patients(root: Path, part: str) -> Iterator[tuple[ShortAxisSlice, float | None]]:
    """Slices with scar, and None in place of the prescribed brightness."""
    patients = set(read_splits(root / "splits.json")[part])
    for stack in open_cohort(root).stacks():
        if isinstance(stack, Stack) and stack.patient in patients:
            yield from ((slice_, None) for slice_ in stack if slice_.scar.any())


def slices_of_run(folder: Path) -> Iterator[tuple[ShortAxisSlice, float | None]]:
    """Painted slices that hold the painted scar alone, and the percentile of brightness that was prescribed."""
    run = RunFolder.open(folder)
    for row in run.painted(kept_only=not run.plan.request.keep_all):
        sample = run.sample(row)
        if isinstance(row.prescription, ScarPrescription) and np.array_equal(scar_of(sample.labels), sample.intended_scar):
            yield sample.slice_, row.prescription.intensity_percentile


def table(title: str, slices: Iterable[tuple[ShortAxisSlice, float | None]]) -> list[list[str]]:
    """Rows of title, place, median, lower and upper quartile, number of slices."""
    found = [(values, asked) for slice_, asked in slices if (values := measured(slice_)) is not None]
    rows = [_row(title, name, [values[name] for values, _ in found if name in values]) for name in _names(found)]
    for low, high in BINS:
        painted = [
            v["scar away from blood"] for v, asked in found if asked is not None and low <= asked < high and "scar away from blood" in v
        ]
        rows.append(_row(title, f"scar prescribed at percentile {low} to {min(high, 100)}", painted))
    return [row for row in rows if row[-1] != "0"]


def _names(found: list[tuple[dict[str, float], float | None]]) -> list[str]:
    return list(dict.fromkeys(name for values, _ in found for name in values))


def _row(title: str, name: str, values: list[float]) -> list[str]:
    low, median, high = (f"{value:.2f}" for value in np.quantile(values, (0.25, 0.5, 0.75))) if values else ("", "", "")
    return [title, name, median, low, high, str(len(values))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--real", type=Path, help="folder of patients with splits.json")
    parser.add_argument("--part", action="append", help="part of the real patients; repeat for several")
    parser.add_argument("--out", type=Path, help="write the rows as CSV")
    options = parser.parse_args()
    rows: list[list[str]] = []
    for part in (options.part or ["train"]) if options.real else []:
        rows += table(f"real, {part}", slices_of_patients(options.real, part))
    for run in options.runs:
        rows += table(run.name, slices_of_run(run))
    for title, name, median, low, high, count in rows:
        print(f"{title:>24}  {name:<38} {median:>6}   quartiles {low:>6} {high:>6}   n {count}")
    if options.out:
        with options.out.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["slices", "place", "median", "low", "high", "n"], *rows])


if __name__ == "__main__":
    main()
