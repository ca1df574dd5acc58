"""What masks that the shipped heart segmenter draws are worth as hosts, compared with the masks of experts.

    python experiments/drawn_masks.py [--data FOLDER] [--parts audit test] [--per-slice 2]

It prints the Dice of cavity and wall by patient, the share of drawn slices that can be hosts, and the price of painting into them: the same
prescriptions and seeds are painted into the scar-free slices with either mask, and an auditor that was trained on simulated hearts alone
reads every attempt, given the mask of its host. Intervals are 95 % bootstrap over patients.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
from real_data import add_data_option

from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.errors import AnatomyError, InputError, PrescriptionError
from lgesynthnet.hosts.locate import locate_stack
from lgesynthnet.hosts.suitability import find_host_fault, find_orientation_fault
from lgesynthnet.model_store import weights_folder
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.records import Label, Stack, scar_of, wall_of
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.judging import read_back
from lgesynthnet.synthesis.painters import load_painter
from lgesynthnet.terms import DICE_ABOVE, LEAST_ORIENTATION_CONFIDENCE, Prior, Role

Scores = dict[str, list[float]]  # patient -> Dice of each attempt


def drawn(stack: Stack, segmenter: HeartSegmenter) -> Stack:
    """The stack with cavity and wall as the network draws them."""
    found = segmenter.read_stack(stack.image, stack.spacing_mm)
    labels = np.where(wall_of(found), Label.WALL, np.where(found == Label.CAVITY, Label.CAVITY, Label.BACKGROUND))
    return replace(stack, labels=labels.astype(np.uint8))


def hosts_of(stack: Stack, indices: set[int]) -> dict[int, Host]:
    """The hosts among these slices."""
    hearts = locate_stack(stack)
    hosts = {}
    for index in sorted(indices):
        if find_host_fault(stack[index]) is None and find_orientation_fault(hearts, index, LEAST_ORIENTATION_CONFIDENCE) is None:
            hosts[index] = Host(slice_=stack[index], frame=hearts.frame(index))
    return hosts


def share(scores: Scores, rng: np.random.Generator) -> str:
    """Share of the attempts above 0.6, with its interval."""
    names = sorted(scores)

    def above(chosen: list[str]) -> float:
        return float(np.mean([value > DICE_ABOVE for name in chosen for value in scores[name]]))

    draws = [above(list(rng.choice(names, len(names)))) for _ in range(2000)]
    low, high = np.percentile(draws, (2.5, 97.5))
    values = [value for name in names for value in scores[name]]
    return f"{above(names):.2f} [{low:.2f}, {high:.2f}], mean Dice {np.mean(values):.2f}, {len(values)} attempts in {len(names)} patients"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data_option(parser)
    parser.add_argument("--parts", nargs="+", default=["audit", "test"])
    parser.add_argument("--per-slice", type=int, default=2, help="prescriptions for each scar-free slice")
    parser.add_argument("--model", default="phantom")
    options = parser.parse_args()
    emidec = options.data / "emidec"
    splits = read_splits(emidec / "splits.json")
    wanted = {name for part in options.parts for name in splits[part]}
    segmenter = HeartSegmenter.from_pretrained(weights_folder() / "phantom" / "heart-segmenter")
    auditor = TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "auditor", Role.AUDITOR)
    generator = load_painter(options.model).generator
    rng = np.random.default_rng(0)
    cavity, wall, faults, drawn_slices, usable = [], [], Counter[str](), 0, 0
    scores: dict[str, Scores] = {"expert masks": defaultdict(list), "drawn masks": defaultdict(list)}
    lost = 0
    for stack in open_cohort(emidec).stacks():
        if not isinstance(stack, Stack) or stack.patient not in wanted:
            continue
        by_network = drawn(stack, segmenter)
        cavity.append(dice(by_network.labels == Label.CAVITY, stack.labels == Label.CAVITY))
        wall.append(dice(by_network.labels == Label.WALL, wall_of(stack.labels)))
        for slice_ in by_network:
            if slice_.labels.any():
                drawn_slices += 1
                fault = find_host_fault(slice_)
                usable += fault is None
                faults.update([] if fault is None else [str(fault).split(";")[0]])
        free = {index for index in range(len(stack)) if wall_of(stack.labels[:, :, index]).any() and not stack[index].scar.any()}
        pairs = {"expert masks": hosts_of(stack, free), "drawn masks": hosts_of(by_network, free)}
        both = sorted(set(pairs["expert masks"]) & set(pairs["drawn masks"]))
        lost += len(set(pairs["expert masks"]) - set(pairs["drawn masks"]))
        for index in both:
            for number in range(options.per_slice):
                prescription = draw_prescription(Prior.ISCHAEMIC, pairs["expert masks"][index].frame.level, rng)
                for kind, hosts in pairs.items():
                    try:
                        sample = generator.inpaint(hosts[index], prescription, seed=number)
                    except (PrescriptionError, AnatomyError, InputError):
                        scores[kind][stack.patient].append(0.0)
                        continue
                    read = scar_of(read_back(auditor, sample))
                    scores[kind][stack.patient].append(dice(read, sample.intended) or 0.0)
    print(f"{len(cavity)} patients: Dice of the cavity {np.mean(cavity):.3f}, of the wall {np.mean(wall):.3f} (mean over patients)")
    print(f"{usable} of {drawn_slices} drawn slices can be hosts ({usable / drawn_slices:.1%}); faults: {dict(faults)}")
    print(f"scar-free hosts with expert masks that are none with drawn masks: {lost}")
    for kind, of_kind in scores.items():
        print(f"{kind}: auditor share above {DICE_ABOVE:g}: {share(of_kind, np.random.default_rng(0))}")
    names = sorted(scores["expert masks"])
    rng = np.random.default_rng(0)
    means = {  # share above, and number of attempts, of each patient
        kind: np.array([[np.mean([v > DICE_ABOVE for v in of_kind[n]]), len(of_kind[n])] for n in names])
        for kind, of_kind in scores.items()
    }
    differences = []
    for _ in range(2000):
        chosen = rng.integers(0, len(names), len(names))
        weights = means["drawn masks"][chosen, 1]
        gap = means["drawn masks"][chosen, 0] - means["expert masks"][chosen, 0]
        differences.append(float((gap * weights).sum() / weights.sum()))
    low, high = np.percentile(differences, (2.5, 97.5))
    print(f"difference drawn - expert: 95 % interval [{low:+.2f}, {high:+.2f}]")


if __name__ == "__main__":
    main()
