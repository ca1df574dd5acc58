"""Train one stage, or all of them, into a work folder; and pack the result as a model folder."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import torch

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.files import write_json
from lgesynthnet.terms import RewardKind, Role, Stage, Window
from lgesynthnet.train.examples.files import prepared_of, source_of
from lgesynthnet.train.examples.prepare import Progress, prepared
from lgesynthnet.train.generator.stages import Job, train_autoencoder, train_base, train_control, train_reward, train_text
from lgesynthnet.train.recipes import recipe_named
from lgesynthnet.train.segmenters.scar import train_scar_segmenter


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
    text: str | Path | None = None,
    allow_download: bool = False,
    frozen_unet: bool = False,
    masks: bool = False,
    template: bool = False,
    reader: Path | None = None,
    weight: float | None = None,
    window: Window | str | None = None,
    kind: RewardKind | str | None = None,
    on_policy: bool = True,
    precision: str = "no",
    resume: bool = True,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, object]:
    """Train one stage in `work`; the same call again goes on where it stopped.

    Args:
        data: a cohort with scar labels; the text stage needs none.
        patients: train on these patients of it only.
        validation, validation_patients: set a reader's threshold; without them the training examples do, and the report says so.
        init: start from these weights with the recipe's gentler steps; a shipped model, a model folder, or another work folder.
        role, members: which reader, and how many networks (seeds `seed` to `seed + members - 1`).
        resume: False refuses a stage that was begun.
        text, allow_download, frozen_unet, masks, template, reader, weight, window, kind, on_policy, precision: see `generator.Job`.
    Returns:
        The stage's report, also written to `WORK/STAGE/report.json`, a reader's to `WORK/reader-ROLE/report.json`.
    Raises:
        ModelError: an earlier stage is missing, or `init` does not fit.
        InputError: no usable slice, or none with scar.
        RunError: `work` was begun with other data or settings, or at all without `resume`.
    """
    stage, sizes = Stage(stage), recipe_named(recipe)
    torch.manual_seed(seed)

    def tell(done: int, total: int, loss: float) -> None:
        if progress is not None:
            progress(stage.value, done, total, loss)

    folder = work / (stage.value if stage is not Stage.READER else reader_folder(Role(role)))
    if not resume and folder.exists():
        raise RunError(f"{folder}: was begun before; drop --no-resume to go on with it, or choose another --work")
    job = Job(
        work=work,
        sizes=sizes,
        seed=seed,
        device=device,
        tell=tell,
        init=init,
        text=text,
        allow_download=allow_download,
        frozen_unet=frozen_unet,
        masks=masks,
        template=template,
        reader=reader,
        weight=weight,
        window=None if window is None else Window(window),
        kind=None if kind is None else RewardKind(kind),
        on_policy=on_policy,
        precision=precision,
    )
    if stage is Stage.TEXT:
        report = train_text(job) | machine() | {"stage": stage.value, "recipe": recipe, "seed": seed}
        write_json(folder / "report.json", report)
        return report
    if data is None:
        raise InputError(f"stage {stage.value} needs data; only the text encoder is trained without")
    shared = work / "examples.safetensors"
    # A reader may learn from other patients than the generator beside it (decision 0008).
    own = stage is Stage.READER and shared.exists() and prepared_of(shared) != source_of(data, patients)
    examples = prepared(data, folder / "examples.safetensors" if own else shared, patients, progress)
    if stage is not Stage.AUTOENCODER and not examples.scarred.any():
        raise InputError(f"{data.root}: no slice with scar, so there is nothing to learn it from; add patients with scar labels")
    watched = validation is not None and stage in (Stage.READER, Stage.REWARD)
    held_out = prepared(validation, work / "validation.safetensors", validation_patients, progress) if watched and validation else None
    match stage:
        case Stage.AUTOENCODER:
            report = train_autoencoder(job, examples)
        case Stage.BASE:
            report = train_base(job, examples)
        case Stage.CONTROL:
            report = train_control(job, examples)
        case Stage.REWARD:
            report = train_reward(job, examples, held_out)
        case Stage.READER:
            report = train_scar_segmenter(
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
    report |= machine() | {
        "stage": stage.value,
        "recipe": recipe,
        "seed": seed,
        "examples": len(examples),
        "patients": len(set(examples.patients)),
        "names": sorted(set(examples.patients)),
    }
    write_json(folder / "report.json", report)
    return report


def machine() -> dict[str, object]:
    """What a receipt says of where it was made."""
    return {
        "torch": torch.__version__,
        "lgesynthnet": version("lgesynthnet"),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.is_available(),
    }


def reader_folder(role: Role) -> str:
    """Where a role's reader is trained inside the work folder."""
    return f"reader-{role.value}"
