"""Files of prepared training examples, and the record in each of the patients that it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import RunError


@dataclass(frozen=True)
class PreparedFile:
    """A safetensors file of arrays and words, made once from a cohort and read by every stage."""

    path: Path

    @property
    def source(self) -> str:
        """What the file says that it was made of; its arrays are not read."""
        with safe_open(self.path, "np") as file:
            return str(file.metadata().get("source", "unknown"))

    def contents(self) -> tuple[dict[str, str], dict[str, np.ndarray]]:
        """The words and the arrays of the file."""
        with safe_open(self.path, "np") as file:
            return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open is no mapping

    def require_source(self, cohort: Cohort, patients: list[str] | None) -> None:
        """A work folder continues with the data that it was begun with.

        Raises:
            RunError: the file was made of other patients.
        """
        if self.source != source_of(cohort, patients):
            raise RunError(f"{self.path}: was made of {self.source}; choose another --work for {source_of(cohort, patients)}")


def source_of(cohort: Cohort, patients: list[str] | None) -> str:
    """The folder of a cohort and the chosen patients of it, as a prepared file records them."""
    return f"{cohort.root.absolute()}: {'all patients' if patients is None else ' '.join(sorted(patients))}"
