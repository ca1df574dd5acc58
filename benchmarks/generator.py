"""Does the generator obey? The auditor reads what it painted into real patients, beside what it reads on the real slices.

    python benchmarks/generator.py --model MODEL [--part test] [--tables repaint,novel,words] [--versus OTHER] [--out FILE]

repaint  every real positive slice with its own mask painted again; the auditor on the real slice is the ceiling. Transmural extent of
         the mask and as measured, in the real and in the painted slice: what a reading of brightness can say at best.
novel    ischaemic prescriptions in scar-free slices: by segment, extent and size; the host with nothing painted is the zero;
         transmural extent asked and measured (5 SD, half maximum, auditor).
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
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from intervals import bootstrap

from lgesynthnet.anatomy.aha import NAME_OF, SECTOR_START_DEG, SEGMENTS
from lgesynthnet.conditioning.hidden import hidden_round
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data import open_cohort
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.files import shipped_or_path
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.measuring import measure
from lgesynthnet.prescription.priors import Prior, draw
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.quality.enhancement import full_width_half_maximum, n_sd
from lgesynthnet.records import Level, Mask, ShortAxisSlice, scar_of
from lgesynthnet.segmenter.networks import Role
from lgesynthnet.segmenter.reader import Reader
from lgesynthnet.workflow.guiding import ReaderGuide
from lgesynthnet.workflow.hosts import find_hosts
from lgesynthnet.workflow.repainting import own_scar

ByPatient = dict[str, list[float]]
ABOVE = 0.6
EXTENTS = (0.4, 0.6, 0.8)  # close to the quartiles of what the ischaemic prior draws
AREAS_MM2 = (100, 200, 350)


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
    parser.add_argument("--masks", action="store_true", help="ablation: for a model trained with `train control --masks`")
    parser.add_argument("--guide-scale", type=float, default=0.0, help="steer the sampling by the reward's reader of --guide")
    parser.add_argument("--best-of", type=int, default=1, help="candidates, of which the reward's reader of --guide chooses one")
    parser.add_argument("--guide", type=Path, default=Path("weights/emidec"))
    parser.add_argument("--silent", action="store_true", help="ablation: no caption")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    return parser.parse_args(words)


def main() -> None:
    options = options_of()
    folder = options.data / "emidec"
    patients = set(json.loads((folder / "splits.json").read_text())[options.part])
    auditor = Reader.from_pretrained(options.auditor, Role.AUDITOR)
    bench = Bench(options, auditor, patients)
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
        partial = options.out.with_name(f".{options.out.name}.partial")
        partial.write_text(json.dumps(figures, indent=2, default=float))
        partial.replace(options.out)


class Bench:
    """One auditor, one part of the patients, and the tables."""

    def __init__(self, options: argparse.Namespace, auditor: Reader, patients: set[str]) -> None:
        self.options, self.auditor = options, auditor
        shelf = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
        self.hosts = [shelf.fetch(entry) for entry in shelf.entries if entry.patient in patients][:: options.limit]
        self.patient = {shelf.fetch(e).name: e.patient for e in shelf.entries if e.patient in patients}

    @property
    def by_words(self) -> Sampling:
        """The caption alone in charge."""
        o = self.options
        return Sampling(steps=o.steps, guidance=o.words_guidance, edges=False, whole_wall=True, masks=o.masks)

    def painter(self, model: str, sampling: Sampling | None = None) -> LGESynthNet:
        o = self.options
        steered = {"guide_scale": o.guide_scale, "best_of": o.best_of}
        sampling = sampling or Sampling(steps=o.steps, guidance=o.guidance, masks=o.masks, words=not o.silent, **steered)
        guide = ReaderGuide.from_pretrained(o.guide) if o.guide_scale > 0 or o.best_of > 1 else None
        return LGESynthNet.from_pretrained(model, sampling=sampling, guide=guide)

    def read(self, host: Host, image: np.ndarray) -> Mask:
        return scar_of(self.auditor.read(_with_image(host.slice_, image)))

    def repaint(self, painter: LGESynthNet, other: LGESynthNet | None) -> dict[str, object]:
        levels = scar_levels(self.options.model)
        real, own, versus = (defaultdict(list) for _ in range(3))
        asked, who_of, depths = [], [], defaultdict(lambda: defaultdict(list))
        for host in _shown([h for h in self.hosts if h.slice_.scar.any()], "repaint"):
            who, truth = self.patient[host.name], host.slice_.scar
            real[who].append(dice(self.read(host, host.slice_.image), truth) or 0.0)
            for model, scores in ((painter, own), (other, versus)):
                if model is not None:
                    image = repainted(model, host, levels, seed=self.options.seed)
                    scores[who].append(dice(self.read(host, image), truth) or 0.0)
                    if model is painter:
                        self._depths(host, image, depths["painted"])
            self._depths(host, host.slice_.image, depths["real"])
            asked.append(measure(truth, host.frame).transmurality)
            who_of.append(who)
        print(f"repaint, {sum(map(len, own.values()))} slices with scar")
        figures = {}
        for name, above in (("Dice", False), ("above 0.6", True)):
            ceiling, painted, rival = (_above(x) if above else x for x in (real, own, versus))
            figures[name] = {"real": bootstrap(ceiling), "painted": bootstrap(painted), "of the ceiling": _ratio(painted, ceiling)}
            if rival:
                figures[name] |= {"versus": bootstrap(rival), "difference": bootstrap(_minus(painted, rival))}
            print("  " + f"{name:>9}: " + ", ".join(f"{key} {_figure(value)}" for key, value in figures[name].items()))
        for kind, seen in depths.items():
            for name, found in seen.items():
                figures[f"extent, {kind}, by {name}"] = agreed = _agreement(asked, found, who_of)
                print(f"  extent, {kind:>7}, by {name:>12}: " + ", ".join(f"{k} {_figure(v)}" for k, v in agreed.items()))
        return figures

    def _depths(self, host: Host, image: np.ndarray, seen: dict[str, list[float | None]]) -> None:
        frame, scar = host.frame, host.slice_.scar
        hidden = hidden_round(scar, frame.wall, frame.spacing_mm)
        for name, mask in _readings(image, frame.wall, hidden, scar, self.read(host, image)).items():
            seen[name].append(measure(mask, frame).transmurality)

    def novel(self, painter: LGESynthNet, ceiling: dict) -> dict[str, object]:
        rng = np.random.default_rng(self.options.seed)
        scores, nothing = defaultdict(lambda: defaultdict(list)), defaultdict(list)
        asked, seen = [], defaultdict(list)
        right, who_of = defaultdict(list), []
        free = [h for h in self.hosts if not h.slice_.scar.any()]
        for host in _shown([h for h in free for _ in range(self.options.per_slice)], "novel"):
            who = self.patient[host.name]
            wish = draw(Prior.ISCHAEMIC, host.frame.level, rng)
            try:
                sample = painter.paint(host, wish, seed=int(rng.integers(2**31)))
            except PrescriptionError:
                continue
            assert sample.max_change_outside == 0
            found = self.read(host, sample.image)
            value = dice(found, sample.intended) or 0.0
            wanted = measure(sample.intended, host.frame)
            groups = [
                "all",
                f"extent {_quartile(wanted.transmurality, (0.4, 0.6, 0.8))}",
                f"area {_quartile(wanted.area_mm2, (100, 200, 350))}",
            ]
            for group in [*groups, *(f"segment {s} {NAME_OF[s]}" for s in wanted.segments)]:
                scores[group][who].append(value)
            nothing[who].append(dice(self.read(host, host.slice_.image), sample.intended) or 0.0)
            asked.append(wanted.transmurality)
            who_of.append(who)
            for name, mask in _readings(sample.image, host.frame.wall, sample.hidden, sample.intended, found).items():
                seen[name].append(measure(mask, host.frame).transmurality)
            by_segment = {s: int((found & (host.frame.segments == s)).sum()) for s in SEGMENTS[host.frame.level]}
            right[who].append(float(found.any() and max(by_segment, key=by_segment.__getitem__) in wanted.segments))
        figures: dict[str, object] = {"nothing painted": bootstrap(nothing), "segment right": bootstrap(right)}
        print(f"novel, {len(asked)} samples; Dice with nothing painted {_figure(bootstrap(nothing))}")
        top = ceiling["above 0.6"]["real"][0]
        for group in sorted(scores):
            score, above = bootstrap(scores[group]), bootstrap(_above(scores[group]))
            n = sum(map(len, scores[group].values()))
            figures[group] = {"n": n, "Dice": score, "above 0.6": above, "of the ceiling": above[0] / top}
            share = f"above 0.6 {_figure(above)} ({above[0] / top:.2f} of the ceiling)"
            print(f"  {group:>32}: n {n:>3}, {share}, Dice {_figure(score)}")
        print(f"  segment with most scar is a prescribed one: {_figure(bootstrap(right))}")
        for name, found in seen.items():
            figures[f"extent by {name}"] = _agreement(asked, found, who_of)
            print(f"  extent by {name:>12}: " + ", ".join(f"{k} {_figure(v)}" for k, v in figures[f"extent by {name}"].items()))
        return figures

    def words(self, painter: LGESynthNet) -> dict[str, object]:
        rng = np.random.default_rng(self.options.seed + 1)
        hit, deeper, deeper_sd = (defaultdict(list) for _ in range(3))
        angles, centres = [], []
        hosts = [h for h in self.hosts if not h.slice_.scar.any() and h.frame.level is not Level.APICAL]
        for host in _shown(hosts, "words"):
            who = self.patient[host.name]
            for segment in rng.choice(SEGMENTS[host.frame.level], 2, replace=False):
                seed, extents = int(rng.integers(2**31)), []
                for pattern, share in ((Pattern.SUBENDOCARDIAL, 0.4), (Pattern.TRANSMURAL, 0.9)):
                    wish = ScarPrescription(segments=frozenset({int(segment)}), pattern=pattern, transmurality=share)
                    sample = painter.paint(host, wish, seed=seed)
                    found = self.read(host, sample.image)
                    centre = (SECTOR_START_DEG[int(segment)] + 30.0) % 360.0
                    angle = _mean_angle(host.frame.nominal_deg[found]) if found.sum() >= 5 else None
                    hit[who].append(float(angle is not None and _apart(angle, centre) <= 30))
                    if angle is not None:
                        angles.append(angle)
                        centres.append(centre)
                    masks = (found, _readings(sample.image, host.frame.wall, sample.hidden, sample.intended, found)["5 SD"])
                    extents.append([measure(mask, host.frame).transmurality or 0.0 for mask in masks])
                deeper[who].append(float(extents[1][0] > extents[0][0]))
                deeper_sd[who].append(float(extents[1][1] > extents[0][1]))
        chance = np.mean([_apart(a, c) <= 30 for i, a in enumerate(angles) for j, c in enumerate(centres) if i != j])
        figures = {"in the named wall": bootstrap(hit), "deeper, auditor": bootstrap(deeper), "deeper, 5 SD": bootstrap(deeper_sd)}
        print(f"words alone, {sum(map(len, hit.values()))} samples, guidance {painter.sampling.guidance:g}; chance {chance:.2f}")
        for name, value in figures.items():
            print(f"  {name:>18}: {_figure(value)}")
        return figures | {"chance": float(chance)}


def _readings(image: np.ndarray, wall: Mask, hidden: Mask, scar: Mask, found: Mask) -> dict[str, Mask]:
    """What each reading of the picture calls scar; `found` is the auditor's."""
    # With all of the wall hidden, the wall opposite the scar is the remote one.
    remote = wall & ~hidden if (wall & ~hidden).sum() >= 20 else wall & ~found & ~scar
    return {
        "auditor": found,
        "5 SD": n_sd(image, wall, remote),
        "half maximum": full_width_half_maximum(image, wall, remote, within=hidden),
    }


