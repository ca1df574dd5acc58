"""The generator's stages, each from the one before it in the work folder or from another model's weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from lgesynthnet.errors import ModelError
from lgesynthnet.files import write_json
from lgesynthnet.model.autoencoder import build_autoencoder, fit_scale
from lgesynthnet.model.checkpoint import halve, load_inpainter, save_inpainter
from lgesynthnet.model.inpainter import Inpainter, build_control, build_unet, with_template
from lgesynthnet.model.schedule import build_schedule
from lgesynthnet.model.text import BertModel, BertTokenizerFast, TextEncoder, build_bert, load_external, load_text_encoder, save_bert
from lgesynthnet.model_store import fingerprint, part_folder, shipped_or_path
from lgesynthnet.reward.base import Reward
from lgesynthnet.reward.contrast import RegionContrastReward
from lgesynthnet.reward.segmentation import SegmentationReward
from lgesynthnet.reward.transmurality import TransmuralityReward
from lgesynthnet.segmenter.reader import TrainedScarSegmenter
from lgesynthnet.terms import RewardKind, Role, Stage, Window
from lgesynthnet.train.examples.roi import Dropout, Examples
from lgesynthnet.train.generator.autoencoder import AutoencoderTask, latents_of
from lgesynthnet.train.generator.diffusion import DiffusionTask
from lgesynthnet.train.generator.monitor import RewardMonitor
from lgesynthnet.train.generator.reward import PolicyTask, RewardTask
from lgesynthnet.train.generator.text import CaptionTask
from lgesynthnet.train.loop import Task, fit
from lgesynthnet.train.previews import EVERY, Pictures
from lgesynthnet.train.recipes import Recipe, RewardRecipe, StageRecipe

Tell = Callable[[int, int, float], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every stage of one run shares.

    Attributes:
        init: a shipped model, a model folder or a work folder to start from; the `finetune` settings of the recipe then apply.
        text, allow_download: the base stage's BERT (`load_external`); None takes the one that the text stage left in `work`.
        frozen_unet: only the control branch learns, as in the paper (decision 0007).
        masks: the control stage is shown filled masks in place of edges, for comparison.
        template: the control stage reads a reference image and mask besides, for comparison.
        reader: a model or work folder with the reward's `reward/` and the `filter/` that watches it.
        weight, window, kind: of the reward; None is the recipe's.
        on_policy: whether the reward stage ends on the model's own samples.
        precision: `no` is float32; `bf16` for a card that is good at it.
    """

    work: Path
    sizes: Recipe
    seed: int
    device: str
    tell: Tell
    init: Path | None = None
    text: str | Path | None = None
    allow_download: bool = False
    frozen_unet: bool = False
    masks: bool = False
    template: bool = False
    reader: Path | None = None
    weight: float | None = None
    window: Window | None = None
    kind: RewardKind | None = None
    on_policy: bool = True
    precision: str = "no"

    def settings(self, stage: Stage) -> StageRecipe:
        return self.sizes.stages[stage] if self.init is None else self.sizes.finetune[stage]

    @property
    def reward(self) -> RewardRecipe:
        recipe = self.sizes.reward
        return replace(
            recipe,
            weight=recipe.weight if self.weight is None else self.weight,
            window=self.window or recipe.window,
            kind=self.kind or recipe.kind,
        )

    def start(self) -> Path | None:
        """The generator's folder of `init`.

        Raises:
            ModelError: there is none.
        """
        if self.init is None:
            return None
        folder = shipped_or_path(self.init)
        inside = (folder / "inpainter", *(folder / stage / "model" for stage in ("reward", "control")), folder)
        found = next((each for each in inside if (each / "unet").is_dir()), None)
        if found is None:
            raise ModelError(f"{self.init}: holds no generator to start from; give a model folder, a work folder, or `phantom`")
        return found

    @property
    def origin(self) -> str | None:
        start = self.start()
        return None if start is None else fingerprint(start, role="inpainter")


