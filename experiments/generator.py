"""Measure how well a generator follows its condition. The auditor segments painted slices of real patients.

    python experiments/generator.py --model MODEL [--part test] [--tables repaint,novel,words] [--versus MODEL] [--out FILE]

Tables, printed with 95 % bootstrap intervals over patients:

repaint  Each real slice with scar is painted again with its own scar mask. Dice of the auditor on the painted slices, on the real slices
         (the real ceiling), and their ratio. Also error and correlation of the transmural extent by auditor, 5 SD and FWHM.
novel    Ischaemic prescriptions are painted into slices without scar. Dice by segment, extent and area, beside the Dice of the auditor on
         the unpainted host. Also error and correlation of the transmural extent.
words    Only the caption tells where the scar is: no edge maps, the whole wall is hidden, and the caption names one AHA segment. Share of
         scars in the named segment, and share of pairs in which "transmural" gives a deeper scar than "subendocardial".

The data is $LGESYNTHNET_DATA; --part names a part of emidec/splits.json. Nothing is tuned here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from real_data import add_data_option, patients_of

from lgesynthnet.anatomy.aha import SECTOR_START_DEG, SEGMENTS
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.evaluate.alignment import DICE_ABOVE, Scores, by_patient, scar_masks, score
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.intervals import Interval, correlation, difference, mean, ratio
from lgesynthnet.files.writing import write_json
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
    parser.add_argument("--versus", help="also repaint with this model and print the paired difference")
    parser.add_argument("--auditor", type=Path, default=Path("weights/emidec/auditor"))
    add_data_option(parser)
    parser.add_argument("--part", default="val")
    parser.add_argument("--tables", default="repaint,novel,words")
    parser.add_argument("--per-slice", type=int, default=3, help="number of new prescriptions in each slice")
    parser.add_argument("--limit", type=int, default=1, help="use every N-th slice only (quick check)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Sampling.steps)
    parser.add_argument("--guidance", type=float, default=Sampling.guidance)
    parser.add_argument("--words-guidance", type=float, default=2.5, help="guidance scale of the table words")
    parser.add_argument("--no-caption", action="store_true", help="ablation: paint without a caption")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    return parser.parse_args(words)


def main() -> None:
    options = options_of()
    patients = patients_of(options.data, options.part)
    auditor = TrainedScarSegmenter.from_pretrained(options.auditor, Role.AUDITOR)
    experiment = GeneratorExperiment(options, auditor, patients)
    tables = options.tables.split(",")
    results: dict[str, object] = {"model": options.model, "part": options.part, "steps": options.steps, "auditor": auditor.fingerprint}
    generator = experiment.generator(options.model)
    print(f"{generator.fingerprint} on {options.part} ({len(patients)} patients), segmented by {auditor.fingerprint}")
    if "repaint" in tables or "novel" in tables:
        results["repaint"] = experiment.repaint(generator, experiment.generator(options.versus) if options.versus else None)
    if "novel" in tables:
        results["novel"] = experiment.novel(generator, results["repaint"])
    if "words" in tables:
        results["words"] = experiment.words(experiment.generator(options.model, experiment.by_words))
    if options.out:
        write_json(options.out, as_numbers(results))


class GeneratorExperiment:
    """The tables of one auditor on one part of the patients."""

    def __init__(self, options: argparse.Namespace, auditor: TrainedScarSegmenter, patients: set[str]) -> None:
        self.options, self.auditor = options, auditor
        pool = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
        self.hosts = [pool.fetch(entry) for entry in pool.entries if entry.patient in patients][:: options.limit]

    @property
    def by_words(self) -> Sampling:
        """Settings with which only the caption tells where the scar is."""
        o = self.options
        return Sampling(steps=o.steps, guidance=o.words_guidance, edges=False, whole_wall=True)

    def generator(self, model: str, sampling: Sampling | None = None) -> LGESynthNet:
        o = self.options
        sampling = sampling or Sampling(steps=o.steps, guidance=o.guidance, words=not o.no_caption)
        return LGESynthNet.from_pretrained(model, sampling=sampling)

    def segment(self, host: Host, image: np.ndarray) -> Mask:
        """The scar that the auditor segments in an image of this host."""
        return scar_of(self.auditor.read(replace(host.slice_, image=image)))

    def repaint(self, generator: LGESynthNet, other: LGESynthNet | None) -> dict[str, dict[str, Interval | None]]:
        levels = scar_levels(self.options.model)
        real, own, versus = [], [], []
        for host in _with_progress([h for h in self.hosts if h.slice_.scar.any()], "repaint"):
            real.append(score(Case.of_real(host), self.auditor))
            for model, scores in ((generator, own), (other, versus)):
                if model is not None:
                    scores.append(score(repainted(model, host, levels, seed=self.options.seed), self.auditor))
        print(f"repaint, {len(own)} slices with scar")
        results = {}
        for name, value_of in SCORES.items():
            ceiling, painted, rival = (by_patient(scores, value_of) for scores in (real, own, versus))
            results[name] = {"real": mean(ceiling), "painted": mean(painted), "of the ceiling": ratio(painted, ceiling)}
            if rival:
                results[name] |= {"versus": mean(rival), "difference": difference(painted, rival)}
            print(f"  {name:>9}: {_listed(results[name])}")
        for kind, scores in (("painted", own), ("real", real)):
            for name in METHODS:
                results[f"extent, {kind}, by {name}"] = agreement = _agreement(scores, name)
                print(f"  extent, {kind:>7}, by {name:>12}: {_listed(agreement)}")
        return results

    def novel(self, generator: LGESynthNet, ceiling: dict[str, dict[str, Interval | None]]) -> dict[str, object]:
        rng = np.random.default_rng(self.options.seed)
        scores, untouched = [], defaultdict(list)
        scar_free = [h for h in self.hosts if not h.slice_.scar.any()]
        for host in _with_progress([h for h in scar_free for _ in range(self.options.per_slice)], "novel"):
            prescription = draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng)
            try:
                sample = generator.inpaint(host, prescription, seed=int(rng.integers(2**31)))
            except PrescriptionError:
                continue
            assert sample.max_change_outside == 0
            scores.append(score(Case.of_sample(sample), self.auditor))
            untouched[host.slice_.patient].append(dice(self.segment(host, host.slice_.image), sample.intended) or 0.0)
        nothing, right = mean(untouched), mean(by_patient(scores, lambda s: s.main_segment))
        results: dict[str, object] = {"nothing painted": nothing, "segment right": right}
        print(f"novel, {len(scores)} samples; Dice on the unpainted host {_text(nothing)}")
        top = ceiling["above 0.6"]["real"]
        for group in sort_strata({group for entry in scores for group in entry.groups}):
            row = {name: mean(by_patient((s for s in scores if group in s.groups), value_of)) for name, value_of in SCORES.items()}
            above = row["above 0.6"]
            share = above.value / top.value if top and top.value else None
            results[group] = row | {"n": above.n, "of the ceiling": share}
            of_ceiling = "" if share is None else f" ({share:.2f} of the ceiling)"
            print(f"  {group:>32}: n {above.n:>3}, above 0.6 {above}{of_ceiling}, Dice {row['Dice']}")
        print(f"  the segment with most scar is prescribed: {_text(right)}")
        for name in METHODS:
            results[f"extent by {name}"] = agreement = _agreement(scores, name)
            print(f"  extent by {name:>12}: {_listed(agreement)}")
        return results

    def words(self, generator: LGESynthNet) -> dict[str, object]:
        rng = np.random.default_rng(self.options.seed + 1)
        hit, deeper, deeper_sd = (defaultdict(list) for _ in range(3))
        angles, centres = [], []
        hosts = [h for h in self.hosts if not h.slice_.scar.any() and h.frame.level is not Level.APICAL]
        for host in _with_progress(hosts, "words"):
            patient = host.slice_.patient
            for segment in rng.choice(SEGMENTS[host.frame.level], 2, replace=False):
                seed, extents = int(rng.integers(2**31)), []
                for pattern, share in ((Pattern.SUBENDOCARDIAL, 0.4), (Pattern.TRANSMURAL, 0.9)):
                    prescription = ScarPrescription(segments=frozenset({int(segment)}), pattern=pattern, transmurality=share)
                    sample = generator.inpaint(host, prescription, seed=seed)
                    case = Case.of_sample(sample)
                    scar = case.segment(self.auditor)
                    centre = (SECTOR_START_DEG[int(segment)] + 30.0) % 360.0
                    angle = _mean_angle(host.frame.nominal_deg[scar]) if scar.sum() >= 5 else None
                    hit[patient].append(float(angle is not None and _angle_between(angle, centre) <= 30))
                    if angle is not None:
                        angles.append(angle)
                        centres.append(centre)
                    masks = scar_masks(case, scar)
                    extents.append([measure_scar(masks[name], host.frame).transmurality or 0.0 for name in ("auditor", "5 SD")])
                deeper[patient].append(float(extents[1][0] > extents[0][0]))
                deeper_sd[patient].append(float(extents[1][1] > extents[0][1]))
        chance = np.mean([_angle_between(a, c) <= 30 for i, a in enumerate(angles) for j, c in enumerate(centres) if i != j])
        results = {"in the named wall": mean(hit), "deeper, auditor": mean(deeper), "deeper, 5 SD": mean(deeper_sd)}
        print(f"caption alone, {sum(map(len, hit.values()))} samples, guidance {generator.sampling.guidance:g}; chance {chance:.2f}")
        for name, value in results.items():
            print(f"  {name:>18}: {_text(value)}")
        return results | {"chance": float(chance)}


def repainted(generator: LGESynthNet, host: Host, levels: np.ndarray, *, seed: int) -> Case:
    """The host with its own scar painted again."""
    sample = generator.apply(host, own_scar(host, levels), seed=seed)
    assert sample.max_change_outside == 0
    return Case.of_sample(sample)


def scar_levels(model: str) -> np.ndarray:
    """Brightness of the scars that the model learned from, in heart units; see `own_scar`."""
    folder = shipped_or_path(model)
    path = next(p for p in (folder / "inpainter" / "conditioning.json", folder / "conditioning.json") if p.is_file())
    return np.asarray(json.loads(path.read_text())["scar_levels"])


def as_numbers(value: object) -> object:
    """The same results with each interval as (value, low, high), which JSON can hold."""
    if isinstance(value, dict):
        return {key: as_numbers(entry) for key, entry in value.items()}
    return (value.value, value.low, value.high) if isinstance(value, Interval) else value


def _agreement(scores: list[Scores], method: str) -> dict[str, Interval | None]:
    """Mean error and correlation of the transmural extent; the extent is 0 if the method finds no scar."""
    prescribed, measured = by_patient(scores, lambda s: s.extent), by_patient(scores, lambda s: s.extents[method])
    return {
        "mean error": mean(by_patient(scores, lambda s: abs(s.extents[method] - s.extent))),
        "correlation": correlation(prescribed, measured),
    }


def _mean_angle(degrees: np.ndarray) -> float:
    radians = np.radians(degrees)
    return float(np.degrees(np.arctan2(np.sin(radians).mean(), np.cos(radians).mean())) % 360)


def _angle_between(first: float, second: float) -> float:
    return abs((first - second + 180) % 360 - 180)


def _text(value: Interval | None) -> str:
    return "-" if value is None else str(value)


def _listed(results: dict[str, Interval | None]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in results.items())


def _with_progress(items: list[Host], name: str) -> Iterator[Host]:
    for i, item in enumerate(items, start=1):
        if i % 20 == 0:
            print(f"{name} {i}/{len(items)}", file=sys.stderr)
        yield item


if __name__ == "__main__":
    main()
