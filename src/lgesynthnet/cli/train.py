"""`lgesynthnet train`: the stages of the model, one command each; `all` runs them in order and packs a model folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import Dataset, Labels, Seed

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Train the model's stages: autoencoder, text, base, control, reader, reward; or all. "
    "The same command again goes on where it stopped.\n\n"
    "No data of your own? [bold]lgesynthnet phantom runs/hearts --patients 200[/bold] simulates some.",
)


class RecipeName(StrEnum):
    """Sizes and steps."""

    TINY = "tiny"
    CPU = "cpu"
    GPU = "gpu"


class WindowName(StrEnum):
    """See `train.recipes.Window`."""

    LOW_NOISE = "low-noise"
    HIGH_NOISE = "high-noise"
    ALL = "all"


class KindName(StrEnum):
    """See `train.recipes.RewardKind`."""

    SEGMENTATION = "segmentation"
    TRANSMURALITY = "transmurality"
    CONTRAST = "contrast"


class ContextName(StrEnum):
    """See `conditioning.condition.Context`."""

    LIMITED = "limited"
    FULL = "full"


class PrecisionName(StrEnum):
    """Number format of the network's passes."""

    NO = "no"
    BF16 = "bf16"


class RoleName(StrEnum):
    """What a reader may be used for; its architecture follows from it."""

    REWARD = "reward"
    FILTER = "filter"
    AUDITOR = "auditor"


