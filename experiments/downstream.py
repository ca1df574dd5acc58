"""Scores a downstream segmenter on labelled patients: the first weights that are shipped, or one of your own.

python experiments/downstream.py --data emidec --splits emidec/splits.json --part audit --part test
python experiments/downstream.py --data emidec --splits emidec/splits.json --part test --model runs/seg
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lgesynthnet.benchmark.utility.scoring import score_stack
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.evaluate.intervals import estimate
from lgesynthnet.evaluate.utility.metrics import METRICS
from lgesynthnet.evaluate.utility.paired import Resampling
from lgesynthnet.evaluate.utility.scores import RunScores
from lgesynthnet.model_store import weights_folder
from lgesynthnet.segmenter.downstream import DownstreamSegmenter


def main() -> None:
    """Print every metric with its 95 % interval over patients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--part", action="append", required=True)
    parser.add_argument("--model", type=Path, default=weights_folder() / "phantom" / "downstream-segmenter-crop")
    arguments = parser.parse_args()
    segmenter, cohort = DownstreamSegmenter.from_pretrained(arguments.model), open_cohort(arguments.data)
    segmenter.least_area_mm2 = 0.0  # the metrics erase scar themselves, to match false-positive rates
    patients = [name for part in arguments.part for name in read_splits(arguments.splits)[part]]
    scores = RunScores(slices=[row for name in patients for row in score_stack(segmenter, cohort.stack(name))])
    resampling = Resampling.of(len(patients), 1)
    print(f"{len(patients)} patients, {len(scores.slices)} slices")
    for metric in METRICS:
        print(f"{metric.name}: {estimate(resampling.values(metric, [scores]), len(patients)) or 'not measured'}")


if __name__ == "__main__":
    main()