def repainted(painter: LGESynthNet, host: Host, levels: np.ndarray, *, seed: int) -> np.ndarray:
    """The host with its own scar hidden and painted again, in its own grid."""
    painted, wish = own_scar(host, levels)
    sample = painter.fill(host, painted, wish, seed=seed)
    assert sample.max_change_outside == 0
    return sample.image


def scar_levels(model: str) -> np.ndarray:
    """What brightness ranks mean to a model, heart units."""
    folder = shipped_or_path(model)
    path = next(p for p in (folder / "inpainter" / "conditioning.json", folder / "conditioning.json") if p.is_file())
    return np.asarray(json.loads(path.read_text())["scar_levels"])


def _with_image(slice_: ShortAxisSlice, image: np.ndarray) -> ShortAxisSlice:
    from dataclasses import replace

    return replace(slice_, image=image)


def _above(scores: ByPatient) -> ByPatient:
    return {name: [float(value > ABOVE) for value in values] for name, values in scores.items()}


def _minus(one: ByPatient, other: ByPatient) -> ByPatient:
    return {name: [a - b for a, b in zip(one[name], other[name], strict=True)] for name in one}


def _ratio(one: ByPatient, other: ByPatient, draws: int = 2000) -> tuple[float, float, float]:
    """Ratio of the two means, its interval from resampling patients jointly."""
    rng, names = np.random.default_rng(0), list(one)

    def of(chosen: list[str]) -> float:
        return float(np.mean([v for n in chosen for v in one[n]]) / max(np.mean([v for n in chosen for v in other[n]]), 1e-9))

    low, high = np.quantile([of([names[i] for i in rng.integers(len(names), size=len(names))]) for _ in range(draws)], (0.025, 0.975))
    return of(names), float(low), float(high)


