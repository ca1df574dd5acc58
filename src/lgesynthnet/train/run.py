"""Train one stage, or all of them, into a work folder; and pack the result as a model folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files import write_json
from lgesynthnet.model.autoencoder import build_autoencoder, fit_scale
from lgesynthnet.model.checkpoint import halve, load_inpainter, save_inpainter
from lgesynthnet.model.inpainter import Inpainter, build_control, build_unet
from lgesynthnet.model.schedule import build_schedule
from lgesynthnet.model.text import TextEncoder, build_bert, load_text_encoder, save_bert
from lgesynthnet.segmenter.networks import Role
from lgesynthnet.segmenter.reader import Reader
from lgesynthnet.segmenter.whole import ROLE as SEGMENTER
from lgesynthnet.segmenter.whole import Segmenter
from lgesynthnet.train.loop import fit
from lgesynthnet.train.prepare import Examples, load_examples, prepare, prepared_of, refuse_other_data, source_of
from lgesynthnet.train.readers import train_reader
from lgesynthnet.train.recipes import Recipe, Stage, recipe_named
from lgesynthnet.train.tasks import AutoencoderTask, DiffusionTask, latents_of
from lgesynthnet.train.text import CaptionTask

Progress = Callable[[str, int, int, float], None]
Tell = Callable[[int, int, float], None]


def train(
    stage: Stage | str,
    *,
    work: Path,
    data: Cohort | None = None,
    recipe: str = "cpu",
    patients: list[str] | None = None,
    validation: Cohort | None = None,
    validation_patients: list[str] | None = None,
    role: Role | str = Role.FILTER,
    init: Path | None = None,
    members: int = 1,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, object]:
    """Train one stage in `work`; the same call again goes on where it stopped.

    Args:
        data: a cohort with scar labels; the text stage needs none.
        patients: train on these patients of it only.
        validation, validation_patients: set a reader's threshold; without them the training examples do, and the report says so.
        role, init, members: which reader, from whose weights, how many networks (seeds `seed` to `seed + members - 1`).
    Returns:
        The stage's report, also written to `WORK/STAGE/report.json`, a reader's to `WORK/reader-ROLE/report.json`.
    Raises:
        ModelError: an earlier stage is missing, or `init` does not fit.
        InputError: no usable slice, or none with scar.
        RunError: `work` was begun with other data or settings.
    """
    stage, sizes = Stage(stage), recipe_named(recipe)
    torch.manual_seed(seed)

    def tell(done: int, total: int, loss: float) -> None:
        if progress is not None:
            progress(stage.value, done, total, loss)

    folder = work / (stage.value if stage is not Stage.READER else reader_folder(Role(role)))
    if stage is Stage.TEXT:
        report = _train_text(sizes, folder, seed, device, tell) | {"stage": stage.value, "recipe": recipe, "seed": seed}
        write_json(folder / "report.json", report)
        return report
    if data is None:
        raise InputError(f"stage {stage.value} needs data; only the text encoder is trained without")
    shared = work / "examples.safetensors"
    # A reader may learn from other patients than the generator beside it (decision 0008).
    own = stage is Stage.READER and shared.exists() and prepared_of(shared) != source_of(data, patients)
    examples = _examples(data, folder / "examples.safetensors" if own else shared, patients, progress)
    if stage is not Stage.AUTOENCODER and not examples.scarred.any():
        raise InputError(f"{data.root}: no slice with scar, so there is nothing to learn it from; add patients with scar labels")
    match stage:
        case Stage.AUTOENCODER:
            report = _train_autoencoder(examples, sizes, folder, seed, device, tell)
        case Stage.BASE | Stage.CONTROL:
            report = _train_diffusion(stage, examples, sizes, work, seed, device, tell)
        case Stage.READER:
            held_out = _examples(validation, work / "validation.safetensors", validation_patients, progress) if validation else None
            report = train_reader(
                Role(role),
                examples,
                sizes.readers[Role(role)],
                folder,
                held_out=held_out,
                init=init,
                members=members,
                seed=seed,
                device=device,
                tell=tell,
            )
    report |= {"stage": stage.value, "recipe": recipe, "seed": seed, "examples": len(examples), "patients": len(set(examples.patients))}
    write_json(folder / "report.json", report)
    return report


def reader_folder(role: Role) -> str:
    """Where a role's reader is trained inside the work folder."""
    return f"reader-{role.value}"


def pack(work: Path, out: Path, *, card: str) -> Path:
    """Collect a finished work folder as MODEL: `inpainter/`, `filter/`, other readers, `README.md`, `reports.json`; weights as float16.

    Raises:
        ModelError: the control stage or the filter is not trained yet.
    """
    source = _finished(work / Stage.CONTROL.value / "model", "control")
    _finished(work / reader_folder(Role.FILTER) / "model", "reader --role filter")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model = load_inpainter(source)
    for part in (model.unet, model.autoencoder, model.control, model.text):
        if part is not None:
            part.half()
    save_inpainter(model, partial / "inpainter")
    shutil.copy(source / "conditioning.json", partial / "inpainter" / "conditioning.json")
    reports = {s.value: _reports(work / s.value / "report.json") for s in Stage if (work / s.value / "report.json").exists()}
    write_json(partial / "reports.json", reports | _pack_readers(work, partial))
    (partial / "README.md").write_text(card)
    shutil.rmtree(out, ignore_errors=True)
    partial.replace(out)
    return out


