"""Whole hearts that `synthesize --stacks` painted: do they continue from slice to slice as patients do, and does the auditor find them?

    python experiments/hearts.py --stacks RUN [--slices RUN] [--real train] [--auditor FOLDER] [--json FILE]

RUN is painted with --keep-all, so that every attempt counts. `--slices` is a run of single slices in the same hosts; its samples of one
patient, one for each slice, are what a heart would be without a prescription for the whole of it.

continuity  Kolmogorov-Smirnov distance to the patients of a part of emidec/splits.json: of random halves of these patients, of the painted
            hearts, and of independent slices. `continuity.py` explains each row.
auditor     Dice of the prescribed scar and of what the auditor finds: in all slices of a heart together, and by slice; of painted hearts,
            of single slices, and of real patients (the real ceiling, of the same part as the hosts). 95 % intervals over patients.
burden      What the auditor finds less what was prescribed, in ml and as a share of the wall: mean, and 95 % limits of agreement (Bland
            and Altman, 1986).
seconds     a heart, as the run recorded them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from continuity import Heart, halves_apart, ks_distances, measure_heart, print_table, read_hearts
from prior_fit import SECOND_COPY
from real_data import add_data_option, patients_of

from lgesynthnet.conditioning.heart import HeartHost
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.source import CohortSource
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.intervals import Interval, mean
from lgesynthnet.evaluate.run_cases import painted_cases, real_cases
from lgesynthnet.files.writing import write_json
from lgesynthnet.hosts.hearts import find_hearts
from lgesynthnet.overlap import dice
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role

USUAL_STEP_MM = 10.0


def main() -> None:
    options = options_of()
    stacks = RunFolder.open(options.stacks)
    auditor = TrainedScarSegmenter.from_pretrained(options.auditor, Role.AUDITOR)
    results: dict[str, object] = {"stacks": continuity(options, stacks)}
    results["auditor"], results["burden"] = audited(options, stacks, auditor)
    seconds = [row.seconds for row in stacks.stacks if row.seconds is not None]
    print(f"\nseconds a heart: median {np.median(seconds):.1f}, largest {max(seconds):.1f}, of {len(seconds)}")
    kept = [row for row in stacks.stacks if row.kept]
    painted = [row for row in stacks.stacks if row.file]
    print(f"kept by the filter: {len(kept)} of {len(painted)} painted, {len(stacks.stacks)} attempted")
    if options.json:
        write_json(options.json, results)


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=Path, required=True)
    parser.add_argument("--slices", type=Path)
    add_data_option(parser)
    parser.add_argument("--real", default="train", help="part whose patients the hearts are compared with")
    parser.add_argument("--auditor", type=Path, default=Path("weights/emidec/auditor"))
    parser.add_argument("--json", type=Path, help="write the results as JSON")
    return parser.parse_args()


def continuity(options: argparse.Namespace, stacks: RunFolder) -> dict[str, dict[str, float]]:
    """The distances of painted hearts, and of independent slices, from the patients."""
    names = tuple(patient for patient in patients_of(options.data, options.real) if patient != SECOND_COPY)
    real = read_hearts(CohortSource(root=options.data / "emidec", patients=names))
    apart = {"halves of the patients": halves_apart(real)}
    apart["patients and painted hearts"] = ks_distances(real, painted_hearts(stacks))
    if options.slices is not None:
        patients = {row.host for row in stacks.stacks}
        apart["patients and independent slices"] = ks_distances(real, hearts_of_slices(RunFolder.open(options.slices), patients))
    print_table("Kolmogorov-Smirnov distance", [{"between": name} | values for name, values in apart.items()])
    return apart


def painted_hearts(run: RunFolder) -> list[Heart]:
    """The records of every painted stack."""
    hearts = {heart.name: heart for heart in find_hearts(run.hosts())}
    by_stack: dict[str, list[SampleRow]] = defaultdict(list)
    for row in run.painted(kept_only=False):
        by_stack[str(row.stack)].append(row)
    return [heart_with(hearts[rows[0].host], run, rows, name) for name, rows in by_stack.items()]


def hearts_of_slices(run: RunFolder, patients: Collection[str]) -> list[Heart]:
    """Hearts put together of single slices: of each of these patients, the n-th sample of each slice makes the n-th heart."""
    hearts = {heart.name: heart for heart in find_hearts(run.hosts()) if heart.name in patients}
    by_slice: dict[str, dict[int, list[SampleRow]]] = defaultdict(lambda: defaultdict(list))
    for row in run.painted(kept_only=False):
        by_slice[row.host][row.slice_index].append(row)
    found = []
    for patient, slices in by_slice.items():
        if patient not in hearts:
            continue
        for number in range(min(len(rows) for rows in slices.values())):
            rows = [rows[number] for rows in slices.values()]
            found.append(heart_with(hearts[patient], run, rows, f"{patient}_{number}"))
    return found


def heart_with(heart: HeartHost, run: RunFolder, rows: Iterable[SampleRow], name: str) -> Heart:
    """The records of a heart in which some slices are painted."""
    hosts = {index: placed.host for index, placed in heart.slices.items()}
    for row in rows:
        sample, host = run.sample(row), hosts[row.slice_index]
        hosts[row.slice_index] = Host(slice_=replace(host.slice_, image=sample.image, labels=sample.labels), frame=host.frame)
    return measure_heart(name, list(hosts.values()), heart.stack.slice_step_mm or USUAL_STEP_MM)


def audited(
    options: argparse.Namespace, stacks: RunFolder, auditor: TrainedScarSegmenter
) -> tuple[dict[str, str], dict[str, dict[str, float]]]:
    """The tables of the auditor and of the burden."""
    scores, burden = {}, {}
    part = stacks.plan.request.part
    real = real_cases(CohortSource(root=options.data / "emidec").open(), sorted(patients_of(options.data, part)))
    sets = {f"real patients ({part})": (real, [case.patient for case in real])}
    rows = {row.id: row for row in stacks.rows}
    painted = painted_cases(stacks, stacks.hosts(), kept_only=False)
    sets["painted hearts"] = (painted, [str(rows[case.name].stack) for case in painted])
    if options.slices is not None:
        run = RunFolder.open(options.slices)
        single = painted_cases(run, run.hosts(), kept_only=False)
        sets["single slices"] = (single, [case.name for case in single])
    for name, (cases, groups) in sets.items():
        found = [case.segment(auditor) for case in cases]
        scores[name] = dice_table(cases, groups, found)
        if name != "single slices":
            burden[name] = burden_table(cases, groups, found)
    print_table("Dice of the auditor", [{"of": name} | values for name, values in scores.items()])
    print_table("burden: found less prescribed", [{"of": name} | values for name, values in burden.items()])
    return {name: {key: str(value) for key, value in values.items()} for name, values in scores.items()}, burden


def dice_table(cases: Sequence[Case], groups: Sequence[str], found: Sequence[np.ndarray]) -> dict[str, str]:
    """Dice by slice and by heart, as text with intervals over patients."""
    by_slice, by_heart = defaultdict(list), defaultdict(list)
    shared, total, patient_of = defaultdict(float), defaultdict(float), {}
    for case, group, mask in zip(cases, groups, found, strict=True):
        by_slice[case.patient].append(dice(case.scar, mask) or 0.0)
        shared[group] += float((case.scar & mask).sum())
        total[group] += float(case.scar.sum() + mask.sum())
        patient_of[group] = case.patient
    for group, patient in patient_of.items():
        by_heart[patient].append(2 * shared[group] / max(total[group], 1.0))
    above = {patient: [float(value > 0.6) for value in values] for patient, values in by_slice.items()}
    return {"hearts": _text(mean(by_heart)), "slices": _text(mean(by_slice)), "slices above 0.6": _text(mean(above))}


def burden_table(cases: Sequence[Case], groups: Sequence[str], found: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean error and 95 % limits of agreement of the burden of hearts, in ml and as a share of the wall of the scarred slices."""
    prescribed, read, wall = defaultdict(float), defaultdict(float), defaultdict(float)
    for case, group, mask in zip(cases, groups, found, strict=True):
        ml = case.frame.pixel_mm2 * USUAL_STEP_MM / 1000
        prescribed[group] += float(case.scar.sum()) * ml
        read[group] += float(mask.sum()) * ml
        wall[group] += float(case.frame.wall.sum()) * ml
    error = np.array([read[group] - prescribed[group] for group in prescribed])
    share = np.array([(read[group] - prescribed[group]) / wall[group] for group in prescribed])
    table = {"hearts": float(len(error)), "prescribed ml": float(np.mean(list(prescribed.values())))}
    for name, values in (("ml", error), ("share of wall", share)):
        spread = 1.96 * float(values.std(ddof=1))
        middle = float(values.mean())
        table |= {f"{name}: mean": middle, f"{name}: low": middle - spread, f"{name}: high": middle + spread}
    return table


def _text(interval: Interval | None) -> str:
    return "" if interval is None else str(interval)


if __name__ == "__main__":
    main()
