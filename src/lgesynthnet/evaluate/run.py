"""The evaluation of a run: alignment (does a sample show the scar that was prescribed?) and realism (does it look like a scan?)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lgesynthnet.data.splits import read_splits
from lgesynthnet.errors import RunError
from lgesynthnet.evaluate.cases import Case, in_order
from lgesynthnet.evaluate.independence import auditor_of
from lgesynthnet.evaluate.request import EvaluationRequest
from lgesynthnet.evaluate.result_rows import ResultRow, to_csv, to_markdown
from lgesynthnet.evaluate.run_cases import painted_cases, real_cases
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed, is_owned
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.records import OnCase
from lgesynthnet.run.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from lgesynthnet.segmenter.scar import TrainedScarSegmenter


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of one evaluation.

    Attributes:
        notes: what was evaluated and by what, one sentence each.
        table, page: the files that were written, CSV and Markdown.
    """

    rows: list[ResultRow]
    notes: tuple[str, ...]
    table: Path
    page: Path

    @property
    def overall(self) -> str:
        """The metrics over all samples, as a Markdown table."""
        return to_markdown([row for row in self.rows if row.group == ALL])


@dataclass(frozen=True, kw_only=True)
class EvaluationCases:
    """Everything that an evaluation looks at."""

    run: RunFolder
    auditor: TrainedScarSegmenter
    painted: list[Case]
    real: list[Case]
    training: list[Case]
    notes: tuple[str, ...]


def evaluate_alignment(request: EvaluationRequest, *, on_case: OnCase | None = None) -> Evaluation:
    """Does each sample show the scar that was prescribed? Writes `alignment.csv` and `alignment.md`.

    Args:
        on_case: gets (done, total) while files are read and while cases are judged.
    Raises:
        LGESynthNetError: something that the user can mend: no run, hosts that changed, an auditor that took part in the run.
    """
    with _added_to(request.run):
        cases = gather_cases(replace(request, training_part=None), on_case)
        from lgesynthnet.evaluate.alignment import compared, score

        total = len(cases.painted) + len(cases.real)
        scores = []
        for done, case in enumerate([*cases.painted, *cases.real], start=1):
            scores.append(score(case, cases.auditor))
            if on_case is not None:
                on_case(done, total)
        rows = compared(scores[: len(cases.painted)], scores[len(cases.painted) :])
        return _written(cases, "alignment", rows)


def evaluate_realism(request: EvaluationRequest, *, on_case: OnCase | None = None) -> Evaluation:
    """Do the painted regions look like a scan? Writes `realism.csv` and `realism.md`; otherwise like `evaluate_alignment`."""
    with _added_to(request.run):
        cases = gather_cases(request, on_case)
        from lgesynthnet.evaluate.realism import realism

        rows = realism(cases.painted, cases.real, auditor=cases.auditor, training=cases.training, on_case=on_case)
        return _written(cases, "realism", rows)


@contextmanager
def _added_to(folder: Path) -> Iterator[None]:
    """Hold a run, to which tables are added.

    Raises:
        RunError: it is no run, or was written by version 0.1.0; or see `claimed`.
    """
    run = RunFolder.open(folder)
    if not is_owned(folder, FolderKind.RUN):
        again = run.plan.command(folder.with_name(f"{run.name}-again"))
        raise RunError(
            f"{folder}: was written by version 0.1.0, or its list of files is lost, so no tables can be added; paint it again: {again}"
        )
    with claimed(folder, FolderKind.RUN, finishes=False):
        yield


def gather_cases(request: EvaluationRequest, on_case: OnCase | None = None) -> EvaluationCases:
    """Read and check the run, its hosts, the real slices and the auditor; nothing is written.

    Raises:
        LGESynthNetError: see `evaluate_alignment`.
    """
    run = RunFolder.open(request.run)
    plan = run.plan
    patients, training_patients = _parts(request)
    hosts = run.hosts(request.hosts, on_case)
    auditor = auditor_of(plan, request.auditor)  # torch is loaded from here on
    painted = painted_cases(run, hosts, kept_only=not request.every)
    cohort = (request.real or replace(plan.hosts(request.hosts), patients=None)).open()
    real = real_cases(cohort, patients, on_case)
    training = real_cases(cohort, training_patients, on_case) if training_patients is not None else []
    which = "samples, rejected ones included," if request.every else "kept samples"
    notes = [
        f"{len(painted)} {which} in {len({case.patient for case in painted})} patients, painted by {plan.generator_fingerprint}, "
        f"filtered by {plan.filter_fingerprint}, judged by {auditor.fingerprint}",
        f"{len(real)} real slices with scar of {len({case.patient for case in real})} patients of {cohort.root.name}"
        + (f", part {request.part}" if request.part else ""),
    ]
    if not real:
        notes.append("there is no real slice with scar, so there is no real ceiling; give some with --real")
    return EvaluationCases(
        run=run, auditor=auditor, painted=in_order(painted), real=in_order(real), training=in_order(training), notes=tuple(notes)
    )


def _parts(request: EvaluationRequest) -> tuple[list[str] | None, list[str] | None]:
    """Patients of the part to compare with, and of the part that the generator was trained on; None where it was not named."""
    if request.splits is None:
        return None, None
    splits = read_splits(request.splits)
    for part in (request.part, request.training_part):
        if part is not None and part not in splits:
            raise RunError(f"{request.splits}: has no part {part}; it has {', '.join(splits)}")
    return splits[request.part or ""], splits[request.training_part] if request.training_part is not None else None


def _written(cases: EvaluationCases, layer: str, rows: list[ResultRow]) -> Evaluation:
    table, page = (cases.run.evaluation(f"{layer}.{ending}") for ending in ("csv", "md"))
    text = "\n".join([f"# {layer.capitalize()}", "", *(f"- {note}" for note in cases.notes), "", to_markdown(rows)])
    write_bytes(table, to_csv(rows).encode("utf-8"))
    write_bytes(page, text.encode("utf-8"))
    return Evaluation(rows=rows, notes=cases.notes, table=table, page=page)
