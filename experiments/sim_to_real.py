"""Test heart segmenters on EMIDEC patients that none of them was trained on, e.g. one trained on the phantom and one on real patients.

    python experiments/sim_to_real.py phantom=FOLDER real=FOLDER [--data FOLDER] [--parts test audit] [--phantom FOLDER]

FOLDER is the model folder of `lgesynthnet train heart-segmenter` (WORK/heart-segmenter/model). --data (default: the environment variable
LGESYNTHNET_DATA) holds emidec/ with splits.json. --phantom holds simulated patients that no model was trained on; their scores show
what a model reaches on simulated images. Tune on `--parts val` only.

It prints for each model, with 95 % bootstrap intervals over patients: Dice of cavity and wall (scar included) of whole patients, mean
Dice of slices with scar, false scar on slices without scar, and the patients with the worst walls.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from real_data import add_data_option

from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.evaluate.intervals import mean
from lgesynthnet.records import Stack
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.segmenter.scoring import PatientScore, score

METRICS: dict[str, Callable[[PatientScore], Iterable[float]]] = {
    "cavity": lambda s: [] if s.cavity is None else [s.cavity],
    "wall": lambda s: [] if s.wall is None else [s.wall],
    "scar": lambda s: s.scar,
    "scar detected": lambda s: [float(d > 0) for d in s.scar],
    f"false scar > {FALSE_SCAR_MM2:g} mm2": lambda s: [float(a > FALSE_SCAR_MM2) for a in s.false_scar_mm2],
}


def evaluated(segmenter: HeartSegmenter, stacks: list[Stack]) -> tuple[list[PatientScore], float]:
    """Scores of all patients, and the mean time for one slice in seconds."""
    began = time.perf_counter()
    scores = [score(segmenter, stack) for stack in stacks]
    return scores, (time.perf_counter() - began) / sum(map(len, stacks))


def score_texts(scores: list[PatientScore]) -> dict[str, str]:
    shown = {}
    for name, values in METRICS.items():
        shown[name] = str(mean({s.patient: list(values(s)) for s in scores}) or "-")
    return shown


def stacks_of(cohort: Cohort, patients: list[str] | None = None) -> list[Stack]:
    return [s for s in cohort.stacks() if isinstance(s, Stack) and (patients is None or s.patient in patients)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    add_data_option(parser)
    parser.add_argument("--parts", nargs="+", default=["test", "audit"])
    parser.add_argument("--phantom", type=Path)
    options = parser.parse_args()
    emidec = options.data / "emidec"
    splits = read_splits(emidec / "splits.json")
    groups = {" + ".join(options.parts): stacks_of(open_cohort(emidec), [name for part in options.parts for name in splits[part]])}
    if options.phantom:
        groups["phantom"] = stacks_of(open_cohort(options.phantom))
    for model in options.models:
        name, _, folder = model.partition("=")
        segmenter = HeartSegmenter.from_pretrained(Path(folder))
        for group, stacks in groups.items():
            scores, seconds = evaluated(segmenter, stacks)
            positive, others = sum(len(s.scar) for s in scores), sum(len(s.false_scar_mm2) for s in scores)
            print(f"\n{name} ({segmenter.fingerprint}, threshold {segmenter.threshold:g}) on {group}: {len(stacks)} patients, ", end="")
            print(f"{positive} slices with scar, {others} without; {seconds:.3f} s a slice")
            for figure, shown in score_texts(scores).items():
                print(f"  {figure:22s} {shown}")
            worst = sorted(scores, key=lambda s: s.wall or 0.0)[:3]
            print("  worst walls:", ", ".join(f"{s.patient} {s.wall or 0:.2f}" for s in worst), flush=True)


if __name__ == "__main__":
    main()
