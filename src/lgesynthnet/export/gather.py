"""Collect the cases to export: the samples of a run, and the labelled slices or the stacks of real patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import ExportCase, SliceCase, real_cases, real_id, synthetic_case
from lgesynthnet.export.notice import drawn_by
from lgesynthnet.export.request import ExportRequest
from lgesynthnet.export.stack_cases import StackCase, real_stack_case, real_stack_id, synthetic_stack_case
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.names import checked_name, is_inside
from lgesynthnet.files.owned import is_owned, resolved
from lgesynthnet.records import OnCase, Place, Skipped
from lgesynthnet.run.folder import RunFolder, is_run
from lgesynthnet.run.licence import Licence, host_licence, licence_of_weights
from lgesynthnet.run.pseudonyms import TABLE as PSEUDONYMS
from lgesynthnet.run.sample_files import TWIN_IMAGES
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.terms import Dimension, Edit, LabelKind

TWIN_ENDING = "-twin"


@dataclass(kw_only=True)
class GatheredCases:
    """The cases of a run and of the real patients, with notes for the user.

    Attributes:
        folder: what is exported: a run folder, or a folder of patients.
        run: the run; None where patients alone are exported.
        dimension: what a case is; all are of one kind.
        real_licence: licence and credit of the real cases.
        real_drawn_by: fingerprint of the network that drew the labels of the real cases; None where people did.
        real_folders: where the files of the real patients lie; empty where they are left out.
        notes: one sentence each; later steps add theirs.
    """

    folder: Path
    run: RunFolder | None
    dimension: Dimension
    synthetic: list[ExportCase]
    real: list[ExportCase]
    real_licence: Licence
    real_drawn_by: str | None = None
    real_folders: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> list[str]:
        """Patients who are the hosts of the samples, sorted."""
        return sorted({case.patient for case in self.synthetic})

    @property
    def host_licence(self) -> Licence:
        """Licence and credit of the hosts."""
        return host_licence(self.run.plan.request.hosts) if self.run is not None else (None, None)

    @property
    def weights_licence(self) -> str | None:
        """Licence of the weights that painted, where it is another than the program's."""
        return licence_of_weights(self.run.plan.request.model) if self.run is not None else None

    @property
    def has_scar(self) -> dict[str, bool]:
        """Each patient with real cases -> whether any of these cases holds scar."""
        scarred: dict[str, bool] = {}
        for case in self.real:
            scarred[case.patient] = scarred.get(case.patient, False) or case.has_scar
        return scarred


def gather(request: ExportRequest, on_case: OnCase | None) -> GatheredCases:
    """Read the run and the real patients. Nothing is written, but for pseudonyms that the run does not have yet.

    Args:
        on_case: gets (done, total) after each real patient.
    Raises:
        LGESynthNetError: the run, its samples or the real patients are missing or cannot be read.
    """
    if not is_run(request.run):
        return _gather_patients(request, on_case)
    run = RunFolder.open(request.run)
    dimension = _dimension_of(run, request)
    rows = (run.painted_stacks if dimension is Dimension.STACKS else run.painted)(kept_only=not request.all_samples)
    source = None if request.no_real else request.data or _hosts_of(run)
    cohort = source.open() if source is not None else None
    patients = {row.host for row in rows} | {case.patient for case in (cohort.cases if cohort is not None else ())}
    shown = {patient: patient for patient in patients} if request.keep_names else pseudonyms_for(run, patients, "--keep-names")
    synthetic = [case for row in rows for case in _cases_of(run, row, request.label, shown)]
    gathered = GatheredCases(folder=run.path, run=run, dimension=dimension, synthetic=synthetic, real=[], real_licence=(None, None))
    if not run.is_finished:
        gathered.notes.append(f"{run.path}: the command that paints this run has not ended, so only what is painted so far is exported")
    if source is not None and cohort is not None:
        gathered.real_licence = host_licence(source)
        _read_real(cohort, gathered, shown, on_case)
    if not request.keep_names:
        gathered.notes.append(f"pseudonyms stand for the patients, and {run.path / PSEUDONYMS} resolves them; --keep-names keeps the names")
    return gathered


def _dimension_of(run: RunFolder, request: ExportRequest) -> Dimension:
    """What a case of the export of a run is.

    Raises:
        RunError: stacks are asked for, and the run has none.
    """
    if request.dimension is Dimension.STACKS and not run.of_stacks:
        raise RunError(
            f"{run.path}: holds slices, and --dimension 3 exports whole stacks; leave --dimension out, or paint stacks with "
            "`lgesynthnet synthesize --stacks`"
        )
    return request.dimension or (Dimension.STACKS if run.of_stacks else Dimension.SLICES)