def train_autoencoder(job: Job, examples: Examples) -> dict[str, object]:
    folder, start = job.work / Stage.AUTOENCODER.value, job.start()
    autoencoder = build_autoencoder(job.sizes.autoencoder_width) if start is None else load_inpainter(start).autoencoder
    report = _fit(job, AutoencoderTask(autoencoder, examples), Stage.AUTOENCODER)
    halve(autoencoder)
    chosen = np.random.default_rng(job.seed).permutation(len(examples))[:64]
    images = torch.from_numpy(examples.image[chosen].astype(np.float32))[:, None].to(next(autoencoder.parameters()).device)
    report["latent_scale"] = fit_scale(autoencoder, images)
    autoencoder.save_pretrained(folder / "model")
    return report


def train_text(job: Job) -> dict[str, object]:
    bert, tokenizer = build_bert(job.sizes.text_width, job.sizes.text_layers)
    report = _fit(job, CaptionTask(bert, tokenizer), Stage.TEXT)
    save_bert(halve(bert.cpu()), tokenizer, job.work / Stage.TEXT.value / "model")
    return report


def train_base(job: Job, examples: Examples) -> dict[str, object]:
    own = _trained(job, Stage.AUTOENCODER)
    start = job.start()
    if start is not None and job.text is not None:
        raise ModelError("--text is for a model from random weights: one to start from has an encoder, and its U-Net knows no other")
    if start is not None:
        model = load_inpainter(start)
        model.control = None  # it belongs to the U-Net as it was
        if own is not None:
            model.autoencoder = _autoencoder(own)
    else:
        bert, tokenizer = _bert(job)
        model = Inpainter(
            build_unet(job.sizes.unet_widths, job.sizes.text_width),
            TextEncoder(bert, tokenizer, job.sizes.text_width),
            _autoencoder(_needed(job, Stage.AUTOENCODER)),
            build_schedule(),
        )
    # A projection learnt for one BERT means nothing to another.
    words = None if job.text is None else f"text {job.text}"
    report = _diffusion(job, Stage.BASE, model, examples, origin=words)
    return report | {"text": "own" if job.text is None else str(job.text)}


def train_control(job: Job, examples: Examples) -> dict[str, object]:
    base = _trained(job, Stage.BASE)
    start = job.start()
    if base is None and start is not None:
        model = load_inpainter(start)
        if model.control is not None and job.template and not model.templated:
            model.control = with_template(model.control)
    else:
        model = load_inpainter(_needed(job, Stage.BASE))
        # The copy is taken after the trained weights are in; earlier it would start from noise.
        model.control = build_control(model.unet, template=job.template)
    return _diffusion(job, Stage.CONTROL, model, examples)


def train_reward(job: Job, examples: Examples, held_out: Examples | None) -> dict[str, object]:
    """From the control stage: reward on real pictures, kept as `WORK/reward/offline/`, then on the model's own samples.

    The filter chooses among the looks that `RewardMonitor` takes, on validation patients where there are any.

    Raises:
        ModelError: no control stage, or no readers.
    """
    control, start = _trained(job, Stage.CONTROL), job.start()
    source = control or start or _needed(job, Stage.CONTROL)
    origin = fingerprint(source, role="inpainter")
    model = load_inpainter(source)
    own = all((job.work / f"reader-{role}" / "model").is_dir() for role in (Role.REWARD, Role.FILTER))
    readers = job.reader or (job.work if own else Path("phantom"))
    reward = reward_of(job.reward.kind, readers)
    judge = TrainedScarSegmenter.from_pretrained(part_folder(readers, Role.FILTER.value), Role.FILTER)
    folder = job.work / Stage.REWARD.value
    diffusion = _task(job, model, examples)
    if model.templated:
        raise ModelError(f"{source}: reads templates, and the reward's stage shows none; train the control stage without --template")
    watched = examples if held_out is None or held_out.scarred.all() else held_out
    teacher = reward.reader.fingerprint if isinstance(reward, SegmentationReward) else reward.name
    report: dict[str, object] = {"started_from": origin, "reward": teacher, "judge": judge.fingerprint, "weight": job.reward.weight}
    stages: list[tuple[str, RewardTask | PolicyTask, StageRecipe]] = [
        ("offline", RewardTask(diffusion, reward, job.reward), job.settings(Stage.REWARD))
    ]
    if job.on_policy:
        stages.append(("policy", PolicyTask(diffusion, reward, job.reward), job.reward.policy))
    for name, task, settings in stages:
        watch = RewardMonitor(
            model, task.trained, reward, judge, watched, folder / name, levels=examples.scar_levels, steps=job.reward.policy_steps
        )
        if not watch.log.exists():
            watch(0)
        origin = (
            f"{origin} {teacher} {job.reward.weight:g} {job.reward.window.value} {'control branch alone' if job.frozen_unet else 'all'}"
        )
        fitted = fit(
            task,
            settings,
            folder / name,
            seed=job.seed,
            origin=origin,
            device=job.device,
            progress=job.tell,
            watch=watch,
            watch_every=job.reward.watch_every,
            precision=job.precision,
        )
        report[name] = fitted | {"chosen": watch.choose(), "before": watch.seen()[0]}
        _save(model, examples, folder / name / "model")
        origin = fingerprint(folder / name / "model", role="inpainter")
    _save(model, examples, folder / "model")
    return report


