"""`lgesynthnet segment`: draw the cavity, the wall and, with a segmenter of your own, the scar of images without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lgesynthnet.cli import console
from lgesynthnet.cli.console import interruptible
from lgesynthnet.cli.signature import takes
from lgesynthnet.segment.request import SegmentRequest


@takes(SegmentRequest)
def segment(
    request: SegmentRequest,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks, their pictures and patients.csv.")],
) -> None:
    """Draw the cavity and the wall into images without labels, for you to accept or to drop patient by patient.

    Look at contact-sheet.html, write "no" into the column use of patients.csv for each patient to drop, and give the folder to `synthesize
    --hosts`. Without --model, a scar is not drawn: paint only into patients who are known to have none.

    With --model, the scar is drawn, too, and patients.csv holds its volume and its share of the wall. Not for diagnosis.

    Example: lgesynthnet segment scans --out masks

    Example: lgesynthnet segment scans --model seg --out scars
    """
    from lgesynthnet.segment.drawing import segment_images

    with interruptible("the same command makes the masks complete"), console.bar("drawing") as advance:
        result = segment_images(request, out, on_case=advance)
    for skipped in result.skipped:
        console.note(f"skipped {skipped.name}: {skipped.reason}")
    for patient in result.corrected:
        console.note(f"kept the mask of {patient}, which was changed since it was drawn; delete its file to have it drawn again")
    drawn, usable = (sum(getattr(case, name) for case in result.cases) for name in ("drawn", "usable"))
    console.result(f"drew {drawn} slices of {len(result.cases)} patients, {usable} of them usable")
    console.result(f"look at {result.page}, and write no into the column use of {result.table} for each patient to drop")
    if request.model is None:
        console.note("a network drew these masks, and it draws no scar: paint only into patients who are known to be free of scar")
    else:
        scarred = sum(case.scar is not None and case.scar.scarred > 0 for case in result.cases)
        console.result(f"scar in {scarred} of {len(result.cases)} patients")
        console.note("a network drew these masks, and they are no ground truth. This is research software, not for diagnosis")
