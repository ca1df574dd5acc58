"""Files of prepared training examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import RunError


def read_prepared(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Words and arrays of a prepared file."""
    with safe_open(path, "np") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open is no mapping


def refuse_other_data(path: Path, cohort: Cohort, patients: list[str] | None) -> None:
    """A work folder goes on with the data that it was begun with.

    Raises:
        RunError: the prepared file was made of other patients.
    """
    if prepared_of(path) != source_of(cohort, patients):
        raise RunError(f"{path}: was made of {prepared_of(path)}; choose another --work for {source_of(cohort, patients)}")


def prepared_of(path: Path) -> str:
    """What a prepared file says that it was made of, without reading its images."""
    with safe_open(path, "np") as file:
        return str(file.metadata().get("source", "unknown"))


def source_of(cohort: Cohort, patients: list[str] | None) -> str:
    """What a prepared file was made of, in words."""
    return f"{cohort.root.absolute()}: {'all patients' if patients is None else ' '.join(sorted(patients))}"
