"""The table of drawn patients: other commands take it in place of a folder of patients, and a person may change its column `use`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lgesynthnet.data.layouts.table import NAME as TABLE
from lgesynthnet.data.layouts.table import read_lines, read_use
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import is_owned
from lgesynthnet.records import Label, Stack, scar_of, wall_of
from lgesynthnet.segment.request import LABELS
from lgesynthnet.tables import csv_text

COLUMNS = ("patient", "image", "label", "series", "use", "slices", "drawn", "usable")
SCAR_COLUMNS = ("scarred", "scar_burden", "scar_ml", "no_reflow_ml")


@dataclass(frozen=True, kw_only=True)
class DrawnScar:
    """How much scar was drawn in one patient.

    Attributes:
        scarred: number of slices with scar.
        burden: scar and no-reflow as a share of the wall, by area over all slices, 0 to 1.
        scar_ml, no_reflow_ml: volume of scar and no-reflow together, and of no-reflow alone: area times the distance between slices; None
            where the file does not state it.
    """

    scarred: int
    burden: float
    scar_ml: float | None
    no_reflow_ml: float | None

    @property
    def words(self) -> str:
        """One line for people."""
        if not self.scarred:
            return "no scar drawn"
        volume = "" if self.scar_ml is None else f"{self.scar_ml:.1f} ml, "
        return f"scar in {self.scarred} slices: {volume}{self.burden:.2f} of the wall"


def measure_scar(stack: Stack) -> DrawnScar:
    """The amount of scar in the labels of a stack that has a wall."""
    scar, no_reflow = scar_of(stack.labels), stack.labels == Label.NO_REFLOW
    voxel_ml = float(np.prod(stack.spacing_mm)) * stack.slice_step_mm / 1000 if stack.slice_step_mm > 0 else None
    return DrawnScar(
        scarred=int(scar.any(axis=(0, 1)).sum()),
        burden=float(scar.sum()) / float(wall_of(stack.labels).sum()),
        scar_ml=None if voxel_ml is None else float(scar.sum()) * voxel_ml,
        no_reflow_ml=None if voxel_ml is None else float(no_reflow.sum()) * voxel_ml,
    )


@dataclass(frozen=True, kw_only=True)
class DrawnCase:
    """One patient.

    Attributes:
        series: which DICOM stack was read, as the user named it; empty where the program chose.
        use: whether the patient is to be used; a person may change it in the table.
        slices, drawn, usable: number of slices, of those with a drawn wall, and of those that a scar can be painted into.
        scar: how much scar was drawn; None where none is looked for.
    """

    patient: str
    image_path: Path
    series: str
    use: bool
    slices: int
    drawn: int
    usable: int
    scar: DrawnScar | None = None


def mask_name(patient: str) -> str:
    """Where the mask of a patient stands in the folder of the masks."""
    return f"{LABELS}/{patient}.nii.gz"


def table_text(cases: Sequence[DrawnCase], out: Path) -> str:
    """The content of `out/patients.csv`; the columns of the scar are there where any scar was looked for."""
    with_scar = any(case.scar is not None for case in cases)
    rows = ((*_cells(case, out), *(_scar_cells(case.scar) if with_scar else ())) for case in cases)
    return csv_text((*COLUMNS, *(SCAR_COLUMNS if with_scar else ())), rows)


def earlier_cases(out: Path) -> dict[str, DrawnCase]:
    """Patient -> the line of an earlier table, with what a person wrote into the column `use`.

    Raises:
        InputError: the table cannot be read.
    """
    if not is_owned(out, FolderKind.MASKS) or not (out / TABLE).is_file():
        return {}
    rows = [line.cells for line in read_lines(out / TABLE, (*COLUMNS, *SCAR_COLUMNS))]
    return {
        row["patient"]: DrawnCase(
            patient=row["patient"],
            image_path=out / row["image"],
            series=row.get("series", ""),
            use=read_use(row.get("use", ""), f"{out / TABLE}: {row['patient']}"),
            slices=_count(row.get("slices")),
            drawn=_count(row.get("drawn")),
            usable=_count(row.get("usable")),
            scar=_scar_of(row),
        )
        for row in rows
        if row["patient"]
    }


def _cells(case: DrawnCase, out: Path) -> Iterable[object]:
    label = mask_name(case.patient)
    return (
        *(case.patient, _from(out, case.image_path), label, case.series, "yes" if case.use else "no"),
        *(case.slices, case.drawn, case.usable),
    )


def _scar_cells(scar: DrawnScar | None) -> Iterable[object]:
    if scar is None:
        return ("",) * len(SCAR_COLUMNS)
    return (scar.scarred, _rounded(scar.burden, 4), _rounded(scar.scar_ml, 3), _rounded(scar.no_reflow_ml, 3))


def _rounded(value: float | None, digits: int) -> object:
    return "" if value is None else round(value, digits)


def _scar_of(row: Mapping[str, str]) -> DrawnScar | None:
    burden = _number(row.get("scar_burden"))
    if burden is None:
        return None
    volumes = {name: _number(row.get(name)) for name in ("scar_ml", "no_reflow_ml")}
    return DrawnScar(scarred=_count(row.get("scarred")), burden=burden, **volumes)


def _from(out: Path, path: Path) -> str:
    """The path as the table holds it: relative, so that images and masks can be moved together."""
    try:
        return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return str(path.resolve())


def _count(cell: str | None) -> int:
    return int(cell) if cell is not None and cell.isascii() and cell.isdecimal() and len(cell) < 10 else 0


def _number(cell: str | None) -> float | None:
    """A number that this program wrote; a spreadsheet may have put a comma into it."""
    try:
        value = float((cell or "").replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
