"""Draw cavity and wall with the shipped heart segmenter, stack by stack, for a person to accept or to drop."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.label_maps import label_map_of
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.layouts.table import NAME as TABLE
from lgesynthnet.data.layouts.table import read_lines, read_use
from lgesynthnet.data.nifti_writing import labels_like
from lgesynthnet.errors import AnatomyError, InputError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed, is_owned, manifest_of, require_outside
from lgesynthnet.files.writing import synced_together, write_bytes
from lgesynthnet.hosts.describing import describe_orientation
from lgesynthnet.hosts.locate import LocatedStack, locate_stack
from lgesynthnet.hosts.suitability import find_host_fault
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Label, OnCase, Skipped, Stack, wall_of
from lgesynthnet.report.contact_sheet import Strip, patient_strip, write_contact_sheet
from lgesynthnet.segment.request import LABELS, SegmentRequest
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.tables import csv_text

COLUMNS = ("patient", "image", "label", "series", "use", "slices", "drawn", "usable")


@dataclass(frozen=True, kw_only=True)
class DrawnCase:
    """One patient.

    Attributes:
        series: which DICOM stack was read, as the user named it; empty where the program chose.
        use: whether the patient is to be used; a person may change it in the table.
        slices, drawn, usable: number of slices, of those with a drawn wall, and of those that a scar can be painted into.
    """

    patient: str
    image_path: Path
    series: str
    use: bool
    slices: int
    drawn: int
    usable: int


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

    The network was trained on simulated hearts alone. It draws the cavity and the whole wall; a scar that the patient has is not drawn, so
    only patients who are known to be free of scar should be painted into. Of an earlier result in this folder, the column `use` of the
    table, the lines of patients who are not drawn now, and the masks that a person has corrected are kept.

    Args:
        on_case: gets (done, total) after each patient.
    Raises:
        InputError: there are no images, in none of them a heart was found, or the table of an earlier result cannot be read.
        RunError: the folder holds other things, or cannot be written.
    """
    cohort = request.source.open_images()
    for folder in cohort.folders:
        require_outside(out, "images", folder)
    segmenter = HeartSegmenter.from_pretrained(weights_folder() / "phantom" / "heart-segmenter")
    earlier = _earlier_cases(out)
    now = {files.patient for files in cohort.cases}
    kept = [case for case in earlier.values() if case.patient not in now and (out / _mask_name(case.patient)).is_file()]
    cases: list[DrawnCase] = []
    skipped: list[Skipped] = list(cohort.skipped)
    strips: list[Strip] = []
    with claimed(out, FolderKind.MASKS), synced_together():
        corrected = _corrected(out)
        write_declaration(out, labels="lgesynthnet", drawn_by=segmenter.fingerprint)
        for done, files in enumerate(cohort.cases, start=1):
            try:
                case, strip = _draw_case(cohort, files, segmenter, out, earlier.get(files.patient), corrected)
                cases.append(case)
                strips += [strip] if strip is not None else []
            except (InputError, AnatomyError) as fault:
                skipped.append(Skipped(name=files.patient, reason=str(fault)))
                kept += [earlier[files.patient]] if files.patient in corrected and files.patient in earlier else []
            if on_case is not None:
                on_case(done, len(cohort.cases))
        if not (cases or kept):
            raise InputError(f"{cohort.root}: no heart was drawn; {skipped[0].reason if skipped else 'there are no images'}")
        write_bytes(out / TABLE, _table(sorted([*cases, *kept], key=lambda case: case.patient), out).encode())
        page = write_contact_sheet(out, strips, title="Cavity and wall as a network drew them", kind=FolderKind.MASKS)
    by_hand = tuple(case.patient for case in cases if case.patient in corrected)
    return SegmentResult(table=out / TABLE, page=page, cases=tuple(cases), corrected=by_hand, skipped=tuple(skipped))


