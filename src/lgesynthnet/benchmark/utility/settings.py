"""The settings of a utility experiment, stored beside its results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.errors import RunError
from lgesynthnet.files.writing import write_json
from lgesynthnet.run.plan import short
from lgesynthnet.terms import Arm, Baseline, Prior, Question

SETTINGS = "experiment.json"
PHANTOM = "phantom"
FLOOR = (Arm.REAL, Arm.PHANTOM_FIRST, Arm.PAINTED, Arm.RECIPE)


@dataclass(frozen=True, kw_only=True)
class ExperimentSettings:
    """What to compare. `OUT/experiment.json` stores how samples are painted, `OUT/VARIANT/experiment.json` how segmenters are trained.

    Attributes:
        questions: what the experiment asks. `arms`, `scarred` and `healthy` are those of `few`; the others have all training patients.
        baseline: the segmenter that is trained.
        scarred, healthy: numbers of training patients with scar and without; None is all of them. Every pair is a regime.
        draws: number of random draws of the patients, each with a training seed of its own.
        size: number of kept samples in all training patients together; a run uses those that lie in its own patients.
        tested: parts of the splits to test on.
        painter: the model that paints; None is what `--models` holds, or what is trained on all training patients.
        recipe: name of the segmenter's recipe.
        steps: training steps; None for those of the recipe.
        cross_validate: number of parts into which all patients are divided, so that each is tested once by a segmenter that was trained
            on the other parts; 0 tests `tested` alone.
        folds: number of folds for out-of-fold predictions of the training patients, which set the operating points; 0 goes without.
        prior: name of the distribution of the painted scars.
    """

    arms: tuple[Arm, ...] = FLOOR
    questions: tuple[Question, ...] = (Question.FEW,)
    baseline: Baseline = Baseline.CROP
    scarred: tuple[int | None, ...] = (2, 4, 8, None)
    healthy: tuple[int | None, ...] = (None,)
    draws: int = 4
    size: int = 900
    tested: tuple[str, ...] = ("audit", "test")
    painter: str | None = PHANTOM
    recipe: str = "cpu"
    steps: int | None = None
    folds: int = 0
    cross_validate: int = 0
    prior: str = Prior.ISCHAEMIC
    seed: int = 0

    def asks(self, question: Question) -> bool:
        """Whether the experiment asks this question, by itself or as one of all."""
        return question in self.questions or Question.ALL in self.questions

    @property
    def variant(self) -> str:
        """Folder name for this way of training. Variants share the samples; arms, draws and patients can be added to a variant."""
        parts = [self.baseline.value]
        if self.painter != PHANTOM:
            parts.append(short_name(self.painter or "trained"))
        if self.recipe != "cpu":
            parts.append(self.recipe)
        if self.steps is not None:
            parts.append(f"{self.steps}-steps")
        if self.cross_validate:
            parts.append(f"{self.cross_validate}-fold")
        return "-".join(parts)

    @property
    def painting(self) -> dict[str, object]:
        """The settings that a pool depends on, beside its size."""
        return {"prior": self.prior, "seed": self.seed}

    @property
    def training(self) -> dict[str, object]:
        """The settings that a run depends on, beside its arm, patients and samples."""
        settings = {name: getattr(self, name) for name in ("baseline", "recipe", "steps", "size", "tested")}
        return settings | ({"tested": (), "cross_validate": self.cross_validate} if self.cross_validate else {})


def short_name(model: str) -> str:
    """The last part of a model's path."""
    return model.rstrip("/").rpartition("/")[2]


class _StoredSettings(BaseModel):
    """Any settings: which there are depends on the folder, and they are compared one by one."""

    model_config = ConfigDict(extra="allow")


def store_or_compare_settings(settings: Mapping[str, object], folder: Path) -> None:
    """Write `experiment.json` into the folder, or check that the file there has the same settings.

    Raises:
        RunError: the folder belongs to an experiment with other settings.
    """
    if (folder / SETTINGS).is_file():
        for name, before, value in changed_settings(settings, folder):
            raise RunError(
                f"{folder}: this experiment was begun with {name} {short(before)}, not {short(value)}; "
                "use the same settings or choose another --out"
            )
        return
    write_json(folder / SETTINGS, dict(settings))


def changed_settings(settings: Mapping[str, object], folder: Path) -> list[tuple[str, object, object]]:
    """Name, stored value and new value of each setting that differs from the one in the folder's `experiment.json`."""
    before = read_record(folder / SETTINGS, _StoredSettings).model_extra or {}
    now = json.loads(json.dumps(dict(settings)))
    return [(name, before.get(name), value) for name, value in now.items() if before.get(name) != value]
