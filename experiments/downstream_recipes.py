"""Compares recipes of the downstream segmenter on patients of the part `train` alone, so that the other parts choose nothing.

Needs the painted samples of `lgesynthnet benchmark utility`. What is trained already is not trained again. OUT/recipes.csv has the scores
of the recipes, by both ways to reach a false-positive rate: slices are erased (as the program does it), or the threshold of every pixel is
raised. OUT/pixels.csv has those of the same segmenters when a pixel is called scar from another probability on and slices are erased.

python experiments/downstream_recipes.py --data emidec --splits emidec/splits.json --pool runs/few/pools/lgesynthnet-phantom \\
    --out runs/recipes
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from lgesynthnet.benchmark.jobs import executor
from lgesynthnet.benchmark.utility.scoring import score_stack
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.evaluate.utility.metrics import AUC, PATIENT_DICE, Metric, at_rate, metrics_named
from lgesynthnet.evaluate.utility.scores import RunScores, SliceScore, per_patient, scar_volume_ml
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Stack, scar_of, wall_of
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.segmenter.calibration import RATES
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, scar_share
from lgesynthnet.segmenter.operating_points import least_area_mm2
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset, slice_dataset, write_slice_dataset
from lgesynthnet.train.segmenters import downstream
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining, train_downstream_segmenter

SCORE = TypeAdapter(SliceScore)
# Shares of the wall's probability from which on a pixel is called scar; close together near 0 and 1, where few scars teach certainty.
PIXELS_FROM = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, *(round(0.05 * i, 2) for i in range(1, 20)), 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
TRIED = (0.15, 0.25, 0.35, 0.5, 0.65)
RECIPE = DOWNSTREAM["cpu"]
FAST = RECIPE.loop.lr  # that of random weights
HEALTHY = 8  # training patients without scar; the others are tested on
SHOWN = (*map(at_rate, RATES), *metrics_named((AUC,)))


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way of training.

    Attributes:
        lr: largest learning rate.
        scarred_share: least share of slices with scar among the real slices of a batch.
    """

    painted: bool = True
    phantom_first: bool = True
    lr: float = RECIPE.tuning_lr
    steps: int = RECIPE.loop.steps
    batch: int = RECIPE.loop.batch
    unmarked_share: float = RECIPE.unmarked_share
    scarred_share: float = downstream.LEAST_SCARRED_SHARE


VARIANTS = {
    "real": Variant(painted=False, phantom_first=False, lr=FAST),
    "phantom-first": Variant(painted=False),
    "recipe": Variant(),
    "phantom-first-medium": Variant(painted=False, lr=1e-3),
    "medium": Variant(lr=1e-3),
    "phantom-first-fast": Variant(painted=False, lr=FAST),
    "fast": Variant(lr=FAST),
    "all-marked": Variant(lr=FAST, unmarked_share=0),
    "uniform": Variant(lr=FAST, scarred_share=0),
    "uniform-all-marked": Variant(lr=FAST, scarred_share=0, unmarked_share=0),
    "long-all-marked": Variant(lr=FAST, steps=2500, batch=16, unmarked_share=0),
}


def choose(data: SliceDataset, scarred: int, draw: int) -> list[str]:
    """Names of the training patients."""
    rng = np.random.default_rng([draw, 41])
    groups = [[name for name, has_scar in sorted(data.has_scar.items()) if has_scar is kind] for kind in (True, False)]
    return [str(name) for group, count in zip(groups, (scarred, HEALTHY), strict=True) for name in rng.permutation(group)[:count]]


def run(arguments: argparse.Namespace, name: str, draw: int) -> str:
    """Train one segmenter, test it on the other patients, and write its scores."""
    variant, folder = VARIANTS[name], arguments.out / f"{arguments.scarred}-{name}-{draw}"
    real, painted = (read_slice_dataset(arguments.out / f"{part}.safetensors") for part in ("real", "painted"))
    chosen = choose(real, arguments.scarred, draw)
    hosts = {row.id: row.host for row in RunFolder.open(arguments.pool).rows if row.kept}
    mine = painted.taken(np.array([i for i, sample in enumerate(painted.patients) if hosts.get(sample) in chosen]))
    loop = replace(RECIPE.loop, steps=variant.steps, batch=variant.batch, lr=variant.lr)
    settings = DownstreamTraining(
        recipe=replace(RECIPE, loop=loop, tuning_lr=variant.lr, unmarked_share=variant.unmarked_share),
        init=weights_folder() / "phantom" if variant.phantom_first else None,
        seed=draw,
    )
    downstream.LEAST_SCARRED_SHARE = variant.scarred_share
    segmenter = train_downstream_segmenter(real.of(chosen), mine if variant.painted else None, folder, settings)
    cohort = open_cohort(arguments.data)
    tested = [patient for patient in real.has_scar if patient not in chosen]
    rows = [row for patient in tested for row in read_patient(segmenter, cohort.stack(patient))]
    (arguments.out / f"{folder.name}.json").write_text(json.dumps(rows))
    return folder.name


