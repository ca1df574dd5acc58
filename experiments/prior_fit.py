"""How near scars that a prior draws are to real ones: the ischaemic prior, and one that is learnt from other patients.

    python experiments/prior_fit.py [--data FOLDER] [--draws 2] [--out docs/evidence/prior]

Patients of the part `train` alone teach a prior. It is checked three times: within `train`, where the scars of each fourth of the patients
are compared with draws of a prior of the other fourths; again within `train`, with priors of four patients with scar, each checked on the
next four; and in `val` and `audit`, with a prior of all of `train`. Masks are drawn in the frames
of the checked patients, in slices with scar and in slices without, and measured as the real ones are. Brightness is the prescribed one, on
the scale of the shipped model. OUT/scars.csv gets quartiles and distances of groups, and nothing of a single patient.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from real_data import add_data_option
from scipy import stats

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.source import CohortSource
from lgesynthnet.data.splits import part_of
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.model.settings import scar_levels
from lgesynthnet.prescription.fitted_prior import FittedPrior
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prior.fitting import prior_of, scars_of
from lgesynthnet.records import Label, Mask
from lgesynthnet.terms import Prior

FOLDS, FEW = 4, 4
MODEL = "phantom"
SECOND_COPY = "P072"  # the scan of P059 once more: in another fold, a patient would be compared with a prior of itself
SCARRED, FREE = "with scar", "without scar"
Values = dict[str, list[float]]  # measure -> one number for each scar
COLUMNS = ("checked", "patients", "scars", "frames", "frame_count", "masks", "not_drawn", "measure")
COLUMNS += ("q05", "q25", "median", "q75", "q95", "ks", "wasserstein")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What a prior drew in some frames: the measures of the masks, and how many prescriptions did not fit their wall."""

    values: Values
    failed: int


def measures(scar: Mask, core: Mask, frame: HeartFrame, brightness: float | None) -> dict[str, float]:
    """The numbers of one mask that are compared; no-reflow as a share of the scar where there is any."""
    measured = measure_scar(scar, frame, core)
    found = {
        "area_mm2": measured.area_mm2,
        "area_px": measured.area_mm2 / frame.pixel_mm2,
        "share_of_wall": measured.burden,
        "transmurality": measured.transmurality or 0.0,
        "segments": float(len(measured.segments)),
        "has_no_reflow": float(measured.mvo_share > 0),
    }
    if measured.mvo_share > 0:
        found["no_reflow_share"] = measured.mvo_share
    return found if brightness is None else found | {"brightness": brightness}


def collected(rows: Iterable[dict[str, float]]) -> Values:
    """One list for each measure."""
    values: Values = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return values


def joined(parts: Iterable[Drawn]) -> Drawn:
    """Several draws as one."""
    values: Values = {}
    failed = 0
    for part in parts:
        failed += part.failed
        for name, numbers in part.values.items():
            values.setdefault(name, []).extend(numbers)
    return Drawn(values=values, failed=failed)


def real(hosts: Iterable[Host]) -> Values:
    """The measures of the labelled scars."""
    rows = []
    for host in hosts:
        core = np.asarray(host.slice_.labels == Label.NO_REFLOW)
        bright = HeartWindow.from_slice(host.slice_).to_unit(host.slice_.image)[host.slice_.scar & ~core]
        rows.append(measures(host.slice_.scar, core, host.frame, float(bright.mean()) if bright.size else None))
    return collected(rows)


def drawn(prior: Prior | FittedPrior, hosts: Iterable[Host], draws: int, seed: int) -> Drawn:
    """The measures of scars that a prior draws into these slices."""
    levels = scar_levels(MODEL) or ()
    ranks = np.linspace(0, 100, len(levels))
    rng = np.random.default_rng(seed)
    rows, failed = [], 0
    for host in hosts:
        for _ in range(draws):
            prescription = draw_prescription(prior, host.frame.level, rng)
            try:
                mask = rasterize(prescription, host.frame)
            except PrescriptionError:
                failed += 1
                continue
            brightness = float(np.interp(prescription.intensity_percentile, ranks, levels))
            rows.append(measures(mask.scar, mask.no_reflow, host.frame, brightness))
    return Drawn(values=collected(rows), failed=failed)


