"""Measure whether phantom weights help when patients are few: train on ten real patients from scratch and from phantom weights.

    python experiments/sim_helps_real.py PHANTOM_MODEL --work FOLDER [--data FOLDER] [--seeds 3] [--steps 600] [--parts test audit]

PHANTOM_MODEL is the model folder of `lgesynthnet train heart-segmenter` on simulated patients. Ten EMIDEC `train` patients, seven of them
with scar, are drawn once. Each arm trains on them with the same number of steps from three seeds, and is tested on --parts. The scar
threshold is 0.5 in both arms, so that nothing is tuned. Finished runs in --work are not repeated.

It prints the scores of each run and, for each score, both arms and their paired difference over patients, averaged over the seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from real_data import add_data_option
from sim_to_real import METRICS, stacks_of

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.evaluate.intervals import difference, mean
from lgesynthnet.files.writing import write_json
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.segmenter.scoring import PatientScore, score
from lgesynthnet.train.recipes import RECIPES
from lgesynthnet.train.request import TrainingData, TrainingRequest
from lgesynthnet.train.segmenters.heart import train_heart_segmenter

ARMS = ("scratch", "phantom")
WITH_SCAR, WITHOUT = 7, 3


def draw_patients(names: list[str]) -> list[str]:
    """Seven patients with infarct (P) and three without (N); the same names give the same draw."""
    rng = np.random.default_rng(2024)
    groups = [sorted(name for name in names if name.startswith(letter)) for letter in "PN"]
    return sorted(
        str(name) for group, size in zip(groups, (WITH_SCAR, WITHOUT), strict=True) for name in rng.choice(group, size, replace=False)
    )


def arm_scores(work: Path, emidec: Path, patients: list[str], tested: list[str], init: Path | None, seed: int) -> list[PatientScore]:
    """Train and test one run, or read the scores of a finished run with the same settings."""
    file, loops = work / "scores.json", RECIPES["benchmark"]
    start = HeartSegmenter.from_pretrained(init).fingerprint if init else None
    settings = {"tested": tested, "init": start, "steps": loops.heart_segmenter.steps}
    if not file.exists():
        cohort = open_cohort(emidec)
        data = TrainingData(cohort=cohort, patients=patients)
        train_heart_segmenter(TrainingRequest(work=work, data=data, recipe="benchmark", init=init, seed=seed, device="cpu"))
        segmenter = HeartSegmenter.from_pretrained(work / "heart-segmenter" / "model")
        write_json(file, {"settings": settings, "scores": [asdict(score(segmenter, stack)) for stack in stacks_of(cohort, tested)]})
    record = json.loads(file.read_text())
    if record["settings"] != settings:
        raise SystemExit(f"{file}: belongs to a run with other patients, steps or weights; choose another --work")
    return [PatientScore(**row) for row in record["scores"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="PHANTOM_MODEL")
    parser.add_argument("--work", type=Path, required=True)
    add_data_option(parser)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--parts", nargs="+", default=["test", "audit"])
    options = parser.parse_args()
    emidec = options.data / "emidec"
    splits = read_splits(emidec / "splits.json")
    patients, tested = draw_patients(splits["train"]), [name for part in options.parts for name in splits[part]]
    cpu = RECIPES["cpu"]
    # Each arm has the learning rate of its start: the rate for training from scratch would destroy the phantom weights.
    loops = {
        "heart_segmenter": replace(cpu.heart_segmenter, steps=options.steps),
        "heart_segmenter_finetune": replace(cpu.heart_segmenter_finetune, steps=options.steps),
    }
    RECIPES["benchmark"] = replace(cpu, **loops)
    print(f"trained on {', '.join(patients)}; {options.steps} steps; tested on {len(tested)} patients")
    scores_of: dict[str, dict[str, dict[str, list[list[float]]]]] = {name: {arm: {} for arm in ARMS} for name in METRICS}
    for arm in ARMS:
        for seed in range(options.seeds):
            began = time.perf_counter()
            init = options.model if arm == "phantom" else None
            scores = arm_scores(options.work / f"{arm}-{seed}", emidec, patients, tested, init, seed)
            for name, values in METRICS.items():
                for row in scores:
                    scores_of[name][arm].setdefault(row.patient, []).append(list(values(row)))
            means = {name: np.mean([v for row in scores for v in values(row)]) for name, values in METRICS.items()}
            shown = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
            print(f"  {arm} seed {seed}: {shown} ({time.perf_counter() - began:.0f} s)", flush=True)
    for name, by_arm in scores_of.items():
        of_arm = {arm: {p: np.mean(rows, axis=0).tolist() for p, rows in of.items()} for arm, of in by_arm.items()}
        both = ", ".join(f"{arm} {mean(of_arm[arm])}" for arm in ARMS)
        change = difference(of_arm["phantom"], of_arm["scratch"])
        gain = "-" if change is None else f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
        print(f"{name}: {both}; phantom - scratch {gain}")


if __name__ == "__main__":
    main()
