"""`lgesynthnet train`: one command for each network; `all` trains the whole model and packs it as a model folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import Dataset, Labels, Seed
from lgesynthnet.terms import Context, Precision, RecipeName, RewardKind, Role, Stage, Window

if TYPE_CHECKING:
    from lgesynthnet.data.cohort import Cohort
    from lgesynthnet.train.request import TrainingData, TrainingRequest

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Train the networks of a model, one command for each, or `all`. The same command again continues where it stopped.\n\n"
    "No data of your own? [bold]lgesynthnet phantom runs/hearts --patients 200[/bold] simulates some.",
)

Data = Annotated[Path, typer.Option("--data", help="Folder of patients with scar labels.")]
Work = Annotated[Path, typer.Option("--work", "-w", help="Work folder for checkpoints and reports; all commands can share it.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Model folder to write, for `synthesize --model`.")]
RecipeOption = Annotated[
    RecipeName, typer.Option("--recipe", help="How much to train. tiny: seconds, for tests. cpu: two cores, two hours in all. gpu: a GPU.")
]
Splits = Annotated[
    Path | None,
    typer.Option(help='JSON with names of patients, {"train": [...], "val": [...]}: "train" is trained on, "val" sets the threshold.'),
]
Validation = Annotated[Path | None, typer.Option(help='Folder of other patients, used in place of the part "val" of --splits.')]
Init = Annotated[
    Path | None,
    typer.Option(help='Start from trained weights, with fewer and smaller steps: a network\'s folder, a model folder, or "phantom".'),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
PrecisionOption = Annotated[
    Precision, typer.Option("--precision", help="no: float32. bf16: bfloat16, half of the memory on a GPU that supports it.")
]
Resume = Annotated[bool, typer.Option("--resume/--no-resume", help="Continue a training that was begun before; else refuse it.")]
Parts = Annotated[
    list[str] | None,
    typer.Option(help='Train on these parts of --splits. Default: "train", and for the auditor also "audit". Never "test" or "val".'),
]


@dataclass(frozen=True)
class _Job:
    """The options that the commands share."""

    data: Path | None
    work: Path
    recipe: RecipeName
    seed: int
    device: str
    splits: Path | None = None
    validation: Path | None = None
    init: Path | None = None
    dataset: str | None = None
    labels: str | None = None
    precision: Precision = Precision.NO
    resume: bool = True


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
    """The autoencoder, which turns images into latents and back."""
    job = _Job(data, work, recipe, seed, device, splits, init=init, dataset=dataset, labels=labels, resume=resume)
    _train(Stage.AUTOENCODER, job, _generator(Stage.AUTOENCODER))


@app.command("text")
def text_encoder(work: Work, recipe: RecipeOption = RecipeName.CPU, seed: Seed = 0, device: Device = "auto", resume: Resume = True) -> None:
    """The compact BERT that encodes captions; needs no data."""
    _train(Stage.TEXT, _Job(None, work, recipe, seed, device, resume=resume), _generator(Stage.TEXT))


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
        str | None,
        typer.Option(help="BERT for the captions: a folder or a Hugging Face id. Default: the one that `train text` trained."),
    ] = None,
    allow_download: Annotated[
        bool, typer.Option("--allow-download", help="Download the id of --text if it is not on this machine.")
    ] = False,
    precision: PrecisionOption = Precision.NO,
    resume: Resume = True,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """The inpainting diffusion model; needs the autoencoder and, without --text, the text encoder."""
    job = _Job(data, work, recipe, seed, device, splits, None, init, dataset, labels, precision, resume)
    _train(Stage.BASE, job, _generator(Stage.BASE, text=text, allow_download=allow_download))


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
        bool, typer.Option("--frozen-unet", help="Train the control branch alone, as in the paper; by default the U-Net is trained too.")
    ] = False,
    template: Annotated[
        bool, typer.Option("--template", help="Also show a reference image and mask of another patient, for comparison.")
    ] = False,
    precision: PrecisionOption = Precision.NO,
    resume: Resume = True,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """The control branch: copied from the base model or, with --init, that of another model, fine-tuned on your patients."""
    job = _Job(data, work, recipe, seed, device, splits, None, init, dataset, labels, precision, resume)
    _train(Stage.CONTROL, job, _generator(Stage.CONTROL, frozen_unet=frozen_unet, template=template))


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
    scar_segmenters: Annotated[
        Path | None,
        typer.Option(help="Model or work folder with the scar segmenters of role reward and filter. Default: --work, else phantom."),
    ] = None,
    kind: Annotated[
        RewardKind, typer.Option(help="The reward: by a scar segmenter, or by one of two rules without a network.")
    ] = RewardKind.SEGMENTATION,
    weight: Annotated[
        float | None, typer.Option(min=0, help="Weight lambda in L = L_diffusion + lambda L_reward. Default: the recipe's.")
    ] = None,
    window: Annotated[
        Window, typer.Option(help="Noise levels at which the reward is computed. low-noise: a signal-to-noise ratio of 3 or more.")
    ] = Window.LOW_NOISE,
    on_policy: Annotated[
        bool, typer.Option("--on-policy/--no-on-policy", help="Then also train on the model's own samples of new prescriptions.")
    ] = True,
    precision: PrecisionOption = Precision.NO,
    resume: Resume = True,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """The reward stage: a frozen judge of the decoded images teaches the generator, and the filter chooses the best weights."""
    job = _Job(data, work, recipe, seed, device, splits, validation, init, dataset, labels, precision, resume)
    options = {"scar_segmenters": scar_segmenters, "kind": kind, "weight": weight, "window": window, "on_policy": on_policy}
    _train(Stage.REWARD, job, _generator(Stage.REWARD, **options))


@app.command()
def scar_segmenter(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    validation: Validation = None,
    role: Annotated[Role, typer.Option(help="What it is for; each role has its own architecture.")] = Role.FILTER,
    init: Init = None,
    members: Annotated[int, typer.Option(min=1, help="Number of networks that are averaged; their seeds are SEED, SEED + 1, ...")] = 1,
    parts: Parts = None,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """A segmenter of scar inside a known wall. Roles: reward teaches the generator, filter judges samples, auditor only reports."""
    job = _Job(data, work, recipe, seed, device, splits, validation, init, dataset, labels)
    _train(Stage.SCAR_SEGMENTER, job, _scar_segmenter(role, members), role=role, parts=parts)


@app.command()
def heart_segmenter(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    validation: Validation = None,
    init: Init = None,
    parts: Parts = None,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """A segmenter of cavity, wall, scar and RV from the image alone."""

    def train(request: TrainingRequest) -> dict[str, object]:
        from lgesynthnet.train.segmenters.heart import train_heart_segmenter

        return train_heart_segmenter(request)

    job = _Job(data, work, recipe, seed, device, splits, validation, init, dataset, labels)
    _train(Stage.HEART_SEGMENTER, job, train, parts=parts)


@app.command()
def spade(
    data: Data,
    work: Work,
    context: Annotated[Context, typer.Option(help="What it sees of the host. limited: the labels. full: also the masked image.")],
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    splits: Splits = None,
    init: Init = None,
    init_autoencoder: Annotated[
        Path | None,
        typer.Option(help="Model or work folder whose autoencoder the perceptual loss uses. Default: that in --work, else phantom's."),
    ] = None,
    precision: PrecisionOption = Precision.NO,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """A rival for comparison: the SPADE generator of the published table."""

    def train(request: TrainingRequest) -> dict[str, object]:
        from lgesynthnet.train.spade import train_spade

        return train_spade(request, context, autoencoder=init_autoencoder)

    job = _Job(data, work, recipe, seed, device, splits, None, init, dataset, labels, precision)
    _train(Stage.SPADE, job, train)


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
    """The generator and the two scar segmenters that it needs, in order, packed as a model folder.

    With --init, autoencoder, text encoder and base model are taken from the given model; the rest is fine-tuned. The auditor is not
    included: use `train scar-segmenter --role auditor`.
    """
    job = _Job(data, work, recipe, seed, device, splits, validation, init, dataset, labels)
    for stage in (Stage.AUTOENCODER, Stage.TEXT, Stage.BASE, Stage.CONTROL) if init is None else (Stage.CONTROL,):
        _train(stage, replace(job, data=None) if stage is Stage.TEXT else job, _generator(stage))
    for role in (Role.REWARD, Role.FILTER):
        _train(Stage.SCAR_SEGMENTER, job, _scar_segmenter(role), role=role)
    _train(Stage.REWARD, job, _generator(Stage.REWARD))
    pack(work, out)


@app.command()
def pack(work: Work, out: Out) -> None:
    """Collect a finished work folder as a model folder."""
    from lgesynthnet.train.packing import pack as collect

    card = f"# {out.name}\n\nA model of lgesynthnet, made by `lgesynthnet {shlex.join(sys.argv[1:])}`. Scores: `reports.json`.\n"
    typer.echo(f"model: {collect(work, out, card=card)}")


@app.command("pack-parts")
def pack_parts(work: Work, out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the parts into.")]) -> None:
    """Collect whatever is trained, in one folder each. Other files in --out (a card, a licence) stay."""
    from lgesynthnet.train.packing import pack_parts as collect

    typer.echo(f"parts: {collect(work, out)}")


def _generator(stage: Stage, **options: Any) -> Callable[[TrainingRequest], dict[str, object]]:
    """The training of a stage of the generator; `options` are those of `GeneratorOptions`."""

    def train(request: TrainingRequest) -> dict[str, object]:
        from lgesynthnet.train.generator.job import GeneratorOptions
        from lgesynthnet.train.stages import train_generator

        return train_generator(request, stage, GeneratorOptions(**options))

    return train


def _scar_segmenter(role: Role, members: int = 1) -> Callable[[TrainingRequest], dict[str, object]]:
    """The training of a scar segmenter."""

    def train(request: TrainingRequest) -> dict[str, object]:
        from lgesynthnet.train.segmenters.scar import train_scar_segmenter

        return train_scar_segmenter(request, role, members=members)

    return train


def _train(
    stage: Stage,
    job: _Job,
    train: Callable[[TrainingRequest], dict[str, object]],
    *,
    role: Role = Role.FILTER,
    parts: list[str] | None = None,
) -> None:
    """Read the data, train, and print the report's numbers."""
    from lgesynthnet.train.request import TrainingRequest

    data = None if job.data is None else _training_data(stage, job.data, job, role, parts or [])
    with _stoppable(job.work), console.bar(f"training {stage}") as advance:
        report = train(
            TrainingRequest(
                work=job.work,
                data=data,
                recipe=job.recipe.value,
                seed=job.seed,
                device=job.device,
                precision=job.precision,
                init=job.init,
                resume=job.resume,
                on_progress=lambda name, done, total, loss: advance(done, total),
            )
        )
    typer.echo(f"{stage}: " + ", ".join(f"{key} {value}" for key, value in report.items() if isinstance(value, int | float | str)))