def pack_readers(work: Path, out: Path) -> Path:
    """Collect the trained readers as `OUT/ROLE/` and the segmenter as `OUT/segmenter/`; whatever else lies in OUT stays.

    Raises:
        ModelError: none is trained yet.
    """
    reports = _pack_readers(work, out)
    if not reports:
        raise ModelError(f"{work}: no reader is trained yet; run `lgesynthnet train reader` first")
    known = _reports(out / "reports.json") if (out / "reports.json").exists() else {}
    write_json(out / "reports.json", known | reports)
    return out


def _pack_readers(work: Path, out: Path) -> dict[str, object]:
    """Copy each trained reader, and the segmenter, byte for byte, so that its fingerprint stays; returns their reports."""
    reports: dict[str, object] = {}
    if (work / SEGMENTER / "model").is_dir():
        Segmenter.from_pretrained(work / SEGMENTER / "model")
        _copied(work / SEGMENTER / "model", out / SEGMENTER)
        reports[SEGMENTER] = _reports(work / SEGMENTER / "report.json")
    for role in Role:
        source = work / reader_folder(role) / "model"
        if source.is_dir():
            Reader.from_pretrained(source, role)
            _copied(source, out / role.value)
            reports[reader_folder(role)] = _reports(work / reader_folder(role) / "report.json")
    return reports


def _copied(source: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to)


def _reports(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_text()))


def _examples(data: Cohort, out: Path, patients: list[str] | None, progress: Progress | None) -> Examples:
    if out.exists():
        refuse_other_data(out, data, patients)
        return load_examples(out)
    return prepare(data, out, patients=patients, progress=(lambda a, b: progress("prepare", a, b, 0.0)) if progress else None)


def _train_autoencoder(examples: Examples, sizes: Recipe, folder: Path, seed: int, device: str, tell: Tell) -> dict[str, object]:
    autoencoder = build_autoencoder(sizes.autoencoder_width)
    report = fit(AutoencoderTask(autoencoder, examples), sizes.stages[Stage.AUTOENCODER], folder, seed=seed, device=device, progress=tell)
    halve(autoencoder)
    chosen = np.random.default_rng(seed).permutation(len(examples))[:64]
    images = torch.from_numpy(examples.image[chosen].astype(np.float32))[:, None].to(next(autoencoder.parameters()).device)
    report["latent_scale"] = fit_scale(autoencoder, images)
    autoencoder.save_pretrained(folder / "model")
    return report


def _train_text(sizes: Recipe, folder: Path, seed: int, device: str, tell: Tell) -> dict[str, object]:
    bert, tokenizer = build_bert(sizes.text_width, sizes.text_layers)
    report = fit(CaptionTask(bert, tokenizer), sizes.stages[Stage.TEXT], folder, seed=seed, device=device, progress=tell)
    save_bert(halve(bert.cpu()), tokenizer, folder / "model")
    return report


def _train_diffusion(stage: Stage, examples: Examples, sizes: Recipe, work: Path, seed: int, device: str, tell: Tell) -> dict[str, object]:
    if stage is Stage.CONTROL:
        model = load_inpainter(_finished(work / Stage.BASE.value / "model", "base"))
        # The copy is taken after the trained weights are in; earlier it would start from noise.
        model.control = build_control(model.unet)
    else:
        autoencoder = AutoencoderKL.from_pretrained(
            _finished(work / Stage.AUTOENCODER.value / "model", "autoencoder"), use_safetensors=True, local_files_only=True
        )
        text = TextEncoder(*load_text_encoder(_finished(work / Stage.TEXT.value / "model", "text")), sizes.text_width)
        model = Inpainter(build_unet(sizes.unet_widths, sizes.text_width), text, autoencoder, build_schedule())
    folder = work / stage.value
    task = DiffusionTask(model, examples, latents_of(model.autoencoder, examples))
    if device != "cpu" and torch.cuda.is_available():
        model.to("cuda")
    report = fit(task, sizes.stages[stage], folder, seed=seed, device=device, progress=tell)
    for part in (model.unet, model.text, model.control):
        if part is not None:
            halve(part)
    save_inpainter(model.cpu(), folder / "model")
    write_json(folder / "model" / "conditioning.json", {"scar_levels": [round(float(v), 4) for v in examples.scar_levels]})
    return report


def _finished(folder: Path, stage: str) -> Path:
    if not folder.is_dir():
        raise ModelError(f"{folder}: not trained yet; run `lgesynthnet train {stage}` first")
    return folder