def _gather_patients(request: ExportRequest, on_case: OnCase | None) -> GatheredCases:
    """Read a folder of patients that stands in place of a run. Nothing is written.

    Raises:
        LGESynthNetError: the folder holds no patients or samples of a run, or their names would be shown without being asked for.
    """
    folder, source = request.run, request.data or CohortSource(root=request.run)
    try:
        cohort = source.open()
    except InputError as fault:
        raise RunError(f"{folder}: is not a run folder, and no folder of patients ({fault})") from None
    if resolved(source.root) != resolved(folder):
        raise RunError(f"{folder}: holds patients and no run, so --data cannot name others; give the folder of a run, or leave out --data")
    if request.no_real:
        raise RunError(f"{folder}: holds patients and no run, so --no-real leaves nothing to export; leave it out")
    _refuse_painted(cohort)
    if not (request.keep_names or is_owned(source.root, FolderKind.COHORT)):  # simulated patients have no names to hide
        raise RunError(
            f"{folder}: is no run, which would keep the pseudonyms of the patients; add --keep-names, or export a run with "
            "--synthetic-share 0"
        )
    dimension = request.dimension or Dimension.SLICES
    gathered = GatheredCases(folder=folder, run=None, dimension=dimension, synthetic=[], real=[], real_licence=host_licence(source))
    _read_real(cohort, gathered, {case.patient: case.patient for case in cohort.cases}, on_case)
    gathered.notes.append(f"{folder}: is no run, so patients are exported without samples")
    return gathered


def _refuse_painted(cohort: Cohort) -> None:
    """Refuse samples that were read as if they were images of patients, as where the folder above a run was given.

    Raises:
        RunError: an image lies in a run or in an export.
    """
    for folder in {folder for case in cohort.cases for folder in case.image_path.parents}:
        if is_run(folder):
            raise RunError(f"{folder}: is a run, and its samples are no patients; give this folder itself, or that of the patients")
        if is_owned(folder, FolderKind.EXPORT):
            raise RunError(f"{folder}: is an export, which may hold painted slices; give the folder of the patients that it was made from")


def pseudonyms_for(run: RunFolder, patients: set[str], without: str) -> dict[str, str]:
    """Patient -> pseudonym.

    Args:
        without: the option that exports without pseudonyms.
    Raises:
        RunError: see `RunFolder.pseudonyms`.
    """
    try:
        return run.pseudonyms(patients)
    except RunError as fault:
        raise RunError(f"{str(fault).rpartition('; ')[0] or fault}; mend that, or add {without} to export without pseudonyms") from None


def _hosts_of(run: RunFolder) -> CohortSource:
    """The folder of the hosts with all its patients, not only the hosts of this run."""
    source = replace(run.plan.request.hosts, patients=None)
    if not source.root.exists():
        raise InputError(f"{source.root}: the folder of the hosts no longer exists; give its new path with --data, or add --no-real")
    return source


def _read_real(cohort: Cohort, gathered: GatheredCases, shown: Mapping[str, str], on_case: OnCase | None) -> None:
    gathered.real_folders, gathered.real_drawn_by = cohort.folders, cohort.masks_drawn_by
    skipped, unlabelled = list(cohort.skipped), 0
    for done, files in enumerate(cohort.cases, start=1):
        try:
            cases = _real_cases(cohort, files, shown[files.patient], gathered.dimension)
        except InputError as fault:
            cases = []
            skipped.append(Skipped(name=files.patient, reason=str(fault)))
        gathered.real += [case for case in cases if isinstance(case, ExportCase)]
        unlabelled += sum(isinstance(case, Skipped) for case in cases)
        if on_case is not None:
            on_case(done, len(cohort.cases))
    if not gathered.real:
        if gathered.dimension is Dimension.STACKS and skipped:
            raise InputError(f"{cohort.root}: no stack of a patient can be exported; {skipped[-1].name}: {skipped[-1].reason}")
        raise InputError(f"{cohort.root}: has no labelled slice; give the folder of the real patients with --data, or add --no-real")
    gathered.real.sort(key=lambda case: (len(case.shown_as), case.shown_as))  # the order of the files would be that of the names
    gathered.notes += [f"skipped {entry.name}: {entry.reason}" for entry in skipped]
    if (drawn := drawn_by(cohort.masks_drawn_by)) is not None:
        gathered.notes.append(f"of the real {gathered.real[0].NOUN}s: {drawn[0].lower()}{drawn[1:].rstrip('.')}")
    if unlabelled:
        gathered.notes.append(f"{unlabelled} real slices were left out because they are empty or have no heart label")


