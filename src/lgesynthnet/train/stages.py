"""Train one stage of the generator into a work folder."""

from __future__ import annotations

import torch

from lgesynthnet.devices import usable_device
from lgesynthnet.errors import InputError
from lgesynthnet.files.writing import write_json
from lgesynthnet.terms import GENERATOR_STAGES, Stage
from lgesynthnet.train.examples.prepare import ExampleFile
from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.generator.job import GeneratorJob, GeneratorOptions
from lgesynthnet.train.generator.reward_stage import train_reward
from lgesynthnet.train.generator.stages import train_autoencoder, train_base, train_control, train_text
from lgesynthnet.train.report import about_training
from lgesynthnet.train.request import NO_SCAR, TrainingRequest
from lgesynthnet.train.work import REPORT, claimed_work


def train_generator(request: TrainingRequest, stage: Stage, options: GeneratorOptions | None = None) -> dict[str, object]:
    """Train one stage of the generator; the same request again continues where the training stopped.

    Returns:
        The stage's report, also written to `WORK/STAGE/report.json`.
    Raises:
        ModelError: an earlier stage is missing, or `init` does not fit.
        InputError: there is no usable slice, or none with scar; or the stage is none of the generator's.
        RunError: the work folder was begun with other data or settings, or must not be resumed.
    """
    if stage not in GENERATOR_STAGES:
        raise InputError(f"{stage.value} is no stage of the generator; choose one of {', '.join(GENERATOR_STAGES)}")
    job = GeneratorJob(request=request, options=options or GeneratorOptions())
    usable_device(request.device)
    with claimed_work(request.work):
        folder = request.folder(stage.value)
        torch.manual_seed(request.seed)
        examples, held_out = (None, None) if stage is Stage.TEXT else _examples(request, stage)
        report = _train(job, stage, examples, held_out) | about_training(request, stage.value, examples)
        write_json(folder / REPORT, report)
    return report


def _train(job: GeneratorJob, stage: Stage, examples: Examples | None, held_out: Examples | None) -> dict[str, object]:
    if examples is None:
        return train_text(job)
    match stage:
        case Stage.AUTOENCODER:
            return train_autoencoder(job, examples)
        case Stage.BASE:
            return train_base(job, examples)
        case Stage.CONTROL:
            return train_control(job, examples)
        case _:
            return train_reward(job, examples, held_out)


def _examples(request: TrainingRequest, stage: Stage) -> tuple[Examples, Examples | None]:
    """The training examples and, for the reward stage, those of the validation patients where there are any."""
    data, work = request.data_for(stage.value), request.work
    examples = ExampleFile(work / "examples.safetensors").load_or_build(data.cohort, data.patients, request.on_progress, request.on_note)
    if stage is not Stage.AUTOENCODER and not examples.scarred.any():
        raise InputError(f"{data.cohort.root}: {NO_SCAR}")
    if data.validation is None or stage is not Stage.REWARD:
        return examples, None
    file = ExampleFile(work / "validation.safetensors")
    return examples, file.load_or_build(data.validation, data.validation_patients, request.on_progress, request.on_note)
