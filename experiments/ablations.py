"""What each part of the generator is worth: conditioning Dice of its variants on the same slices, each against the first by pairs.

    python experiments/ablations.py [--part test] [--words] [--out FILE] NAME=MODEL[?SETTING=VALUE&...] ...

    python experiments/ablations.py "as shipped=weights/emidec" "no caption=weights/emidec?words=0" "8 steps=weights/emidec?steps=8"

MODEL is a model folder, or a stage's `model` folder of a work folder; a setting is a field of `Sampling`. Columns: the auditor's Dice
and share above 0.6 of real positive slices with their own masks painted again; of new ischaemic scars in scar-free slices; how much
brighter a repainted scar is than the real one, and how much less dark its no-reflow core, heart units; with --words, centre in the
named wall from the caption alone. The data is $LGESYNTHNET_DATA, else ../shared/data. Intervals: 95 % bootstrap over patients.
Nothing is tuned here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from generator import UtilityExperiment, as_numbers, options_of, scar_levels

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.evaluate.alignment import DICE_ABOVE
from lgesynthnet.evaluate.intervals import Interval, difference, mean, ratio
from lgesynthnet.files import write_json
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.hosts.own_scar import own_scar
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.records import Label
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Prior, Role

CORE_PIXELS = 12
ByPatient = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--part", default="test")
    parser.add_argument("--repaint-only", action="store_true", help="skip the new scars")
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    asked = options_of(["--model", "", "--part", options.part])
    patients = set(json.loads((asked.data / "emidec" / "splits.json").read_text())[options.part])
    bench = UtilityExperiment(asked, TrainedScarSegmenter.from_pretrained(asked.auditor, Role.AUDITOR), patients)
    ceiling = ceiling_of(bench)
    print(f"real slices: Dice {mean(ceiling)}, above 0.6 {mean(above(ceiling))}", flush=True)
    first: Mapping[str, ByPatient] | None = None
    figures: dict[str, object] = {"real": str(mean(ceiling)), "real above 0.6": str(mean(above(ceiling)))}
    for variant in options.variants:
        name, _, spec = variant.partition("=")
        folder, _, settings = spec.partition("?")
        sampling = sampling_of(settings)
        painter = LGESynthNet.from_pretrained(folder, sampling=sampling)
        found = asked_again(bench, painter, folder)
        found["novel"] = {} if options.repaint_only else novel(bench, painter)
        row: dict[str, Interval | None] = {
            "repaint Dice": mean(found["repaint"]),
            "above 0.6": mean(above(found["repaint"])),
            "of the ceiling": ratio(found["repaint"], ceiling),
            "novel Dice": mean(found["novel"]),
            "novel above 0.6": mean(above(found["novel"])),
            "brighter": mean(found["brighter"]),
            "core less dark": mean(found["shallower"]),
        }
        if first is None:
            first = found
        else:
            row |= {f"{table} minus first": difference(found[table], first[table]) for table in ("repaint", "novel") if found[table]}
        print(f"{name}\n  " + "\n  ".join(f"{key:>20} {value}" for key, value in row.items()), flush=True)
        figures[name] = {key: str(value) for key, value in row.items()}
        if options.words:
            alone = replace(sampling, guidance=asked.words_guidance, edges=False, whole_wall=True)
            said = as_numbers(bench.words(LGESynthNet.from_pretrained(folder, sampling=alone)))
            figures[name] |= {f"words: {key}": value for key, value in said.items()}
        if options.out:
            write_json(options.out, figures)


def sampling_of(settings: str) -> Sampling:
    """`steps=8&words=0` as settings, each in the type of its field."""
    values = dict(pair.split("=") for pair in settings.split("&") if pair)
    plain = Sampling()
    kinds = {name: type(getattr(plain, name)) for name in values}
    return Sampling(**{name: bool(int(value)) if kinds[name] is bool else kinds[name](value) for name, value in values.items()})


def ceiling_of(bench: UtilityExperiment) -> ByPatient:
    scores: ByPatient = defaultdict(list)
    for host in bench.hosts:
        if host.slice_.scar.any():
            scores[host.slice_.patient].append(dice(bench.read(host, host.slice_.image), host.slice_.scar) or 0.0)
    return scores


def asked_again(bench: UtilityExperiment, painter: LGESynthNet, folder: str) -> dict[str, ByPatient]:
    """Dice of repainted scars, and how much brighter they are than the real ones."""
    levels = scar_levels(folder)
    scores, brighter, shallower = defaultdict(list), defaultdict(list), defaultdict(list)
    for host in bench.hosts:
        if not host.slice_.scar.any():
            continue
        painted, wish = own_scar(host, levels)
        sample = painter.inpaint_mask(host, painted, wish, seed=0)
        who = host.slice_.patient
        scores[who].append(dice(bench.read(host, sample.image), painted.scar) or 0.0)
        if (host.slice_.labels == Label.SCAR).any():
            brighter[who].append(level(host, sample.image) - level(host, host.slice_.image))
        if core_drop(host, host.slice_.image) is not None:
            shallower[who].append(core_drop(host, host.slice_.image) - core_drop(host, sample.image))
    return {"repaint": scores, "brighter": brighter, "shallower": shallower}


def level(host: Host, image: np.ndarray, label: Label = Label.SCAR) -> float:
    """Mean brightness of the bright scar, or of its core, heart units."""
    return float(HeartWindow.from_slice(host.slice_).to_unit(image)[host.slice_.labels == label].mean())


def core_drop(host: Host, image: np.ndarray) -> float | None:
    """From bright scar down to a no-reflow core of some size, heart units."""
    if (host.slice_.labels == Label.NO_REFLOW).sum() < CORE_PIXELS or not (host.slice_.labels == Label.SCAR).any():
        return None
    return level(host, image) - level(host, image, Label.NO_REFLOW)


def novel(bench: UtilityExperiment, painter: LGESynthNet) -> ByPatient:
    rng, scores = np.random.default_rng(7), defaultdict(list)
    for i, host in enumerate(h for h in bench.hosts if not h.slice_.scar.any()):
        sample = painter.inpaint(host, draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng), seed=i)
        scores[host.slice_.patient].append(dice(bench.read(host, sample.image), sample.intended) or 0.0)
    return scores


def above(scores: ByPatient) -> ByPatient:
    return {name: [float(value > DICE_ABOVE) for value in values] for name, values in scores.items()}


if __name__ == "__main__":
    sys.exit(main())
