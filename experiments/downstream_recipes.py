"""Compares recipes of the downstream segmenter on patients of the part `train` alone, so that the other parts choose nothing.

Needs the painted samples of `lgesynthnet benchmark utility`. What is trained already is not trained again; OUT/recipes.csv has the scores.

python experiments/downstream_recipes.py --data emidec --splits emidec/splits.json --pool runs/few/pools/lgesynthnet-phantom \\
    --out runs/recipes
"""

from __future__ import annotations

import argparse
import csv
import json
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from lgesynthnet.benchmark.jobs import executor
from lgesynthnet.benchmark.utility.scoring import score_stack
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.evaluate.utility.metrics import AUC, at_rate, metrics_named
from lgesynthnet.evaluate.utility.scores import RunScores, SliceScore, per_patient
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Stack
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2, RATES
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset, slice_dataset, write_slice_dataset
from lgesynthnet.train.segmenters import downstream
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining, train_downstream_segmenter

SCORE = TypeAdapter(SliceScore)
HEALTHY = 8  # training patients without scar; the others are tested on
SHOWN = (*map(at_rate, RATES), *metrics_named((AUC,)))


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way of training.

    Attributes:
        scarred_share: least share of slices with scar among the real slices of a batch.
    """

    painted: bool = True
    phantom_first: bool = True
    steps: int = 1000
    batch: int = 12
    unmarked_share: float = 0.5
    scarred_share: float = 1 / 3


VARIANTS = {
    "real": Variant(painted=False, phantom_first=False),
    "phantom-first": Variant(painted=False),
    "recipe": Variant(),
    "all-marked": Variant(unmarked_share=0),
    "uniform": Variant(scarred_share=0),
    "uniform-all-marked": Variant(scarred_share=0, unmarked_share=0),
    "long-all-marked": Variant(steps=2500, batch=16, unmarked_share=0),
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
    loop = replace(DOWNSTREAM["cpu"].loop, steps=variant.steps, batch=variant.batch)
    settings = DownstreamTraining(
        recipe=replace(DOWNSTREAM["cpu"], loop=loop, unmarked_share=variant.unmarked_share),
        init=weights_folder() / "phantom" if variant.phantom_first else None,
        seed=draw,
    )
    downstream.LEAST_SCARRED_SHARE = variant.scarred_share
    segmenter = train_downstream_segmenter(real.of(chosen), mine if variant.painted else None, folder, settings)
    cohort = open_cohort(arguments.data)
    tested = [patient for patient in real.has_scar if patient not in chosen]
    rows = [row.record() for patient in tested for row in score_stack(segmenter, cohort.stack(patient))]
    (arguments.out / f"{folder.name}.json").write_text(json.dumps(rows))
    return folder.name


def dice_by_slices(scores: RunScores, rate: float) -> float:
    """Mean 3-D Dice of patients with scar where whole slices are erased until no more scar-free ones than `rate` hold false scar.

    The threshold of a pixel stays at one half. The slices with the smallest expected scar area (probability of scar, summed over the wall)
    are erased first.
    """
    clean = [row for row in scores.slices if not row.has_scar]
    false = sorted((row.expected_scar_mm2 for row in clean if row.predicted_mm2 > FALSE_SCAR_MM2), reverse=True)
    allowed = int(rate * len(clean))
    limit = false[allowed] if allowed < len(false) else -1.0  # this slice and all below it are erased
    values = []
    for rows in per_patient(scores.slices).values():
        kept = [row for row in rows if row.expected_scar_mm2 > limit]
        if truth := sum(row.truth_mm2 for row in rows):
            values.append(2 * sum(row.overlap_mm2 for row in kept) / (truth + sum(row.predicted_mm2 for row in kept)))
    return float(np.mean(values))


def write_table(out: Path) -> None:
    """Write the metrics of every finished training."""
    head = ["scarred_patients", "variant", "draw", *(metric.name for metric in SHOWN), *(f"by slices, {rate:.2f}" for rate in RATES)]
    lines = []
    for path in sorted(out.glob("*-[0-9].json")):
        scarred, _, rest = path.stem.partition("-")
        name, _, draw = rest.rpartition("-")
        scores = RunScores(slices=[SCORE.validate_python(row) for row in json.loads(path.read_text())])
        weights = np.ones((1, len(per_patient(scores.slices))))
        values = [float(metric.compute(scores, weights)[0]) for metric in SHOWN] + [dice_by_slices(scores, rate) for rate in RATES]
        lines.append([scarred, name, draw, *(f"{value:.4f}" for value in values)])
    with (out / "recipes.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *lines])


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
    write_table(arguments.out)


if __name__ == "__main__":
    main()
