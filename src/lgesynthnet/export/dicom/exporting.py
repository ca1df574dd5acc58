"""Export the samples of a run as DICOM: from a request to a folder with an MR image and a segmentation for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet import __version__
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.dicom.files import is_dicom
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.planes import SlicePlane
from lgesynthnet.data.view import anatomical_directions
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import ExportCase
from lgesynthnet.export.dicom.image import DicomSample, Identity, encoded, load_dicom, mr_image
from lgesynthnet.export.dicom.numbers import store, store_like
from lgesynthnet.export.dicom.segmentation import segmentation
from lgesynthnet.export.dicom.source import read_source
from lgesynthnet.export.folder import NOTICE, TABLE, ExportContent, case_table, counts, export_identity, write_export
from lgesynthnet.export.gather import case_of_row, pseudonyms_for
from lgesynthnet.export.notice import dicom_notice, terms
from lgesynthnet.export.request import DicomRequest
from lgesynthnet.export.run import ExportResult, count_notes, run_provenance, written_notes
from lgesynthnet.files.owned import require_outside
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.records import OnCase, Place
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.licence import host_licence, licence_of_weights
from lgesynthnet.run.pseudonyms import TABLE as PSEUDONYMS
from lgesynthnet.run.sample_files import HIDDEN
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.terms import LabelKind

IMAGE, SEGMENTATION = "image.dcm", "seg.dcm"
LONGEST_COMMENT = 2000


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """One row of the run with its case, and where its host is stored."""

    row: SampleRow
    case: ExportCase
    place: Place | None


def export_dicom(request: DicomRequest, out: Path, *, on_case: OnCase | None = None) -> ExportResult:
    """Write `OUT/PATIENT/SAMPLE/image.dcm` and `seg.dcm` for each sample, with `cases.csv`. The same call completes an interrupted export.

    A sample whose host is DICOM is derived from the host's instance; one whose host is NIfTI gets a study of its own.

    Args:
        out: a new folder.
        on_case: gets (done, total) after each sample.
    Raises:
        LGESynthNetError: the run or its hosts cannot be used, the extra `dicom` is missing, or the folder is taken.
    """
    run = RunFolder.open(request.run)
    load_dicom(run.path)
    rows = run.painted(kept_only=not request.all_samples)
    require_outside(out, "run", run.path)
    source = run.plan.hosts(request.hosts)
    if not source.root.exists():
        raise InputError(f"{source.root}: the hosts of the run are not there any more; give their folder with --hosts")
    cohort = source.open()
    for folder in cohort.folders:
        require_outside(out, "patients", folder)
    patients = {row.host for row in rows}
    shown = {patient: patient for patient in patients} if request.keep_identity else pseudonyms_for(run, patients, "--keep-identity")
    places = _places(run, rows, cohort)
    samples = [_Sample(row=row, case=case_of_row(run, row, request.label, shown), place=places[row.id]) for row in rows]
    cases = [sample.case for sample in samples]
    of_run = run_provenance(run, request.label, all_samples=request.all_samples, names_kept=request.keep_identity)
    provenance = {**of_run, "format": "dicom", "private": "kept" if request.keep_private else "removed"}
    identity = export_identity({"made": provenance}, cases)
    folders = {case.id: f"{case.shown_as}/{case.row['sample']}" for case in cases}
    files = {name: (f"{folder}/{IMAGE}", f"{folder}/{SEGMENTATION}") for name, folder in folders.items()}
    licence, weights = host_licence(source), licence_of_weights(run.plan.request.model)
    texts = {TABLE: case_table(cases, files), NOTICE: dicom_notice(cases, provenance, licence, weights)}
    by_id, notes = {sample.case.id: (number, sample) for number, sample in enumerate(samples)}, list[str]()
    comments = f"SYNTHETIC, not for diagnosis. Licence of the host: {terms(licence)}" + (f" Weights: {weights}." if weights else "")

    def write(case: ExportCase, image_path: Path, segmentation_path: Path) -> None:
        number, sample = by_id[case.id]
        instance = _instance(run, sample, number, request, comments[:LONGEST_COMMENT])
        notes.extend(_notes_on(instance))
        image = mr_image(instance)
        write_bytes(image_path, encoded(image))
        write_bytes(segmentation_path, encoded(segmentation(instance, image)))

    content = ExportContent(cases=cases, files=files, texts=texts, record=provenance | counts(cases) | {"identity": identity}, write=write)
    damaged = write_export(out, content, on_case)
    all_notes = (*count_notes(cases), *dict.fromkeys(notes), *_run_notes(run, request, places), *written_notes(damaged))
    return ExportResult(folder=out, cases=len(cases), notes=all_notes)


def sample_for_dicom(
    case: ExportCase, row: SampleRow, hidden_path: Path, place: Place | None, identity: Identity, *, key: str, comments: str = ""
) -> DicomSample:
    """Read a sample's files, and the header of its host where that is DICOM.

    Args:
        hidden_path: the sample's file with the hidden region.
        place: where the host is stored; None where nothing but the sample is known of it.
        key: a text that decides what the instances hold.
        comments: licence and credit of the host.
    Raises:
        InputError: a file cannot be used.
        RunError: the host is not the one that the sample was painted into.
    """
    volume = read_volume(case.image_path)
    image, labels = case.pixels()
    source = read_source(place.path, place.index) if place is not None and is_dicom(place.path) else None
    numbers = store(image, volume.slope, volume.inter)
    if source is not None:
        numbers = store_like(image, source.bits, signed=source.signed, slope=volume.slope, intercept=volume.inter)
        if (numbers.pixels != image)[read_volume(hidden_path).stored[:, :, 0].T == 0].any():
            raise RunError(f"{source.path}: stores other numbers than the host of {row.id}; give the hosts as they were with --hosts")
    return DicomSample(
        id=row.id,
        key=key,
        sentence=row.sentence,
        generator=row.generator,
        scar_from=row.filter if case.label_kind == LabelKind.READ else None,
        masks_drawn_by=row.masks_drawn_by,
        comments=comments,
        numbers=numbers,
        labels=labels,
        plane=SlicePlane.from_affine(volume.affine, image.shape, (volume.pixel_mm[1], volume.pixel_mm[0]), volume.path),
        thickness_mm=volume.pixel_mm[2],
        position=0,
        identity=identity,
        source=source,
    )


def _instance(run: RunFolder, sample: _Sample, number: int, request: DicomRequest, comments: str) -> DicomSample:
    case, row = sample.case, sample.row
    identity = Identity(shown_as=case.shown_as, kept=request.keep_identity, key=run.plan.hosts_fingerprint)
    parts = (run.plan.hash, row.id, case.digest, case.label_kind, case.shown_as, str(request.keep_private), __version__)
    made = sample_for_dicom(case, row, run.part(row, HIDDEN), sample.place, identity, key="/".join(parts), comments=comments)
    return replace(made, position=number, keep_private=request.keep_private)


def _places(run: RunFolder, rows: Sequence[SampleRow], cohort: Cohort) -> dict[str, Place | None]:
    """Sample -> where its host is stored.

    Raises:
        InputError: the hosts lack a patient, or cannot be read.
        RunError: a host is not the one that its sample was painted into.
    """
    places = dict[str, Place | None]()
    for patient in sorted({row.host for row in rows}):
        stack = cohort.stack(patient)
        for row in (row for row in rows if row.host == patient):
            if row.slice_index >= len(stack):
                raise RunError(f"{cohort.root}: {patient} lacks slice {row.slice_index}; give the hosts as they were with --hosts")
            host = stack[row.slice_index]
            places[row.id] = place = host.place
            if place is not None and is_dicom(place.path):
                _require_host(run, row, place.view.turn_back(host.image), place.path)
    return places


def _require_host(run: RunFolder, row: SampleRow, host: np.ndarray, path: Path) -> None:
    """Compare the sample with its host where nothing may have changed: the header of the host is about to be copied."""
    image, hidden = (read_volume(file).stored[:, :, 0].T for file in (run.image(row), run.part(row, HIDDEN)))
    if image.shape != host.shape or not np.array_equal(image[hidden == 0], host[hidden == 0]):
        raise RunError(f"{path}: is not the host that {row.id} was painted into; give the hosts as they were with --hosts")


def _notes_on(sample: DicomSample) -> list[str]:
    notes = []
    if sample.numbers.largest_error:
        notes.append("some images hold numbers that are not whole or need more than 16 bits; they are scaled, and each states its error")
    if sample.numbers.clipped:
        notes.append(f"{sample.id}: {sample.numbers.clipped} painted pixels lay beyond the bits of the host and were clipped")
    if sample.source is None and anatomical_directions(sample.plane.affine) is None:
        notes.append("the files of some hosts do not say how they lie in the patient, so the positions of their images mean nothing")
    return notes


def _run_notes(run: RunFolder, request: DicomRequest, places: dict[str, Place | None]) -> list[str]:
    notes = []
    if not run.is_finished:
        notes.append(f"{run.path}: the command that paints this run has not ended, so only what is painted so far is exported")
    if request.keep_identity:
        notes.append("the files name the patients of the hosts (--keep-identity); they are for use where the hosts came from")
    else:
        notes.append(f"pseudonyms stand for the patients, and {run.path / PSEUDONYMS} resolves them")
    return notes
