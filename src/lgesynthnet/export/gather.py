"""What can be exported: the samples of a run, and the labelled slices of real patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.label_maps import parse_label_map
from lgesynthnet.errors import InputError, RunError
from lgesynthnet.export.cases import ExportCase, real_cases, synthetic_case
from lgesynthnet.export.notice import Licence
from lgesynthnet.records import Skipped
from lgesynthnet.run.hosts import host_cohort
from lgesynthnet.run.licence import LICENCES, PHANTOM_TRUTH, host_licence
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.sample_row import Sample
from lgesynthnet.run.summary import Summary, summarise
from lgesynthnet.terms import LabelKind

Told = Callable[[int, int], None]
PLAN = "plan.json"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which cases to export; the names are those of the command line.

    Attributes:
        run: what `synthesize --out` made.
        data: folder of the real patients; None takes the run's hosts.
        no_real: leave the real slices out.
        dataset, labels: what the labels of `data` mean, see `open_cohort`.
        label: what a synthetic case's label is.
        kept_only: leave out what the filter rejected.
    """

    run: Path
    data: Path | None = None
    no_real: bool = False
    dataset: str | None = None
    labels: str | None = None
    label: LabelKind = LabelKind.INTENDED
    kept_only: bool = True


@dataclass(kw_only=True)
class Gathered:
    """Cases of both origins with the words about them."""

    plan: SynthesisPlan
    summary: Summary
    synthetic: list[ExportCase]
    real: list[ExportCase]
    real_licence: Licence
    notes: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> list[str]:
        return sorted({case.patient for case in self.synthetic})

    @property
    def scarred(self) -> dict[str, bool]:
        """Patient with real slices -> whether one of them holds scar."""
        found: dict[str, bool] = {}
        for case in self.real:
            found[case.patient] = found.get(case.patient, False) or case.has_scar
        return found


def gather(source: Source, on_case: Told | None) -> Gathered:
    """Read the run and the real patients; nothing is written.

    Args:
        on_case: told (done, all) after each real patient.
    Raises:
        LGESynthNetError: no run, no sample, no real patients, or files that cannot be read.
    """
    if not (source.run / PLAN).is_file():
        raise RunError(f"{source.run}: is no run folder (no {PLAN}); give the folder that `lgesynthnet synthesize --out` made")
    plan = SynthesisPlan.read(source.run / PLAN)
    summary = summarise(source.run)
    samples = [sample for sample in summary.samples if sample.file and (sample.kept or not source.kept_only)]
    if not samples:
        hint = "--all also takes what was rejected" if source.kept_only else "nothing could be painted"
        raise RunError(f"{source.run}: holds no sample to export; {hint}")
    synthetic = [_synthetic(source, sample) for sample in samples]
    gathered = Gathered(plan=plan, summary=summary, synthetic=synthetic, real=[], real_licence=(None, None))
    if source.no_real:
        if source.data is not None:
            raise RunError("--data names real patients and --no-real leaves them out; give one of them")
        return gathered
    cohort = _cohort(source, plan)
    gathered.real_licence = host_licence(summary) if source.data is None else _licence_of(source.data, source.dataset)
    _read_real(cohort, gathered, on_case)
    return gathered


def _read_real(cohort: Cohort, gathered: Gathered, on_case: Told | None) -> None:
    skipped, unlabelled = list(cohort.skipped), 0
    for done, files in enumerate(cohort.cases, start=1):
        try:
            found = list(real_cases(cohort, files))
        except InputError as fault:
            found = []
            skipped.append(Skipped(name=files.patient, reason=str(fault)))
        gathered.real += [case for case in found if isinstance(case, ExportCase)]
        unlabelled += sum(isinstance(case, Skipped) for case in found)
        if on_case is not None:
            on_case(done, len(cohort.cases))
    if not gathered.real:
        raise InputError(f"{cohort.root}: holds no labelled slice; say with --data where the real patients lie, or add --no-real")
    gathered.notes += [f"skipped {entry.name}: {entry.reason}" for entry in skipped]
    if unlabelled:
        gathered.notes.append(f"{unlabelled} real slices were left out: nobody labelled a heart in them, or they are empty")


def _synthetic(source: Source, sample: Sample) -> ExportCase:
    row = {
        "sample": sample.id,
        "caption": sample.caption,
        "prescription": sample.prescription.to_json() if sample.prescription is not None else "",
        "seed": sample.seed,
        "verdict": sample.reason,
        "why": sample.why,
        "dice": "" if sample.dice is None else f"{sample.dice:g}",
    }
    path = source.run / sample.file
    return synthetic_case(path, sample_id=sample.id, patient=sample.host, slice_index=sample.slice_index, kind=source.label, row=row)


def _cohort(source: Source, plan: SynthesisPlan) -> Cohort:
    if source.data is None:
        if not Path(plan.hosts).is_dir():
            raise InputError(f"{plan.hosts}: the run's hosts are not there any more; say with --data where they lie, or add --no-real")
        return host_cohort(plan)
    label_map = parse_label_map(source.labels) if source.labels else None
    return open_cohort(source.data, dataset=source.dataset, label_map=label_map)


def _licence_of(data: Path, dataset: str | None) -> Licence:
    return LICENCES["phantom"] if (data / PHANTOM_TRUTH).is_file() else LICENCES.get(str(dataset), (None, None))
