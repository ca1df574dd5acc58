"""Compares recipes of the downstream segmenter on patients of the part `train` alone, so that the other parts choose nothing.

Needs the painted samples of `lgesynthnet benchmark utility`. What is trained already is not trained again.

python experiments/downstream_recipes.py --data emidec --splits emidec/splits.json --pool runs/few/pools/lgesynthnet-phantom \\
    --out runs/recipes
"""

from __future__ import annotations

import argparse
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
from lgesynthnet.evaluate.intervals import estimate
from lgesynthnet.evaluate.utility.metrics import AUC, at_rate, metrics_named
from lgesynthnet.evaluate.utility.paired import Resampling
from lgesynthnet.evaluate.utility.scores import RunScores, SliceScore
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Stack
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset, slice_dataset, write_slice_dataset
from lgesynthnet.train.segmenters import downstream
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, DownstreamTraining, train_downstream_segmenter

SCORE = TypeAdapter(SliceScore)
HEALTHY = 8  # training patients without scar; the others are tested on
SHOWN = (at_rate(0.1), at_rate(0.2), *metrics_named((AUC,)))


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way of training.

    Attributes:
        scarred_share: least share of slices with scar among the real slices of a batch.
    """

    painted: bool = True
    origin: bool = True
    phantom_first: bool = True
    steps: int = 1000
    batch: int = 12
    painted_share: float = 0.4
    scarred_share: float = 1 / 3


VARIANTS = {
    "real": Variant(painted=False, phantom_first=False),
    "phantom-first": Variant(painted=False),
    "recipe": Variant(),
    "plain": Variant(origin=False),
    "uniform": Variant(scarred_share=0),
    "uniform-phantom-first": Variant(painted=False, scarred_share=0),
    "uniform-real": Variant(painted=False, phantom_first=False, scarred_share=0),
    "fifth": Variant(painted_share=0.2),
    "long": Variant(steps=2500, batch=16),
    "long-phantom-first": Variant(steps=2500, batch=16, painted=False),
    "long-real": Variant(steps=2500, batch=16, painted=False, phantom_first=False),
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
        recipe=replace(DOWNSTREAM["cpu"], loop=loop, painted_share=variant.painted_share),
        origin=variant.origin,
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


def table(arguments: argparse.Namespace) -> None:
    """Print the metrics of all draws of each variant, as far as they are there."""
    for name in VARIANTS:
        paths = sorted(arguments.out.glob(f"{arguments.scarred}-{name}-[0-9].json"))
        for path in paths:
            scores = RunScores(slices=[SCORE.validate_python(row) for row in json.loads(path.read_text())])
            count = len({row.patient for row in scores.slices})
            resampling = Resampling.of(count, 1)
            found = [estimate(resampling.values(metric, [scores]), count) for metric in SHOWN]
            print(path.stem, *(f"{value.value:.3f}" if value else "none" for value in found))


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
    table(arguments)


if __name__ == "__main__":
    main()
