"""Write a folder of simulated patients in the EMIDEC layout, with a table of the truth beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.nifti_writing import write_stack
from lgesynthnet.errors import RunError
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.phantom.patient import Patient, simulate
from lgesynthnet.phantom.scar_plan import NON_ISCHAEMIC
from lgesynthnet.prescription.grammar.language import write_sentence
from lgesynthnet.records import OnCase

COLUMNS = (
    "case", "slice", "level", "anterior_deg", "inferior_deg", "burden", "transmurality", "segments", "mvo_share", "area_mm2", "sentence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _PatientJob:
    """One patient to simulate, in a form that is small enough to send to a worker process."""

    root: Path
    name: str
    seed: int
    infarct: bool
    non_ischaemic: float


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

    The first share `positive` of the patients (P...) has scar, the others (N...) have none. The same arguments give the same
    bytes with any number of workers, and memory does not grow with the number of patients.

    Args:
        seed: the patients of different seeds differ.
        positive: share of the patients with scar, 0 to 1.
        non_ischaemic: share of the scars that are no infarct, 0 to 1.
        workers: number of processes.
        on_progress: called with (patients done, patients in all).
    Raises:
        RunError: a number is out of range, or the folder cannot be written or holds other files.
    """
    if patients < 1 or not (0 <= positive <= 1 and 0 <= non_ischaemic <= 1):
        raise RunError(f"a cohort needs at least 1 patient and shares in [0, 1], got {patients}, {positive} and {non_ischaemic}")
    if out.exists() and any(out.iterdir()) and not (out / "truth.csv").exists():
        raise RunError(f"{out}: is not empty and holds no phantom; choose another folder")
    with_scar = round(patients * positive)
    jobs = [
        _PatientJob(
            root=out,
            name=f"{'P' if i < with_scar else 'N'}{i + 1:03d}",
            seed=seed * 1_000_003 + i,
            infarct=i < with_scar,
            non_ischaemic=non_ischaemic,
        )
        for i in range(patients)
    ]
    rows: list[dict[str, object]] = []
    for done, patient_rows in enumerate(_write_patients(jobs, workers), start=1):
        rows.extend(patient_rows)
        if on_progress is not None:
            on_progress(done, patients)
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_declaration(out, labels="lgesynthnet", base_first=True)
    write_bytes(out / "truth.csv", table.getvalue().encode())
    return out


def _write_patients(jobs: list[_PatientJob], workers: int) -> Iterator[list[dict[str, object]]]:
    if workers <= 1:
        yield from map(_write_patient, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_write_patient, jobs)


def _write_patient(job: _PatientJob) -> list[dict[str, object]]:
    patient = simulate(job.name, job.seed, infarct=job.infarct, non_ischaemic=job.non_ischaemic)
    case = job.root / f"Case_{job.name}"
    image, label = (case / part / f"Case_{job.name}.nii.gz" for part in ("Images", "Contours"))
    write_stack(patient.stack, image, label, descrip="SYNTHETIC LGESynthNet phantom")
    return list(_rows(job.name, patient))


def _rows(name: str, patient: Patient) -> Iterator[dict[str, object]]:
    for truth in patient.truth:
        measured = truth.measured
        yield {
            "case": f"Case_{name}",
            "slice": truth.index,
            "level": truth.level.value,
            "anterior_deg": round(truth.anterior_deg, 1),
            "inferior_deg": round(truth.inferior_deg, 1),
            "burden": round(measured.burden, 4) if measured else 0.0,
            "transmurality": round(measured.transmurality, 3) if measured and measured.transmurality is not None else "",
            "segments": " ".join(map(str, sorted(measured.segments))) if measured else "",
            "mvo_share": round(measured.mvo_share, 3) if measured else 0.0,
            "area_mm2": round(measured.area_mm2, 1) if measured else 0.0,
            "sentence": write_sentence(truth.prescription) if truth.prescription else "",
        }
