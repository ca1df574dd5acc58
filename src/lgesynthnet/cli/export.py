"""`lgesynthnet export`: a run as a training set for another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.signature import takes
from lgesynthnet.export.request import ExportRequest, NnunetRequest

if TYPE_CHECKING:
    from lgesynthnet.export.run import Exported

app = typer.Typer(no_args_is_help=True, help="Write a finished run, with real slices beside it, as a training set.")


@app.command()
@takes(NnunetRequest)
def nnunet(request: NnunetRequest) -> None:
    """An nnU-Net v2 data set with folds by patient. A synthetic slice trains only where the patient of its host does, and never validates.

    Example: lgesynthnet export nnunet runs/first $nnUNet_raw --dataset-id 501 --splits emidec/splits.json
    """
    from lgesynthnet.export.run import export_nnunet

    with console.bar("exporting") as advance:
        exported = export_nnunet(request, on_case=advance)
    _print(exported)


@app.command()
@takes(ExportRequest)
def nifti(
    request: ExportRequest,
    out: Annotated[Path, typer.Argument(help="New folder for ID_image.nii.gz, ID_label.nii.gz and cases.csv.")],
) -> None:
    """Image and label side by side in one folder, with a table that says where each case comes from.

    Example: lgesynthnet export nifti runs/first pairs --no-real
    """
    from lgesynthnet.export.run import export_nifti

    with console.bar("exporting") as advance:
        exported = export_nifti(request, out, on_case=advance)
    _print(exported)


def _print(exported: Exported) -> None:
    for note in exported.notes:
        console.note(note)
    typer.echo(f"exported: {exported.cases} cases to {exported.folder}")
