"""A finished run judged: its samples beside real slices, as tables in `RUN/evaluation`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lgesynthnet.data.cohort import Cohort, open_cohort
from lgesynthnet.data.label_maps import parse_label_map
from lgesynthnet.data.splits import read_splits
from lgesynthnet.errors import RunError
from lgesynthnet.evaluate.cases import Case, in_order
from lgesynthnet.evaluate.independence import auditor_of
from lgesynthnet.evaluate.result_rows import ResultRow, to_csv, to_markdown
from lgesynthnet.evaluate.run_cases import painted_cases, real_cases
from lgesynthnet.files import write_bytes
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.run.hosts import host_cohort, host_pool
from lgesynthnet.run.plan import SynthesisPlan

if TYPE_CHECKING:
    from lgesynthnet.segmenter.reader import TrainedScarSegmenter

FOLDER = "evaluation"
Told = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """What a user asks for; the names are those of the command line.

    Attributes:
        run: what `synthesize --out` made.
        hosts: where the run's hosts lie now; None where they lay then.
        real: folder of real slices with scar; None takes those that the hosts' own folder holds.
        dataset, labels, base_first, flip, landmarks: how to read `real`, see `open_cohort`.
        splits, part: only the patients of one part of a JSON file.
        training_part: the part that the generator learnt from; copies of it are sought.
        auditor: a reader's folder, or a model folder that holds one; None takes the one beside the run's model, else the shipped one.
        kept_only: leave out what the filter rejected.
    """

    run: Path
    hosts: Path | None = None
    real: Path | None = None
    dataset: str | None = None
    labels: str | None = None
    base_first: bool | None = None
    flip: tuple[bool, bool] = (False, False)
    landmarks: Path | None = None
    splits: Path | None = None
    part: str | None = None
    training_part: str | None = None
    auditor: Path | None = None
    kept_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One layer, judged.

    Attributes:
        notes: what was judged by whom, one sentence each.
        table, page: the files that were written, CSV and Markdown.
    """

    lines: list[ResultRow]
    notes: tuple[str, ...]
    table: Path
    page: Path

    @property
    def overall(self) -> str:
        """The figures over all samples, as a Markdown table."""
        return to_markdown([line for line in self.lines if line.group == ALL])


@dataclass(frozen=True, kw_only=True)
class Material:
    """Everything that a layer looks at."""

    plan: SynthesisPlan
    auditor: TrainedScarSegmenter
    painted: list[Case]
    real: list[Case]
    training: list[Case]
    notes: tuple[str, ...]


def evaluate_alignment(request: EvaluationRequest, *, on_case: Told | None = None) -> Evaluated:
    """Does each picture hold the scar that was asked for? Writes `alignment.csv` and `alignment.md`.

    Args:
        on_case: told (done, all) while files are read and while cases are judged.
    Raises:
        LGESynthNetError: what a user can mend: no run, hosts that changed, a reader that may not judge.
    """
    material = gathered(replace(request, training_part=None), on_case)
    from lgesynthnet.evaluate.alignment import compared, score

    total = len(material.painted) + len(material.real)
    scores = []
    for done, case in enumerate([*material.painted, *material.real], start=1):
        scores.append(score(case, material.auditor))
        if on_case is not None:
            on_case(done, total)
    lines = compared(scores[: len(material.painted)], scores[len(material.painted) :])
    return _written(request.run, "alignment", lines, material.notes)


def evaluate_realism(request: EvaluationRequest, *, on_case: Told | None = None) -> Evaluated:
    """Would the painted regions pass for the scanner's? Writes `realism.csv` and `realism.md`; else like `evaluate_alignment`."""
    material = gathered(request, on_case)
    from lgesynthnet.evaluate.realism import realism

    lines = realism(material.painted, material.real, auditor=material.auditor, training=material.training, on_case=on_case)
    return _written(request.run, "realism", lines, material.notes)


def gathered(request: EvaluationRequest, on_case: Told | None = None) -> Material:
    """Read the run, its hosts, the real slices and the auditor, each checked; nothing is written.

    Raises:
        LGESynthNetError: see `evaluate_alignment`.
    """
    plan = SynthesisPlan.read(request.run / "plan.json")
    patients, learnt_from = _parts(request)
    hosts = host_cohort(plan, request.hosts)
    auditor = auditor_of(plan, request.auditor)  # torch is loaded from here on
    painted = painted_cases(request.run, plan, host_pool(plan, hosts, on_case), kept_only=request.kept_only)
    cohort = _real_cohort(request, hosts)
    real = real_cases(cohort, patients, on_case)
    training = real_cases(cohort, learnt_from, on_case) if learnt_from is not None else []
    which = "kept samples" if request.kept_only else "samples, rejected ones included"
    notes = [
        f"{len(painted)} {which} in {len({case.patient for case in painted})} patients, painted by {plan.generator}, "
        f"filtered by {plan.reader}, judged by {auditor.fingerprint}",
        f"{len(real)} real slices with scar of {len({case.patient for case in real})} patients of {cohort.root.name}"
        + (f", part {request.part}" if request.part else ""),
    ]
    if not real:
        notes.append("no real slices with scar, so there is no ceiling; give --real")
    return Material(
        plan=plan, auditor=auditor, painted=in_order(painted), real=in_order(real), training=in_order(training), notes=tuple(notes)
    )


def _real_cohort(request: EvaluationRequest, hosts: Cohort) -> Cohort:
    if request.real is None:
        return hosts
    return open_cohort(
        request.real,
        dataset=request.dataset,
        label_map=parse_label_map(request.labels) if request.labels else None,
        base_first=request.base_first,
        flip=request.flip,
        landmarks=request.landmarks,
    )


def _parts(request: EvaluationRequest) -> tuple[list[str] | None, list[str] | None]:
    """Patients of the part to compare with and of the part that was learnt from; None where it was not named."""
    wanted = (request.part, request.training_part)
    if request.splits is None:
        if any(wanted):
            raise RunError("--part and --training-part name parts of a file; give it with --splits")
        return None, None
    splits = read_splits(request.splits)
    missing = [part for part in wanted if part is not None and part not in splits]
    if missing or request.part is None:
        said = f"has no part {missing[0]}" if missing else "which of its parts? say --part"
        raise RunError(f"{request.splits}: {said}; it has {', '.join(splits)}")
    return splits[request.part], splits[request.training_part] if request.training_part is not None else None


def _written(run: Path, layer: str, lines: list[ResultRow], notes: tuple[str, ...]) -> Evaluated:
    table, page = (run / FOLDER / f"{layer}.{ending}" for ending in ("csv", "md"))
    text = "\n".join([f"# {layer.capitalize()}", "", *(f"- {note}" for note in notes), "", to_markdown(lines)])
    write_bytes(table, to_csv(lines).encode("utf-8"))
    write_bytes(page, text.encode("utf-8"))
    return Evaluated(lines=lines, notes=notes, table=table, page=page)
