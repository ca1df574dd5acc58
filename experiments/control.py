"""Measure how well a model follows prescriptions: paint drawn prescriptions into hosts without scar and segment them with the filter.

    python experiments/control.py --hosts FOLDER [--model phantom] [--count 120] [--steps N] [--guidance G]
                                 [--no-edges] [--whole-wall] [--no-grain]

It prints:

- the pass rate and the Dice by extent and by area, with 95 % bootstrap intervals over host patients;
- the overlap of the segmented with the prescribed AHA segments, beside its value by chance (each sample against the prescriptions of the
  other samples);
- the rank correlation of the scar's brightness with the prescribed percentile, and how dark the no-reflow core is.

`--no-edges --whole-wall` measures the caption alone. Without `--whole-wall` the hidden region still shows where the scar must lie.
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
from lgesynthnet.records import Label, Level, scar_of
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.judging import reading_and_verdict
from lgesynthnet.synthesis.painters import model_folder
from lgesynthnet.terms import Prior


def interval(values: dict[str, list[float]]) -> str:
    return f"{mean(values)} (n={sum(map(len, values.values()))})"


def jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    return len(first & second) / max(len(first | second), 1)


def chance(segment_pairs: dict[Level, list[tuple[frozenset[int], frozenset[int]]]]) -> float:
    """Mean overlap of each segmented scar with the prescriptions of all other samples of its level."""
    pairs = [
        jaccard(read, prescription)
        for of_level in segment_pairs.values()
        for i, (read, _) in enumerate(of_level)
        for j, (_, prescription) in enumerate(of_level)
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
    parser.add_argument("--no-edges", action="store_true", help="paint without edge maps")
    parser.add_argument("--whole-wall", action="store_true", help="hide the whole wall, not only the surroundings of the scar")
    parser.add_argument("--no-grain", action="store_true", help="do not add noise like that of the host")
    options = parser.parse_args()
    sampling = Sampling(
        steps=options.steps,
        guidance=options.guidance,
        edges=not options.no_edges,
        grain=not options.no_grain,
        whole_wall=options.whole_wall,
    )
    folder = model_folder(options.model)
    generator = LGESynthNet.from_pretrained(folder, sampling=sampling)
    scar_filter = TrainedScarSegmenter.from_pretrained(folder / "filter")
    pool = find_hosts(open_cohort(options.hosts))
    rng = np.random.default_rng(options.seed)

    passed: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    overlap: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    segment_overlap: dict[str, list[float]] = defaultdict(list)
    segment_pairs: dict[Level, list[tuple[frozenset[int], frozenset[int]]]] = defaultdict(list)
    percentiles, brightness, seconds, core_drops = [], [], [], []
    for i in range(options.count):
        entry = pool.entries[int(rng.integers(len(pool.entries)))]
        host = pool.fetch(entry)
        prescription = draw_prescription(options.prior, entry.level, rng)
        sample = generator.inpaint(host, prescription, seed=i)
        labels, verdict = reading_and_verdict(sample, scar_filter)
        read = scar_of(labels)
        extent = f"extent {'<= 0.5' if prescription.transmurality <= 0.5 else '> 0.5'}"
        area = f"area {'<= 100 mm2' if verdict.intended_mm2 <= 100 else '> 100 mm2'}"
        for group in ("all", extent, area):
            passed[group][entry.patient].append(float(verdict.kept))
            overlap[group][entry.patient].append(verdict.dice or 0.0)
        measured = measure_scar(read, host.frame)
        segment_overlap[entry.patient].append(jaccard(measured.segments, prescription.segments))
        segment_pairs[entry.level].append((measured.segments, prescription.segments))
        unit = HeartWindow.from_slice(host.slice_).to_unit(sample.image)
        visible = sample.labels == Label.SCAR
        if visible.any():
            percentiles.append(prescription.intensity_percentile)
            brightness.append(float(unit[visible].mean()))
        if sample.intended_no_reflow.sum() > 3:
            core_drops.append(float(unit[visible].mean() - unit[sample.intended_no_reflow].mean()))
        seconds.append(sample.seconds)
    print(f"{generator.fingerprint}  {scar_filter.fingerprint}  {np.median(seconds):.2f} s a sample")
    for group in sorted(passed):
        print(f"{group:>18}: passed {interval(passed[group])}   Dice {interval(overlap[group])}")
    print(
        f"{'segments':>18}: overlap of segmented and prescribed segments (Jaccard) {interval(segment_overlap)}, "
        f"by chance {chance(segment_pairs):.3f}"
    )
    rank = spearmanr(percentiles, brightness).statistic
    print(f"{'brightness':>18}: rank correlation with the prescribed percentile {rank:.2f}, mean {np.mean(brightness):.2f} heart units")
    if core_drops:
        print(
            f"{'no-reflow':>18}: darker than the scar by {np.mean(core_drops):.2f} heart units on average, "
            f"by more than 0.1 in {np.mean(np.array(core_drops) > 0.1):.0%}"
        )


if __name__ == "__main__":
    main()
