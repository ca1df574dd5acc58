"""What a user asks `export` for; the fields are the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.options import option
from lgesynthnet.terms import Classes, LabelKind

FOLDS = "Who trains and who validates"


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """Which cases to export.

    Attributes:
        data: folder of the real patients; None takes the hosts of the run.
        every: also export the samples that the filter rejected.

    Raises:
        RunError: real patients are named and left out at once.
    """

    run: Path = option(help="Run folder that `synthesize --out` wrote.", flags=("RUN",))
    data: CohortSource | None = option(
        None, help="Folder of the real patients to export too.", flags=("--data",), default_text="the folder of the hosts"
    )
    no_real: bool = option(False, help="Leave the real patients out.", flags=("--no-real",))
    label: LabelKind = option(
        LabelKind.INTENDED, help="Scar label of a synthetic slice: the scar that was prescribed, or the scar that the filter read."
    )
    every: bool = option(False, help="Export every painted sample, or only those that the filter kept.", flags=("--all/--kept",))

    def __post_init__(self) -> None:
        if self.no_real and self.data is not None:
            raise RunError("--data names real patients and --no-real leaves them out; give one of them")


@dataclass(frozen=True, kw_only=True)
class NnunetRequest(ExportRequest):
    """An nnU-Net data set. One of `splits` and `folds`, or neither for five folds.

    Attributes:
        out: gets the folder DatasetXXX_NAME.
        dataset_id: 1 to 999.
        splits: JSON of part -> patients; its train and val make one fold.
        folds: number of patient-level folds, drawn with `seed`.
        synthetic_share: synthetic part of what a fold trains on, 0 to 1; None takes every sample once.

    Raises:
        RunError: two options contradict each other.
    """

    out: Path = option(help="Folder that nnU-Net knows as nnUNet_raw; it gets DatasetXXX_NAME.", flags=("OUT",))
    dataset_id: int = option(help="Number of the data set, 1 to 999.")
    name: str = option("LGESynthNet", help="Name after the number.")
    classes: Classes = option(
        Classes.ALL,
        help="Every label as a class of its own (all); the same as nested regions, where wall contains scar (regions); or scar against the "
        "rest (scar).",
    )
    splits: Path | None = option(
        None, help="JSON file with the patients of each part: its train and val make one fold, the other parts stay out.", panel=FOLDS
    )
    folds: int | None = option(
        None, help="Number of folds by patient; scar is spread evenly.", bounds=(2, None), default_text="5", panel=FOLDS
    )
    synthetic_share: float | None = option(
        None,
        help="Synthetic part of what a fold trains on, 0 to 1. It is reached by leaving synthetic slices out.",
        default_text="every slice once",
        panel=FOLDS,
    )
    repeat: bool = option(
        False,
        help="Reach the share by listing slices more than once instead (nnU-Net 2.6 or newer).",
        flags=("--repeat",),
        panel=FOLDS,
    )
    seed: int = option(0, help="Random seed of the folds and of the slices that are left out.", bounds=(0, None))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.splits is not None and self.folds is not None:
            raise RunError("--splits and --folds both say who validates; give one of them")
        if self.no_real and (self.synthetic_share is not None or self.folds is not None):
            raise RunError("--no-real leaves nothing to mix with or to validate on; drop it, or drop --folds and --synthetic-share")
