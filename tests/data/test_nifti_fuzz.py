"""Whatever bytes a patient's files hold: each is read, or refused in one line, and what `verify` calls usable is painted."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from mutations import Patient, patients, write_cohort

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.nifti_writing import write_slice_like
from lgesynthnet.errors import AnatomyError, PrescriptionError
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.hosts.inspection import verify
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.prescription.scar import Pattern, ScarPrescription

SCAR = ScarPrescription(segments=frozenset({3, 9, 14}), pattern=Pattern.TRANSMURAL, transmurality=0.8, seed=5)


def fuzz(examples: int) -> settings:
    """The same files at every call. Nothing is shrunk, so a failure takes no longer than the rest."""
    quiet = list(HealthCheck)
    phases = [Phase.explicit, Phase.generate]
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=quiet, phases=phases)


@fuzz(40)
@given(patients)
def test_mutated_files_are_read_or_refused_and_usable_ones_are_painted(patient):
    check(patient)


@pytest.mark.long
@fuzz(250)
@given(patients)
def test_many_mutated_files_are_read_or_refused_and_usable_ones_are_painted(patient):
    check(patient)


def check(patient: Patient) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # of an overflow or a division by zero: a wrong number on its way
        cohort = open_cohort(write_cohort(Path(folder) / "cohort", patient))
        report = verify(cohort)
        assert all(line.isprintable() for line in report.lines())
        usable = {(case.patient, index) for case in report.cases for index in case.usable if index not in case.with_scar}
        pool = find_hosts(cohort)  # the good patient is always left
        assert {(entry.patient, entry.index) for entry in pool.entries} == usable
        assert all(f"{skipped.name} {skipped.reason}".isprintable() for skipped in pool.skipped)
        paint(pool, Path(folder))


def paint(pool: HostPool, folder: Path) -> None:
    """Paint into every host of the mutated patient, and write the samples as a run does."""
    for number, entry in zip(itertools.count(), (entry for entry in pool.entries if entry.patient == "X"), strict=False):
        host = pool.fetch(entry)
        try:
            sample = IntensityPaste().inpaint(host, SCAR, seed=number)
        except (PrescriptionError, AnatomyError):  # no wall where the scar is wanted
            continue
        assert sample.max_change_outside == 0
        if number:
            continue
        path = folder / "sample.nii"
        place = host.slice_.place
        write_slice_like(path, sample.image, place)
        np.testing.assert_array_equal(place.view.turn(read_volume(path).stored[:, :, 0].T), sample.image)
