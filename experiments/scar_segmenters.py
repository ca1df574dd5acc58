"""Measure a scar segmenter on real patients: the pass rate that a filter can reach at best, or the error of an auditor.

    python experiments/scar_segmenters.py [--scar-segmenter FOLDER] [--role filter] [--data FOLDER] [--parts val,test]

--scar-segmenter (default: the shipped phantom's filter) holds config.json and model.safetensors. --data (default: the environment variable
LGESYNTHNET_DATA) holds emidec/ with splits.json; --parts may also name `all`. Nothing is tuned here.

It prints for each part, with 95 % bootstrap intervals over patients: Dice on slices with scar, false scar on slices without scar, and the
calibration error. Probabilities and labels are compared on the host's own grid.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

from real_data import add_data_option

from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.ring import usable_slices
from lgesynthnet.evaluate.intervals import Interval, mean
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Skipped
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2, ReadSlice, reliability, score
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scar-segmenter", type=Path, default=weights_folder() / "phantom" / "filter")
    parser.add_argument("--role", type=Role, choices=list(Role), default=Role.FILTER)
    add_data_option(parser)
    parser.add_argument("--parts", default="val,test")
    options = parser.parse_args()
    segmenter = TrainedScarSegmenter.from_pretrained(options.scar_segmenter, options.role)
    splits = json.loads((options.data / "emidec" / "splits.json").read_text())
    parts = {
        part: splits[part] if part != "all" else [name for names in splits.values() for name in names] for part in options.parts.split(",")
    }
    wanted = {name for names in parts.values() for name in names}
    began = time.perf_counter()
    slices = read(segmenter, open_cohort(options.data / "emidec"), wanted)
    print(f"{segmenter.fingerprint}: threshold {segmenter.threshold:g}, {len(segmenter.networks)} members, {segmenter.views} views")
    print(f"{(time.perf_counter() - began) / len(slices):.3f} s a slice, files and preparation included")
    for part, names in parts.items():
        report(part, [s for s in slices if s.patient in names], segmenter.threshold)


def read(segmenter: TrainedScarSegmenter, cohort: Cohort, wanted: set[str]) -> list[ReadSlice]:
    """Every usable slice of these patients; only the pixels of the wall."""
    slices = []
    for stack in cohort.stacks():
        if isinstance(stack, Skipped) or stack.patient not in wanted:
            continue
        for index in usable_slices(stack)[0]:
            slice_, wall = stack[index], stack[index].wall
            probability = sum(segmenter.probabilities(slice_))
            pixel_mm2 = slice_.spacing_mm[0] * slice_.spacing_mm[1]
            slices.append(ReadSlice(patient=stack.patient, probability=probability[wall], truth=slice_.scar[wall], pixel_mm2=pixel_mm2))
    return slices


def report(part: str, slices: list[ReadSlice], threshold: float) -> None:
    """Print the scores of one part, with intervals, and its reliability curve."""
    overlap: dict[str, list[float]] = defaultdict(list)
    false: dict[str, list[float]] = defaultdict(list)
    for slice_ in slices:
        result = score([slice_], threshold)
        if result.dice is not None:
            overlap[slice_.patient].append(result.dice)
        else:
            false[slice_.patient].append(result.false_scar_mm2 or 0.0)
    above = {name: [float(d > 0.6) for d in values] for name, values in overlap.items()}
    misread = {name: [float(area > FALSE_SCAR_MM2) for area in values] for name, values in false.items()}
    overall = score(slices, threshold)
    print(f"{part}: {len({s.patient for s in slices})} patients")
    print(f"  with scar, {sum(map(len, overlap.values()))} slices: Dice {_text(mean(overlap))}, above 0.6 {_text(mean(above))}")
    print(
        f"  without, {sum(map(len, false.values()))} slices: more than {FALSE_SCAR_MM2:g} mm2 in {_text(mean(misread))}, "
        f"mean {_text(mean(false))} mm2; in {_share(overall.false_patients)} of the patients without any scar"
    )
    bins, error = reliability(slices)
    print(f"  calibration error {error:.3f}; predicted -> observed: " + ", ".join(f"{b.mean_chance:.2f} -> {b.observed:.2f}" for b in bins))


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _text(value: Interval | None) -> str:
    return "none" if value is None else f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


if __name__ == "__main__":
    main()