def hosts_of(pool: HostPool, patients: Iterable[str], *, scarred: bool) -> list[Host]:
    """The usable slices of these patients, with scar or without."""
    named = set(patients)
    hosts = (pool.fetch(entry) for entry in pool.entries if entry.patient in named)
    return [host for host in hosts if bool(host.slice_.scar.any()) is scarred]


def rows_of(checked: str, hosts: dict[str, list[Host]], masks: dict[tuple[str, str], Drawn]) -> list[dict[str, object]]:
    """One row for each measure of the real scars and of each prior in each kind of slice."""
    truth = real(hosts[SCARRED])
    rows: list[dict[str, object]] = []
    groups = {(SCARRED, "real"): Drawn(values=truth, failed=0)} | {(frames, name): found for (name, frames), found in masks.items()}
    for (frames, name), group in groups.items():
        about = {
            "checked": checked,
            "patients": len({host.slice_.patient for host in hosts[SCARRED]}),
            "scars": len(hosts[SCARRED]),
            "frames": frames,
            "frame_count": len(hosts[frames]),
            "masks": name,
            "not_drawn": group.failed,
        }
        for measure, values in group.values.items():
            quartiles = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95)) if measure != "has_no_reflow" else [np.mean(values)] * 5
            far = name != "real"
            rows.append(
                about
                | {"measure": measure}
                | dict(zip(("q05", "q25", "median", "q75", "q95"), (f"{value:.4g}" for value in quartiles), strict=True))
                | {"ks": f"{stats.ks_2samp(truth[measure], values).statistic:.3f}" if far else ""}
                | {"wasserstein": f"{stats.wasserstein_distance(truth[measure], values):.4g}" if far else ""}
            )
    return rows


def compare(checked: str, pool: HostPool, folds: list[tuple[list[str], FittedPrior]], draws: int) -> list[dict[str, object]]:
    """The rows of one check; every fold names the patients that are checked, and a prior that has not met them."""
    hosts: dict[str, list[Host]] = {SCARRED: [], FREE: []}
    masks: dict[tuple[str, str], list[Drawn]] = {}
    for number, (patients, prior) in enumerate(folds):
        for frames in hosts:
            found = hosts_of(pool, patients, scarred=frames == SCARRED)
            hosts[frames] += found
            for name, population in (("ischaemic", Prior.ISCHAEMIC), ("fitted", prior)):
                masks.setdefault((name, frames), []).append(drawn(population, found, draws, seed=number))
        print(f"{checked}: fold {number + 1} of {len(folds)}, {prior.describe()}", flush=True)
    return rows_of(checked, hosts, {key: joined(parts) for key, parts in masks.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--draws", type=int, default=2, help="scars that each prior draws into each slice")
    parser.add_argument("--out", type=Path, default=Path("docs/evidence/prior"), help="folder of scars.csv")
    options = parser.parse_args()
    root, levels = options.data / "emidec", scar_levels(MODEL) or ()
    splits = root / "splits.json"
    train = tuple(patient for patient in part_of(splits, "train") if patient != SECOND_COPY)
    pool = find_hosts(CohortSource(root=root, patients=train).open(), with_scar=True)
    scars = scars_of(pool)
    scarred = sorted({scar.patient for scar in scars})
    order = [*scarred, *sorted(set(train) - set(scarred))]
    folds = []
    for fold in range(FOLDS):
        held_out = order[fold::FOLDS]
        folds.append((held_out, prior_of([scar for scar in scars if scar.patient not in held_out], levels)))
    rows = compare("train, cross-fitted", pool, folds, options.draws)
    groups = [order[start : start + FEW] for start in range(0, len(scarred) // FEW * FEW, FEW)]
    few = [
        (groups[(number + 1) % len(groups)], prior_of([scar for scar in scars if scar.patient in group], levels))
        for number, group in enumerate(groups)
    ]
    rows += compare(f"train, priors of {FEW} patients", pool, few, options.draws)
    others = [*part_of(splits, "val"), *part_of(splits, "audit")]
    pool = find_hosts(CohortSource(root=root, patients=tuple(others)).open(), with_scar=True)
    rows += compare("val and audit", pool, [(others, prior_of(scars, levels))], options.draws)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "scars.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    print(f"{options.out / 'scars.csv'}: {len(rows)} rows")


if __name__ == "__main__":
    main()
