"""A folder of simulated patients in the EMIDEC layout, with the truth in a table beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.nifti_writing import write_stack
from lgesynthnet.errors import RunError
from lgesynthnet.files import write_bytes
from lgesynthnet.phantom.infarct import NON_ISCHAEMIC
from lgesynthnet.phantom.patient import Patient, simulate
from lgesynthnet.prescription.grammar.language import write_sentence

COLUMNS = (
    "case", "slice", "level", "anterior_deg", "inferior_deg", "burden", "transmurality", "segments", "mvo_share", "area_mm2", "sentence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Order:
    """One patient to simulate; small enough to send to a worker."""

    root: Path
    name: str
    seed: int
    infarct: bool
    non_ischaemic: float


def write_cohort(
    out: Path,
    *,
    patients: int = 79,
    seed: int = 0,
    positive: float = 0.67,
    non_ischaemic: float = NON_ISCHAEMIC,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `OUT/Case_P001/Images/Case_P001.nii.gz` and `Contours/`, `OUT/truth.csv`, and the folder's own label map.

    The first `positive` share of the patients (P...) has scar, the rest (N...) none. Byte-identical for the same
    numbers whatever the number of workers; memory does not grow with the number of patients.

    Args:
        positive: share of the patients with scar; non_ischaemic: share of those whose scar is no infarct. 0 to 1.
        progress: called with (patients done, patients in all).
    Raises:
        RunError: bad numbers, or the folder cannot be written or holds something else.
    """
    if patients < 1 or not (0 <= positive <= 1 and 0 <= non_ischaemic <= 1):
        raise RunError(f"a cohort needs at least 1 patient and shares in [0, 1], got {patients}, {positive} and {non_ischaemic}")
    if out.exists() and any(out.iterdir()) and not (out / "truth.csv").exists():
        raise RunError(f"{out}: not empty and not a phantom cohort; choose another folder")
    with_scar = round(patients * positive)
    orders = [
        _Order(
            root=out,
            name=f"{'P' if i < with_scar else 'N'}{i + 1:03d}",
            seed=seed * 1_000_003 + i,
            infarct=i < with_scar,
            non_ischaemic=non_ischaemic,
        )
        for i in range(patients)
    ]
    rows: list[dict[str, object]] = []
    for done, found in enumerate(_results(orders, workers), start=1):
        rows.extend(found)
        if progress is not None:
            progress(done, patients)
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_declaration(out, labels="lgesynthnet", base_first=True)
    write_bytes(out / "truth.csv", table.getvalue().encode())
    return out


def _results(orders: list[_Order], workers: int) -> Iterator[list[dict[str, object]]]:
    if workers <= 1:
        yield from map(_write_patient, orders)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_write_patient, orders)


def _write_patient(order: _Order) -> list[dict[str, object]]:
    patient = simulate(order.name, order.seed, infarct=order.infarct, non_ischaemic=order.non_ischaemic)
    case = order.root / f"Case_{order.name}"
    image, label = (case / part / f"Case_{order.name}.nii.gz" for part in ("Images", "Contours"))
    write_stack(patient.stack, image, label, descrip="SYNTHETIC LGESynthNet phantom")
    return list(_rows(order.name, patient))


def _rows(name: str, patient: Patient) -> Iterator[dict[str, object]]:
    for known in patient.truth:
        found = known.measured
        yield {
            "case": f"Case_{name}",
            "slice": known.index,
            "level": known.level.value,
            "anterior_deg": round(known.anterior_deg, 1),
            "inferior_deg": round(known.inferior_deg, 1),
            "burden": round(found.burden, 4) if found else 0.0,
            "transmurality": round(found.transmurality, 3) if found and found.transmurality is not None else "",
            "segments": " ".join(map(str, sorted(found.segments))) if found else "",
            "mvo_share": round(found.mvo_share, 3) if found else 0.0,
            "area_mm2": round(found.area_mm2, 1) if found else 0.0,
            "sentence": write_sentence(known.prescription) if known.prescription else "",
        }
