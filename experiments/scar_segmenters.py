"""What a scar segmenter finds in real patients: a filter's ceiling for pass rates, an auditor's own error.

    python experiments/scar_segmenters.py [--scar-segmenter FOLDER] [--role filter] [--data FOLDER] [--parts val,test]

--scar-segmenter (default: the shipped phantom's filter) holds config.json and model.safetensors. --data (default: the environment variable
LGESYNTHNET_DATA, else ../shared/data) holds emidec/ with splits.json; --parts may also name `all`. Nothing is tuned here.
Intervals are 95 % bootstraps over patients. Chance and truth are compared on the host's own pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from pathlib import Path

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
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LGESYNTHNET_DATA", "../shared/data")))
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
    """Every usable slice of the wanted patients, wall pixels alone."""
    found = []
    for stack in cohort.stacks():
        if isinstance(stack, Skipped) or stack.patient not in wanted:
            continue
        for index in usable_slices(stack)[0]:
            slice_, wall = stack[index], stack[index].wall
            chance = sum(segmenter.probabilities(slice_))
            pixel_mm2 = slice_.spacing_mm[0] * slice_.spacing_mm[1]
            found.append(ReadSlice(patient=stack.patient, probability=chance[wall], truth=slice_.scar[wall], pixel_mm2=pixel_mm2))
    return found


def report(part: str, slices: list[ReadSlice], threshold: float) -> None:
    """Print the scores of one part, with intervals, and its reliability curve."""
    overlap: dict[str, list[float]] = defaultdict(list)
    false: dict[str, list[float]] = defaultdict(list)
    for slice_ in slices:
        one = score([slice_], threshold)
        if one.dice is not None:
            overlap[slice_.patient].append(one.dice)
        else:
            false[slice_.patient].append(one.false_scar_mm2 or 0.0)
    above = {name: [float(d > 0.6) for d in values] for name, values in overlap.items()}
    misread = {name: [float(area > FALSE_SCAR_MM2) for area in values] for name, values in false.items()}
    whole = score(slices, threshold)
    print(f"{part}: {len({s.patient for s in slices})} patients")
    print(f"  with scar, {sum(map(len, overlap.values()))} slices: Dice {_shown(mean(overlap))}, above 0.6 {_shown(mean(above))}")
    print(
        f"  without, {sum(map(len, false.values()))} slices: more than {FALSE_SCAR_MM2:g} mm2 in {_shown(mean(misread))}, "
        f"mean {_shown(mean(false))} mm2; in {_share(whole.false_patients)} of the patients without any scar"
    )
    bins, error = reliability(slices)
    print(f"  calibration error {error:.3f}; chance -> observed: " + ", ".join(f"{b.mean_chance:.2f} -> {b.observed:.2f}" for b in bins))


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _shown(figure: Interval | None) -> str:
    return "none" if figure is None else f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


if __name__ == "__main__":
    main()
