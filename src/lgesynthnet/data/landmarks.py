"""RV insertion angles that a user marked, from a CSV file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from lgesynthnet.data.layouts.content import patient_name
from lgesynthnet.errors import InputError
from lgesynthnet.files.names import checked_name
from lgesynthnet.files.reading import first_error, read_text

COLUMNS = ("case", "slice", "anterior_deg", "inferior_deg")
LIMIT_BYTES = 2**24
LEAST_SEPTUM_DEG = 1.0  # nearer insertions are one point marked twice
LARGEST_SEPTUM_DEG = 200.0  # a septum takes some 120 degrees; exchanged insertions, or angles counted clockwise, give some 240

_Degrees = Annotated[float, Field(ge=-360, le=360, allow_inf_nan=False)]


class _Mark(BaseModel):
    """One line of the file."""

    case: str
    slice: int = Field(ge=0, lt=2**15)
    anterior_deg: _Degrees
    inferior_deg: _Degrees

    @property
    def septum_deg(self) -> float:
        return (self.inferior_deg - self.anterior_deg) % 360


def read_landmarks(path: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """Read RV insertion angles, in degrees counter-clockwise from image right round the LV centre.

    The file has the columns case, slice, anterior_deg and inferior_deg; other columns are ignored. Slices count from 0 in the
    order of the image file.

    Returns:
        Patient -> slice index -> (anterior, inferior).
    Raises:
        InputError: the file is no CSV in UTF-8, a column is missing, a value is not a number or not in [-360, 360], the two angles
            cannot be the ends of a septum, or a slice is listed twice.
    """
    angles_of: dict[str, dict[int, tuple[float, float]]] = {}
    rows = csv.DictReader(io.StringIO(read_text(path, LIMIT_BYTES), newline=""))
    try:
        lacking = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if lacking:
            raise InputError(f"{path}: has no column {', '.join(lacking)}; the first line must name {', '.join(COLUMNS)}")
        for row in rows:
            _add_row(angles_of, row, f"{path}: line {rows.line_num}")
    except csv.Error as fault:
        raise InputError(f"{path}: is not a CSV file ({fault}); save it as CSV in UTF-8") from None
    return angles_of


def _add_row(angles_of: dict[str, dict[int, tuple[float, float]]], row: dict[str, str], place: str) -> None:
    try:
        mark = _Mark.model_validate({column: row[column] for column in COLUMNS})
    except ValidationError as fault:
        raise InputError(f"{place}: {first_error(fault)}; correct the line") from None
    if mark.septum_deg < LEAST_SEPTUM_DEG or mark.septum_deg > 360 - LEAST_SEPTUM_DEG:
        raise InputError(
            f"{place}: from the anterior to the inferior insertion are {mark.septum_deg:g} degrees counter-clockwise, which is no septum; "
            "correct the line"
        )
    if mark.septum_deg > LARGEST_SEPTUM_DEG:
        raise InputError(
            f"{place}: from the anterior to the inferior insertion are {mark.septum_deg:g} degrees counter-clockwise, and a septum has "
            "some 120; exchange the two if they are in the wrong columns, or change the signs of all angles if they were counted clockwise"
        )
    slices = angles_of.setdefault(checked_name(patient_name(mark.case.strip()), place), {})
    if mark.slice in slices:
        raise InputError(f"{place}: slice {mark.slice} of {mark.case.strip()} is listed twice; keep one line")
    slices[mark.slice] = (mark.anterior_deg, mark.inferior_deg)
