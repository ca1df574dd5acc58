"""One description of a folder or table of patients and of how to read it; every command that reads patients takes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lgesynthnet.errors import InputError
from lgesynthnet.options import option
from lgesynthnet.terms import Flip

if TYPE_CHECKING:
    from lgesynthnet.data.cohort import Cohort
    from lgesynthnet.data.dicom.stack import DicomOptions

READING = "How to read the folder"


@dataclass(frozen=True, kw_only=True)
class CohortSource:
    """Where patients lie and how their files are to be read.

    Attributes:
        flip: mirroring that turns the stored arrays into the radiological view (RV on the viewer's left); undone in whatever is written.
            None lets the affine decide.
        patients: only these patients; None takes all.
    """

    root: Path = option(
        help="Folder of patients (EMIDEC, image/label pairs, nnU-Net raw, BIDS, DICOM), or a table of them (CSV).", flags=("--data",)
    )
    dataset: str | None = option(None, help="Data set whose label ids are used: emidec, acdc, mnms or sunnybrook.", panel=READING)
    labels: str | None = option(None, help='Meaning of the label ids: "1=cavity,2=wall,3=scar,4=no-reflow,5=rv".', panel=READING)
    base_first: bool | None = option(
        None,
        help="Which end of a stack slice 0 is. Without it the affine decides, or else the areas of the heart.",
        flags=("--base-first/--apex-first",),
        panel=READING,
    )
    flip: Flip | None = option(
        None,
        help="Mirror the stored rows or columns into the radiological view, whatever the affine says; undone in what is written.",
        default_text="what the affine says",
        panel=READING,
    )
    landmarks: Path | None = option(
        None,
        help="CSV of RV insertion angles (case,slice,anterior_deg,inferior_deg). Without it they are found in the images.",
        panel=READING,
    )
    series: str | None = option(
        None,
        help="DICOM: the stack to read, as `verify` lists them: its number (s1), its series number, SeriesInstanceUID or description.",
        default_text="the short-axis stack, where only one fits",
        panel=READING,
    )
    contours: Path | None = option(
        None,
        help="DICOM: folder of the contours, with a sub-folder for each patient. Without it they are looked for beside the images.",
        panel=READING,
    )
    contour_names: str | None = option(
        None,
        help='DICOM: meaning of the names of contours and segments: "endo=LV endo,epi=LV epi,scar=Scar".',
        default_text="the usual names",
        panel=READING,
    )
    patients: tuple[str, ...] | None = option(
        None, help="Read only this patient; give the option again for more.", flags=("--patient",), panel=READING
    )

    @property
    def mirrored(self) -> tuple[bool, bool] | None:
        """Whether the stored (rows, columns) are to be mirrored; None where the affine decides."""
        return self.flip.axes if self.flip is not None else None

    def open(self) -> Cohort:
        """List the cases, without reading a voxel.

        Raises:
            InputError: no cases, labels of unknown meaning, landmarks that cannot be read, or none of the named patients is there.
        """
        from lgesynthnet.data.cohort import open_cohort
        from lgesynthnet.data.label_maps import parse_label_map

        cohort = open_cohort(
            self.root,
            dataset=self.dataset,
            label_map=parse_label_map(self.labels) if self.labels else None,
            base_first=self.base_first,
            flip=self.mirrored,
            landmarks=self.landmarks,
            dicom=self._dicom,
        )
        return self._chosen(cohort)

    def open_images(self) -> Cohort:
        """List the images, whether they have labels or not, for `Cohort.read_image`.

        Raises:
            InputError: there are no images, or none of the named patients is there.
        """
        from lgesynthnet.data.cohort import open_images

        return self._chosen(open_images(self.root, base_first=self.base_first, flip=self.mirrored, dicom=self._dicom))

    @property
    def _dicom(self) -> DicomOptions:
        from lgesynthnet.data.contours.names import ContourNames
        from lgesynthnet.data.dicom.stack import DicomOptions

        names = ContourNames.parse(self.contour_names) if self.contour_names else None
        return DicomOptions(series=self.series, contours=self.contours, contour_names=names)

    def _chosen(self, cohort: Cohort) -> Cohort:
        if self.patients is None:
            return cohort
        cases = [case for case in cohort.cases if case.patient in self.patients]
        if not cases:
            raise InputError(f"{self.root}: has none of the patients {', '.join(self.patients[:5])}; it has {_some(cohort)}")
        return replace(cohort, cases=cases)

    def absolute(self) -> CohortSource:
        """The same source with paths that hold from any folder."""
        return replace(
            self,
            root=self.root.absolute(),
            landmarks=self.landmarks.absolute() if self.landmarks else None,
            contours=self.contours.absolute() if self.contours else None,
        )


def _some(cohort: Cohort) -> str:
    names = [case.patient for case in cohort.cases]
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
