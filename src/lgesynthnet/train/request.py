"""What the training of every network is told: whom to learn from, where to work, how much, and from which weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.terms import Precision

Progress = Callable[[str, int, int, float], None]  # name of the stage, steps done, steps in all, mean loss
NO_SCAR = "no slice with scar, so there is nothing to learn it from; add patients with scar labels"


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The patients that a network learns from, and those that choose its threshold or its best weights.

    Attributes:
        cohort: patients with scar labels.
        patients: the patients of `cohort` to train on; None takes all of them.
        validation: cohort of the validation patients; None goes without.
        validation_patients: the patients of `validation` to use; None takes all of them.
        rehearsed: cohort of other patients, whose kinds of scar a scar segmenter shall not forget; all of it is used.
    """

    cohort: Cohort
    patients: list[str] | None = None
    validation: Cohort | None = None
    validation_patients: list[str] | None = None
    rehearsed: Cohort | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """One training, as it is asked for. The same request again continues where the training stopped.

    Attributes:
        work: work folder; every stage writes into a folder of its own inside it.
        data: whom to learn from; only the text encoder is trained without.
        recipe: sizes and steps by name, see `train.recipes.RECIPES`.
        seed: decides every random draw.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: number format of the forward passes.
        init: trained weights to start from, with the shorter and gentler fine-tuning of the recipe: the name of a shipped model, a
            model folder, a work folder, or the folder of the network itself. None starts from random weights.
        resume: False refuses a stage whose folder exists already.
        on_progress: called after every step.
        on_note: called with what the user should know, such as that data are prepared again.
    """

    work: Path
    data: TrainingData | None = None
    recipe: str = "cpu"
    seed: int = 0
    device: str = "auto"
    precision: Precision = Precision.NO
    init: Path | None = None
    resume: bool = True
    on_progress: Progress | None = None
    on_note: Callable[[str], None] | None = None

    def data_for(self, stage: str) -> TrainingData:
        """The patients to learn from.

        Raises:
            InputError: the request names none.
        """
        if self.data is None:
            raise InputError(f"stage {stage} needs data; only the text encoder is trained without")
        return self.data

    def folder(self, name: str) -> Path:
        """The stage's folder inside the work folder.

        Raises:
            RunError: it exists, and the request must not resume.
        """
        folder = self.work / name
        if not self.resume and folder.exists():
            raise RunError(f"{folder}: this stage was begun before; drop --no-resume to continue it, or choose another --work")
        return folder

    def progress_of(self, name: str) -> Callable[[int, int, float], None] | None:
        """`on_progress` of one stage."""
        on_progress = self.on_progress
        return None if on_progress is None else (lambda done, total, loss: on_progress(name, done, total, loss))
