"""RV insertion angles that a user marked, from a CSV file."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from lgesynthnet.data.layout import patient_name
from lgesynthnet.errors import InputError

COLUMNS = ("case", "slice", "anterior_deg", "inferior_deg")


def read_landmarks(path: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """Read RV insertion angles, in degrees counter-clockwise from image right round the LV centre.

    The file has the columns case, slice, anterior_deg and inferior_deg; other columns are ignored. Slices count from 0 in the
    order of the image file.

    Returns:
        Patient -> slice index -> (anterior, inferior).
    Raises:
        InputError: a column is missing, a value is not a number or not in [-360, 360], or a slice is listed twice.
    """
    angles_of: dict[str, dict[int, tuple[float, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:  # spreadsheets begin the file with a byte-order mark
            rows = csv.DictReader(stream)
            lacking = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if lacking:
                raise InputError(f"{path}: has no column {', '.join(lacking)}; the first line must name {', '.join(COLUMNS)}")
            for row in rows:
                _add_row(angles_of, row, f"{path}: line {rows.line_num}")
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror or fault}; check that the file is there") from None
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"{path}: is not a CSV file in UTF-8 ({fault}); save it as CSV in UTF-8") from None
    return angles_of


def _add_row(angles_of: dict[str, dict[int, tuple[float, float]]], row: dict[str, str], place: str) -> None:
    try:
        index, angles = int(row["slice"]), (float(row["anterior_deg"]), float(row["inferior_deg"]))
    except (TypeError, ValueError):
        raise InputError(f"{place}: slice must be a whole number and both angles must be numbers of degrees; correct the line") from None
    if index < 0 or not all(math.isfinite(angle) and abs(angle) <= 360 for angle in angles):
        raise InputError(f"{place}: slices count from 0 and angles lie in [-360, 360] degrees, got {index} and {angles}; correct the line")
    slices = angles_of.setdefault(patient_name(row["case"].strip()), {})
    if index in slices:
        raise InputError(f"{place}: slice {index} of {row['case']} is listed twice; keep one line")
    slices[index] = angles
