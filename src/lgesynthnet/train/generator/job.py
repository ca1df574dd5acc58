"""What the stages of the generator are told, and where they find what they start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lgesynthnet.errors import ModelError
from lgesynthnet.model_store import fingerprint, shipped_or_path
from lgesynthnet.terms import RewardKind, Role, Stage, Window
from lgesynthnet.train.loop import LoopSettings, Task, fit
from lgesynthnet.train.previews import EVERY
from lgesynthnet.train.recipes import Recipe, RewardRecipe, StageRecipe, recipe_named
from lgesynthnet.train.request import TrainingRequest
from lgesynthnet.train.work import MODEL, finished_report, is_finished, require_finished, require_whole


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
        on_real, on_policy: whether the reward stage trains on real images, as in the paper, and then on the model's own samples.
    """

    text: str | Path | None = None
    allow_download: bool = False
    frozen_unet: bool = False
    template: bool = False
    scar_segmenters: Path | None = None
    weight: float | None = None
    window: Window | None = None
    kind: RewardKind | None = None
    on_real: bool = True
    on_policy: bool = True

    def __post_init__(self) -> None:
        if not (self.on_real or self.on_policy):
            raise ModelError(
                "a reward stage trains on real images, on the model's own samples, or on both; give one of --no-on-real and --no-on-policy"
            )


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
            ModelError: `init` holds no generator, or a damaged one.
        """
        init = self.request.init
        if init is None:
            return None
        folder = shipped_or_path(init)
        inside = (folder / "inpainter", *(folder / stage / MODEL for stage in (Stage.REWARD, Stage.CONTROL)), folder)
        place = next((place for place in inside if (place / "unet").is_dir()), None)
        if place is None:
            raise ModelError(f"{init}: holds no generator to start from; give a model folder, a work folder, or `phantom`")
        require_whole(place, place.parent.name if place.name == MODEL else "pack")
        return place

    @property
    def origin(self) -> str | None:
        """Fingerprint of the generator that the training starts from."""
        start = self.start()
        return None if start is None else fingerprint(start, role="inpainter")

    def trained(self, stage: Stage) -> Path | None:
        """The folder of the network of a finished stage in the work folder; None where it is not finished.

        Raises:
            ModelError: it is damaged.
        """
        folder = self.work / stage.value
        return require_finished(folder, stage.value) if is_finished(folder) else None

    def needed(self, stage: Stage) -> Path:
        """The folder of the network of a finished stage.

        Raises:
            ModelError: the stage is not finished, or damaged.
        """
        return require_finished(self.work / stage.value, stage.value)

    def settings(self, stage: Stage, decides: Mapping[str, object]) -> LoopSettings:
        """The loop's settings.

        Args:
            decides: what decides the weights beside the request: fingerprints of the data and of the networks that were read.
        """
        request, sizes = self.request, self.sizes
        widths = {"autoencoder": sizes.autoencoder_width, "unet": sizes.unet_widths, "text": (sizes.text_width, sizes.text_layers)}
        return LoopSettings(
            seed=request.seed,
            origin=self.origin,
            stage=self.work / stage.value,
            decides={"widths": widths, **decides},
            device=request.device,
            precision=request.precision,
        )

    def train(
        self,
        task: Callable[[], Task],
        stage: Stage,
        decides: Mapping[str, object],
        save: Callable[[], dict[str, object]],
        monitor: Callable[[], Callable[[int], None]] | None = None,
    ) -> dict[str, object]:
        """Train a stage in its folder and write its network, or find it finished; returns its report.

        Args:
            task: makes the task; not called where the stage is finished.
            decides: see `settings`.
            save: writes the network after the training and returns further results.
            monitor: makes the monitor, likewise.
        """
        folder, recipe, settings = self.work / stage.value, self.recipe(stage), self.settings(stage, decides)
        finished = finished_report(folder, settings.digest(recipe))
        if finished is not None:
            return finished
        report = fit(
            task(),
            recipe,
            folder,
            settings,
            on_progress=self.request.progress_of(stage.value),
            monitor=None if monitor is None else monitor(),
            monitor_every=EVERY,
        )
        return report | save()


def scar_segmenter_folder(role: Role) -> str:
    """Name of the folder, inside a work folder, where the scar segmenter of a role is trained."""
    return f"{Stage.SCAR_SEGMENTER}-{role}"
