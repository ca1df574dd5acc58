"""Is it more than another threshold? Trained segmenters of `benchmark utility`, each read at the threshold with equal false alarm.

    python benchmarks/operating_points.py OUT/VARIANT --data FOLDER --splits FILE [--arm lgesynthnet-300 ...]

A segmenter that calls more of everything scar has a better Dice on slices that hold scar, and more false scar on those that do not. So
every run is read at 19 thresholds, and its Dice is taken where the share of scar-free slices with more than 25 mm2 of false scar equals
that of real only at one half (interpolated between thresholds). --arm is a run's name without its seed. Brackets: 95 % bootstrap over
patients and seeds, the matching done anew in each draw.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from lgesynthnet.data import open_cohort, read_splits
from lgesynthnet.evaluate.utility import Resampling, interval
from lgesynthnet.files import write_json
from lgesynthnet.overlap import dice
from lgesynthnet.records import scar_of, wall_of
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2
from lgesynthnet.segmenter.whole import Segmenter, decided
from lgesynthnet.threads import one_thread

THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))
Sums = dict[str, np.ndarray]  # (patients, thresholds) of Dice and of false alarms, (patients,) of slices of either kind


def read(model: Path, stacks: list) -> Sums:
    """Sums by patient, at every threshold."""
    segmenter = Segmenter.from_pretrained(model)
    found = {name: np.zeros((len(stacks), len(THRESHOLDS))) for name in ("dice", "false")} | {
        name: np.zeros(len(stacks)) for name in ("scarred", "others")
    }
    for i, stack in enumerate(stacks):
        chance, pixel = segmenter.stack_probabilities(stack.image, stack.spacing_mm), float(np.prod(stack.spacing_mm))
        heart = [k for k in range(len(stack)) if wall_of(stack.labels[:, :, k]).any()]
        scarred = [k for k in heart if scar_of(stack.labels[:, :, k]).any()]
        found["scarred"][i], found["others"][i] = len(scarred), len(heart) - len(scarred)
        for t, threshold in enumerate(THRESHOLDS):
            seen = scar_of(decided(chance, stack.spacing_mm, threshold))
            for k in heart:
                if k in scarred:
                    found["dice"][i, t] += dice(seen[:, :, k], scar_of(stack.labels[:, :, k])) or 0.0
                else:
                    found["false"][i, t] += seen[:, :, k].sum() * pixel > FALSE_SCAR_MM2
    return found


def curves(runs: list[Sums], draws: Resampling) -> tuple[np.ndarray, np.ndarray]:
    """Dice and false alarm, (draws, thresholds), of the seeds that each draw holds."""
    both = []
    for over, under in (("dice", "scarred"), ("false", "others")):
        each = np.stack([(draws.patients @ run[over]) / (draws.patients @ run[under])[:, None] for run in runs], axis=1)
        both.append((each * draws.seeds[:, :, None]).sum(axis=1) / draws.seeds.sum(axis=1, keepdims=True))
    return both[0], both[1]


def at(dices: np.ndarray, false: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Dice where the false alarm is the wanted one, by draw; at the nearest threshold where the curve does not reach it."""
    return np.array([np.interp(w, f[::-1], d[::-1]) for d, f, w in zip(dices, false, wanted, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT/VARIANT")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--arm", action="append", help="as in the names of runs, without their seed; default all finished ones")
    parser.add_argument("--tested", default="audit,test")
    options = parser.parse_args()
    splits, cohort = read_splits(options.splits), open_cohort(options.data)
    stacks = [cohort.stack(name) for part in options.tested.split(",") for name in splits[part]]
    by_arm: dict[str, list[Path]] = {}
    for record in sorted(options.folder.glob("runs/*/record.json")):
        by_arm.setdefault(record.parent.name.rpartition("-s")[0], []).append(record.parent)
    chosen = options.arm or list(by_arm)
    sums: dict[str, list[Sums]] = {}
    with one_thread():
        for arm in dict.fromkeys(["real", *chosen]):
            for run in by_arm[arm]:
                kept = run / "operating_points.json"
                if not kept.is_file():
                    write_json(kept, {name: values.tolist() for name, values in read(run / "model" / "segmenter", stacks).items()})
                sums.setdefault(arm, []).append({name: np.array(values) for name, values in json.loads(kept.read_text()).items()})
    draws = Resampling.of(len(stacks), len(sums["real"]))
    half = THRESHOLDS.index(0.5)
    base, alarm = curves(sums["real"], draws)
    print(f"real only at one half: Dice {interval(base[:, half], 0)}, false alarm {interval(alarm[:, half], 0)}")
    print("| trained on | Dice at one half | false alarm | Dice at real only's false alarm | change |\n|---|---|---|---|---|")
    for arm, runs in sums.items():
        dices, false = curves(runs, draws)
        matched = at(dices, false, alarm[:, half])
        change = matched - base[:, half]
        print(f"| {arm} | {interval(dices[:, half], 0)} | {interval(false[:, half], 0)} | {interval(matched, 0)} | {interval(change, 0)} |")


if __name__ == "__main__":
    main()
