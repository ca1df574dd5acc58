"""RV insertion angles that a user marked, from a CSV file."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from lgesynthnet.data.layout import patient_name
from lgesynthnet.errors import InputError

COLUMNS = ("case", "slice", "anterior_deg", "inferior_deg")


def read_landmarks(path: Path) -> dict[str, dict[int, tuple[float, float]]]:
    """Patient -> slice index -> (anterior, inferior), degrees counter-clockwise from image right round the LV centre.

    The file has the columns case, slice, anterior_deg, inferior_deg; others are ignored. Slices count from 0 in the file's order.

    Raises:
        InputError: a column is missing, a value is not a number or out of [-360, 360], a slice of a case stands twice.
    """
    found: dict[str, dict[int, tuple[float, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:  # spreadsheets begin the file with a mark
            rows = csv.DictReader(stream)
            lacking = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if lacking:
                raise InputError(f"{path}: has no column {', '.join(lacking)}; the first line must name {', '.join(COLUMNS)}")
            for row in rows:
                _add(found, row, f"{path}: line {rows.line_num}")
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror or fault}") from None
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"{path}: is not a CSV file in UTF-8 ({fault})") from None
    return found


def _add(found: dict[str, dict[int, tuple[float, float]]], row: dict[str, str], place: str) -> None:
    try:
        index, angles = int(row["slice"]), (float(row["anterior_deg"]), float(row["inferior_deg"]))
    except (TypeError, ValueError):
        raise InputError(f"{place}: slice must be a whole number and the angles numbers in degrees") from None
    if index < 0 or not all(math.isfinite(angle) and abs(angle) <= 360 for angle in angles):
        raise InputError(f"{place}: slice counts from 0 and angles lie in [-360, 360] degrees, got {index} and {angles}")
    slices = found.setdefault(patient_name(row["case"].strip()), {})
    if index in slices:
        raise InputError(f"{place}: slice {index} of {row['case']} stands twice; keep one line")
    slices[index] = angles
