"""Trains the first weights of downstream segmenters, which ship in `weights/phantom`, on simulated patients alone.

lgesynthnet phantom runs/hearts --patients 200 --seed 7
python scripts/first_weights.py runs/hearts --work runs/first --out src/lgesynthnet/weights/phantom
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.devices import training_precision
from lgesynthnet.segmenter.downstream import first_weights_part
from lgesynthnet.terms import WallFrom
from lgesynthnet.train.examples.slices import slice_dataset
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining, train_downstream_segmenter

STEPS = 2000  # twice as many as on real patients
KINDS = (WallFrom.CROP, WallFrom.KNOWN_WALL)  # a cascade's second network starts from the latter


def main() -> None:
    """Train both kinds, or continue, and write them with their reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hearts", type=Path, help="folder of simulated patients")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="model folder; its other parts stay")
    arguments = parser.parse_args()
    slices = slice_dataset(open_cohort(arguments.hearts), arguments.work / "slices.safetensors")
    recipe = replace(DOWNSTREAM["cpu"], loop=replace(DOWNSTREAM["cpu"].loop, steps=STEPS))
    reports = json.loads((arguments.out / "reports.json").read_text(encoding="utf-8"))
    for kind in KINDS:
        name, began = first_weights_part(kind), time.monotonic()
        precision = training_precision("cpu")
        settings = DownstreamTraining(recipe=recipe, wall_from=kind, precision=precision)
        train_downstream_segmenter(slices, None, arguments.work / name, settings).save(arguments.out / name)
        log = json.loads((arguments.work / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        reports[name] = {
            "stage": name,
            "recipe": "cpu",
            "steps": STEPS,
            "seed": 0,
            "precision": precision.value,
            "patients": len(set(slices.patients)),
            "slices": len(slices),
            "loss": log["loss"],
            "seconds": log["seconds"],
        }
        print(f"{name}: {time.monotonic() - began:.0f} s")
    (arguments.out / "reports.json").write_text(json.dumps(reports, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
