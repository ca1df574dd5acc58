"""Does the generator obey? The auditor reads what it painted into real patients, beside what it reads on the real slices.

    python experiments/generator.py --model MODEL [--part test] [--tables repaint,novel,words] [--versus OTHER] [--out FILE]

repaint  every real positive slice with its own mask painted again; the auditor on the real slice is the ceiling. Transmural extent of
         the mask and as measured, in the real and in the painted slice: what a reading of brightness can say at best.
novel    ischaemic prescriptions in scar-free slices: by segment, extent and size; the host with nothing painted is the zero;
         transmural extent asked and measured (5 SD, FWHM, auditor).
words    edges dropped, the whole wall hidden, one AHA segment in the caption: where the scar lies; and the same host and noise
         with "subendocardial" against "transmural".

The data is $LGESYNTHNET_DATA, else ../shared/data, with emidec/splits.json; --part names one of its parts. Intervals are 95 %
bootstraps over patients. Nothing is tuned here. `--limit N` takes every so-manieth slice for a quick look.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from lgesynthnet.anatomy.aha import SECTOR_START_DEG, SEGMENTS
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.evaluate.alignment import DICE_ABOVE, Scores, by_patient, scar_masks, score
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.intervals import Interval, correlation, difference, mean, ratio
from lgesynthnet.files import write_json
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.hosts.own_scar import own_scar
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.model_store import shipped_or_path
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.prescription.strata import sort_strata
from lgesynthnet.records import Level, Mask, scar_of
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Prior, Role

SCORES: dict[str, Callable[[Scores], float]] = {"Dice": lambda s: s.dice, "above 0.6": lambda s: s.dice > DICE_ABOVE}
METHODS = ("auditor", "5 SD", "FWHM")


def options_of(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--versus", help="repaint with this model too, and print the paired difference")
    parser.add_argument("--auditor", type=Path, default=Path("weights/emidec/auditor"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LGESYNTHNET_DATA", "../shared/data")))
    parser.add_argument("--part", default="val")
    parser.add_argument("--tables", default="repaint,novel,words")
    parser.add_argument("--per-slice", type=int, default=3, help="novel prescriptions a slice")
    parser.add_argument("--limit", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Sampling.steps)
    parser.add_argument("--guidance", type=float, default=Sampling.guidance)
    parser.add_argument("--words-guidance", type=float, default=2.5, help="guidance where the caption alone is in charge")
    parser.add_argument("--silent", action="store_true", help="ablation: no caption")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    return parser.parse_args(words)


def main() -> None:
    options = options_of()
    folder = options.data / "emidec"
    patients = set(json.loads((folder / "splits.json").read_text())[options.part])
    auditor = TrainedScarSegmenter.from_pretrained(options.auditor, Role.AUDITOR)
    bench = UtilityExperiment(options, auditor, patients)
    tables = options.tables.split(",")
    figures: dict[str, object] = {"model": options.model, "part": options.part, "steps": options.steps, "auditor": auditor.fingerprint}
    painter = bench.painter(options.model)
    print(f"{painter.fingerprint} on {options.part} ({len(patients)} patients), read by {auditor.fingerprint}")
    if "repaint" in tables or "novel" in tables:
        figures["repaint"] = bench.repaint(painter, bench.painter(options.versus) if options.versus else None)
    if "novel" in tables:
        figures["novel"] = bench.novel(painter, figures["repaint"])
    if "words" in tables:
        figures["words"] = bench.words(bench.painter(options.model, bench.by_words))
    if options.out:
        write_json(options.out, as_numbers(figures))


class UtilityExperiment:
    """One auditor, one part of the patients, and the tables."""

    def __init__(self, options: argparse.Namespace, auditor: TrainedScarSegmenter, patients: set[str]) -> None:
        self.options, self.auditor = options, auditor
        shelf = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
        self.hosts = [shelf.fetch(entry) for entry in shelf.entries if entry.patient in patients][:: options.limit]

    @property
    def by_words(self) -> Sampling:
        """The caption alone in charge."""
        o = self.options
        return Sampling(steps=o.steps, guidance=o.words_guidance, edges=False, whole_wall=True)

    def painter(self, model: str, sampling: Sampling | None = None) -> LGESynthNet:
        o = self.options
        sampling = sampling or Sampling(steps=o.steps, guidance=o.guidance, words=not o.silent)
        return LGESynthNet.from_pretrained(model, sampling=sampling)

    def read(self, host: Host, image: np.ndarray) -> Mask:
        return scar_of(self.auditor.read(replace(host.slice_, image=image)))

    def repaint(self, painter: LGESynthNet, other: LGESynthNet | None) -> dict[str, dict[str, Interval | None]]:
        levels = scar_levels(self.options.model)
        real, own, versus = [], [], []
        for host in _shown([h for h in self.hosts if h.slice_.scar.any()], "repaint"):
            real.append(score(Case.of_real(host), self.auditor))
            for model, scores in ((painter, own), (other, versus)):
                if model is not None:
                    scores.append(score(repainted(model, host, levels, seed=self.options.seed), self.auditor))
        print(f"repaint, {len(own)} slices with scar")
        figures = {}
        for name, of in SCORES.items():
            ceiling, painted, rival = (by_patient(scores, of) for scores in (real, own, versus))
            figures[name] = {"real": mean(ceiling), "painted": mean(painted), "of the ceiling": ratio(painted, ceiling)}
            if rival:
                figures[name] |= {"versus": mean(rival), "difference": difference(painted, rival)}
            print(f"  {name:>9}: {_listed(figures[name])}")
        for kind, scores in (("painted", own), ("real", real)):
            for name in METHODS:
                figures[f"extent, {kind}, by {name}"] = agreed = _agreement(scores, name)
                print(f"  extent, {kind:>7}, by {name:>12}: {_listed(agreed)}")
        return figures

    def novel(self, painter: LGESynthNet, ceiling: dict[str, dict[str, Interval | None]]) -> dict[str, object]:
        rng = np.random.default_rng(self.options.seed)
        scores, untouched = [], defaultdict(list)
        free = [h for h in self.hosts if not h.slice_.scar.any()]
        for host in _shown([h for h in free for _ in range(self.options.per_slice)], "novel"):
            wish = draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng)
            try:
                sample = painter.inpaint(host, wish, seed=int(rng.integers(2**31)))
            except PrescriptionError:
                continue
            assert sample.max_change_outside == 0
            scores.append(score(Case.of_sample(sample), self.auditor))
            untouched[host.slice_.patient].append(dice(self.read(host, host.slice_.image), sample.intended) or 0.0)
        nothing, right = mean(untouched), mean(by_patient(scores, lambda s: s.main_segment))
        figures: dict[str, object] = {"nothing painted": nothing, "segment right": right}
        print(f"novel, {len(scores)} samples; Dice with nothing painted {_figure(nothing)}")
        top = ceiling["above 0.6"]["real"]
        for group in sort_strata({group for one in scores for group in one.groups}):
            row = {name: mean(by_patient((s for s in scores if group in s.groups), of)) for name, of in SCORES.items()}
            above = row["above 0.6"]
            share = above.value / top.value if top and top.value else None
            figures[group] = row | {"n": above.n, "of the ceiling": share}
            of_it = "" if share is None else f" ({share:.2f} of the ceiling)"
            print(f"  {group:>32}: n {above.n:>3}, above 0.6 {above}{of_it}, Dice {row['Dice']}")
        print(f"  segment with most scar is a prescribed one: {_figure(right)}")
        for name in METHODS:
            figures[f"extent by {name}"] = agreed = _agreement(scores, name)
            print(f"  extent by {name:>12}: {_listed(agreed)}")
        return figures

    def words(self, painter: LGESynthNet) -> dict[str, object]:
        rng = np.random.default_rng(self.options.seed + 1)
        hit, deeper, deeper_sd = (defaultdict(list) for _ in range(3))
        angles, centres = [], []
        hosts = [h for h in self.hosts if not h.slice_.scar.any() and h.frame.level is not Level.APICAL]
        for host in _shown(hosts, "words"):
            who = host.slice_.patient
            for segment in rng.choice(SEGMENTS[host.frame.level], 2, replace=False):
                seed, extents = int(rng.integers(2**31)), []
                for pattern, share in ((Pattern.SUBENDOCARDIAL, 0.4), (Pattern.TRANSMURAL, 0.9)):
                    wish = ScarPrescription(segments=frozenset({int(segment)}), pattern=pattern, transmurality=share)
                    sample = painter.inpaint(host, wish, seed=seed)
                    case = Case.of_sample(sample)
                    found = case.segment(self.auditor)
                    centre = (SECTOR_START_DEG[int(segment)] + 30.0) % 360.0
                    angle = _mean_angle(host.frame.nominal_deg[found]) if found.sum() >= 5 else None
                    hit[who].append(float(angle is not None and _apart(angle, centre) <= 30))
                    if angle is not None:
                        angles.append(angle)
                        centres.append(centre)
                    masks = scar_masks(case, found)
                    extents.append([measure_scar(masks[name], host.frame).transmurality or 0.0 for name in ("auditor", "5 SD")])
                deeper[who].append(float(extents[1][0] > extents[0][0]))
                deeper_sd[who].append(float(extents[1][1] > extents[0][1]))
        chance = np.mean([_apart(a, c) <= 30 for i, a in enumerate(angles) for j, c in enumerate(centres) if i != j])
        figures = {"in the named wall": mean(hit), "deeper, auditor": mean(deeper), "deeper, 5 SD": mean(deeper_sd)}
        print(f"words alone, {sum(map(len, hit.values()))} samples, guidance {painter.sampling.guidance:g}; chance {chance:.2f}")
        for name, value in figures.items():
            print(f"  {name:>18}: {_figure(value)}")
        return figures | {"chance": float(chance)}


def repainted(painter: LGESynthNet, host: Host, levels: np.ndarray, *, seed: int) -> Case:
    """The host with its own scar hidden and painted again."""
    painted, wish = own_scar(host, levels)
    sample = painter.inpaint_mask(host, painted, wish, seed=seed)
    assert sample.max_change_outside == 0
    return Case.of_sample(sample)


def scar_levels(model: str) -> np.ndarray:
    """What brightness ranks mean to a model, heart units."""
    folder = shipped_or_path(model)
    path = next(p for p in (folder / "inpainter" / "conditioning.json", folder / "conditioning.json") if p.is_file())
    return np.asarray(json.loads(path.read_text())["scar_levels"])


def as_numbers(found: object) -> object:
    """Intervals as (value, low, high), as JSON holds them."""
    if isinstance(found, dict):
        return {key: as_numbers(value) for key, value in found.items()}
    return (found.value, found.low, found.high) if isinstance(found, Interval) else found


def _agreement(scores: list[Scores], reading: str) -> dict[str, Interval | None]:
    """Mean error and correlation of transmural extent; where nothing was found the extent is 0."""
    asked, read = by_patient(scores, lambda s: s.extent), by_patient(scores, lambda s: s.extents[reading])
    return {"mean error": mean(by_patient(scores, lambda s: abs(s.extents[reading] - s.extent))), "correlation": correlation(asked, read)}


def _mean_angle(degrees: np.ndarray) -> float:
    radians = np.radians(degrees)
    return float(np.degrees(np.arctan2(np.sin(radians).mean(), np.cos(radians).mean())) % 360)


def _apart(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


def _figure(value: Interval | None) -> str:
    return "-" if value is None else str(value)


def _listed(figures: dict[str, Interval | None]) -> str:
    return ", ".join(f"{key} {_figure(value)}" for key, value in figures.items())


def _shown(items: list[Host], name: str) -> Iterator[Host]:
    for i, item in enumerate(items, start=1):
        if i % 20 == 0:
            print(f"{name} {i}/{len(items)}", file=sys.stderr)
        yield item


if __name__ == "__main__":
    main()
