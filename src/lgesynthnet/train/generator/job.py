"""What the stages of the generator are told, and where they find what they start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lgesynthnet.errors import ModelError
from lgesynthnet.model_store import fingerprint, shipped_or_path
from lgesynthnet.terms import RewardKind, Role, Stage, Window
from lgesynthnet.train.loop import LoopSettings, Task, fit
from lgesynthnet.train.previews import EVERY
from lgesynthnet.train.recipes import Recipe, RewardRecipe, StageRecipe, recipe_named
from lgesynthnet.train.request import TrainingRequest


@dataclass(frozen=True, kw_only=True)
class GeneratorOptions:
    """Choices for the stages of the generator.

    Attributes:
        text, allow_download: the BERT of the base stage, see `model.text.load_external`; None uses the one that the text stage trained.
        frozen_unet: train the control branch alone, as in the paper (decision 0007).
        template: the control stage also reads a reference image and mask of another patient, for comparison.
        scar_segmenters: model or work folder with the reward's scar segmenter and with the filter that monitors the training; None takes
            those in the work folder, else the shipped ones.
        weight, window, kind: of the reward; None takes the recipe's.
        on_policy: whether the reward stage ends with training on the model's own samples.
    """

    text: str | Path | None = None
    allow_download: bool = False
    frozen_unet: bool = False
    template: bool = False
    scar_segmenters: Path | None = None
    weight: float | None = None
    window: Window | None = None
    kind: RewardKind | None = None
    on_policy: bool = True


@dataclass(frozen=True, kw_only=True)
class GeneratorJob:
    """A request for a stage of the generator, with its choices."""

    request: TrainingRequest
    options: GeneratorOptions = field(default_factory=GeneratorOptions)

    @property
    def work(self) -> Path:
        return self.request.work

    @property
    def sizes(self) -> Recipe:
        return recipe_named(self.request.recipe)

    def recipe(self, stage: Stage) -> StageRecipe:
        """The loop of a stage: from random weights, or the fine-tuning of `init`."""
        return (self.sizes.stages if self.request.init is None else self.sizes.finetune)[stage]

    def settings(self, origin: str | None) -> LoopSettings:
        """The loop's settings; `origin` is the fingerprint of the first weights."""
        request = self.request
        return LoopSettings(seed=request.seed, origin=origin, device=request.device, precision=request.precision)

    @property
    def reward(self) -> RewardRecipe:
        """The recipe of the reward with the chosen weight, window and kind."""
        recipe, chosen = self.sizes.reward, self.options
        return replace(
            recipe,
            weight=recipe.weight if chosen.weight is None else chosen.weight,
            window=chosen.window or recipe.window,
            kind=chosen.kind or recipe.kind,
        )

    def start(self) -> Path | None:
        """The generator's folder in `init`; None where the training starts from random weights.

        Raises:
            ModelError: `init` holds no generator.
        """
        init = self.request.init
        if init is None:
            return None
        folder = shipped_or_path(init)
        inside = (folder / "inpainter", *(folder / stage / "model" for stage in (Stage.REWARD, Stage.CONTROL)), folder)
        place = next((place for place in inside if (place / "unet").is_dir()), None)
        if place is None:
            raise ModelError(f"{init}: holds no generator to start from; give a model folder, a work folder, or `phantom`")
        return place

    @property
    def origin(self) -> str | None:
        """Fingerprint of the generator that the training starts from."""
        start = self.start()
        return None if start is None else fingerprint(start, role="inpainter")

    def trained(self, stage: Stage) -> Path | None:
        """The folder of a finished stage in the work folder; None where it is not finished."""
        folder = self.work / stage.value / "model"
        return folder if folder.is_dir() else None

    def needed(self, stage: Stage) -> Path:
        """The folder of a finished stage.

        Raises:
            ModelError: the stage is not finished.
        """
        return require_finished(self.work / stage.value / "model", stage.value)

    def fit(
        self, task: Task, stage: Stage, *, origin: str | None = None, monitor: Callable[[int], None] | None = None
    ) -> dict[str, object]:
        """Train a stage in its folder and return the loop's report.

        Args:
            origin: what the first weights depend on, in place of the fingerprint of `init`.
        """
        return fit(
            task,
            self.recipe(stage),
            self.work / stage.value,
            self.settings(origin or self.origin),
            on_progress=self.request.progress_of(stage.value),
            monitor=monitor,
            monitor_every=EVERY,
        )


def scar_segmenter_folder(role: Role) -> str:
    """Name of the folder, inside a work folder, where the scar segmenter of a role is trained."""
    return f"{Stage.SCAR_SEGMENTER}-{role}"


def require_finished(folder: Path, command: str) -> Path:
    """The folder of a finished stage.

    Args:
        command: the rest of `lgesynthnet train`, for the error message.
    Raises:
        ModelError: it does not exist.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: not trained yet; run `lgesynthnet train {command}` first")
    return folder