def _training_data(stage: Stage, folder: Path, job: _Job, role: Role, parts: list[str]) -> TrainingData:
    """The patients of --data, --splits and --validation; the only place where the commands open a cohort."""
    from lgesynthnet.data.cohort import open_cohort
    from lgesynthnet.data.label_maps import parse_label_map
    from lgesynthnet.data.splits import read_splits
    from lgesynthnet.train.request import TrainingData

    def cohort_of(place: Path) -> Cohort:
        return open_cohort(place, dataset=job.dataset, label_map=parse_label_map(job.labels) if job.labels else None)

    cohort = cohort_of(folder)
    splits = read_splits(job.splits) if job.splits else {}
    patients = splits.get("train")
    if stage in (Stage.SCAR_SEGMENTER, Stage.HEART_SEGMENTER):
        from lgesynthnet.train.segmenters.scar import training_patients

        patients = training_patients(role, splits, parts=parts, place=str(job.splits or "--splits"))
    if job.validation is not None:
        return TrainingData(cohort=cohort, patients=patients, validation=cohort_of(job.validation))
    if "val" in splits:
        return TrainingData(cohort=cohort, patients=patients, validation=cohort, validation_patients=splits["val"])
    return TrainingData(cohort=cohort, patients=patients)


@contextmanager
def _stoppable(work: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.note(f"interrupted; the same command continues from the last checkpoint in {work}")
        raise typer.Exit(130) from None
