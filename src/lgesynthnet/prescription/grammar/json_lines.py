"""Read prescriptions from a JSON-lines file. A line holds the keys of a prescription, or a sentence under the key `text`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.errors import LGESynthNetError, PrescriptionError
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.scar import ScarPrescription


@dataclass(frozen=True, kw_only=True)
class PrescriptionLine:
    """One line of the file.

    Attributes:
        has_seed: whether the line states the seed of the border; otherwise every attempt draws another border.
    """

    prescription: ScarPrescription
    has_seed: bool


def read_prescriptions(path: Path) -> list[PrescriptionLine]:
    """Read the prescriptions of a file in order; empty lines are skipped.

    Raises:
        PrescriptionError: the file cannot be read, it holds no prescription, or a line cannot be understood; the message names
            file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as fault:
        raise PrescriptionError(f"{path}: cannot be read ({fault.strerror or fault}); check that the file is there") from None
    except UnicodeDecodeError as fault:
        raise PrescriptionError(f"{path}: is not text in UTF-8 ({fault.reason} at byte {fault.start}); save it as JSON lines") from None
    prescriptions = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            prescriptions.append(_read_line(line))
        except LGESynthNetError as fault:
            raise PrescriptionError(f"{path}: line {number}: {fault}") from None
    if not prescriptions:
        raise PrescriptionError(f"{path}: holds no prescription; write some with `lgesynthnet prescribe --prior ischaemic --count 10`")
    return prescriptions


def _read_line(line: str) -> PrescriptionLine:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        record = None
    if isinstance(record, dict) and "text" in record:
        return PrescriptionLine(prescription=prescribe(str(record["text"])), has_seed="seed" in record)
    prescription = ScarPrescription.from_json(line)  # raises an error that says what is wrong with the line
    return PrescriptionLine(prescription=prescription, has_seed=isinstance(record, dict) and "seed" in record)
