"""Which images `segment` draws into, and with which segmenter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.options import option
from lgesynthnet.terms import Flip

LABELS = "labels"  # sub-folder of the drawn masks
SCAR = "With a segmenter of your own"


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """Where the images lie and how they are to be read (see `CohortSource`), and what draws.

    Attributes:
        model: what `train downstream` wrote; None draws cavity and wall with the shipped heart segmenter.
        wall: labels or contours of the wall, for a segmenter that must be given them.
        dataset, labels, contour_names: what the labels or contours of `wall` mean.
        false_positive_rate: the operating point, 0 to 1; None takes the default of the model.

    Raises:
        RunError: an option is given that belongs to another.
    """

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

    model: Path | None = option(
        None,
        help="Draw the scar, too, with a segmenter that `train downstream` wrote.",
        default_text="cavity and wall alone, with the shipped heart segmenter",
        panel=SCAR,
    )
    false_positive_rate: float | None = option(
        None,
        help="Call scarred about this share of the slices without scar: 0.1 or 0.2.",
        bounds=(0, 1),
        default_text="as the model says",
        panel=SCAR,
    )
    wall: Path | None = option(
        None,
        help="Cavity and wall for a segmenter of the kind known-wall: a folder of label files named after the patients, of patients with "
        "labels, or, for DICOM, of contours.",
        panel=SCAR,
    )
    dataset: str | None = option(None, help="Data set whose label ids --wall uses: emidec, acdc, mnms or sunnybrook.", panel=SCAR)
    labels: str | None = option(None, help='Meaning of the label ids of --wall: "1=cavity,2=wall".', panel=SCAR)
    contour_names: str | None = option(
        None,
        help='DICOM: meaning of contour names in --wall: "endo=LV endo,epi=LV epi".',
        default_text="the usual names",
        panel=SCAR,
    )

    def __post_init__(self) -> None:
        for name, value in (("--false-positive-rate", self.false_positive_rate), ("--wall", self.wall)):
            if value is not None and self.model is None:
                raise RunError(f"{name}: belongs to a segmenter of your own; give it with --model, or leave {name} out")
        of_wall = (("--dataset", self.dataset), ("--labels", self.labels), ("--contour-names", self.contour_names))
        for name, text in of_wall:
            if text is not None and self.wall is None:
                raise RunError(f"{name}: says what the labels of --wall mean, and --wall is not given; give it, or leave {name} out")

    @property
    def source(self) -> CohortSource:
        return CohortSource(root=self.images, base_first=self.base_first, flip=self.flip, patients=self.patients, series=self.series)
