"""Which images `segment` draws into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.options import option
from lgesynthnet.terms import Flip

LABELS = "labels"  # sub-folder of the drawn masks


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """Where the images lie and how they are to be read; see `CohortSource`."""

    images: Path = option(help="Folder of patients, or a table of them; labels are not needed.", flags=("IMAGES",))
    base_first: bool | None = option(
        None,
        help="Which end of a stack slice 0 is, if the affine does not say it.",
        flags=("--base-first/--apex-first",),
    )
    flip: Flip | None = option(
        None,
        help="Mirror the stored rows or columns into the radiological view, whatever the affine says; undone in what is written.",
        default_text="what the affine says",
    )
    patients: tuple[str, ...] | None = option(None, help="Only this patient; give the option again for more.", flags=("--patient",))

    series: str | None = option(
        None,
        help="DICOM: the stack to read: its number (s1), its series number, SeriesInstanceUID or description.",
        default_text="the short-axis stack, where only one fits",
    )

    @property
    def source(self) -> CohortSource:
        return CohortSource(root=self.images, base_first=self.base_first, flip=self.flip, patients=self.patients, series=self.series)
