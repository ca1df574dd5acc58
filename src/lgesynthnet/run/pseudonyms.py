"""Pseudonyms that stand for the patients of a run in whatever is meant to be shared; a table in the run folder resolves them."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.names import checked_name
from lgesynthnet.files.reading import read_text
from lgesynthnet.tables import csv_text, original_cell

TABLE = "pseudonyms.csv"
COLUMNS = ("pseudonym", "patient")
TABLE_BYTES = 2**26
REMEDY = "bring the table back as it was, or move it away: the same command then numbers the patients again"
_PSEUDONYM = re.compile(r"patient-[0-9]{3,9}")
_PATH = re.compile(r"(?<![\w./~-])(?:~|[A-Za-z]:)?[/\\][^\s:;,'\"()]*")  # an absolute path, up to a character that seldom belongs to one


def number_patients(patients: Iterable[str], key: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Patient -> pseudonym, in the order of the pseudonyms.

    The numbers follow a hash of `key` and the name, so that they do not tell the order of the alphabet, and the same patients get the same
    numbers again.

    Args:
        key: a text that belongs to the data, such as the fingerprint of the hosts.
        known: patients that have a pseudonym already, and keep it.
    """
    pseudonyms = dict(known or {})
    new = sorted(set(patients) - pseudonyms.keys(), key=lambda name: hashlib.sha256(f"{key}\n{name}".encode()).digest())
    number = max((int(pseudonym.rpartition("-")[2]) for pseudonym in pseudonyms.values()), default=0)
    for name in new:
        number += 1
        pseudonyms[name] = f"patient-{number:03d}"
    return dict(sorted(pseudonyms.items(), key=lambda item: int(item[1].rpartition("-")[2])))


def pseudonym_table(pseudonyms: Mapping[str, str]) -> str:
    """The text of `pseudonyms.csv`."""
    return csv_text(COLUMNS, [(pseudonym, patient) for patient, pseudonym in pseudonyms.items()])


def read_pseudonyms(path: Path) -> dict[str, str]:
    """Patient -> pseudonym, as `pseudonyms.csv` holds them.

    Raises:
        RunError: the file cannot be read, or is no table of pseudonyms.
    """
    try:
        lines = list(csv.reader(io.StringIO(read_text(path, TABLE_BYTES), newline=""), strict=True))
        if not lines or tuple(lines[0]) != COLUMNS:
            raise InputError(f"{path}: has other columns than {' and '.join(COLUMNS)}")
        pseudonyms = {}
        for number, line in enumerate(lines[1:], start=2):
            if len(line) != len(COLUMNS) or not _PSEUDONYM.fullmatch(line[0]):
                raise InputError(f"{path}: line {number} holds no pseudonym and patient")
            pseudonyms[checked_name(original_cell(line[1]), f"{path}: line {number}")] = line[0]
        if len(set(pseudonyms.values())) != len(lines) - 1:
            raise InputError(f"{path}: holds a patient or a pseudonym twice")
    except csv.Error as fault:
        raise RunError(f"{path}: is no table of pseudonyms ({fault}); {REMEDY}") from None
    except InputError as fault:
        raise RunError(f"{str(fault).removesuffix('; rename it')}; {REMEDY}") from None
    return pseudonyms


def without_names(text: str, patient: str, pseudonym: str, places: Iterable[Path] = ()) -> str:
    """A message about a patient, without the name and without absolute paths.

    Args:
        places: folders that the text may name; they may hold blanks, where other paths end.
    """
    for place in sorted({str(place) for place in places} - {".", "/"}, key=len, reverse=True):
        text = text.replace(place, "/PLACE")
    text = re.sub(rf"(?<![^\W_]){re.escape(patient)}(?![^\W_])", pseudonym, text)
    return _PATH.sub("FILE", text)