def _agreement(asked: list[float], found: list[float | None], who: list[str]) -> dict[str, tuple[float, float, float]]:
    """Mean error and correlation of transmural extent; where nothing was found the extent is 0."""
    x, y = np.asarray(asked), np.asarray([value or 0.0 for value in found])
    error: ByPatient = defaultdict(list)
    rows: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(who):
        error[name].append(float(abs(x[i] - y[i])))
        rows[name].append(i)
    rng, names = np.random.default_rng(0), list(rows)
    draws = []
    for _ in range(1000):
        chosen = [i for j in rng.integers(len(names), size=len(names)) for i in rows[names[j]]]
        draws.append(np.corrcoef(x[chosen], y[chosen])[0, 1])
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return {"mean error": bootstrap(error), "correlation": (float(np.corrcoef(x, y)[0, 1]), float(low), float(high))}


def _quartile(value: float, edges: tuple[float, float, float]) -> str:
    bounds = (0.0, *edges)
    which = sum(value > edge for edge in edges)
    return f"{which + 1} (> {bounds[which]:g})"


def _mean_angle(degrees: np.ndarray) -> float:
    radians = np.radians(degrees)
    return float(np.degrees(np.arctan2(np.sin(radians).mean(), np.cos(radians).mean())) % 360)


def _apart(one: float, other: float) -> float:
    return abs((one - other + 180) % 360 - 180)


def _figure(value: object) -> str:
    return f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]" if isinstance(value, tuple) else f"{value:.3f}"


def _shown(items: list[Host], name: str) -> Iterator[Host]:
    for i, item in enumerate(items, start=1):
        if i % 20 == 0:
            print(f"{name} {i}/{len(items)}", file=sys.stderr)
        yield item


if __name__ == "__main__":
    main()
