"""Compare variants of the generator: Dice on the same slices, and the paired difference of each variant to the first.

    python experiments/ablations.py [--part test] [--words] [--out FILE] NAME=MODEL[?SETTING=VALUE&...] ...

    python experiments/ablations.py "as shipped=weights/emidec" "no caption=weights/emidec?words=0" "8 steps=weights/emidec?steps=8"

MODEL is a model folder, or the `model` folder of a training stage. SETTING is a field of `Sampling`.

It prints for each variant, with 95 % bootstrap intervals over patients:

repaint   Dice of the auditor, and share of slices above 0.6, on real slices with scar that are painted again with their own masks.
novel     The same for new ischaemic scars in slices without scar.
brighter  Brightness of the repainted scar minus that of the real scar, in heart units.
core less dark  How much less the no-reflow core differs from its scar than in the real slice, in heart units.
--words   The table `words` of `experiments/generator.py`.

The data is $LGESYNTHNET_DATA. Nothing is tuned here.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from generator import GeneratorExperiment, as_numbers, options_of, scar_levels
from real_data import patients_of

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.evaluate.alignment import DICE_ABOVE
from lgesynthnet.evaluate.intervals import Interval, difference, mean, ratio
from lgesynthnet.files.writing import write_json
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
    parser.add_argument("--words", action="store_true", help="also measure what the caption alone achieves")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    options = parser.parse_args()
    defaults = options_of(["--model", "", "--part", options.part])
    patients = patients_of(defaults.data, options.part)
    experiment = GeneratorExperiment(defaults, TrainedScarSegmenter.from_pretrained(defaults.auditor, Role.AUDITOR), patients)
    ceiling = ceiling_of(experiment)
    print(f"real slices: Dice {mean(ceiling)}, above 0.6 {mean(above(ceiling))}", flush=True)
    first: Mapping[str, ByPatient] | None = None
    results: dict[str, object] = {"real": str(mean(ceiling)), "real above 0.6": str(mean(above(ceiling)))}
    for variant in options.variants:
        name, _, spec = variant.partition("=")
        folder, _, settings = spec.partition("?")
        sampling = sampling_of(settings)
        generator = LGESynthNet.from_pretrained(folder, sampling=sampling)
        scores = repainted_scores(experiment, generator, folder)
        scores["novel"] = {} if options.repaint_only else novel_scores(experiment, generator)
        row: dict[str, Interval | None] = {
            "repaint Dice": mean(scores["repaint"]),
            "above 0.6": mean(above(scores["repaint"])),
            "of the ceiling": ratio(scores["repaint"], ceiling),
            "novel Dice": mean(scores["novel"]),
            "novel above 0.6": mean(above(scores["novel"])),
            "brighter": mean(scores["brighter"]),
            "core less dark": mean(scores["shallower"]),
        }
        if first is None:
            first = scores
        else:
            row |= {f"{table} minus first": difference(scores[table], first[table]) for table in ("repaint", "novel") if scores[table]}
        print(f"{name}\n  " + "\n  ".join(f"{key:>20} {value}" for key, value in row.items()), flush=True)
        results[name] = {key: str(value) for key, value in row.items()}
        if options.words:
            alone = replace(sampling, guidance=defaults.words_guidance, edges=False, whole_wall=True)
            words = as_numbers(experiment.words(LGESynthNet.from_pretrained(folder, sampling=alone)))
            results[name] |= {f"words: {key}": value for key, value in words.items()}
    if options.out:
        write_json(options.out, results)


def sampling_of(settings: str) -> Sampling:
    """Settings from a text such as `steps=8&words=0`; each value takes the type of its field."""
    values = dict(pair.split("=") for pair in settings.split("&") if pair)
    defaults = Sampling()
    types = {name: type(getattr(defaults, name)) for name in values}
    return Sampling(**{name: bool(int(value)) if types[name] is bool else types[name](value) for name, value in values.items()})


def ceiling_of(experiment: GeneratorExperiment) -> ByPatient:
    scores: ByPatient = defaultdict(list)
    for host in experiment.hosts:
        if host.slice_.scar.any():
            scores[host.slice_.patient].append(dice(experiment.segment(host, host.slice_.image), host.slice_.scar) or 0.0)
    return scores


def repainted_scores(experiment: GeneratorExperiment, generator: LGESynthNet, folder: str) -> dict[str, ByPatient]:
    """Dice of repainted scars, how much brighter they are than the real scars, and how much less dark their cores are."""
    levels = scar_levels(folder)
    scores, brighter, shallower = defaultdict(list), defaultdict(list), defaultdict(list)
    for host in experiment.hosts:
        if not host.slice_.scar.any():
            continue
        sample = generator.apply(host, own_scar(host, levels), seed=0)
        patient = host.slice_.patient
        scores[patient].append(dice(experiment.segment(host, sample.image), sample.intended) or 0.0)
        if (host.slice_.labels == Label.SCAR).any():
            brighter[patient].append(level(host, sample.image) - level(host, host.slice_.image))
        if core_drop(host, host.slice_.image) is not None:
            shallower[patient].append(core_drop(host, host.slice_.image) - core_drop(host, sample.image))
    return {"repaint": scores, "brighter": brighter, "shallower": shallower}


def level(host: Host, image: np.ndarray, label: Label = Label.SCAR) -> float:
    """Mean brightness of the bright scar, or of its no-reflow core, in heart units."""
    return float(HeartWindow.from_slice(host.slice_).to_unit(image)[host.slice_.labels == label].mean())


def core_drop(host: Host, image: np.ndarray) -> float | None:
    """Brightness of the scar minus that of its no-reflow core, in heart units; None without a core of at least 12 pixels."""
    if (host.slice_.labels == Label.NO_REFLOW).sum() < CORE_PIXELS or not (host.slice_.labels == Label.SCAR).any():
        return None
    return level(host, image) - level(host, image, Label.NO_REFLOW)


def novel_scores(experiment: GeneratorExperiment, generator: LGESynthNet) -> ByPatient:
    rng, scores = np.random.default_rng(7), defaultdict(list)
    for i, host in enumerate(h for h in experiment.hosts if not h.slice_.scar.any()):
        sample = generator.inpaint(host, draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng), seed=i)
        scores[host.slice_.patient].append(dice(experiment.segment(host, sample.image), sample.intended) or 0.0)
    return scores


def above(scores: ByPatient) -> ByPatient:
    return {name: [float(value > DICE_ABOVE) for value in values] for name, values in scores.items()}


if __name__ == "__main__":
    sys.exit(main())
