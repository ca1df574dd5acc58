"""`lgesynthnet train`: the stages of the model, one command each; `all` runs them in order and packs a model folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import Seed

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

    FILTER = "filter"


Data = Annotated[Path, typer.Option("--data", help="Folder of patients with scar labels.")]
Work = Annotated[Path, typer.Option("--work", "-w", help="Work folder: checkpoints and reports, shared by all stages.")]
RecipeOption = Annotated[
    RecipeName, typer.Option("--recipe", help="tiny: seconds, for tests. cpu: two cores, about two hours in all. gpu.")
]
Validation = Annotated[Path | None, typer.Option(help="Folder of other patients that set the reader's threshold; else the training ones.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]


@app.command()
def autoencoder(data: Data, work: Work, recipe: RecipeOption = RecipeName.CPU, seed: Seed = 0, device: Device = "auto") -> None:
    """Image to latent and back."""
    _train("autoencoder", work, data=data, recipe=recipe.value, seed=seed, device=device)


@app.command()
def base(data: Data, work: Work, recipe: RecipeOption = RecipeName.CPU, seed: Seed = 0, device: Device = "auto") -> None:
    """The inpainting diffusion model and its text encoder; needs the autoencoder."""
    _train("base", work, data=data, recipe=recipe.value, seed=seed, device=device)


@app.command()
def control(data: Data, work: Work, recipe: RecipeOption = RecipeName.CPU, seed: Seed = 0, device: Device = "auto") -> None:
    """The control branch, copied from the base model; needs it."""
    _train("control", work, data=data, recipe=recipe.value, seed=seed, device=device)


@app.command()
def reader(
    data: Data,
    work: Work,
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    validation: Validation = None,
    role: Annotated[RoleName, typer.Option(help="Which reader.")] = RoleName.FILTER,
) -> None:
    """A segmenter of scar; the filter judges what is painted."""
    _train("reader", work, data=data, recipe=recipe.value, seed=seed, device=device, validation=validation, role=role.value)


@app.command("all")
def everything(
    data: Data,
    work: Work,
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write; usable as `synthesize --model`.")],
    recipe: RecipeOption = RecipeName.CPU,
    seed: Seed = 0,
    device: Device = "auto",
    validation: Validation = None,
) -> None:
    """Every stage in order, packed as a model folder."""
    for stage in ("autoencoder", "base", "control"):
        _train(stage, work, data=data, recipe=recipe.value, seed=seed, device=device)
    _train("reader", work, data=data, recipe=recipe.value, seed=seed, device=device, validation=validation)
    pack(work, out)


@app.command()
def pack(work: Work, out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")]) -> None:
    """Collect trained stages as a model folder."""
    from lgesynthnet.train.run import pack as collect

    card = f"# {out.name}\n\nA model of lgesynthnet, made by `lgesynthnet {shlex.join(sys.argv[1:])}`. Scores: `reports.json`.\n"
    typer.echo(f"model: {collect(work, out, card=card)}")


def _train(stage: str, work: Path, **settings: Any) -> None:
    from lgesynthnet.train.run import train

    with _stoppable(work), console.bar(f"training {stage}") as advance:
        report = train(stage, work=work, progress=lambda part, done, total, loss: advance(done, total), **settings)
    typer.echo(f"{stage}: " + ", ".join(f"{key} {value}" for key, value in report.items() if isinstance(value, int | float | str)))


@contextmanager
def _stoppable(work: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.note(f"interrupted; the same command goes on from the last checkpoint in {work}")
        raise typer.Exit(130) from None
