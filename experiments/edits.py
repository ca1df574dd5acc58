"""Measure how well scar is removed and moved in real slices, with an auditor that neither generator nor filter knows.

    python experiments/edits.py --model MODEL [--part test] [--auditor FOLDER] [--out FILE]

removed  Every slice with 25 mm² of scar or more loses it. Share of slices in which the auditor finds 25 mm² or more: in the healed slices,
         in the same slices before, and in the slices that never had scar. AUC of a classifier that is to tell healed wall from untouched
         wall by brightness, spread and noise against the rest of the wall (0.5: it cannot). Untouched wall is what scars of the ischaemic
         prior would cover in scar-free slices.
moved    The same slices lose their scar and get an ischaemic one elsewhere. Dice of the auditor with the prescribed scar, share above 0.6,
         and share of slices with 25 mm² or more left in the old place.
kept     Share of the removed and of the moved that the model's own filter keeps.

Printed with 95 % bootstrap intervals over patients. Nothing is tuned here.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from generator import as_numbers
from real_data import add_data_option, patients_of

from lgesynthnet.conditioning.edit import NotMovedError, move_scar, remove_scar
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.noise import fine_detail
from lgesynthnet.conditioning.repaint_region import edited_region
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.evaluate.intervals import ByPatient, Interval, mean
from lgesynthnet.evaluate.two_sample_test import auc
from lgesynthnet.files.writing import write_json
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.quality.verdict import STRAY_BELOW_MM2
from lgesynthnet.records import Image, Mask, scar_of
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.attempts import LEAST_OWN_SCAR_MM2
from lgesynthnet.synthesis.judging import judge
from lgesynthnet.synthesis.painters import load_filter
from lgesynthnet.terms import DICE_ABOVE, Prior, Role

LEAST_PIXELS = 20
STRETCHES = 3  # of untouched wall in each scar-free slice
DRAWS = 50


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--auditor", type=Path, default=Path("weights/emidec/auditor"))
    add_data_option(parser)
    parser.add_argument("--part", default="val")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    return parser.parse_args()


def main() -> None:
    options = options_of()
    patients = patients_of(options.data, options.part)
    pool = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
    hosts = [pool.fetch(entry) for entry in pool.entries if entry.patient in patients]
    experiment = EditExperiment(options.model, options.auditor)
    scarred = [host for host in hosts if host.slice_.scar.sum() * host.frame.pixel_mm2 >= LEAST_OWN_SCAR_MM2]
    healthy = [host for host in hosts if not host.slice_.scar.any()]
    results = experiment.removed(scarred, healthy) | experiment.moved(scarred)
    print(f"{options.model} on {options.part}: {len(scarred)} slices with scar, {len(healthy)} without; auditor {options.auditor}")
    for name, interval in results.items():
        print(f"  {name:>48}: {interval}")
    if options.out:
        write_json(options.out, as_numbers(results))


class EditExperiment:
    """The edits of one model, read by one auditor."""

    def __init__(self, model: str, auditor: Path) -> None:
        self.generator, self.filter = LGESynthNet.from_pretrained(model), load_filter(model)
        self.auditor = TrainedScarSegmenter.from_pretrained(auditor, Role.AUDITOR)

    def found(self, host: Host, image: Image) -> Mask:
        """The scar that the auditor finds in an image of this host; of its labels it sees cavity and wall alone."""
        return scar_of(self.auditor.read(replace(host.slice_, image=image)))

    def removed(self, scarred: Sequence[Host], healthy: Sequence[Host]) -> dict[str, Interval | None]:
        after, before, never, kept, outside = (defaultdict(list) for _ in range(5))
        healed, untouched = _Features(), _Features()
        for number, host in enumerate(scarred):
            sample, patient = self.generator.apply(host, remove_scar(host), seed=number), host.slice_.patient
            after[patient].append(_is_much(self.found(host, sample.image), host))
            before[patient].append(_is_much(self.found(host, host.slice_.image), host))
            kept[patient].append(float(judge(sample, self.filter).kept))
            outside[patient].append(sample.max_change_outside)
            healed.add(host, sample.image, sample.removed & host.frame.wall, sample.hidden)
        for number, host in enumerate(healthy):
            never[host.slice_.patient].append(_is_much(self.found(host, host.slice_.image), host))
            rng = np.random.default_rng([7, number])
            for _ in range(STRETCHES):
                stretch = rasterize(draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng), host.frame).scar
                hidden = edited_region(stretch, host.frame.wall, host.frame.cavity, host.frame.spacing_mm)
                untouched.add(host, host.slice_.image, stretch & host.frame.wall, hidden)
        return {
            "removed: 25 mm² or more found, after": mean(after),
            "removed: 25 mm² or more found, before": mean(before),
            "slices that never had scar: 25 mm² or more found": mean(never),
            "removed: kept by the filter": mean(kept),
            "removed: largest change outside": mean(outside),
            "removed: AUC of healed against untouched wall": auc(*healed.against(untouched)),
            "removed: brightness against the rest": mean(healed.brightness),
            "untouched: brightness against the rest": mean(untouched.brightness),
        }

    def moved(self, scarred: Sequence[Host]) -> dict[str, Interval | None]:
        overlap, good, left, kept = (defaultdict(list) for _ in range(4))
        for number, host in enumerate(scarred):
            sample, patient = self._moved(host, number), host.slice_.patient
            if sample is None:
                continue
            found = self.found(host, sample.image)
            value = dice(sample.intended, found) or 0.0
            overlap[patient].append(value)
            good[patient].append(float(value > DICE_ABOVE))
            left[patient].append(_is_much(found & sample.removed & ~sample.intended, host))
            kept[patient].append(float(judge(sample, self.filter).kept))
        return {
            "moved: Dice of the auditor": mean(overlap),
            "moved: share above 0.6": mean(good),
            "moved: 25 mm² or more left in the old place": mean(left),
            "moved: kept by the filter": mean(kept),
        }

    def _moved(self, host: Host, number: int) -> SyntheticSample | None:
        rng = np.random.default_rng([8, number])
        for _ in range(DRAWS):
            try:
                edit = move_scar(host, draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng))
            except NotMovedError:
                continue
            return self.generator.apply(host, edit, seed=number)
        return None  # scar all round


class _Features:
    """Brightness, spread and noise of a stretch of wall against the rest of the wall, with the patients."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.patients: list[str] = []

    def add(self, host: Host, image: Image, stretch: Mask, hidden: Mask) -> None:
        unit = HeartWindow.from_slice(host.slice_).to_unit(image).astype(np.float64)
        rest = host.frame.wall & ~hidden & ~host.slice_.scar
        if min(stretch.sum(), rest.sum()) < LEAST_PIXELS:
            return
        fine, compared = fine_detail(unit, hidden & host.frame.wall), fine_detail(unit, rest)
        grain = np.nan if fine is None or compared is None else float(np.log(fine.mean() / compared.mean()))
        self.rows.append([unit[stretch].mean() - unit[rest].mean(), float(np.log(unit[stretch].std() / unit[rest].std())), grain])
        self.patients.append(host.slice_.patient)

    @property
    def brightness(self) -> ByPatient:
        values = defaultdict(list)
        for row, patient in zip(self.rows, self.patients, strict=True):
            values[patient].append(row[0])
        return values

    def against(self, other: _Features) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
        rows = np.nan_to_num(np.array(self.rows)), np.nan_to_num(np.array(other.rows))
        return (*rows, self.patients, other.patients)


def _is_much(found: Mask, host: Host) -> float:
    return float(found.sum() * host.frame.pixel_mm2 >= STRAY_BELOW_MM2)


if __name__ == "__main__":
    main()
