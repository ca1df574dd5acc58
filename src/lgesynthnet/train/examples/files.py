"""Files of prepared training examples: each records the patients that it was made of, by name and by the bytes of their files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, RootModel
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.dicom.scanning import walk
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files.manifest import file_digest
from lgesynthnet.files.reading import checked, parse_json
from lgesynthnet.train.checkpoint import trainings_on
from lgesynthnet.train.work import damaged_file

PREPARATION = 1  # part of the fingerprint; raise it when the same patients are prepared in another way
Lists = TypeVar("Lists", bound=BaseModel)
OnNote = Callable[[str], None]
"""Called with a sentence for the user."""


class Words(RootModel[dict[str, str]]):
    """The words of a prepared file, by name."""


def prepared_bytes(arrays: Mapping[str, np.ndarray], words: Mapping[str, str]) -> bytes:
    """The content of a prepared file; equal examples give equal bytes."""
    # All words in one, because safetensors writes several in any order.
    return save(dict(arrays), metadata={"words": json.dumps(words, sort_keys=True)})


@dataclass(frozen=True)
class PreparedFile:
    """A safetensors file of arrays and words, made once from a cohort and read by every stage."""

    path: Path

    @property
    def source(self) -> str:
        """What the file says that it was made of; its arrays are not read.

        Raises:
            InputError: the file is damaged.
        """
        return self._words().get("source", "unknown")

    @property
    def fingerprint(self) -> str:
        """Fingerprint of what it was made of, see `fingerprint_of`; empty where it records none.

        Raises:
            InputError: the file is damaged.
        """
        return self._words().get("fingerprint", "")

    def is_made_of(self, fingerprint: str) -> bool:
        """Whether the file is there, whole, and records this fingerprint."""
        try:
            return self.fingerprint == fingerprint
        except InputError:
            return False

    def _words(self) -> dict[str, str]:
        self._require_whole()
        try:
            with safe_open(self.path, "np") as file:
                words = (file.metadata() or {}).get("words", "")
            return checked(Words, parse_json(words, str(self.path)), str(self.path)).root
        except (OSError, SafetensorError) as fault:
            raise self._damaged(fault) from None

    def contents(self, kinds: Mapping[str, tuple[type[np.generic], tuple[int, ...]]]) -> tuple[dict[str, str], dict[str, np.ndarray]]:
        """The words and the arrays of the file.

        Args:
            kinds: the arrays that it must hold, each with its type and its shape after the first axis.
        Raises:
            InputError: the file is damaged.
        """
        words = self._words()
        try:
            with safe_open(self.path, "np") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open is no mapping
        except (OSError, SafetensorError) as fault:
            raise self._damaged(fault) from None
        found = {name: (array.dtype.type, array.shape[1:]) for name, array in arrays.items()}
        if found != dict(kinds):
            raise self._damaged("its arrays are not the ones that belong there")
        return words, arrays

    def lists(self, words: Mapping[str, str], kind: type[Lists], count: int) -> Lists:
        """The lists that are stored as JSON, each with one entry for each example.

        Raises:
            InputError: the file is damaged.
        """
        parsed = {name: parse_json(words.get(name, "null"), f"{self.path}: {name}") for name in kind.model_fields}
        lists = checked(kind, parsed, str(self.path))
        if any(len(entries) != count for _, entries in lists):
            raise self._damaged(f"it has {count} examples, and other numbers of words")
        return lists

    def is_of(self, cohort: Cohort, patients: list[str] | None, *, may_change: bool, on_note: OnNote | None = None) -> bool:
        """Whether the file is there and was made of these patients as they are now; False where it is to be made (anew).

        Args:
            may_change: whether a file of other patients may be replaced where no checkpoint beside or below it depends on it.
            on_note: told why the file is made anew.
        Raises:
            RunError: the file was made of other patients, or of the same before a change, and must stay.
        """
        if not os.path.lexists(self.path):
            return False
        note = on_note or (lambda _: None)
        try:
            if self.fingerprint == fingerprint_of(cohort, patients):
                return True
            was = self.source
        except InputError as fault:
            note(f"{fault}; it is prepared again")
            return False
        now = source_of(cohort, patients)
        why = f"was made of {was}" + (", and its files or how they are read have changed since" if was == now else "")
        if not may_change:
            raise RunError(f"{self.path}: {why}; choose another folder for {now}, or delete it and what was trained from it")
        if depending := trainings_on(self.path.parent, self.fingerprint):
            trained = " and ".join(map(str, depending))
            raise RunError(f"{self.path}: {why}; choose another --work for {now}, or delete {trained} and the same command begins anew")
        note(f"{self.path}: {why}; it is prepared again")
        return False

    def _require_whole(self) -> None:
        if not self.path.is_file():
            raise InputError(f"{self.path}: is missing, or no regular file")
        if damaged_file(self.path.absolute()) is not None:
            raise InputError(f"{self.path}: is damaged, its bytes are not those that were written")

    def _damaged(self, why: object) -> InputError:
        return InputError(f"{self.path}: is damaged ({str(why).splitlines()[0]})")


def source_of(cohort: Cohort, patients: list[str] | None) -> str:
    """The folder of a cohort and the chosen patients of it, as a prepared file records them."""
    return f"{cohort.root.absolute()}: {'all patients' if patients is None else ' '.join(sorted(patients))}"


def fingerprint_of(cohort: Cohort, patients: list[str] | None) -> str:
    """Fingerprint of everything that is read: the bytes of the patients' files, and how they are understood; not where they lie."""
    chosen = [case for case in cohort.cases if patients is None or case.patient in patients]
    record: dict[str, object] = {
        "preparation": PREPARATION,
        "cases": [
            (
                case.patient,
                *map(_file_digest, case.files(cohort.root)),
                sorted(cohort.insertions_deg.get(case.patient, {}).items()),
            )
            for case in sorted(chosen, key=lambda case: case.patient)
        ],
        "labels": sorted((number, label.value) for number, label in cohort.label_map.items()),
        "base_first": cohort.base_first,
        "flip": cohort.flip,
    }
    if any(case.dicom is not None for case in chosen):
        record["dicom"] = _dicom_of(cohort, [case.series for case in chosen])
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()[:16]


def _dicom_of(cohort: Cohort, series: list[str | None]) -> list[object]:
    """How DICOM files are understood, and what lies in the folder of their contours."""
    contours = list(walk(cohort.dicom.contours, [])) if cohort.dicom.contours is not None else []
    names = cohort.dicom.contour_names
    meanings = sorted((name, meaning.value) for name, meaning in names.given.items()) if names is not None else []
    return [cohort.dicom.series, series, meanings, [(path.name, _file_digest(path)) for path in contours]]


def content_of(arrays: Mapping[str, np.ndarray]) -> str:
    """Fingerprint of arrays."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _file_digest(path: Path) -> str:
    try:
        about = path.stat()
        return _digest(path, about.st_size, about.st_mtime_ns) if path.is_file() else "no regular file"
    except OSError:
        return "unreadable"  # the patient is skipped


@lru_cache(maxsize=100_000)
def _digest(path: Path, size: int, changed_ns: int) -> str:
    """The checksum of a file; computed once for all stages of a command, while its size and the time of its last change stay."""
    return file_digest(path)
