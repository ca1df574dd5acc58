"""Draw docs/pictures/contact-sheet.png: a simulated patient, and the same patient in a file that is upside down and does not say so.

python scripts/contact_sheet_picture.py docs/pictures/contact-sheet.png
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.files.reading import read_bytes
from lgesynthnet.files.writing import write_new
from lgesynthnet.hosts.describing import describe_orientation
from lgesynthnet.hosts.locate import locate_stack
from lgesynthnet.phantom.cohort import CohortSettings, write_cohort
from lgesynthnet.records import Label, Stack
from lgesynthnet.report.contact_sheet import Strip, patient_strip, write_contact_sheet

SETTINGS = CohortSettings(patients=1, seed=4, positive=1.0, non_ischaemic=0.0)


def strip_of(stack: Stack, name: str) -> Strip:
    hearts = locate_stack(replace(stack, patient=name))
    strip = patient_strip(hearts.stack, hearts, range(len(stack)), describe_orientation(stack, hearts))
    assert strip is not None
    return strip


def main(picture: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_cohort(Path(folder) / "hearts", SETTINGS, workers=1)
        cohort = open_cohort(Path(folder) / "hearts")
        stack = cohort.read(cohort.cases[0])
        labels = np.where(stack.labels == Label.RV, Label.BACKGROUND, stack.labels).astype(
            np.uint8
        )  # as in most data, the RV is not labelled
        upright = replace(stack, labels=labels)
        upside_down = replace(upright, image=upright.image[::-1].copy(), labels=labels[::-1].copy())
        strips = [
            strip_of(upright, "right way up"),
            strip_of(upside_down, "upside down, and the file does not say so"),
        ]
        write_contact_sheet(Path(folder) / "sheet", strips, title="")
        picture.unlink(missing_ok=True)
        write_new(picture, read_bytes(Path(folder) / "sheet" / "sheet-01.png", 2**24))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
