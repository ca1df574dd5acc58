"""`lgesynthnet export`: write a run as a training set for another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.signature import takes
from lgesynthnet.export.request import DicomRequest, ExportRequest, NnunetRequest, OriginRequest

if TYPE_CHECKING:
    from lgesynthnet.export.run import ExportResult

app = typer.Typer(no_args_is_help=True, help="Write a finished run, together with real slices, as a training set for another program.")


@app.command()
@takes(NnunetRequest)
def nnunet(request: NnunetRequest) -> None:
    """Write an nnU-Net v2 data set with folds by patient. A synthetic case trains only with the patient of its host, and never validates.

    Example: lgesynthnet export nnunet runs/first $nnUNet_raw --dataset-id 501 --splits emidec/splits.json
    """
    from lgesynthnet.export.run import export_nnunet

    with interruptible("the same command makes the export complete"), console.bar("exporting") as advance:
        result = export_nnunet(request, on_case=advance)
    _print(result)


@app.command()
@takes(ExportRequest)
def nifti(
    request: ExportRequest,
    out: Annotated[Path, typer.Argument(help="New folder for ID_image.nii.gz, ID_label.nii.gz and cases.csv.")],
) -> None:
    """Write image and label side by side in one folder, with a table that gives the origin of each case.

    Example: lgesynthnet export nifti runs/first pairs --no-real
    """
    from lgesynthnet.export.run import export_nifti

    with interruptible("the same command makes the export complete"), console.bar("exporting") as advance:
        result = export_nifti(request, out, on_case=advance)
    _print(result)


@app.command("origin-channel")
@takes(OriginRequest)
def origin_channel(
    request: OriginRequest,
    out: Annotated[Path, typer.Argument(help="New folder for copies of the images and a second channel of zeros, CASE_0001.nii.gz.")],
) -> None:
    """Prepare images for the prediction by an nnU-Net that was trained with `export nnunet --origin-channel`.

    Example: lgesynthnet export origin-channel images with-channel
    """
    from lgesynthnet.export.origin import add_origin_channel

    with interruptible("the same command makes the folder complete"), console.bar("copying") as advance:
        result = add_origin_channel(request.images, out, on_case=advance)
    for note in result.notes:
        console.note(note)
    console.result(f"copied: {result.images} images with an origin channel of zeros to {result.folder}")


@app.command()
@takes(DicomRequest)
def dicom(
    request: DicomRequest,
    out: Annotated[Path, typer.Argument(help="New folder for PATIENT/SAMPLE/image.dcm and seg.dcm, and cases.csv.")],
) -> None:
    """Write each sample as a DICOM MR image with a segmentation (SEG), derived from the instance of its host where that is DICOM.

    Example: lgesynthnet export dicom runs/first dicom
    """
    from lgesynthnet.export.dicom.exporting import export_dicom

    with interruptible("the same command makes the export complete"), console.bar("exporting") as advance:
        result = export_dicom(request, out, on_case=advance)
    _print(result)


def _print(result: ExportResult) -> None:
    for note in result.notes:
        console.note(note)
    console.result(f"exported: {result.cases} cases to {result.folder}")
