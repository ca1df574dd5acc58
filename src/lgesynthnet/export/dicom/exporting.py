"""Export the samples of a run as DICOM: from a request to a folder with MR images and a segmentation for each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet import __version__
from lgesynthnet.data.source import CohortSource
from lgesynthnet.data.view import anatomical_directions
from lgesynthnet.errors import InputError
from lgesynthnet.export.cases import ExportCase
from lgesynthnet.export.dicom.hosts import places_of_hosts
from lgesynthnet.export.dicom.image import DicomSample, Identity, encoded, load_dicom, mr_image
from lgesynthnet.export.dicom.instances import Setting, sample_for_dicom, stack_for_dicom
from lgesynthnet.export.dicom.notice import dicom_notice
from lgesynthnet.export.dicom.segmentation import stack_segmentation
from lgesynthnet.export.dicom.stacks import EVERY_IMAGE, image_of_slice, stack_case
from lgesynthnet.export.folder import NOTICE, TABLE, ExportContent, case_table, counts, export_identity, write_export
from lgesynthnet.export.gather import case_of_row, pseudonyms_for
from lgesynthnet.export.notice import terms
from lgesynthnet.export.request import DicomRequest
from lgesynthnet.export.run import ExportResult, count_notes, run_provenance, written_notes
from lgesynthnet.export.stack_cases import StackCase
from lgesynthnet.files.owned import require_outside
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.records import OnCase, Place
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.licence import host_licence, licence_of_weights
from lgesynthnet.run.pseudonyms import TABLE as PSEUDONYMS
from lgesynthnet.run.sample_files import HIDDEN
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.terms import LabelKind

IMAGE, SEGMENTATION = "image.dcm", "seg.dcm"
LONGEST_COMMENT = 2000


@dataclass(frozen=True, kw_only=True)
class _Slice:
    """A row of a run of slices with its case, and where its host is stored."""

    row: SampleRow
    case: ExportCase
    place: Place | None

    @property
    def images(self) -> tuple[str, ...]:
        return (IMAGE,)

    def instances(self, run: RunFolder, setting: Setting) -> list[DicomSample]:
        hidden = run.part(self.row, HIDDEN)
        return [sample_for_dicom(self.case, self.row, hidden, self.place, setting.identity, key=setting.key, comments=setting.comments)]


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """A row of a run of stacks with its case, and where each slice of its host is stored."""

    row: StackRow
    case: StackCase
    places: tuple[Place | None, ...]

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(map(image_of_slice, self.case.cut.kept))

    def instances(self, run: RunFolder, setting: Setting) -> list[DicomSample]:
        painted = {row.slice_index: row for row in run.rows if row.stack == self.row.id}
        return stack_for_dicom(self.case, self.row, painted, self.places, setting)


def export_dicom(request: DicomRequest, out: Path, *, on_case: OnCase | None = None) -> ExportResult:
    """Write `OUT/PATIENT/SAMPLE/image.dcm` and `seg.dcm` for each sample, with `cases.csv`. The same call completes an interrupted export.

    A sample whose host is DICOM is derived from the host's instance; one whose host is NIfTI gets a study of its own. A painted stack is a
    series of images, `image_001.dcm` and so on, one for every slice of its host.

    Args:
        out: a new folder.
        on_case: gets (done, total) after each sample.
    Raises:
        LGESynthNetError: the run or its hosts cannot be used, the extra `dicom` is missing, or the folder is taken.
    """
    run = RunFolder.open(request.run)
    load_dicom(run.path)
    rows = (run.painted_stacks if run.of_stacks else run.painted)(kept_only=not request.all_samples)
    require_outside(out, "run", run.path)
    source = run.plan.hosts(request.hosts)
    if not source.root.exists():
        raise InputError(f"{source.root}: the hosts of the run are not there any more; give their folder with --hosts")
    cohort = source.open()
    for folder in cohort.folders:
        require_outside(out, "patients", folder)
    patients = {row.host for row in rows}
    shown = {patient: patient for patient in patients} if request.keep_identity else pseudonyms_for(run, patients, "--keep-identity")
    samples = _samples(run, rows, places_of_hosts(run, rows, cohort), request.label, shown)
    notes = list[str]()
    damaged = write_export(out, _content(run, source, samples, request, notes), on_case)
    cases = [sample.case for sample in samples]
    all_notes = (*count_notes(cases), *dict.fromkeys(notes), *_run_notes(run, request), *written_notes(damaged))
    return ExportResult(folder=out, cases=len(cases), notes=all_notes)


def _samples(
    run: RunFolder,
    rows: Sequence[SampleRow | StackRow],
    places: Mapping[str, tuple[Place | None, ...]],
    label: LabelKind,
    shown: Mapping[str, str],
) -> list[_Slice | _Stack]:
    samples = list[_Slice | _Stack]()
    for row in rows:
        if isinstance(row, StackRow):
            samples.append(_Stack(row=row, case=stack_case(run, row, label, shown), places=places[row.id]))
        else:
            [place] = places[row.id]
            samples.append(_Slice(row=row, case=case_of_row(run, row, label, shown), place=place))
    return samples


def _content(
    run: RunFolder, source: CohortSource, samples: Sequence[_Slice | _Stack], request: DicomRequest, notes: list[str]
) -> ExportContent:
    """What the export writes; writing it adds notes."""
    cases = [sample.case for sample in samples]
    of_run = run_provenance(run, request.label, all_samples=request.all_samples, names_kept=request.keep_identity)
    dimension = {"dimension": 3} if run.of_stacks else {}
    provenance = {**of_run, **dimension, "format": "dicom", "private": "kept" if request.keep_private else "removed"}
    identity = export_identity({"made": provenance}, cases)
    folders = {case.id: f"{case.shown_as}/{case.row['sample']}" for case in cases}
    files = {sample.case.id: (*sample.images, SEGMENTATION) for sample in samples}
    listed = {name: (EVERY_IMAGE, SEGMENTATION) if run.of_stacks else of_case for name, of_case in files.items()}
    licence, weights = host_licence(source), licence_of_weights(run.plan.request.model)
    texts = {TABLE: case_table(cases, _inside(folders, listed)), NOTICE: dicom_notice(cases, provenance, licence, weights)}
    by_id = {sample.case.id: (number, sample) for number, sample in enumerate(samples)}
    comments = f"SYNTHETIC, not for diagnosis. Licence of the host: {terms(licence)}" + (f" Weights: {weights}." if weights else "")

    def write(case: ExportCase, *paths: Path) -> None:
        number, sample = by_id[case.id]
        slices = sample.instances(run, _setting(run, sample, request, comments[:LONGEST_COMMENT]))
        slices = [replace(each, position=number, keep_private=request.keep_private) for each in slices]
        notes.extend(_notes_on(slices))
        images = [mr_image(each) for each in slices]
        for path, image in zip(paths[:-1], images, strict=True):
            write_bytes(path, encoded(image))
        write_bytes(paths[-1], encoded(stack_segmentation(slices, images, sample.row.sentence)))

    record = provenance | counts(cases) | {"identity": identity}
    return ExportContent(cases=cases, files=_inside(folders, files), texts=texts, record=record, write=write)


def _inside(folders: Mapping[str, str], files: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(f"{folders[name]}/{file}" for file in of_case) for name, of_case in files.items()}


def _setting(run: RunFolder, sample: _Slice | _Stack, request: DicomRequest, comments: str) -> Setting:
    case = sample.case
    identity = Identity(shown_as=case.shown_as, kept=request.keep_identity, key=run.plan.hosts_fingerprint)
    parts = (run.plan.hash, sample.row.id, case.digest, case.label_kind, case.shown_as, str(request.keep_private), __version__)
    return Setting(identity=identity, key="/".join(parts), comments=comments)


def _notes_on(slices: Sequence[DicomSample]) -> list[str]:
    notes = []
    if any(sample.numbers.largest_error for sample in slices):
        notes.append("some images hold numbers that are not whole or need more than 16 bits; they are scaled, and each states its error")
    if clipped := sum(sample.numbers.clipped for sample in slices):
        notes.append(f"{slices[0].id}: {clipped} painted pixels lay beyond the bits of the host and were clipped")
    if any(sample.source is None and anatomical_directions(sample.plane.affine) is None for sample in slices):
        notes.append("the files of some hosts do not say how they lie in the patient, so the positions of their images mean nothing")
    if any(sample.source is not None and sample.source.has_own_frame for sample in slices):
        notes.append(
            "the slices of some stacks name several frames of reference, and a DICOM series has one: each such series gets a new one, and "
            "viewers will not lay it over the patient's other images; to keep the frames, paint slices, without --stacks"
        )
    return notes


def _run_notes(run: RunFolder, request: DicomRequest) -> list[str]:
    notes = []
    if not run.is_finished:
        notes.append(f"{run.path}: the command that paints this run has not ended, so only what is painted so far is exported")
    if request.keep_identity:
        notes.append("the files name the patients of the hosts (--keep-identity); they are for use where the hosts came from")
    else:
        notes.append(f"pseudonyms stand for the patients, and {run.path / PSEUDONYMS} resolves them")
    return notes
