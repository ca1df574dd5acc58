"""The generator's stages before the reward. Each starts from the stage before it in the work folder, or from another model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from lgesynthnet.devices import usable_device
from lgesynthnet.errors import ModelError
from lgesynthnet.files.writing import replaced_folder, write_json
from lgesynthnet.model.autoencoder import build_autoencoder, fit_scale
from lgesynthnet.model.checkpoint import halve, load_autoencoder, load_inpainter, save_inpainter
from lgesynthnet.model.inpainter import Inpainter, build_control, build_unet, with_template
from lgesynthnet.model.schedule import build_schedule
from lgesynthnet.model.text import BertModel, BertTokenizerFast, TextEncoder, build_bert, load_external, load_text_encoder, save_bert
from lgesynthnet.terms import Stage
from lgesynthnet.train.examples.roi import Dropout, Examples
from lgesynthnet.train.generator.autoencoder import AutoencoderTask, latents_of
from lgesynthnet.train.generator.diffusion import DiffusionTask
from lgesynthnet.train.generator.frozen import content_of_autoencoder, content_of_bert, content_of_inpainter
from lgesynthnet.train.generator.job import GeneratorJob
from lgesynthnet.train.generator.text import CaptionTask
from lgesynthnet.train.previews import Previews
from lgesynthnet.train.work import MODEL

MANY_EXAMPLES = 1000  # of slices; from here on their symmetries teach nothing, and take minutes to encode


def train_autoencoder(job: GeneratorJob, examples: Examples) -> dict[str, object]:
    """Train the autoencoder into `WORK/autoencoder/model`."""
    folder, start = job.work / Stage.AUTOENCODER.value, job.start()
    autoencoder = build_autoencoder(job.sizes.autoencoder_width) if start is None else load_inpainter(start, base=True).autoencoder

    def save() -> dict[str, object]:
        halve(autoencoder.cpu())
        chosen = np.random.default_rng(job.request.seed).permutation(len(examples))[:64]
        scale = fit_scale(autoencoder, torch.from_numpy(examples.image[chosen].astype(np.float32))[:, None])
        with replaced_folder(folder / MODEL) as new:
            autoencoder.save_pretrained(new)
        return {"latent_scale": scale}

    return job.train(lambda: AutoencoderTask(autoencoder, examples), Stage.AUTOENCODER, {"data": examples.fingerprint}, save)


def train_text(job: GeneratorJob) -> dict[str, object]:
    """Train the compact text encoder into `WORK/text/model`; needs no data."""
    bert, tokenizer = build_bert(job.sizes.text_width, job.sizes.text_layers)
    task = CaptionTask(bert, tokenizer)

    def save() -> dict[str, object]:
        task.tokens([""])  # a tokenizer is saved with its last padding, and a resumed training may have used none yet
        with replaced_folder(job.work / Stage.TEXT.value / MODEL) as new:
            save_bert(halve(bert.cpu()), tokenizer, new)
        return {}

    return job.train(lambda: task, Stage.TEXT, {}, save)


def train_base(job: GeneratorJob, examples: Examples) -> dict[str, object]:
    """Train the diffusion model without control branch into `WORK/base/model`.

    Raises:
        ModelError: autoencoder or text encoder are not trained yet, or both `init` and `text` are given.
    """
    own, start, text = job.trained(Stage.AUTOENCODER), job.start(), job.options.text
    if start is not None and text is not None:
        raise ModelError("--text is for a model from random weights; a model to start from has its own text encoder, which its U-Net needs")
    if start is not None:
        model = load_inpainter(start, base=True)
        model.control = None  # it fits the former U-Net only
        if own is not None:
            model.autoencoder = _load_autoencoder(own)
        decides = {"start": content_of_inpainter(model)}
    else:
        bert, tokenizer = _load_bert(job)
        model = Inpainter(
            build_unet(job.sizes.unet_widths, job.sizes.text_width),
            TextEncoder(bert, tokenizer, job.sizes.text_width),
            _load_autoencoder(job.needed(Stage.AUTOENCODER)),
            build_schedule(),
        )
        # A projection that was trained for one BERT does not fit another.
        decides = {"text": content_of_bert(bert, tokenizer), "autoencoder": content_of_autoencoder(model.autoencoder)}
    return _train_diffusion(job, Stage.BASE, model, examples, decides) | {"text": "own" if text is None else str(text)}


def train_control(job: GeneratorJob, examples: Examples) -> dict[str, object]:
    """Train the control branch, and the U-Net beside it, into `WORK/control/model`.

    Raises:
        ModelError: there is neither a base stage in the work folder nor `init`.
    """
    base, start, template = job.trained(Stage.BASE), job.start(), job.options.template
    if base is None and start is not None:
        model = load_inpainter(start)
        decides = {"start": content_of_inpainter(model)}
        if model.control is not None and template and not model.templated:
            model.control = with_template(model.control)
    else:
        model = load_inpainter(job.needed(Stage.BASE), base=True)
        model.control = None
        decides = {"start": content_of_inpainter(model)}
        # The branch is copied after the trained weights are loaded, or it would be a copy of random ones.
        model.control = build_control(model.unet, template=template)
    return _train_diffusion(job, Stage.CONTROL, model, examples, decides | {"template": template, "frozen_unet": job.options.frozen_unet})


def diffusion_task(job: GeneratorJob, model: Inpainter, examples: Examples) -> DiffusionTask:
    """The diffusion loss on the examples; fine-tuning sees few of them in all their symmetries, because few are soon memorised."""
    examples = examples.in_all_views() if job.request.init is not None and len(examples) < MANY_EXAMPLES else examples
    model.to(usable_device(job.request.device))
    return DiffusionTask(model, examples, latents_of(model.autoencoder, examples), frozen_unet=job.options.frozen_unet)


def save_generator(model: Inpainter, examples: Examples, folder: Path) -> None:
    """Write the model with weights of float16 precision, and what brightness ranks mean to it (`conditioning.json`)."""
    for part in (model.unet, model.text, model.control):
        if part is not None:
            halve(part)
    model.text.tokens([""])  # a tokenizer is saved with its last padding, and a resumed training may have used none yet
    with replaced_folder(folder) as new:
        save_inpainter(model.cpu(), new)
        write_json(new / "conditioning.json", {"scar_levels": [round(float(v), 4) for v in examples.scar_levels]})


def _train_diffusion(
    job: GeneratorJob, stage: Stage, model: Inpainter, examples: Examples, decides: Mapping[str, object]
) -> dict[str, object]:
    folder = job.work / stage.value
    drop = Dropout(edges=1.0) if stage is Stage.BASE else Dropout(template=model.templated)

    def save() -> dict[str, object]:
        save_generator(model, examples, folder / MODEL)
        return {}

    return job.train(
        lambda: diffusion_task(job, model, examples),
        stage,
        {"data": examples.fingerprint, **decides},
        save,
        monitor=lambda: Previews(model, examples, folder, drop=drop),
    )


def _load_bert(job: GeneratorJob) -> tuple[BertModel, BertTokenizerFast]:
    if job.options.text is not None:
        return load_external(job.options.text, allow_download=job.options.allow_download)
    return load_text_encoder(job.needed(Stage.TEXT))


def _load_autoencoder(folder: Path) -> AutoencoderKL:
    return load_autoencoder(folder)