def reward_of(kind: RewardKind, readers: Path) -> Reward:
    """A reward by name; only the segmentation reward needs a reader."""
    match kind:
        case RewardKind.SEGMENTATION:
            return SegmentationReward(TrainedScarSegmenter.from_pretrained(part_folder(readers, Role.REWARD.value), Role.REWARD))
        case RewardKind.TRANSMURALITY:
            return TransmuralityReward()
        case RewardKind.CONTRAST:
            return RegionContrastReward()


def _diffusion(job: Job, stage: Stage, model: Inpainter, examples: Examples, *, origin: str | None = None) -> dict[str, object]:
    drop = Dropout(edges=1.0) if stage is Stage.BASE else Dropout(filled=job.masks, template=model.templated)
    pictures = Pictures(model, examples, job.work / stage.value, drop=drop)
    if job.masks:
        origin = f"{origin or job.origin} masks"
    if job.template:
        origin = f"{origin or job.origin} template"
    report = _fit(job, _task(job, model, examples), stage, origin=origin, watch=pictures)
    _save(model, examples, job.work / stage.value / "model")
    return report


def _task(job: Job, model: Inpainter, examples: Examples) -> DiffusionTask:
    # Few patients are few pictures: their eight symmetries keep them from being learnt by heart.
    examples = examples if job.init is None else examples.turned()
    task = DiffusionTask(model, examples, latents_of(model.autoencoder, examples), frozen_unet=job.frozen_unet, masks=job.masks)
    if job.device != "cpu" and torch.cuda.is_available():
        model.to("cuda")
    return task


def _fit(job: Job, task: Task, stage: Stage, *, origin: str | None = None, watch: Callable[[int], None] | None = None) -> dict[str, object]:
    return fit(
        task,
        job.settings(stage),
        job.work / stage.value,
        seed=job.seed,
        origin=origin or job.origin,
        device=job.device,
        progress=job.tell,
        watch=watch,
        watch_every=EVERY,
        precision=job.precision,
    )


def _save(model: Inpainter, examples: Examples, folder: Path) -> None:
    for part in (model.unet, model.text, model.control):
        if part is not None:
            halve(part)
    save_inpainter(model.cpu(), folder)
    write_json(folder / "conditioning.json", {"scar_levels": [round(float(v), 4) for v in examples.scar_levels]})


def _bert(job: Job) -> tuple[BertModel, BertTokenizerFast]:
    if job.text is not None:
        return load_external(job.text, allow_download=job.allow_download)
    return load_text_encoder(_needed(job, Stage.TEXT))


def _autoencoder(folder: Path) -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(folder, use_safetensors=True, local_files_only=True)


def _trained(job: Job, stage: Stage) -> Path | None:
    folder = job.work / stage.value / "model"
    return folder if folder.is_dir() else None


def _needed(job: Job, stage: Stage) -> Path:
    return finished(job.work / stage.value / "model", stage.value)


def finished(folder: Path, stage: str) -> Path:
    """The folder of a finished stage.

    Raises:
        ModelError: it is not there yet.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: not trained yet; run `lgesynthnet train {stage}` first")
    return folder
