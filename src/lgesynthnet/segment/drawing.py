"""Draw labels into images, stack by stack, for a person to accept or to drop."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.declaration import read_declaration, write_declaration
from lgesynthnet.data.label_maps import label_map_of
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.layouts.table import NAME as TABLE
from lgesynthnet.data.nifti_writing import labels_like
from lgesynthnet.errors import AnatomyError, InputError, RunError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed, is_owned, manifest_of, require_outside
from lgesynthnet.files.writing import synced_together, write_bytes
from lgesynthnet.hosts.describing import describe_orientation
from lgesynthnet.hosts.locate import LocatedStack, locate_stack
from lgesynthnet.hosts.suitability import find_host_fault
from lgesynthnet.records import OnCase, Skipped, scar_of, wall_of
from lgesynthnet.report.contact_sheet import Strip, patient_strip, write_contact_sheet
from lgesynthnet.segment.cases import DrawnCase, earlier_cases, mask_name, measure_scar, table_text
from lgesynthnet.segment.request import LABELS, SegmentRequest

if TYPE_CHECKING:
    from lgesynthnet.segment.drawers import Drawer


@dataclass(frozen=True, kw_only=True)
class SegmentResult:
    """What was drawn.

    Attributes:
        table, page: the table of patients, and the page with their pictures.
        corrected: patients whose masks a person has corrected since they were drawn; these masks were kept.
        skipped: patients that could not be read or drawn, with reasons.
    """

    table: Path
    page: Path
    cases: tuple[DrawnCase, ...]
    corrected: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def segment_images(request: SegmentRequest, out: Path, *, on_case: OnCase | None = None) -> SegmentResult:
    """Write a label file for each image, a page of pictures, and a table that other commands take in place of a folder of patients.

    Without a model, the shipped network draws the cavity and the whole wall. It was trained on simulated hearts alone, and a scar that the
    patient has is not drawn, so only patients who are known to be free of scar should be painted into. With a model, the scar is drawn too.
    What is drawn is no ground truth, and the folder says what drew it.

    Of an earlier result in this folder, the column `use` of the table, the lines of patients who are not drawn now, and the masks that a
    person has corrected are kept.

    Args:
        on_case: gets (done, total) after each patient.
    Raises:
        InputError: there are no images, in none of them a heart was found, or the table of an earlier result cannot be read; or the model
            needs a wall that is not given, or the reverse.
        ModelError: the model is missing or damaged.
        RunError: the folder holds other things, or what another segmenter drew; or it cannot be written.
    """
    from lgesynthnet.segment.drawers import open_drawer

    cohort = request.source.open_images()
    for folder in cohort.folders:
        require_outside(out, "images", folder)
    if request.wall is not None and request.wall.is_dir():
        require_outside(out, "walls", request.wall)
    drawer = open_drawer(request, cohort)
    _require_same_drawer(out, drawer)
    earlier = earlier_cases(out)
    now = {files.patient for files in cohort.cases}
    kept = [case for case in earlier.values() if case.patient not in now and (out / mask_name(case.patient)).is_file()]
    cases: list[DrawnCase] = []
    skipped: list[Skipped] = list(cohort.skipped)
    strips: list[Strip] = []
    with claimed(out, FolderKind.MASKS), synced_together():
        corrected = _corrected(out)
        write_declaration(out, labels="lgesynthnet", drawn_by=drawer.fingerprint, least_area_mm2=drawer.least_area_mm2)
        for done, files in enumerate(cohort.cases, start=1):
            try:
                case, strip = _draw_case(cohort, files, drawer, out, earlier.get(files.patient), corrected)
                cases.append(case)
                strips += [strip] if strip is not None else []
            except (InputError, AnatomyError) as fault:
                skipped.append(Skipped(name=files.patient, reason=str(fault)))
                kept += [earlier[files.patient]] if files.patient in corrected and files.patient in earlier else []
            if on_case is not None:
                on_case(done, len(cohort.cases))
        if not (cases or kept):
            raise InputError(f"{cohort.root}: no heart was drawn; {skipped[0].reason if skipped else 'there are no images'}")
        write_bytes(out / TABLE, table_text(sorted([*cases, *kept], key=lambda case: case.patient), out).encode())
        page = write_contact_sheet(out, strips, title=drawer.title, kind=FolderKind.MASKS)
    by_hand = tuple(case.patient for case in cases if case.patient in corrected)
    return SegmentResult(table=out / TABLE, page=page, cases=tuple(cases), corrected=by_hand, skipped=tuple(skipped))


def _draw_case(
    cohort: Cohort, files: CaseFiles, drawer: Drawer, out: Path, earlier: DrawnCase | None, corrected: Set[str]
) -> tuple[DrawnCase, Strip | None]:
    path = out / mask_name(files.patient)
    if files.patient in corrected:
        stack = replace(cohort, label_map=label_map_of("lgesynthnet")).read(replace(files, label_path=path))
    else:
        stack = drawer.draw(cohort, files)
    usable = [slice_.index for slice_ in stack if find_host_fault(slice_) is None]
    drawn = int(wall_of(stack.labels).any(axis=(0, 1)).sum())
    if not drawn:
        raise InputError(f"{files.image_path}: no heart was found; if it shows a short axis, draw its labels by hand, else leave it out")
    if files.patient not in corrected:
        write_bytes(path, labels_like(stack, "drawn by a network of lgesynthnet, not for diagnosis"))
    case = DrawnCase(
        patient=stack.patient,
        image_path=files.image_path,
        series=files.series or cohort.dicom.series or "",
        use=earlier.use if earlier is not None else bool(usable),
        slices=len(stack),
        drawn=drawn,
        usable=len(usable),
        scar=measure_scar(stack) if drawer.draws_scar else None,
    )
    hearts: LocatedStack = locate_stack(stack)
    who = "drawn by a network and corrected by a person" if files.patient in corrected else "drawn by a network"
    amount = "" if case.scar is None else f"; {case.scar.words}"
    text = f"{who}{amount}; {len(usable)} of {drawn} drawn slices usable; {describe_orientation(stack, hearts)}"
    most = int(scar_of(stack.labels).sum(axis=(0, 1)).argmax()) if case.scar is not None and case.scar.scarred else None
    return case, patient_strip(stack, hearts, usable, text, most_scar=most)


def _require_same_drawer(out: Path, drawer: Drawer) -> None:
    """One folder holds what one segmenter drew at one operating point, where scar is drawn: its record names one.

    Raises:
        RunError: the folder holds masks of another.
    """
    if not is_owned(out, FolderKind.MASKS):
        return
    earlier = read_declaration(out)
    if not (drawer.draws_scar or earlier.least_area_mm2 is not None):
        return
    if (earlier.drawn_by, earlier.least_area_mm2) != (drawer.fingerprint, drawer.least_area_mm2):
        raise RunError(
            f"{out}: holds masks that {earlier.drawn_by} drew"
            + ("" if earlier.least_area_mm2 is None else f", with scar from an expected area of {earlier.least_area_mm2:.0f} mm2 on")
            + "; choose another --out, or delete the folder"
        )


def _corrected(out: Path) -> frozenset[str]:
    """The patients whose drawn masks have changed since they were written."""
    manifest = manifest_of(out)
    drawn = {Path(name).name.removesuffix(".nii.gz"): name for name in manifest.files if Path(name).parent.name == LABELS}
    return frozenset(patient for patient, name in drawn.items() if (out / name).is_file() and not manifest.is_whole(name))
