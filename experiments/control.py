"""Does a model do as it is told? Drawn prescriptions painted into scar-free hosts, read back by the filter.

    python experiments/control.py --hosts FOLDER [--model phantom] [--count 120] [--steps N] [--guidance G]
                                 [--no-edges] [--whole-wall] [--no-grain]

Prints pass rate and Dice with 95 % intervals (bootstrap over host patients), by extent and by area, how brightness follows the
prescribed percentile, and whether the scar lies where it should with the edge map dropped (`--no-edges --whole-wall`: the caption alone;
without `--whole-wall` the hidden region still tells where). Chance is the same readings against the prescriptions of other samples.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.evaluate.intervals import mean
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.quality.verdict import judge
from lgesynthnet.records import Label, Level, scar_of
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.judging import read_back
from lgesynthnet.synthesis.painters import model_folder
from lgesynthnet.terms import Prior


def interval(values: dict[str, list[float]]) -> str:
    return f"{mean(values)} (n={sum(map(len, values.values()))})"


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / max(len(one | other), 1)


def chance(sets: dict[Level, list[tuple[frozenset[int], frozenset[int]]]]) -> float:
    """Mean overlap of each reading with the prescriptions of all other samples of its level."""
    pairs = [
        jaccard(read, wanted)
        for found in sets.values()
        for i, (read, _) in enumerate(found)
        for j, (_, wanted) in enumerate(found)
        if i != j
    ]
    return float(np.mean(pairs)) if pairs else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--prior", default="ischaemic", choices=list(Prior))
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Sampling.steps)
    parser.add_argument("--guidance", type=float, default=Sampling.guidance)
    parser.add_argument("--no-edges", action="store_true")
    parser.add_argument("--whole-wall", action="store_true", help="hide the whole wall, not the scar's surroundings")
    parser.add_argument("--no-grain", action="store_true")
    options = parser.parse_args()
    sampling = Sampling(
        steps=options.steps,
        guidance=options.guidance,
        edges=not options.no_edges,
        grain=not options.no_grain,
        whole_wall=options.whole_wall,
    )
    folder = model_folder(options.model)
    painter = LGESynthNet.from_pretrained(folder, sampling=sampling)
    reader = TrainedScarSegmenter.from_pretrained(folder / "filter")
    shelf = find_hosts(open_cohort(options.hosts))
    rng = np.random.default_rng(options.seed)

    passed: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    overlap: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    located: dict[str, list[float]] = defaultdict(list)
    sets: dict[Level, list[tuple[frozenset[int], frozenset[int]]]] = defaultdict(list)
    asked, bright, seconds, dark = [], [], [], []
    for i in range(options.count):
        entry = shelf.entries[int(rng.integers(len(shelf.entries)))]
        host = shelf.fetch(entry)
        wanted = draw_prescription(options.prior, entry.level, rng)
        sample = painter.inpaint(host, wanted, seed=i)
        read = scar_of(read_back(reader, sample))
        verdict = judge(sample.intended, read, host.slice_.spacing_mm, existing=host.slice_.scar)
        extent = f"extent {'<= 0.5' if wanted.transmurality <= 0.5 else '> 0.5'}"
        area = f"area {'<= 100 mm2' if verdict.intended_mm2 <= 100 else '> 100 mm2'}"
        for group in ("all", extent, area):
            passed[group][entry.patient].append(float(verdict.kept))
            overlap[group][entry.patient].append(verdict.dice or 0.0)
        found = measure_scar(read, host.frame)
        located[entry.patient].append(jaccard(found.segments, wanted.segments))
        sets[entry.level].append((found.segments, wanted.segments))
        unit = HeartWindow.from_slice(host.slice_).to_unit(sample.image)
        visible = sample.labels == Label.SCAR
        if visible.any():
            asked.append(wanted.intensity_percentile)
            bright.append(float(unit[visible].mean()))
        if sample.intended_no_reflow.sum() > 3:
            dark.append(float(unit[visible].mean() - unit[sample.intended_no_reflow].mean()))
        seconds.append(sample.seconds)
    print(f"{painter.fingerprint}  {reader.fingerprint}  {np.median(seconds):.2f} s a sample")
    for group in sorted(passed):
        print(f"{group:>18}: passed {interval(passed[group])}   Dice {interval(overlap[group])}")
    print(f"{'segments':>18}: overlap of the read with the prescribed set (Jaccard) {interval(located)}, by chance {chance(sets):.3f}")
    rank = spearmanr(asked, bright).statistic
    print(f"{'brightness':>18}: rank correlation with the prescribed percentile {rank:.2f}, mean {np.mean(bright):.2f} heart units")
    if dark:
        print(
            f"{'no-reflow':>18}: darker than its scar by {np.mean(dark):.2f} heart units on average, in {np.mean(np.array(dark) > 0.1):.0%}"
        )


if __name__ == "__main__":
    main()
