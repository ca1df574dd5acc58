"""The comparison of the published table on other patients: every method repaints the same real scars and paints the same new ones."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from PIL import Image as Picture
from pydantic import BaseModel, ConfigDict

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.benchmark.trained_methods import OnProgress, TrainedMethods
from lgesynthnet.conditioning.edit import SliceEdit, add_scar
from lgesynthnet.conditioning.intensity import HeartWindow, to_grey
from lgesynthnet.conditioning.repaint_region import edited_region
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.conditioning.working_grid import SIZE, Roi
from lgesynthnet.errors import InputError
from lgesynthnet.evaluate.alignment import Scores, compared, score
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.independence import require_independent
from lgesynthnet.evaluate.intervals import mean
from lgesynthnet.evaluate.realism import realism
from lgesynthnet.evaluate.result_rows import Goal, ResultRow
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import write_bytes, write_json
from lgesynthnet.generate.base import Generator
from lgesynthnet.hosts.own_scar import own_scar
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.model_store import segmenter_fingerprint
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.records import Image
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Method, Prior, Role

PICTURES = 10  # example slices for each method
PICTURE_SIDE = 88  # pixels of 1 mm around the heart
REPAINT, NOVEL, REALISM = "repaint", "novel", "realism"  # the tables of a method
REAL = "real"
OUTSIDE = "largest change outside the hidden region, heart units"


@dataclass(frozen=True, kw_only=True)
class PaintingTask:
    """One edit of one host. All methods get the same tasks."""

    host: Host
    edit: SliceEdit


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """The results of one method.

    Attributes:
        method: a value of `Method`.
        fingerprint: of its generator.
        tables: result rows of `REPAINT`, `NOVEL` and `REALISM`; a table for which there was no task is missing.
    """

    method: str
    fingerprint: str
    tables: Mapping[str, list[ResultRow]]


class StoredResult(BaseModel):
    """The result of one method as it is stored, with all that it depends on."""

    model_config = ConfigDict(extra="forbid")

    generator_fingerprint: str
    auditor_fingerprint: str
    slices: list[str]
    tables: dict[Literal["repaint", "novel", "realism"], list[ResultRow]]

    @property
    def identity(self) -> dict[str, object]:
        return self.model_dump(exclude={"tables"})


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The results of all methods.

    Attributes:
        part: part of the splits whose slices were painted.
        auditor: its fingerprint.
        real: scores of the real slices with scar (the real ceiling).
        results: one for each method, in the requested order.
    """

    part: str
    auditor: str
    real: list[Scores]
    results: list[MethodResult]


def compare(
    methods: TrainedMethods,
    out: Path,
    *,
    chosen: Sequence[Method],
    part: str = "test",
    every: int = 1,
    on_progress: OnProgress,
    note: Callable[[str], None],
) -> Comparison:
    """Train the stages that are missing, then paint and score with every chosen method.

    Finished stages and methods are reused, so the same call resumes an interrupted comparison.

    Args:
        part: part of the splits to paint; no model may have been trained on it.
        every: use every N-th slice only.
        on_progress: called during training and painting.
        note: called with a message for the user.
    Raises:
        InputError: the part does not exist or has no slice with scar, or there is no auditor.
        RunError: the auditor is also the reward or the filter.
    """
    if part not in methods.splits:
        raise InputError(f"--part {part}: the splits have no such part; choose one of {', '.join(methods.splits)}")
    with claimed(out, FolderKind.BENCHMARK):
        for stage in methods.missing(chosen):
            note(f"training {stage}; checkpoints are in {methods.work}")
            methods.train(stage, on_progress)
        auditor = _auditor(methods)
        evaluator = _evaluator(methods, out, auditor, part=part, every=every, on_progress=on_progress)
        note(f"{len(evaluator.tasks[REPAINT])} slices with scar, {len(evaluator.tasks[NOVEL])} without; auditor {auditor.fingerprint}")
        results = []
        for method in chosen:
            generator = methods.generator(method)
            tables = evaluator.stored(method, generator.fingerprint)
            if tables is None:
                note(f"painting and scoring {method}")
                tables = evaluator.evaluate(method, generator)
            results.append(MethodResult(method=method.value, fingerprint=generator.fingerprint, tables=tables))
    return Comparison(part=part, auditor=auditor.fingerprint, real=evaluator.real_scores, results=results)


def _evaluator(
    methods: TrainedMethods, out: Path, auditor: TrainedScarSegmenter, *, part: str, every: int, on_progress: OnProgress
) -> MethodEvaluator:
    pool = find_hosts(methods.cohort, with_scar=True)
    hosts = [pool.fetch(entry) for entry in pool.entries if entry.patient in methods.splits[part]][::every]
    evaluator = MethodEvaluator.of(hosts, methods.scar_levels(), auditor, out, on_progress)
    if not evaluator.real:
        raise InputError(
            f"{methods.cohort.root}: part {part} has no slice with scar, so there is nothing to repaint; choose another --part"
        )
    return evaluator


def _auditor(methods: TrainedMethods) -> TrainedScarSegmenter:
    folder = methods.auditor()
    if folder is None:
        raise InputError(
            f"{methods.models or methods.work}: there is no auditor; train it with `lgesynthnet train scar-segmenter --role auditor`"
        )
    roles = {}
    for parent in (parent for parent in (methods.models, methods.work) if parent is not None):
        for role in ("reward", "filter"):
            fingerprint = segmenter_fingerprint(parent / role) or segmenter_fingerprint(parent / f"scar-segmenter-{role}" / "model")
            if fingerprint is not None:
                roles[fingerprint] = f"is the {role} of a compared method"
    require_independent(folder, roles)
    return TrainedScarSegmenter.from_pretrained(folder, Role.AUDITOR)


