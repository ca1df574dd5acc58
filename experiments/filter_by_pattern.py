"""Which patterns of scar does the filter keep when they are painted well, and does it reject what was painted elsewhere or not at all?

    python experiments/filter_by_pattern.py --model MODEL --hosts FOLDER [--splits FILE --part test] [--filter FOLDER] [--auditor FOLDER]

For each of the six patterns, prescriptions of the uniform prior are painted into slices without scar. A sample is *visible* where the
prescribed pixels became brighter than the host's by half of the distance from wall to blood, on average.

kept, visible   share of the visible samples that the filter keeps
kept, all       share of all samples
nothing         the host itself, in which nothing was painted, judged as if it were the sample: share that is kept
elsewhere       a sample whose scar lies in another place, judged by this prescription: share that is kept
Dice, cores     Dice of each auditor with the prescribed scar; share of no-reflow cores in which it sees the core

Intervals: 95 %, bootstrap over patients. Nothing is tuned here.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from generator import as_numbers

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import part_of
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.evaluate.intervals import ByPatient, Interval, mean
from lgesynthnet.files.writing import write_json
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.quality.appearance import LEAST_CORE_PIXELS
from lgesynthnet.records import Label, Level, scar_of
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.judging import judge, read_back
from lgesynthnet.synthesis.painters import load_filter
from lgesynthnet.terms import DICE_ABOVE, Prior, Role

VISIBLE_FROM = 0.5  # heart units: half of the distance from wall to blood
MOST_SHARED = 0.1  # share of a prescription that a scar "elsewhere" may cover
CORE_FOUND = 0.25  # share of the core that the auditor must call no-reflow
TRIES = 50


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--hosts", type=Path, required=True, help="folder of patients")
    parser.add_argument("--splits", type=Path)
    parser.add_argument("--part", default="test", help="part of --splits")
    parser.add_argument("--filter", type=Path, help="default: the model's own")
    parser.add_argument("--auditor", type=Path, action="append", default=[], help="repeat for several")
    parser.add_argument("--count", type=int, default=40, help="samples of each pattern")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    return parser.parse_args()


def main() -> None:
    options = options_of()
    pool = find_hosts(open_cohort(options.hosts))
    named = part_of(options.splits, options.part) if options.splits else None
    hosts = [pool.fetch(entry) for entry in pool.entries if named is None or entry.patient in named]
    generator = LGESynthNet.from_pretrained(options.model)
    samples = list(painted(generator, hosts, options.count, np.random.default_rng(options.seed)))
    filter_ = TrainedScarSegmenter.from_pretrained(options.filter) if options.filter else load_filter(options.model)
    auditors = [TrainedScarSegmenter.from_pretrained(folder, Role.AUDITOR) for folder in options.auditor]
    tables = {pattern: of_pattern(pattern, samples, filter_, auditors, options.count) for pattern in Pattern}
    print(f"{generator.fingerprint}  {filter_.fingerprint}  {len(hosts)} hosts")
    for number, auditor in enumerate(auditors, start=1):
        print(f"auditor {number}: {auditor.fingerprint}")
    for pattern, table in tables.items():
        print(f"{pattern}\n  " + "\n  ".join(f"{name:<22} {interval}" for name, interval in table.items()))
    if options.out:
        write_json(options.out, {pattern.value: as_numbers(table) for pattern, table in tables.items()})


def painted(generator: LGESynthNet, hosts: list[Host], count: int, rng: np.random.Generator) -> Iterator[SyntheticSample]:
    """`count` samples of each pattern."""
    for pattern in Pattern:
        for number in range(count):
            yield _painted(generator, hosts, pattern, number, rng)


def _painted(generator: LGESynthNet, hosts: list[Host], pattern: Pattern, seed: int, rng: np.random.Generator) -> SyntheticSample:
    while True:
        host = hosts[int(rng.integers(len(hosts)))]
        if pattern is Pattern.RV_INSERTION and host.frame.level is Level.APICAL:  # apical segments do not begin at the insertions
            continue
        try:
            return generator.inpaint(host, drawn(pattern, host.frame.level, rng), seed=seed)
        except PrescriptionError:  # no wall where the scar should lie
            continue


def drawn(pattern: Pattern, level: Level, rng: np.random.Generator) -> ScarPrescription:
    """A prescription of the uniform prior that has this pattern."""
    while True:
        prescription = draw_prescription(Prior.UNIFORM, level, rng)
        if prescription.pattern is pattern:
            return prescription


def visibility(sample: SyntheticSample) -> float:
    """Mean difference to the host in the prescribed pixels without core, heart units."""
    window, where = HeartWindow.from_slice(sample.host.slice_), sample.intended & ~sample.intended_no_reflow
    after, before = (window.to_unit(image.astype(np.float64)) for image in (sample.image, sample.host.slice_.image))
    return float((after - before)[where].mean()) if where.any() else 0.0


@dataclass
class _Shares:
    """Shares by patient, under a name each."""

    values: defaultdict[str, ByPatient]

    @classmethod
    def none_yet(cls) -> _Shares:
        return cls(defaultdict(lambda: defaultdict(list)))

    def add(self, name: str, sample: SyntheticSample, value: float) -> None:
        self.values[name][sample.host.slice_.patient].append(float(value))


def of_pattern(
    pattern: Pattern, samples: list[SyntheticSample], filter_: TrainedScarSegmenter, auditors: list[TrainedScarSegmenter], count: int
) -> dict[str, Interval | None]:
    """The row of one pattern."""
    shares = _Shares.none_yet()
    own = [s for s in samples if isinstance(s.prescription, ScarPrescription) and s.prescription.pattern is pattern]
    for sample in own:
        kept, visible = judge(sample, filter_).kept, visibility(sample) >= VISIBLE_FROM
        shares.add("kept, all", sample, kept)
        shares.add("visible", sample, visible)
        if visible:
            shares.add("kept, visible", sample, kept)
        shares.add("nothing", sample, judge(replace(sample, image=sample.host.slice_.image), filter_).kept)
        for number, auditor in enumerate(auditors, start=1):
            _audit(sample, auditor, shares, f"auditor {number}: ")
    for sample in elsewhere(pattern, samples, count):
        shares.add("elsewhere", sample, judge(sample, filter_).kept)
    first = ("visible", "kept, visible", "kept, all", "nothing", "elsewhere")
    return {name: mean(shares.values[name]) for name in (*first, *sorted(set(shares.values) - set(first))) if name in shares.values}


def _audit(sample: SyntheticSample, auditor: TrainedScarSegmenter, shares: _Shares, who: str) -> None:
    read, core = read_back(auditor, sample), sample.intended_no_reflow
    overlap = dice(scar_of(read), sample.intended) or 0.0
    shares.add(who + "Dice", sample, overlap)
    shares.add(who + "above 0.6", sample, overlap > DICE_ABOVE)
    if core.sum() >= LEAST_CORE_PIXELS:
        shares.add(who + "cores", sample, (read == Label.NO_REFLOW)[core].mean() >= CORE_FOUND)


def elsewhere(pattern: Pattern, samples: list[SyntheticSample], count: int) -> Iterator[SyntheticSample]:
    """Samples that are to be judged by a prescription of this pattern, while their scar lies in another place."""
    rng = np.random.default_rng(7)
    given = 0
    for number in rng.permutation(len(samples)):
        sample = samples[number]
        level = sample.host.frame.level
        if given == count:
            return
        if pattern is Pattern.RV_INSERTION and level is Level.APICAL:
            continue
        for _ in range(TRIES):
            other = drawn(pattern, level, rng)
            try:
                mask = rasterize(other, sample.host.frame)
            except PrescriptionError:
                continue
            if (mask.scar & sample.intended).sum() <= MOST_SHARED * mask.scar.sum():
                yield replace(sample, prescription=other, intended=mask.scar, intended_no_reflow=mask.no_reflow)
                given += 1
                break


if __name__ == "__main__":
    main()
