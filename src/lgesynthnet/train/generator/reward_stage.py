"""The reward stage: the generator learns from a frozen judge of its images, and the filter chooses the best weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from lgesynthnet.devices import usable_device
from lgesynthnet.errors import ModelError
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model_store import fingerprint, part_folder
from lgesynthnet.reward.base import Reward
from lgesynthnet.reward.contrast import RegionContrastReward
from lgesynthnet.reward.segmentation import SegmentationReward
from lgesynthnet.reward.transmurality import TransmuralityReward
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import RewardKind, Role, Stage
from lgesynthnet.train.checkpoint import read_note
from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.generator.frozen import content_of_inpainter
from lgesynthnet.train.generator.job import GeneratorJob, scar_segmenter_folder
from lgesynthnet.train.generator.monitor import MonitorSettings, RewardMonitor
from lgesynthnet.train.generator.reward import PolicyTask, RewardTask
from lgesynthnet.train.generator.stages import diffusion_task, save_generator
from lgesynthnet.train.loop import fit
from lgesynthnet.train.recipes import StageRecipe
from lgesynthnet.train.work import MODEL, digest_of, finished_report, is_finished, require_whole


def train_reward(job: GeneratorJob, examples: Examples, held_out: Examples | None) -> dict[str, object]:
    """Train from the control stage on real images, into `WORK/reward/offline/`, then on own samples, into `WORK/reward/policy/`.

    Either half can be left out.

    The filter chooses among the weights that `RewardMonitor` validates, on `held_out` where it has scar-free slices, else on `examples`.
    The final model is `WORK/reward/model`.

    Raises:
        ModelError: there is no control stage or no scar segmenter, or the model reads templates.
    """
    recipe, start = job.reward, job.start()
    source = job.trained(Stage.CONTROL) or start or job.needed(Stage.CONTROL)
    model, origin = load_inpainter(source), fingerprint(source, role="inpainter")
    if model.templated:
        raise ModelError(f"{source}: reads templates, which the reward stage does not show; train the control stage without --template")
    scar_segmenters = _scar_segmenters(job)
    reward = build_reward(recipe.kind, scar_segmenters)
    filter_ = TrainedScarSegmenter.from_pretrained(_whole_part(scar_segmenters, Role.FILTER), Role.FILTER)
    folder = job.work / Stage.REWARD.value
    monitored = examples if held_out is None or held_out.scarred.all() else held_out
    teacher = reward.scar_segmenter.fingerprint if isinstance(reward, SegmentationReward) else reward.name
    decides: dict[str, object] = {
        "data": examples.fingerprint,
        "validation": monitored.fingerprint,
        "start": content_of_inpainter(model),
        "reward": teacher,
        "judge": filter_.fingerprint,
        "held_to": "start",
        "frozen_unet": job.options.frozen_unet,
        **{name: value for name, value in asdict(recipe).items() if name not in ("policy", "batch")},
        "reward_batch": recipe.batch,
    }
    halves: list[tuple[str, type[RewardTask] | type[PolicyTask], StageRecipe]] = []
    if job.options.on_real:
        halves.append(("offline", RewardTask, job.recipe(Stage.REWARD)))
    if job.options.on_policy:
        halves.append(("policy", PolicyTask, recipe.policy))
    digest = digest_of({name: job.settings(Stage.REWARD, decides).plan(loop) for name, _, loop in halves})
    finished = finished_report(folder, digest)
    if finished is not None:
        return finished
    report: dict[str, object] = {"started_from": origin, "reward": teacher, "judge": filter_.fingerprint, "weight": recipe.weight}
    diffusion, monitoring = diffusion_task(job, model, examples), MonitorSettings(steps=recipe.policy_steps, levels=examples.scar_levels)
    tasks = [(name, kind(diffusion, reward, recipe), loop) for name, kind, loop in halves]  # all first: what is wrong is said now
    for name, task, loop in tasks:
        monitor = RewardMonitor(task, filter_, monitored, folder / name, monitoring)
        report[name] = _train_half(job, task, loop, monitor, decides)
        save_generator(model, examples, folder / name / MODEL)
        decides |= {"start": content_of_inpainter(model)}
    save_generator(model, examples, folder / MODEL)
    return report | {"settings": digest}


def _train_half(
    job: GeneratorJob, task: RewardTask | PolicyTask, loop: StageRecipe, monitor: RewardMonitor, decides: Mapping[str, object]
) -> dict[str, object]:
    """Train one half of the stage and put its best weights in place; returns its report."""
    every, note = job.reward.monitor_every, read_note(monitor.folder)
    monitor.model.to(usable_device(job.request.device))
    if note is None:
        monitor(0)
    else:
        monitor.require_records_until(note.step, every)
    result = fit(
        task,
        loop,
        monitor.folder,
        job.settings(Stage.REWARD, decides),
        on_progress=job.request.progress_of(Stage.REWARD.value),
        monitor=monitor,
        monitor_every=every,
    )
    return result | {"chosen": monitor.load_best(), "before": monitor.records()[0]}


def build_reward(kind: RewardKind, scar_segmenters: Path) -> Reward:
    """A reward of this kind.

    Args:
        scar_segmenters: folder with the scar segmenter of role `reward`; only the segmentation reward needs it.
    """
    match kind:
        case RewardKind.SEGMENTATION:
            return SegmentationReward(TrainedScarSegmenter.from_pretrained(_whole_part(scar_segmenters, Role.REWARD), Role.REWARD))
        case RewardKind.TRANSMURALITY:
            return TransmuralityReward()
        case RewardKind.CONTRAST:
            return RegionContrastReward()


def _scar_segmenters(job: GeneratorJob) -> Path:
    if job.options.scar_segmenters is not None:
        return job.options.scar_segmenters
    own = all(is_finished(job.work / scar_segmenter_folder(role)) for role in (Role.REWARD, Role.FILTER))
    return job.work if own else Path("phantom")


def _whole_part(scar_segmenters: Path, role: Role) -> Path:
    folder = part_folder(scar_segmenters, role.value)
    require_whole(folder, f"scar-segmenter --role {role}")
    return folder