def painting_tasks(hosts: Sequence[Host], levels: Float[np.ndarray, " quantiles"], *, seed: int = 0) -> dict[str, list[PaintingTask]]:
    """The tasks by table. `REPAINT`: each slice with scar gets its own scar again. `NOVEL`: each other slice gets a random ischaemic scar.

    Args:
        levels: scar intensities in heart units at evenly spaced ranks, see `TrainedMethods.scar_levels`.
    """
    rng = np.random.default_rng(seed)
    tasks: dict[str, list[PaintingTask]] = {REPAINT: [], NOVEL: []}
    for host in hosts:
        if host.slice_.scar.any():
            tasks[REPAINT].append(PaintingTask(host=host, edit=own_scar(host, levels)))
        else:
            prescription = draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng)
            tasks[NOVEL].append(PaintingTask(host=host, edit=add_scar(host, prescription)))
    return tasks


@dataclass(frozen=True, kw_only=True)
class MethodEvaluator:
    """Scores methods on the same tasks with the same auditor, beside the same real slices.

    Attributes:
        tasks: by table, `REPAINT` or `NOVEL`.
        real, real_scores: the real slices with scar and their scores.
        out: folder for stored results and pictures.
    """

    tasks: dict[str, list[PaintingTask]]
    auditor: TrainedScarSegmenter
    real: list[Case]
    real_scores: list[Scores]
    out: Path
    on_progress: OnProgress

    @classmethod
    def of(
        cls,
        hosts: Sequence[Host],
        levels: Float[np.ndarray, " quantiles"],
        auditor: TrainedScarSegmenter,
        out: Path,
        on_progress: OnProgress,
    ) -> MethodEvaluator:
        """Prepare the tasks, score the real slices and write their pictures."""
        real = [Case.of_real(host) for host in hosts if host.slice_.scar.any()]
        evaluator = cls(
            tasks=painting_tasks(hosts, levels),
            auditor=auditor,
            real=real,
            real_scores=[score(case, auditor) for case in real],
            out=out,
            on_progress=on_progress,
        )
        evaluator._write_pictures(REAL, [(task.host, task.host.slice_.image) for task in evaluator.tasks[REPAINT]])
        return evaluator

    def evaluate(self, method: Method, generator: Generator) -> dict[str, list[ResultRow]]:
        """Paint and score every task, and store the result."""
        tables: dict[str, list[ResultRow]] = {}
        for table, tasks in self.tasks.items():
            samples, scores = [], []
            for number, task in enumerate(tasks, start=1):
                samples.append(generator.apply(task.host, task.edit, seed=number))
                scores.append(score(Case.of_sample(samples[-1]), self.auditor))
                self.on_progress(f"{method}, {table}", number, len(tasks))
            if not samples:
                continue
            tables[table] = [*compared(scores, self.real_scores), _change_outside(samples)]
            if table == REPAINT:
                tables[REALISM] = realism([Case.of_sample(sample) for sample in samples], self.real, auditor=self.auditor)
                self._write_pictures(method.value, [(sample.host, sample.image) for sample in samples])
        record = {table: [asdict(row) for row in rows] for table, rows in tables.items()}
        write_json(self._path(method), self._identity(generator.fingerprint) | {"tables": record})
        return tables

    def stored(self, method: Method, fingerprint: str) -> dict[str, list[ResultRow]] | None:
        """The stored result of an earlier call. None if there is none, or if the generator, the auditor or the slices have changed.

        Raises:
            InputError: it is damaged.
        """
        if not self._path(method).is_file():
            return None
        record = read_record(self._path(method), StoredResult)
        if record.identity != self._identity(fingerprint):
            return None
        return {str(table): rows for table, rows in record.tables.items()}

    def _path(self, method: Method) -> Path:
        return self.out / "methods" / f"{method.value}.json"

    def _identity(self, fingerprint: str) -> dict[str, object]:
        """What a stored result depends on."""
        slices = [task.host.name for tasks in self.tasks.values() for task in tasks]
        return {"generator_fingerprint": fingerprint, "auditor_fingerprint": self.auditor.fingerprint, "slices": slices}

    def _write_pictures(self, method: str, images: Sequence[tuple[Host, Image]]) -> None:
        """Write the same slices for every method, evenly spaced over all of them."""
        for i in np.unique(np.linspace(0, len(images) - 1, PICTURES).astype(int)):
            host, image = images[i]
            roi, window = Roi(centre=host.frame.centre, spacing_mm=host.frame.spacing_mm), HeartWindow.from_slice(host.slice_)
            edge = (SIZE - PICTURE_SIDE) // 2
            content = io.BytesIO()
            Picture.fromarray(to_grey(roi.crop(window.to_unit(image)))[edge:-edge, edge:-edge]).save(content, "PNG")
            write_bytes(self.out / "pictures" / method / f"{i:03d}.png", content.getvalue())


def _change_outside(samples: Sequence[SyntheticSample]) -> ResultRow:
    """The largest change outside the hidden region, in heart units. It is 0 if the generator leaves the rest of the host untouched."""
    largest: dict[str, list[float]] = {}
    for sample in samples:
        host = sample.host.slice_
        frame = sample.host.frame
        hidden = edited_region(sample.intended, frame.wall, frame.cavity, host.spacing_mm)
        change = np.abs(sample.image.astype(np.float64) - host.image.astype(np.float64))[~hidden].max()
        largest.setdefault(host.patient, []).append(float(change / HeartWindow.from_slice(host).span))
    interval = mean(largest)
    return ResultRow(
        metric=OUTSIDE,
        value=interval and replace(interval, value=max(change for changes in largest.values() for change in changes)),
        goal=Goal.ZERO,
        note="value: largest over the samples; interval: of the mean",
    )
