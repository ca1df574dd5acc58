"""What every comparison needs: the patients, their parts, and which parts of the methods are trained already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.options import option
from lgesynthnet.terms import RecipeName


@dataclass(frozen=True, kw_only=True)
class ComparisonRequest:
    """The options that `benchmark published` and `benchmark utility` share."""

    data: CohortSource = option(help="Folder of patients with scar labels.", flags=("--data",))
    splits: Path = option(help='JSON file with the patients of each part: {"train": [...], "val": [...], "audit": [...], "test": [...]}.')
    models: Path | None = option(
        None, help="Model folder with the parts that need no training: inpainter/, spade-*/, reward/, filter/, auditor/."
    )
    control: Path | None = option(None, help="The control stage without reward (WORK/control/model), where it is trained already.")
    init: Path = option(Path("phantom"), help="Weights that the generator and the scar segmenters start from.")
    recipe: RecipeName = option(RecipeName.CPU, help="Training recipe: tiny (seconds, for tests), cpu (two cores) or gpu.")
    seed: int = option(0, help="Random seed. The same seed gives bit-identical output on one kind of processor.", bounds=(0, None))
    device: str = option("auto", help="auto, cpu, cuda, cuda:N or mps.")