def draw_heart(stack: Stack, segmenter: HeartSegmenter) -> Stack:
    """The stack with the cavity and the wall that the network draws; slices without any signal stay empty.

    Raises:
        InputError: every slice is flat.
    """
    filled = [index for index in range(len(stack)) if np.ptp(stack.image[:, :, index]) > 0]
    labels = np.zeros(stack.image.shape, dtype=np.uint8)
    if not filled:
        raise InputError(f"{stack.patient}: every slice of its image is flat; leave the patient out")
    found = segmenter.read_stack(np.ascontiguousarray(stack.image[:, :, filled]), stack.spacing_mm)
    labels[:, :, filled] = np.where(wall_of(found), Label.WALL, np.where(found == Label.CAVITY, Label.CAVITY, Label.BACKGROUND))
    return replace(stack, labels=labels)


def _draw_case(
    cohort: Cohort, files: CaseFiles, segmenter: HeartSegmenter, out: Path, earlier: DrawnCase | None, corrected: Set[str]
) -> tuple[DrawnCase, Strip | None]:
    path = out / _mask_name(files.patient)
    if files.patient in corrected:
        stack = replace(cohort, label_map=label_map_of("lgesynthnet")).read(replace(files, label_path=path))
    else:
        stack = draw_heart(cohort.read_image(files), segmenter)
    usable = [slice_.index for slice_ in stack if find_host_fault(slice_) is None]
    drawn = int(wall_of(stack.labels).any(axis=(0, 1)).sum())
    if not drawn:
        raise InputError(f"{files.image_path}: no heart was found; if it shows a short axis, draw its labels by hand, else leave it out")
    if files.patient not in corrected:
        write_bytes(path, labels_like(stack, "drawn by a network of lgesynthnet"))
    case = DrawnCase(
        patient=stack.patient,
        image_path=files.image_path,
        series=files.series or cohort.dicom.series or "",
        use=earlier.use if earlier is not None else bool(usable),
        slices=len(stack),
        drawn=drawn,
        usable=len(usable),
    )
    hearts: LocatedStack = locate_stack(stack)
    drawer = "drawn by a network and corrected by a person" if files.patient in corrected else "drawn by a network"
    text = f"{drawer}; {len(usable)} of {drawn} drawn slices usable; {describe_orientation(stack, hearts)}"
    return case, patient_strip(stack, hearts, usable, text)


def _table(cases: Sequence[DrawnCase], out: Path) -> str:
    rows = (
        (
            case.patient,
            _from(out, case.image_path),
            _mask_name(case.patient),
            case.series,
            "yes" if case.use else "no",
            case.slices,
            case.drawn,
            case.usable,
        )
        for case in cases
    )
    return csv_text(COLUMNS, rows)


def _from(out: Path, path: Path) -> str:
    """The path as the table holds it: relative, so that images and masks can be moved together."""
    try:
        return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return str(path.resolve())


def _corrected(out: Path) -> frozenset[str]:
    """The patients whose drawn masks have changed since they were written."""
    manifest = manifest_of(out)
    drawn = {Path(name).name.removesuffix(".nii.gz"): name for name in manifest.files if Path(name).parent.name == LABELS}
    return frozenset(patient for patient, name in drawn.items() if (out / name).is_file() and not manifest.is_whole(name))


def _mask_name(patient: str) -> str:
    return f"{LABELS}/{patient}.nii.gz"


def _earlier_cases(out: Path) -> dict[str, DrawnCase]:
    """Patient -> the line of an earlier table, with what a person wrote into the column `use`."""
    if not is_owned(out, FolderKind.MASKS) or not (out / TABLE).is_file():
        return {}
    rows = [line.cells for line in read_lines(out / TABLE, COLUMNS)]
    return {
        row["patient"]: DrawnCase(
            patient=row["patient"],
            image_path=out / row["image"],
            series=row.get("series", ""),
            use=read_use(row.get("use", ""), f"{out / TABLE}: {row['patient']}"),
            slices=_count(row.get("slices")),
            drawn=_count(row.get("drawn")),
            usable=_count(row.get("usable")),
        )
        for row in rows
        if row["patient"]
    }


def _count(cell: str | None) -> int:
    return int(cell) if cell is not None and cell.isascii() and cell.isdecimal() and len(cell) < 10 else 0
