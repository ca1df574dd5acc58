"""Does the phantom help where patients are few? Ten real patients, from scratch against from the phantom's weights.

    python experiments/sim_helps_real.py PHANTOM_MODEL --work FOLDER [--data FOLDER] [--seeds 3] [--steps 600] [--parts test audit]

PHANTOM_MODEL is the model folder of `lgesynthnet train heart-segmenter` on simulated patients. Ten EMIDEC `train` patients, seven with
scar, are drawn once; each arm trains on them with equal steps, from three seeds, and is tested on --parts. The scar threshold is
0.5 in both arms, for nothing may be tuned. Finished runs in --work are kept. The figure is the difference by patient, mean over seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from sim_to_real import METRICS, stacks_of

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.evaluate.intervals import difference, mean
from lgesynthnet.files import write_json
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.segmenter.scoring import PatientScore, score
from lgesynthnet.train.recipes import RECIPES
from lgesynthnet.train.request import TrainingData, TrainingRequest
from lgesynthnet.train.segmenters.heart import train_heart_segmenter

ARMS = ("scratch", "phantom")
WITH_SCAR, WITHOUT = 7, 3


def drawn(names: list[str]) -> list[str]:
    """Seven patients with infarct (P) and three without (N), always the same."""
    rng = np.random.default_rng(2024)
    groups = [sorted(name for name in names if name.startswith(letter)) for letter in "PN"]
    return sorted(
        str(name) for group, size in zip(groups, (WITH_SCAR, WITHOUT), strict=True) for name in rng.choice(group, size, replace=False)
    )


def arm_scores(work: Path, emidec: Path, patients: list[str], tested: list[str], init: Path | None, seed: int) -> list[PatientScore]:
    """Train and test one run, or read what it gave before with the same settings."""
    kept, loops = work / "scores.json", RECIPES["benchmark"]
    start = HeartSegmenter.from_pretrained(init).fingerprint if init else None
    settings = {"tested": tested, "init": start, "steps": loops.heart_segmenter.steps}
    if not kept.exists():
        cohort = open_cohort(emidec)
        data = TrainingData(cohort=cohort, patients=patients)
        train_heart_segmenter(TrainingRequest(work=work, data=data, recipe="benchmark", init=init, seed=seed, device="cpu"))
        segmenter = HeartSegmenter.from_pretrained(work / "heart-segmenter" / "model")
        write_json(kept, {"settings": settings, "scores": [asdict(score(segmenter, stack)) for stack in stacks_of(cohort, tested)]})
    record = json.loads(kept.read_text())
    if record["settings"] != settings:
        raise SystemExit(f"{kept}: was made with other patients, steps or weights; choose another --work")
    return [PatientScore(**row) for row in record["scores"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="PHANTOM_MODEL")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LGESYNTHNET_DATA", "../shared/data")))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--parts", nargs="+", default=["test", "audit"])
    options = parser.parse_args()
    emidec = options.data / "emidec"
    splits = read_splits(emidec / "splits.json")
    patients, tested = drawn(splits["train"]), [name for part in options.parts for name in splits[part]]
    cpu = RECIPES["cpu"]
    # Each arm at the rate that suits its start: a network that knows the heart is spoilt by the rate that teaches it.
    loops = {
        "heart_segmenter": replace(cpu.heart_segmenter, steps=options.steps),
        "heart_segmenter_finetune": replace(cpu.heart_segmenter_finetune, steps=options.steps),
    }
    RECIPES["benchmark"] = replace(cpu, **loops)
    print(f"trained on {', '.join(patients)}; {options.steps} steps; tested on {len(tested)} patients")
    found: dict[str, dict[str, dict[str, list[list[float]]]]] = {figure: {arm: {} for arm in ARMS} for figure in METRICS}
    for arm in ARMS:
        for seed in range(options.seeds):
            began = time.perf_counter()
            init = options.model if arm == "phantom" else None
            scores = arm_scores(options.work / f"{arm}-{seed}", emidec, patients, tested, init, seed)
            for figure, values in METRICS.items():
                for row in scores:
                    found[figure][arm].setdefault(row.patient, []).append(list(values(row)))
            means = {figure: np.mean([v for row in scores for v in values(row)]) for figure, values in METRICS.items()}
            shown = ", ".join(f"{figure} {value:.3f}" for figure, value in means.items())
            print(f"  {arm} seed {seed}: {shown} ({time.perf_counter() - began:.0f} s)", flush=True)
    for figure, by_arm in found.items():
        of_arm = {arm: {p: np.mean(rows, axis=0).tolist() for p, rows in of.items()} for arm, of in by_arm.items()}
        both = ", ".join(f"{arm} {mean(of_arm[arm])}" for arm in ARMS)
        change = difference(of_arm["phantom"], of_arm["scratch"])
        gain = "-" if change is None else f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
        print(f"{figure}: {both}; phantom - scratch {gain}")


if __name__ == "__main__":
    main()
