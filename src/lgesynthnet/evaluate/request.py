"""What a user asks `evaluate` for; the fields are the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.options import option

REAL = "Real slices to compare with"


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """One evaluation of one run.

    Attributes:
        hosts: folder of the run's hosts now; None takes the folder that the run named.
        real: folder of real slices with scar; None takes those in the folder of the hosts.
        splits, part: compare only with the patients of this part.
        training_part: part that the generator was trained on; near-duplicates of its slices are sought.
        auditor: folder of a scar segmenter, or a model folder that holds one.
        every: also evaluate the samples that the filter rejected.

    Raises:
        RunError: a part is named without --splits, or --splits without a part.
    """

    run: Path = option(help="Run folder that `synthesize --out` wrote.", flags=("RUN",))
    real: CohortSource | None = option(
        None,
        help="Folder of real slices with scar: the real ceiling.",
        flags=("--real",),
        default_text="the folder of the hosts",
        panel=REAL,
    )
    splits: Path | None = option(None, help="JSON file with the patients of each part.", panel=REAL)
    part: str | None = option(
        None, help="Compare with the patients of this part of --splits; best one that nothing was trained on.", panel=REAL
    )
    training_part: str | None = option(
        None, help="Look for near-duplicates of the slices of this part, on which the generator was trained (`realism` only).", panel=REAL
    )
    hosts: Path | None = option(None, help="Folder of the run's hosts now.", default_text="the folder that the run named")
    auditor: Path | None = option(
        None,
        help="The auditor: its folder, or a model folder that holds one. The run's filter and the reward of its generator are refused.",
        default_text="the auditor of the run's model, else the shipped one",
    )
    every: bool = option(False, help="Evaluate every painted sample, or only those that the filter kept.", flags=("--all/--kept",))

    def __post_init__(self) -> None:
        if self.splits is None and (self.part or self.training_part):
            raise RunError("--part and --training-part name parts of a splits file; give that file with --splits")
        if self.splits is not None and self.part is None:
            raise RunError(f"{self.splits}: name one of its parts with --part")
