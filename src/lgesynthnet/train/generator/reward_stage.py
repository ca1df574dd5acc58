"""The reward stage: the generator learns from a frozen judge of its images, and the filter chooses the best weights."""

from __future__ import annotations

from pathlib import Path

from lgesynthnet.errors import ModelError
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model_store import fingerprint, part_folder
from lgesynthnet.reward.base import Reward
from lgesynthnet.reward.contrast import RegionContrastReward
from lgesynthnet.reward.segmentation import SegmentationReward
from lgesynthnet.reward.transmurality import TransmuralityReward
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import RewardKind, Role, Stage
from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.generator.job import GeneratorJob, scar_segmenter_folder
from lgesynthnet.train.generator.monitor import MonitorSettings, RewardMonitor
from lgesynthnet.train.generator.reward import PolicyTask, RewardTask
from lgesynthnet.train.generator.stages import diffusion_task, save_generator
from lgesynthnet.train.loop import fit
from lgesynthnet.train.recipes import StageRecipe


def train_reward(job: GeneratorJob, examples: Examples, held_out: Examples | None) -> dict[str, object]:
    """Train from the control stage on real images, into `WORK/reward/offline/`, then on own samples, into `WORK/reward/policy/`.

    The filter chooses among the weights that `RewardMonitor` validates, on `held_out` where it has scar-free slices, else on `examples`.
    The final model is `WORK/reward/model`.

    Raises:
        ModelError: there is no control stage or no scar segmenter, or the model reads templates.
    """
    recipe, start = job.reward, job.start()
    source = job.trained(Stage.CONTROL) or start or job.needed(Stage.CONTROL)
    origin = fingerprint(source, role="inpainter")
    model = load_inpainter(source)
    scar_segmenters = _scar_segmenters(job)
    reward = build_reward(recipe.kind, scar_segmenters)
    filter_ = TrainedScarSegmenter.from_pretrained(part_folder(scar_segmenters, Role.FILTER.value), Role.FILTER)
    folder = job.work / Stage.REWARD.value
    diffusion = diffusion_task(job, model, examples)
    if model.templated:
        raise ModelError(f"{source}: reads templates, which the reward stage does not show; train the control stage without --template")
    monitored = examples if held_out is None or held_out.scarred.all() else held_out
    teacher = reward.scar_segmenter.fingerprint if isinstance(reward, SegmentationReward) else reward.name
    report: dict[str, object] = {"started_from": origin, "reward": teacher, "judge": filter_.fingerprint, "weight": recipe.weight}
    halves: list[tuple[str, RewardTask | PolicyTask, StageRecipe]] = [
        ("offline", RewardTask(diffusion, reward, recipe), job.recipe(Stage.REWARD))
    ]
    if job.options.on_policy:
        halves.append(("policy", PolicyTask(diffusion, reward, recipe), recipe.policy))
    monitoring = MonitorSettings(steps=recipe.policy_steps, levels=examples.scar_levels)
    trained_parts = "control branch alone" if job.options.frozen_unet else "all"
    for name, task, loop in halves:
        monitor = RewardMonitor(model, task.trained, reward, filter_, monitored, folder / name, monitoring)
        if not monitor.log.exists():
            monitor(0)
        result = fit(
            task,
            loop,
            folder / name,
            job.settings(f"{origin} {teacher} {recipe.weight:g} {recipe.window.value} {trained_parts}"),
            on_progress=job.request.progress_of(Stage.REWARD.value),
            monitor=monitor,
            monitor_every=recipe.monitor_every,
        )
        report[name] = result | {"chosen": monitor.load_best(), "before": monitor.records()[0]}
        save_generator(model, examples, folder / name / "model")
        origin = fingerprint(folder / name / "model", role="inpainter")
    save_generator(model, examples, folder / "model")
    return report


def build_reward(kind: RewardKind, scar_segmenters: Path) -> Reward:
    """A reward of this kind.

    Args:
        scar_segmenters: folder with the scar segmenter of role `reward`; only the segmentation reward needs it.
    """
    match kind:
        case RewardKind.SEGMENTATION:
            return SegmentationReward(TrainedScarSegmenter.from_pretrained(part_folder(scar_segmenters, Role.REWARD.value), Role.REWARD))
        case RewardKind.TRANSMURALITY:
            return TransmuralityReward()
        case RewardKind.CONTRAST:
            return RegionContrastReward()


def _scar_segmenters(job: GeneratorJob) -> Path:
    if job.options.scar_segmenters is not None:
        return job.options.scar_segmenters
    own = all((job.work / scar_segmenter_folder(role) / "model").is_dir() for role in (Role.REWARD, Role.FILTER))
    return job.work if own else Path("phantom")