def _real_cases(cohort: Cohort, files: CaseFiles, shown_as: str, dimension: Dimension) -> list[ExportCase | Skipped]:
    """The slices of a patient, or the stack.

    Raises:
        InputError: see `real_cases` and `real_stack_case`.
    """
    if dimension is Dimension.STACKS:
        return [real_stack_case(cohort, files, shown_as)]
    return list(real_cases(cohort, files, shown_as))


def _cases_of(run: RunFolder, row: SampleRow | StackRow, kind: LabelKind, shown: Mapping[str, str]) -> Sequence[ExportCase]:
    return cases_of_stack(run, row, kind, shown) if isinstance(row, StackRow) else cases_of_row(run, row, kind, shown)


def cases_of_row(run: RunFolder, row: SampleRow, kind: LabelKind, shown: Mapping[str, str]) -> list[SliceCase]:
    """The case of a painted slice; and that of its twin, where the run has twins and this one is no real slice.

    Each names the other in the column `twin`. Where scar was added or removed, the twin is the real slice of the host.
    """
    case = case_of_row(run, row, kind, shown)
    if not run.plan.request.twins:
        return [case]
    if row.edit in (Edit.ADD, Edit.REMOVE):
        return [replace(case, row={**case.row, "twin": real_id(case.shown_as, case.slice_index)})]
    twin = synthetic_case(
        Place(path=run.part(row, TWIN_IMAGES), index=run.index_in_file(row)),
        sample_id=f"{row.id}{TWIN_ENDING}",
        patient=row.host,
        shown_as=case.shown_as,
        slice_index=row.slice_index,
        kind=LabelKind.INTENDED,
        row=_twin_columns(row, case),
    )
    return [replace(case, row={**case.row, "twin": twin.id}), twin]


def case_of_row(run: RunFolder, row: SampleRow, kind: LabelKind, shown: Mapping[str, str]) -> SliceCase:
    """The case of a painted slice.

    Args:
        shown: patient -> what stands for the patient in the export.
    Raises:
        RunError: the table names files outside the run, or a file cannot be used.
    """
    return synthetic_case(
        Place(path=_image_of(run, row), index=run.index_in_file(row)),
        sample_id=row.id,
        patient=row.host,
        shown_as=shown[row.host],
        slice_index=row.slice_index,
        kind=kind,
        row={"caption": row.caption, **_columns(row)},
    )


def cases_of_stack(run: RunFolder, row: StackRow, kind: LabelKind, shown: Mapping[str, str]) -> list[StackCase]:
    """The case of a painted stack; and that of its twin, where the run has twins and this one is no real stack; see `cases_of_row`.

    Args:
        shown: patient -> what stands for the patient in the export.
    Raises:
        RunError: the table names files outside the run, or a file cannot be used.
    """
    slices = " ".join(str(painted.slice_index) for painted in run.rows if painted.stack == row.id)
    case = synthetic_stack_case(
        _image_of(run, row),
        sample_id=row.id,
        patient=row.host,
        shown_as=shown[row.host],
        kind=kind,
        row={"painted_slices": slices, "sentence": row.sentence, **_columns(row)},
    )
    if not run.plan.request.twins:
        return [case]
    if row.edit in (Edit.ADD, Edit.REMOVE):
        return [replace(case, row={**case.row, "twin": real_stack_id(case.shown_as)})]
    twin = synthetic_stack_case(
        run.part(row, TWIN_IMAGES),
        sample_id=f"{row.id}{TWIN_ENDING}",
        patient=row.host,
        shown_as=case.shown_as,
        kind=LabelKind.INTENDED,
        row={"painted_slices": slices, **_twin_columns(row, case)},
    )
    return [replace(case, row={**case.row, "twin": twin.id}), twin]


def _image_of(run: RunFolder, row: SampleRow | StackRow) -> Path:
    """The image file of a sample.

    Raises:
        RunError: the table names files outside the run.
    """
    for name in (row.id, row.host):
        checked_name(name, str(run.table))
    if not is_inside(row.file):
        raise RunError(f"{run.table}: {row.id[:60]!r} names the file {row.file[:60]!r}, which is not in the run; was the table edited?")
    return run.image(row)


def _columns(row: SampleRow | StackRow) -> dict[str, str]:
    """What the table of cases says of a sample."""
    return {
        "sample": row.id,
        "edit": row.edit.value,
        "prescription": row.prescription.to_json(),
        "seed": str(row.seed),
        "verdict": row.reason,
        "why": row.why,
        "dice": "" if row.dice is None else f"{row.dice:g}",
    }


def _twin_columns(row: SampleRow | StackRow, case: ExportCase) -> dict[str, str]:
    """What the table of cases says of the twin of a sample."""
    return {"sample": row.id, "edit": Edit.REMOVE.value, "seed": str(row.seed), "twin": case.id}
