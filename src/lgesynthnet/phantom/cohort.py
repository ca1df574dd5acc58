"""Write a folder of simulated patients in the EMIDEC layout, with a table of the truth beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.nifti_writing import stack_files
from lgesynthnet.errors import RunError
from lgesynthnet.files.manifest import FolderKind, Manifest, digest
from lgesynthnet.files.owned import claimed, damaged_files
from lgesynthnet.files.writing import synced_together, write_bytes
from lgesynthnet.phantom.patient import Patient, simulate
from lgesynthnet.phantom.scar_plan import NON_ISCHAEMIC
from lgesynthnet.prescription.grammar.language import write_sentence
from lgesynthnet.records import OnCase
from lgesynthnet.tables import csv_text
from lgesynthnet.workers import results_in_order

TRUTH = "truth.csv"
COLUMNS = (
    "case", "slice", "level", "anterior_deg", "inferior_deg", "burden", "transmurality", "segments", "mvo_share", "area_mm2", "sentence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CohortSettings:
    """What decides every byte of a simulated cohort.

    Attributes:
        patients: the first ones (P...) have scar, the others (N...) have none.
        seed: the patients of different seeds differ.
        positive: share of the patients with scar, 0 to 1.
        non_ischaemic: share of the scars that are no infarct, 0 to 1.

    Raises:
        RunError: a number is out of range.
    """

    patients: int = 79
    seed: int = 0
    positive: float = 0.67
    non_ischaemic: float = NON_ISCHAEMIC

    def __post_init__(self) -> None:
        if self.patients < 1 or not (0 <= self.positive <= 1 and 0 <= self.non_ischaemic <= 1):
            raise RunError(
                f"a cohort needs at least 1 patient and shares in [0, 1], got {self.patients}, {self.positive} and {self.non_ischaemic}"
            )


@dataclass(frozen=True, kw_only=True)
class _PatientJob:
    """One patient to simulate, in a form that is small enough to send to a worker process."""

    name: str
    seed: int
    infarct: bool
    non_ischaemic: float

    @property
    def files(self) -> tuple[str, str]:
        """The image and the contours, relative to the folder of the cohort."""
        return f"Case_{self.name}/Images/Case_{self.name}.nii.gz", f"Case_{self.name}/Contours/Case_{self.name}.nii.gz"


@dataclass(frozen=True, kw_only=True)
class _SimulatedPatient:
    """The contents of a patient's two files, and the patient's rows of `truth.csv`."""

    job: _PatientJob
    contents: tuple[bytes, bytes]
    rows: list[tuple[object, ...]]


def simulate_patients(
    out: Path,
    *,
    patients: int = 79,
    seed: int = 0,
    positive: float = 0.67,
    non_ischaemic: float = NON_ISCHAEMIC,
    workers: int = 1,
    on_progress: OnCase | None = None,
) -> Path:
    """Write images and contours of each patient, `OUT/truth.csv`, and the declaration of the label ids.

    The same arguments give the same bytes with any number of workers, and memory does not grow with the number of patients. A cohort that
    was interrupted is begun again; in a finished one, files that are missing or damaged are written again.
    `CohortSettings` explains the numbers.

    Args:
        workers: number of processes.
        on_progress: called with (patients done, patients in all).
    Raises:
        RunError: a number is out of range, or the folder cannot be written, holds other files, or holds another cohort.
    """
    settings = CohortSettings(patients=patients, seed=seed, positive=positive, non_ischaemic=non_ischaemic)
    write_cohort(out, settings, workers=workers, on_progress=on_progress)
    return out


def write_cohort(out: Path, settings: CohortSettings, *, workers: int = 1, on_progress: OnCase | None = None) -> list[str] | None:
    """Write a cohort, see `simulate_patients`.

    Returns:
        What was missing or damaged in a finished cohort and is written again, relative to the folder; None for a cohort that was new or
        interrupted.
    """
    recorded = asdict(settings)
    damaged = damaged_files(out, FolderKind.COHORT, settings=recorded)
    if damaged == []:
        return damaged
    with claimed(out, FolderKind.COHORT, settings=recorded) as manifest:
        jobs = _jobs(settings)
        table_is_whole = damaged is not None and manifest.is_whole(TRUTH)
        if table_is_whole:
            jobs = [job for job in jobs if not set(job.files).isdisjoint(damaged or [])]
        rows: list[tuple[object, ...]] = []
        with closing(results_in_order(_simulated, jobs, min(workers, len(jobs)))) as simulated, synced_together():
            for done, patient in enumerate(simulated, start=1):
                _write_patient(out, patient, manifest)
                rows += patient.rows
                if on_progress is not None:
                    on_progress(done, len(jobs))
        write_declaration(out, labels="lgesynthnet", base_first=True)
        if not table_is_whole:
            write_bytes(out / TRUTH, csv_text(COLUMNS, rows).encode())
    return damaged


def _jobs(settings: CohortSettings) -> list[_PatientJob]:
    with_scar = round(settings.patients * settings.positive)
    return [
        _PatientJob(
            name=f"{'P' if i < with_scar else 'N'}{i + 1:03d}",
            seed=settings.seed * 1_000_003 + i,
            infarct=i < with_scar,
            non_ischaemic=settings.non_ischaemic,
        )
        for i in range(settings.patients)
    ]


def _simulated(job: _PatientJob) -> _SimulatedPatient:
    patient = simulate(job.name, job.seed, infarct=job.infarct, non_ischaemic=job.non_ischaemic)
    contents = stack_files(patient.stack, descrip="SYNTHETIC LGESynthNet phantom")
    return _SimulatedPatient(job=job, contents=contents, rows=list(_rows(job.name, patient)))


def _write_patient(out: Path, patient: _SimulatedPatient, manifest: Manifest) -> None:
    for name, content in zip(patient.job.files, patient.contents, strict=True):
        listed = manifest.files.get(name)
        if listed is None or listed.sha256 != digest(content) or not manifest.is_whole(name):
            write_bytes(out / name, content)


def _rows(name: str, patient: Patient) -> Iterator[tuple[object, ...]]:
    for truth in patient.truth:
        measured = truth.measured
        yield (
            f"Case_{name}",
            truth.index,
            truth.level.value,
            round(truth.anterior_deg, 1),
            round(truth.inferior_deg, 1),
            round(measured.burden, 4) if measured else 0.0,
            round(measured.transmurality, 3) if measured and measured.transmurality is not None else "",
            " ".join(map(str, sorted(measured.segments))) if measured else "",
            round(measured.mvo_share, 3) if measured else 0.0,
            round(measured.area_mm2, 1) if measured else 0.0,
            write_sentence(truth.prescription) if truth.prescription else "",
        )
