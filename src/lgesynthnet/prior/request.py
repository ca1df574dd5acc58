"""What `prior fit` is asked for. The fields are the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.options import option
from lgesynthnet.terms import LEAST_ORIENTATION_CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class PriorRequest:
    """Whose scars to learn from.

    Attributes:
        splits, part: learn only from the patients of this part of a splits file.
        least_orientation_confidence: in [0, 1]; slices below it are left out, because their segments are not certain.
        model: name or folder of the model whose scale of brightness the file holds.

    Raises:
        RunError: a value is out of its range.
    """

    hosts: CohortSource = option(help="Folder of patients with scar labels.", flags=("HOSTS",))
    splits: Path | None = option(None, help="JSON file with the patients of each part; only those of --part are read.")
    part: str = option("train", help="Part of --splits to learn from.")
    least_orientation_confidence: float = option(
        LEAST_ORIENTATION_CONFIDENCE, help="Leave out slices whose RV insertions are less certain than this.", bounds=(0, 1)
    )
    model: str = option(
        "phantom",
        help="Model whose percentiles of brightness `prescribe` writes. `synthesize` always uses those of the model that paints.",
    )

    def __post_init__(self) -> None:
        if not 0 <= self.least_orientation_confidence <= 1:
            raise RunError(f"--least-orientation-confidence {self.least_orientation_confidence}: must be in [0, 1]")
