"""`lgesynthnet evaluate`: what the samples of a run are worth, layer by layer, beside real slices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import BaseFirst, Dataset, FlipOption, Labels, Landmarks
from lgesynthnet.terms import Flip

if TYPE_CHECKING:
    from lgesynthnet.evaluate.run import Evaluated

app = typer.Typer(no_args_is_help=True, help="Judge a finished run beside real slices; tables go to RUN/evaluation.")

REAL = "What to compare with"
Run = Annotated[Path, typer.Argument(help="Run folder of `synthesize --out`.")]
Real = Annotated[
    Path | None,
    typer.Option(help="Folder of real slices with scar, the ceiling.", show_default="the hosts' own folder", rich_help_panel=REAL),
]
Splits = Annotated[Path | None, typer.Option(help="JSON of part -> patients.", rich_help_panel=REAL)]
Part = Annotated[
    str | None, typer.Option(help="Compare with the patients of this part of --splits; best one nobody learnt from.", rich_help_panel=REAL)
]
TrainingPart = Annotated[
    str | None,
    typer.Option(help="Look for copies of the slices of this part of --splits, which the generator learnt.", rich_help_panel=REAL),
]
Auditor = Annotated[
    Path | None,
    typer.Option(
        help="Judge: an auditor's folder, or a model folder that holds one. The run's filter and its generator's teacher are refused.",
        show_default="beside the run's model, else the shipped one",
    ),
]
Hosts = Annotated[Path | None, typer.Option(help="Where the run's hosts lie now.", show_default="where they lay then")]
Every = Annotated[bool, typer.Option("--all/--kept", help="Judge every painted sample, or only those that the filter kept.")]


@app.command()
def alignment(
    run: Run,
    real: Real = None,
    auditor: Auditor = None,
    every: Every = False,
    splits: Splits = None,
    part: Part = None,
    hosts: Hosts = None,
    dataset: Dataset = None,
    labels: Labels = None,
    base_first: BaseFirst = None,
    flip: FlipOption = Flip.NONE,
    landmarks: Landmarks = None,
) -> None:
    """Does each picture hold the scar that was asked for? Read by an independent auditor and by brightness, by kind of scar.

    Example: lgesynthnet evaluate alignment runs/first --real emidec --splits emidec/splits.json --part test
    """
    from lgesynthnet.evaluate.run import EvaluationRequest, evaluate_alignment

    request = EvaluationRequest(
        run=run,
        hosts=hosts,
        real=real,
        dataset=dataset,
        labels=labels,
        base_first=base_first,
        flip=flip.axes,
        landmarks=landmarks,
        splits=splits,
        part=part,
        auditor=auditor,
        kept_only=not every,
    )
    with console.bar("judging alignment") as advance:
        found = evaluate_alignment(request, on_case=advance)
    _print(found)


@app.command()
def realism(
    run: Run,
    real: Real = None,
    auditor: Auditor = None,
    every: Every = False,
    splits: Splits = None,
    part: Part = None,
    training_part: TrainingPart = None,
    hosts: Hosts = None,
    dataset: Dataset = None,
    labels: Labels = None,
    base_first: BaseFirst = None,
    flip: FlipOption = Flip.NONE,
    landmarks: Landmarks = None,
) -> None:
    """Would the painted regions pass for the scanner's? Noise, seams, brightness, distances between sets, copies.

    Example: lgesynthnet evaluate realism runs/first --real emidec --splits emidec/splits.json --part test
    """
    from lgesynthnet.evaluate.run import EvaluationRequest, evaluate_realism

    request = EvaluationRequest(
        run=run,
        hosts=hosts,
        real=real,
        dataset=dataset,
        labels=labels,
        base_first=base_first,
        flip=flip.axes,
        landmarks=landmarks,
        splits=splits,
        part=part,
        training_part=training_part,
        auditor=auditor,
        kept_only=not every,
    )
    with console.bar("judging realism") as advance:
        found = evaluate_realism(request, on_case=advance)
    _print(found)


def _print(found: Evaluated) -> None:
    for note in found.notes:
        console.note(note)
    typer.echo(found.overall)
    typer.echo(f"tables: {found.table}, {found.page}")
