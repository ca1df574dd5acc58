"""The options that the training commands share; loading them loads no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.options import option
from lgesynthnet.terms import RecipeName

RANDOM_WEIGHTS = "none"  # of --init, where the default is a shipped model


def first_weights_of(init: str) -> Path | None:
    """The model or the folder that `--init` names; None for random weights."""
    return None if init == RANDOM_WEIGHTS else Path(init)


@dataclass(frozen=True, kw_only=True)
class WorkOptions:
    """Where and how much to train."""

    work: Path = option(help="Work folder for checkpoints and reports; all commands can share it.", flags=("--work", "-w"))
    recipe: RecipeName = option(
        RecipeName.CPU, help="How much to train. tiny: seconds, for tests. cpu: two cores, two hours in all. gpu: a GPU."
    )
    seed: int = option(0, help="Random seed. The same seed gives bit-identical output on one kind of processor.", bounds=(0, None))
    device: str = option("auto", help="auto, cpu, cuda, cuda:N or mps.")
    resume: bool = option(True, help="Continue a training that was begun before, or refuse it.", flags=("--resume/--no-resume",))


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(WorkOptions):
    """Whom to learn from, and from which weights."""

    data: CohortSource = option(help="Folder of patients with scar labels.", flags=("--data",))
    splits: Path | None = option(
        None, help='JSON file with the patients of each part: "train" is trained on, "val" sets thresholds and chooses weights.'
    )
    init: Path | None = option(
        None, help='Start from trained weights, with fewer and smaller steps: a network\'s folder, a model folder, or "phantom".'
    )


@dataclass(frozen=True, kw_only=True)
class ValidatedOptions(TrainingOptions):
    """The same for networks that are validated."""

    validation: Path | None = option(None, help='Folder of other patients, used in place of the part "val" of --splits.')