def read_patient(segmenter: DownstreamSegmenter, stack: Stack) -> list[dict[str, Any]]:
    """Scores of every slice, and of each the areas of scar in the prediction and in both when pixels are called from each share on."""
    probability = segmenter.stack_probabilities(stack.image, stack.spacing_mm)
    wall, share = wall_of(segmenter.decide(probability, stack.spacing_mm)), scar_share(probability)
    truth, pixel_mm2 = scar_of(stack.labels), np.prod(stack.spacing_mm)
    called = [wall & (share >= least) for least in PIXELS_FROM]
    return [
        {
            "score": row.record(),
            "areas": [[float((part[:, :, row.index]).sum() * pixel_mm2) for part in (mask, mask & truth)] for mask in called],
        }
        for row in score_stack(segmenter, stack)
    ]


def write_tables(out: Path) -> None:
    """Write the metrics of every finished training."""
    lines, by_pixel = [], []
    for path in sorted(out.glob("*-[0-9].json")):
        scarred, _, rest = path.stem.partition("-")
        name, _, draw = rest.rpartition("-")
        rows = json.loads(path.read_text())
        scores = [SCORE.validate_python(row["score"]) for row in rows]
        moved = {least: called_from(scores, rows, number) for number, least in enumerate(PIXELS_FROM)}
        lines.append([scarred, name, draw, *values_of(scores, SHOWN), *(by_pixels(moved, rate) for rate in RATES)])
        by_pixel += [[scarred, name, draw, least, *values_of(moved[least], SHOWN[:-1]), *volumes_ml(moved[least])] for least in TRIED]
    head = ["scarred_patients", "variant", "draw"]
    names = [metric.name for metric in SHOWN]
    _write(out / "recipes.csv", [[*head, *names, *(f"by pixels, {rate:.2f}" for rate in RATES)], *lines])
    _write(out / "pixels.csv", [[*head, "pixel_from", *names[:-1], "labelled_ml", "drawn_ml", "mean_error_ml"], *by_pixel])


def called_from(scores: list[SliceScore], rows: list[dict[str, Any]], number: int) -> list[SliceScore]:
    """The scores with the areas at one of `PIXELS_FROM`."""
    areas = [row["areas"][number] for row in rows]
    return [replace(score, predicted_mm2=area, overlap_mm2=overlap) for score, (area, overlap) in zip(scores, areas, strict=True)]


def by_pixels(moved: dict[float, list[SliceScore]], rate: float) -> str:
    """Mean Dice of patients with scar at the lowest threshold of pixels with this false-positive rate; nothing is erased."""
    for scores in moved.values():
        free = [score.is_called for score in scores if not score.has_scar]
        if sum(free) <= rate * len(free):
            return values_of(scores, metrics_named((PATIENT_DICE,)))[0]
    return f"{0:.4f}"


def values_of(scores: list[SliceScore], metrics: Sequence[Metric]) -> list[str]:
    """The metrics over the tested patients."""
    weights = np.ones((1, len(per_patient(scores))))
    return [f"{metric.compute(RunScores(slices=scores), weights)[0]:.4f}" for metric in metrics]


def volumes_ml(scores: list[SliceScore]) -> list[str]:
    """Mean labelled and drawn scar volume of patients with scar, and the mean absolute error, all at a false-positive rate of 0.10."""
    least = least_area_mm2(scores, RATES[0]) or 0.0
    pairs = []
    for rows in per_patient(scores).values():
        if any(row.has_scar for row in rows):
            kept = [row for row in rows if row.expected_scar_mm2 >= least]
            pairs.append((scar_volume_ml(rows, predicted=False), scar_volume_ml(kept, predicted=True)))
    labelled, drawn = np.array(pairs).T
    return [f"{value:.2f}" for value in (labelled.mean(), drawn.mean(), np.abs(labelled - drawn).mean())]


def _write(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--data", "--splits", "--pool", "--out"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--scarred", type=int, default=4, help="training patients with scar")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    cohort = open_cohort(arguments.data)
    slice_dataset(cohort, arguments.out / "real.safetensors", patients=read_splits(arguments.splits)["train"])
    if not (arguments.out / "painted.safetensors").exists():
        stacks = (stack for stack in open_cohort(arguments.pool).stacks() if isinstance(stack, Stack))
        write_slice_dataset(stacks, arguments.out / "painted.safetensors", source="the pool", place=str(arguments.pool))
    wanted = [(name, draw) for draw in range(arguments.draws) for name in arguments.variant or VARIANTS]
    with executor(arguments.workers) as processes:
        lacking = [pair for pair in wanted if not (arguments.out / f"{arguments.scarred}-{pair[0]}-{pair[1]}.json").exists()]
        for job in as_completed([processes.submit(run, arguments, *pair) for pair in lacking]):
            print(job.result(), flush=True)
    write_tables(arguments.out)


if __name__ == "__main__":
    main()
