"""Kinds of scar: which real slices have them, and prescriptions of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int
from pydantic import BaseModel

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.benchmark.records import read_record
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.errors import AnatomyError, InputError, RunError
from lgesynthnet.files.writing import write_bytes, write_json
from lgesynthnet.prescription.fitted_prior import FittedPrior, name_of
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Label, Level, ShortAxisSlice, Stack
from lgesynthnet.segmenter.heart import grey
from lgesynthnet.terms import Prior, Stratum

STRATA = "strata.json"
QUARTER = 0.25
HALF_OF_THE_WALL = 0.5  # with less scar than that, the segment may recover (Kim et al., 2000)
PRESCRIPTIONS = 240
MOST_DRAWS = 100_000


@dataclass(frozen=True, kw_only=True)
class ScarMeasures:
    """The scar of one real slice.

    Attributes:
        extent: mean scarred share of the wall over the chords that hold scar, 0 to 1; None where the wall is no closed ring.
        brightness: mean in heart units, without no-reflow; None where the whole scar is no-reflow.
    """

    patient: str
    index: int
    area_mm2: float
    extent: float | None
    no_reflow: bool
    brightness: float | None

    @classmethod
    def of(cls, slice_: ShortAxisSlice) -> ScarMeasures:
        """Measure a slice with scar."""
        core = np.asarray(slice_.labels == Label.NO_REFLOW)
        try:
            extent = measure_scar(slice_.scar, compute_heart_frame(slice_, Level.MID)).transmurality  # it is the same at every level
        except AnatomyError:
            extent = None
        try:
            bright = HeartWindow.from_slice(slice_).to_unit(slice_.image)[slice_.scar & ~core]
        except InputError:
            bright = np.zeros(0)
        return cls(
            patient=slice_.patient,
            index=slice_.index,
            area_mm2=float(slice_.scar.sum()) * float(np.prod(slice_.spacing_mm)),
            extent=extent,
            no_reflow=bool(core.any()),
            brightness=float(bright.mean()) if bright.size else None,
        )


class Strata(BaseModel):
    """`OUT/strata.json`: the slices with each kind of scar.

    Attributes:
        smallest_mm2: the lower quartile of the areas of the training slices with scar; `smallest` lies at or below it.
        faint_unit: the same of their brightness in heart units, for `faint`.
        slices: kind -> patient -> indices of the slices with such a scar.
        flat: patient -> indices of slices without contrast, which are not prepared for training.
    """

    smallest_mm2: float
    faint_unit: float
    slices: dict[Stratum, dict[str, list[int]]]
    flat: dict[str, list[int]]

    def holds(self, stratum: Stratum, patient: str, index: int) -> bool:
        """Whether a slice has this kind of scar."""
        return index in self.slices[stratum].get(patient, ())

    def rows_without(self, stratum: Stratum, patients: Sequence[str]) -> Int[np.ndarray, " rows"]:
        """The rows of prepared slices that lack this kind of scar.

        Args:
            patients: the patient of each row; the rows of a patient are in the order of the stack.
        """
        seen: dict[str, int] = {}
        kept = []
        for row, patient in enumerate(patients):
            index = seen.get(patient, 0)
            while index in self.flat.get(patient, ()):
                index += 1
            seen[patient] = index + 1
            if not self.holds(stratum, patient, index):
                kept.append(row)
        return np.array(kept, int)


def sort_slices(stacks: Iterable[Stack], train: Sequence[str]) -> Strata:
    """Find the slices with each kind of scar.

    Args:
        stacks: of all patients, those to train on and those to test.
        train: names of the patients who set the quartiles.
    Raises:
        InputError: no training slice has scar.
    """
    measures: list[ScarMeasures] = []
    flat: dict[str, list[int]] = {}
    for stack in stacks:
        flat[stack.patient] = [slice_.index for slice_ in stack if _is_flat(slice_)]
        measures += [ScarMeasures.of(slice_) for slice_ in stack if slice_.scar.any()]
    known = [one for one in measures if one.patient in train]
    bright = [one.brightness for one in known if one.brightness is not None]
    if not bright:
        raise InputError("no training slice has scar, so there is no kind of scar to leave out")
    smallest_mm2, faint_unit = float(np.quantile([one.area_mm2 for one in known], QUARTER)), float(np.quantile(bright, QUARTER))
    kinds = {
        Stratum.SMALLEST: [one for one in measures if one.area_mm2 <= smallest_mm2],
        Stratum.SUBENDOCARDIAL: [one for one in measures if one.extent is not None and one.extent <= HALF_OF_THE_WALL],
        Stratum.NO_REFLOW: [one for one in measures if one.no_reflow],
        Stratum.FAINT: [one for one in measures if one.brightness is not None and one.brightness <= faint_unit],
    }
    slices: dict[Stratum, dict[str, list[int]]] = {kind: {} for kind in kinds}
    for kind, members in kinds.items():
        for one in members:
            slices[kind].setdefault(one.patient, []).append(one.index)
    return Strata(smallest_mm2=smallest_mm2, faint_unit=faint_unit, slices=slices, flat=flat)


def _is_flat(slice_: ShortAxisSlice) -> bool:
    try:
        grey(slice_.image)
    except InputError:
        return True
    return False


def write_strata(strata: Strata, out: Path) -> None:
    write_json(out / STRATA, strata.model_dump(mode="json"))


def read_strata(out: Path) -> Strata | None:
    """The strata of an experiment; None where none were left out yet.

    Raises:
        InputError: the file is damaged.
    """
    return read_record(out / STRATA, Strata) if (out / STRATA).is_file() else None


def _without_seed(prescription: ScarPrescription) -> str:
    record = json.loads(prescription.to_json())
    del record["seed"]
    return json.dumps(record, sort_keys=True)


def is_of_stratum(prescription: ScarPrescription, stratum: Stratum) -> bool:
    """Whether a prescribed scar is of this kind."""
    match stratum:
        case Stratum.SMALLEST:  # a prescription has no area, which depends on the heart
            return len(prescription.segments) == 1 and prescription.transmurality <= HALF_OF_THE_WALL
        case Stratum.SUBENDOCARDIAL:
            return prescription.transmurality <= HALF_OF_THE_WALL
        case Stratum.NO_REFLOW:
            return prescription.mvo_share > 0
        case Stratum.FAINT:
            return prescription.intensity_percentile <= 100 * QUARTER


def prescribe_stratum(stratum: Stratum, prior: Prior | FittedPrior, path: Path, *, seed: int) -> Path:
    """Write prescriptions of one kind of scar, drawn from a prior, the levels in turn; each sample draws a border of its own.

    Raises:
        RunError: the prior has no such scars.
    """
    rng = np.random.default_rng([seed, list(Stratum).index(stratum)])
    levels = list(Level)
    lines: list[str] = []
    for _ in range(MOST_DRAWS):
        prescription = draw_prescription(prior, levels[len(lines) % len(levels)], rng)
        if is_of_stratum(prescription, stratum):
            lines.append(_without_seed(prescription))
        if len(lines) == PRESCRIPTIONS:
            write_bytes(path, "".join(f"{line}\n" for line in lines).encode())
            return path
    raise RunError(f"--prior {name_of(prior)}: has no scars of the kind {stratum}; choose --prior ischaemic, or leave --regime strata out")
