"""`lgesynthnet export`: what a run made, as a training set for somebody else's trainer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.options import Dataset, Labels, Seed

if TYPE_CHECKING:
    from lgesynthnet.export.run import Exported

app = typer.Typer(no_args_is_help=True, help="Write a finished run, and real slices beside it, as a training set.")

FOLDS = "Who trains and who validates"


class LabelChoice(StrEnum):
    """The same words as `export.cases.LabelKind`, which would load NumPy for --help."""

    INTENDED = "intended"
    READ = "read"


class ClassesChoice(StrEnum):
    """The same words as `export.nnunet.Classes`."""

    ALL = "all"
    REGIONS = "regions"
    SCAR = "scar"


Run = Annotated[Path, typer.Argument(help="Run folder of `synthesize --out`.")]
Data = Annotated[
    Path | None, typer.Option(help="Folder of the real patients that are exported beside.", show_default="the hosts' own folder")
]
NoReal = Annotated[bool, typer.Option("--no-real", help="Leave the real patients out.")]
Label = Annotated[LabelChoice, typer.Option(help="Scar label of a synthetic slice: what was prescribed, or what the filter read.")]
Every = Annotated[bool, typer.Option("--all/--kept", help="Export every painted sample, or only those that the filter kept.")]


@app.command()
def nnunet(
    run: Run,
    out: Annotated[Path, typer.Argument(help="Folder that nnU-Net knows as nnUNet_raw; gets DatasetXXX_NAME.")],
    dataset_id: Annotated[int, typer.Option(help="Number of the data set, 1 to 999.")],
    name: Annotated[str, typer.Option(help="Name behind the number.")] = "LGESynthNet",
    data: Data = None,
    no_real: NoReal = False,
    label: Label = LabelChoice.INTENDED,
    classes: Annotated[
        ClassesChoice, typer.Option(help="Every label by itself; the same as regions (wall holds scar); or scar against the rest.")
    ] = ClassesChoice.ALL,
    every: Every = False,
    splits: Annotated[
        Path | None,
        typer.Option(help="JSON of part -> patients: one fold of its train and val, the other parts stay out.", rich_help_panel=FOLDS),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Folds by patient, scar spread evenly.", show_default="5", rich_help_panel=FOLDS)
    ] = None,
    synthetic_share: Annotated[
        float | None,
        typer.Option(
            help="Synthetic part of what a fold trains on, 0 to 1, reached by leaving synthetic slices out.",
            show_default="every slice once",
            rich_help_panel=FOLDS,
        ),
    ] = None,
    repeat: Annotated[
        bool,
        typer.Option(
            "--repeat", help="Reach the share by listing slices repeatedly instead (nnU-Net 2.6 or newer).", rich_help_panel=FOLDS
        ),
    ] = False,
    seed: Seed = 0,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """An nnU-Net v2 data set with folds by patient: synthetic slices train only where their host's patient does, and validate nowhere.

    Example: lgesynthnet export nnunet runs/first $nnUNet_raw --dataset-id 501 --splits emidec/splits.json
    """
    from lgesynthnet.export.gather import Source
    from lgesynthnet.export.run import NnunetRequest, export_nnunet
    from lgesynthnet.terms import Classes, LabelKind

    source = Source(run=run, data=data, no_real=no_real, dataset=dataset, labels=labels, label=LabelKind(label.value), kept_only=not every)
    request = NnunetRequest(
        source=source,
        out=out,
        dataset_id=dataset_id,
        name=name,
        splits=splits,
        folds=folds,
        seed=seed,
        classes=Classes(classes.value),
        share=synthetic_share,
        repeat=repeat,
    )
    with console.bar("exporting") as advance:
        done = export_nnunet(request, on_case=advance)
    _print(done)


@app.command()
def nifti(
    run: Run,
    out: Annotated[Path, typer.Argument(help="New folder for ID_image.nii.gz, ID_label.nii.gz and cases.csv.")],
    data: Data = None,
    no_real: NoReal = False,
    label: Label = LabelChoice.INTENDED,
    every: Every = False,
    dataset: Dataset = None,
    labels: Labels = None,
) -> None:
    """Image and label side by side in one folder, with a table that says where each comes from.

    Example: lgesynthnet export nifti runs/first pairs --no-real
    """
    from lgesynthnet.export.gather import Source
    from lgesynthnet.export.run import export_nifti
    from lgesynthnet.terms import LabelKind

    source = Source(run=run, data=data, no_real=no_real, dataset=dataset, labels=labels, label=LabelKind(label.value), kept_only=not every)
    with console.bar("exporting") as advance:
        done = export_nifti(source, out, on_case=advance)
    _print(done)


def _print(done: Exported) -> None:
    for note in done.notes:
        console.note(note)
    typer.echo(f"exported: {done.cases} cases to {done.folder}")