Data = Annotated[Path, typer.Option("--data", help="Folder of patients with scar labels.")]
Work = Annotated[Path, typer.Option("--work", "-w", help="Work folder: checkpoints and reports, shared by all stages.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Model folder to write; usable as `synthesize --model`.")]
RecipeOption = Annotated[
    RecipeName, typer.Option("--recipe", help="tiny: seconds, for tests. cpu: two cores, about two hours in all. gpu.")
]
Splits = Annotated[
    Path | None, typer.Option(help='JSON of patient names, {"train": [...], "val": [...]}: trains on "train", sets the threshold on "val".')
]
Validation = Annotated[Path | None, typer.Option(help="Folder of other patients that set the reader's threshold, in place of --splits.")]
Init = Annotated[
    Path | None,
    typer.Option(
        help='Start from trained weights: the folder of one, a model folder, or "phantom", which is shipped; fewer, gentler steps.'
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]


Precision = Annotated[PrecisionName, typer.Option(help="no: float32. bf16: half the memory on a card that is good at it.")]
Resume = Annotated[bool, typer.Option("--resume/--no-resume", help="Go on where the stage stopped; else a begun one is refused.")]


@app.command()
def autoencoder(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    init: Init = None,
    resume: Resume = True,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """Image to latent and back."""
    _train("autoencoder", _Job(data, work, recipe, seed, device, splits, None, dataset, labels, resume), init=init)


@app.command("text")
def text_encoder(work: Work, recipe: RecipeOption = RecipeName.CPU, seed: Seed = 0, device: Device = "auto", resume: Resume = True) -> None:
    """The compact BERT that reads captions, from the grammar alone: no data needed."""
    _train("text", _Job(None, work, recipe, seed, device, None, None, None, None, resume))


@app.command()
def base(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    init: Init = None,
    text: Annotated[
        str | None, typer.Option(help="BERT that reads the captions, a folder or a Hugging Face id; default what the text stage trained.")
    ] = None,
    allow_download: Annotated[
        bool, typer.Option("--allow-download", help="Fetch the id of --text where it is not on this machine.")
    ] = False,
    precision: Precision = PrecisionName.NO,
    resume: Resume = True,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """The inpainting diffusion model; needs the autoencoder and, without --text, the text encoder."""
    job = _Job(data, work, recipe, seed, device, splits, None, dataset, labels, resume)
    _train("base", job, precision=precision.value, init=init, text=text, allow_download=allow_download)


@app.command()
def control(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    init: Init = None,
    frozen_unet: Annotated[
        bool,
        typer.Option("--frozen-unet", help="Train the control branch alone, as the paper does; else the U-Net learns too."),
    ] = False,
    masks: Annotated[
        bool,
        typer.Option("--masks", help="Show it filled masks in place of edges, for comparison; paint with Sampling(masks=True)."),
    ] = False,
    template: Annotated[
        bool,
        typer.Option("--template", help="Show it a reference image and mask of another patient besides, for comparison."),
    ] = False,
    precision: Precision = PrecisionName.NO,
    resume: Resume = True,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """The control branch, copied from the base model; or, with --init, another model's that goes on learning from your patients."""
    job = _Job(data, work, recipe, seed, device, splits, None, dataset, labels, resume)
    _train("control", job, precision=precision.value, init=init, frozen_unet=frozen_unet, masks=masks, template=template)


@app.command()
def reward(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    validation: Validation = None,
    init: Init = None,
    reader: Annotated[
        Path | None,
        typer.Option(help="Folder with the reward's reader and the filter that watches; default --work, else phantom."),
    ] = None,
    kind: Annotated[KindName, typer.Option(help="What teaches: a segmenter, or two rules that need none.")] = KindName.SEGMENTATION,
    weight: Annotated[float | None, typer.Option(min=0, help="Lambda in L = L_diffusion + lambda L_reward; default the recipe's.")] = None,
    window: Annotated[
        WindowName, typer.Option(help="Noise levels at which it is asked; low-noise is where structure stands (signal to noise 3 or more).")
    ] = WindowName.LOW_NOISE,
    on_policy: Annotated[
        bool, typer.Option("--on-policy/--no-on-policy", help="End on the model's own samples of new prescriptions in scar-free slices.")
    ] = True,
    precision: Precision = PrecisionName.NO,
    resume: Resume = True,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """The reward's stage: a frozen judge of decoded pictures beside the diffusion loss; the filter chooses when to stop."""
    job = _Job(data, work, recipe, seed, device, splits, validation, dataset, labels, resume)
    _train(
        "reward",
        job,
        precision=precision.value,
        init=init,
        reader=reader,
        kind=kind.value,
        weight=weight,
        window=window.value,
        on_policy=on_policy,
    )


@app.command()
def reader(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    validation: Validation = None,
    role: Annotated[RoleName, typer.Option(help="Which reader; each role has an architecture of its own.")] = RoleName.FILTER,
    init: Init = None,
    members: Annotated[int, typer.Option(min=1, help="Networks whose mean is the reading, from seeds SEED, SEED + 1, ...")] = 1,
    parts: Annotated[
        list[str] | None,
        typer.Option(help='Train on these parts of --splits; default "train", for the auditor also "audit". Never "test" or "val".'),
    ] = None,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """A segmenter of scar inside a known wall: the reward teaches, the filter judges what is painted, the auditor only reports."""
    job = _Job(data, work, recipe, seed, device, splits, validation, dataset, labels)
    _train("reader", job, role=role.value, init=init, members=members, parts=parts)


@app.command()
def segmenter(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    validation: Validation = None,
    init: Init = None,
    parts: Annotated[list[str] | None, typer.Option(help='Train on these parts of --splits; default "train".')] = None,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """A segmenter of cavity, wall, scar and RV from the image alone; judges nothing, measures what data are worth."""
    _train("segmenter", _Job(data, work, recipe, seed, device, splits, validation, dataset, labels), init=init, parts=parts)


@app.command()
def spade(
    data: Data,
    work: Work,
    context: Annotated[ContextName, typer.Option(help="What it is shown of the host: its labels alone, or the masked image too.")],
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    init: Init = None,
    init_autoencoder: Annotated[
        Path | None,
        typer.Option(help="Whose encoder the perceptual loss looks through: a model or work folder; default --work's, else phantom's."),
    ] = None,
    precision: Precision = PrecisionName.NO,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """A rival for comparison: the SPADE generator of the published table, with limited or full context."""
    job = _Job(data, work, recipe, seed, device, splits, None, dataset, labels)
    _train("spade", job, precision=precision.value, context=context.value, init=init, init_autoencoder=init_autoencoder)


@app.command("all")
def everything(
    data: Data,
    work: Work,
    out: Out,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    validation: Validation = None,
    init: Init = None,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """Every stage in order with both readers that it needs, packed as a model folder.

    With --init the generator and its readers go on from another model: autoencoder, text and base are then taken from it. Readers come
    before the reward that asks them. The auditor is trained by `train reader --role auditor`.
    """
    job = _Job(data, work, recipe, seed, device, splits, validation, dataset, labels)
    for stage in ("autoencoder", "text", "base", "control") if init is None else ("control",):
        _train(stage, job, init=init)
    for role in ("reward", "filter"):
        _train("reader", job, role=role, init=init)
    _train("reward", job, init=init)
    pack(work, out)


@app.command()
def pack(work: Work, out: Out) -> None:
    """Collect trained stages as a model folder."""
    from lgesynthnet.train.packing import pack as collect

    card = f"# {out.name}\n\nA model of lgesynthnet, made by `lgesynthnet {shlex.join(sys.argv[1:])}`. Scores: `reports.json`.\n"
    typer.echo(f"model: {collect(work, out, card=card)}")


@app.command("pack-parts")
def pack_parts(work: Work, out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the parts into.")]) -> None:
    """Collect whatever is trained: generator, readers, segmenter, a folder each; other files of --out (a card, a licence) stay."""
    from lgesynthnet.train.packing import pack_parts as collect

    typer.echo(f"parts: {collect(work, out)}")


@dataclass(frozen=True)
class _Job:
    """What the stages share."""

    data: Path | None
    work: Path
    recipe: RecipeName
    seed: int
    device: str
    splits: Path | None
    validation: Path | None
    dataset: str | None
    labels: str | None
    resume: bool = True


def _train(stage: str, job: _Job, *, parts: list[str] | None = None, **settings: Any) -> None:
    from lgesynthnet.data.cohort import open_cohort
    from lgesynthnet.data.label_maps import parse_label_map
    from lgesynthnet.data.splits import read_splits
    from lgesynthnet.train.stages import train

    label_map = parse_label_map(job.labels) if job.labels else None
    cohort = open_cohort(job.data, dataset=job.dataset, label_map=label_map) if job.data is not None else None
    splits = read_splits(job.splits) if job.splits else {}
    held_out, held_patients = (cohort, splits["val"]) if "val" in splits else (None, None)
    if job.validation is not None:
        held_out, held_patients = open_cohort(job.validation, dataset=job.dataset, label_map=label_map), None
    patients = splits.get("train")
    if stage in ("reader", "segmenter"):
        from lgesynthnet.train.segmenters.scar import Role, training_patients

        patients = training_patients(Role(settings.get("role", "filter")), splits, parts=parts or (), place=str(job.splits or "--splits"))
    watched = {} if stage == "spade" else {"validation": held_out, "validation_patients": held_patients}  # a rival is never looked at
    with _stoppable(job.work), console.bar(f"training {stage}") as advance:
        run: Any = partial(train, stage, resume=job.resume)
        if stage == "segmenter":
            from lgesynthnet.train.segmenters.heart import train_heart_segmenter as run
        elif stage == "spade":
            from lgesynthnet.train.spade import train_spade as run
        report = run(
            data=cohort,
            work=job.work,
            recipe=job.recipe.value,
            patients=patients,
            seed=job.seed,
            device=job.device,
            progress=lambda part, done, total, loss: advance(done, total),
            **watched,
            **settings,
        )
    typer.echo(f"{stage}: " + ", ".join(f"{key} {value}" for key, value in report.items() if isinstance(value, int | float | str)))


@contextmanager
def _stoppable(work: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.note(f"interrupted; the same command goes on from the last checkpoint in {work}")
        raise typer.Exit(130) from None
