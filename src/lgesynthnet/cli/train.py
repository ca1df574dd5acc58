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
    help="Train the model's stages: autoencoder, base, control, reader; or all. The same command again goes on where it stopped.\n\n"
    "No data of your own? [bold]lgesynthnet phantom runs/hearts --patients 200[/bold] simulates some.",
)


class RecipeName(StrEnum):
    """Sizes and steps."""

    TINY = "tiny"
    CPU = "cpu"
    GPU = "gpu"


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


def _stage(name: str, words: str) -> None:
    """A command for a stage that has no option of its own."""

    @app.command(name, help=words)
    def command(
        data: Data,
        work: Work,
        recipe: RecipeOption = RecipeName.CPU,
        seed: Seed = 0,
        device: Device = "auto",
        splits: Splits = None,
        dataset: Dataset = None,
        labels: Labels = None,
    ) -> None:
        _train(name, _Job(data, work, recipe, seed, device, splits, None, dataset, labels))


_stage("autoencoder", "Image to latent and back.")
_stage("base", "The inpainting diffusion model and its text encoder; needs the autoencoder.")
_stage("control", "The control branch, copied from the base model; needs it.")


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
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """Every stage in order and the filter, packed as a model folder; reward and auditor are trained by `train reader --role`."""
    job = _Job(data, work, recipe, seed, device, splits, validation, dataset, labels)
    for stage in ("autoencoder", "base", "control", "reader"):
        _train(stage, job)
    pack(work, out)


@app.command()
def pack(work: Work, out: Out) -> None:
    """Collect trained stages as a model folder."""
    from lgesynthnet.train.run import pack as collect

    card = f"# {out.name}\n\nA model of lgesynthnet, made by `lgesynthnet {shlex.join(sys.argv[1:])}`. Scores: `reports.json`.\n"
    typer.echo(f"model: {collect(work, out, card=card)}")


@app.command("pack-readers")
def pack_readers(work: Work, out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write reader folders into.")]) -> None:
    """Collect trained readers and the segmenter, a folder each; other files of the folder (a card, a licence) stay."""
    from lgesynthnet.train.run import pack_readers as collect

    typer.echo(f"readers: {collect(work, out)}")


@dataclass(frozen=True)
class _Job:
    """What the stages share."""

    data: Path
    work: Path
    recipe: RecipeName
    seed: int
    device: str
    splits: Path | None
    validation: Path | None
    dataset: str | None
    labels: str | None


def _train(stage: str, job: _Job, *, parts: list[str] | None = None, **settings: Any) -> None:
    from lgesynthnet.data import open_cohort, parse_label_map
    from lgesynthnet.data.splits import read_splits
    from lgesynthnet.train.run import train
    from lgesynthnet.train.segmenters import train_segmenter

    label_map = parse_label_map(job.labels) if job.labels else None
    cohort = open_cohort(job.data, dataset=job.dataset, label_map=label_map)
    splits = read_splits(job.splits) if job.splits else {}
    held_out, held_patients = (cohort, splits["val"]) if "val" in splits else (None, None)
    if job.validation is not None:
        held_out, held_patients = open_cohort(job.validation, dataset=job.dataset, label_map=label_map), None
    patients = splits.get("train")
    if stage in ("reader", "segmenter"):
        from lgesynthnet.train.readers import Role, training_patients

        patients = training_patients(Role(settings.get("role", "filter")), splits, parts=parts or (), place=str(job.splits or "--splits"))
    with _stoppable(job.work), console.bar(f"training {stage}") as advance:
        run = train_segmenter if stage == "segmenter" else partial(train, stage)
        report = run(
            data=cohort,
            work=job.work,
            recipe=job.recipe.value,
            patients=patients,
            validation=held_out,
            validation_patients=held_patients,
            seed=job.seed,
            device=job.device,
            progress=lambda part, done, total, loss: advance(done, total),
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
