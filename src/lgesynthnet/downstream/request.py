"""The request of `train downstream`. Its fields are the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.options import option
from lgesynthnet.terms import DownstreamRecipeName, Precision, WallFrom
from lgesynthnet.train.options import RANDOM_WEIGHTS, first_weights_of

PHANTOM = "phantom"  # of --init
HOW = "How to train"


@dataclass(frozen=True, kw_only=True)
class DownstreamRequest:
    """Whom a downstream segmenter learns from, and how.

    Attributes:
        samples: run folders of `synthesize`; None trains on real slices alone.
        work: folder of the checkpoints and of the prepared slices; None stands beside `out`.
        workers: trainings that run side by side; None takes one for each core, at most three.
        precision: None takes bfloat16 where the processor multiplies it fast, else float32.

    Raises:
        RunError: a value is out of its range.
    """

    data: CohortSource = option(help="Folder of patients with scar labels.", flags=("--data",))
    out: Path = option(help="Model folder to write, for `segment --model`.", flags=("--out", "-o"))
    splits: Path | None = option(
        None, help='JSON file with the patients of each part; only those of "train" are learnt from.', default_text="all patients"
    )
    samples: tuple[str, ...] | None = option(
        None,
        help="Run folder of `synthesize`; its kept samples are learnt from, too. Give the option again for more.",
        flags=("--samples",),
    )
    init: str = option(PHANTOM, help='First weights: "phantom" (shipped), "none" (random), or a folder that this command wrote.', panel=HOW)
    wall_from: WallFrom = option(
        WallFrom.CROP,
        help="What it knows of the wall. crop: nothing. cascade: what a first network draws. known-wall: contours, given with each image.",
        panel=HOW,
    )
    origin: bool = option(
        True,
        help="Tell it by a second channel which slices are painted, or do not.",
        flags=("--origin/--no-origin",),
        panel=HOW,
    )
    recipe: DownstreamRecipeName = option(
        DownstreamRecipeName.CPU, help="How much to train. tiny: seconds, for tests. cpu: two cores.", panel=HOW
    )
    work: Path | None = option(
        None, help="Work folder of the checkpoints; it holds slices of the patients.", default_text="--out with -work added", panel=HOW
    )
    workers: int | None = option(
        None,
        help="Trainings side by side, one core each. The result does not depend on it.",
        bounds=(1, 64),
        default_text="one for each core, at most 3",
        panel=HOW,
    )
    seed: int = option(
        0, help="Random seed. The same seed gives bit-identical output on one kind of processor.", bounds=(0, None), panel=HOW
    )
    device: str = option("auto", help="auto, cpu, cuda, cuda:N or mps.", panel=HOW)
    precision: Precision | None = option(
        None,
        help="no: float32. bf16: bfloat16, which halves the time on processors with AMX.",
        default_text="bf16 on processors with AMX, else no",
        panel=HOW,
    )

    def __post_init__(self) -> None:
        if not self.init:
            raise RunError(f"--init: is empty; give {PHANTOM}, {RANDOM_WEIGHTS} or a folder")
        if not 0 <= self.seed < 2**63:
            raise RunError(f"--seed {self.seed}: must be in [0, 2^63)")
        if self.workers is not None and self.workers < 1:
            raise RunError(f"--workers {self.workers}: must be 1 or more")

    @property
    def work_folder(self) -> Path:
        """The work folder that is used."""
        return self.work if self.work is not None else self.out.with_name(f"{self.out.name}-work")

    @property
    def first_weights(self) -> Path | None:
        """The model or the folder that `init` names; None for random weights."""
        return first_weights_of(self.init)

    @property
    def run_folders(self) -> tuple[Path, ...]:
        """The runs whose samples are learnt from."""
        return tuple(map(Path, self.samples or ()))
