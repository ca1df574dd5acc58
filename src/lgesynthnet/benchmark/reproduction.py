"""The published comparison on one's own patients: every method repaints the same real scars and paints the same new ones, one judge."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image as Picture

from lgesynthnet.benchmark.trained_methods import Tell, TrainedMethods
from lgesynthnet.conditioning.intensity import HeartWindow, grey
from lgesynthnet.conditioning.repaint_region import hidden_round
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.conditioning.working_grid import SIZE, Roi
from lgesynthnet.errors import InputError
from lgesynthnet.evaluate.alignment import Scores, compared, score
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.independence import require_independent
from lgesynthnet.evaluate.intervals import Interval, mean
from lgesynthnet.evaluate.lines import Goal, ResultRow
from lgesynthnet.evaluate.realism import realism
from lgesynthnet.files import write_bytes, write_json
from lgesynthnet.generate.base import Generator
from lgesynthnet.hosts.own_scar import own_scar
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.model_store import segmenter_fingerprint
from lgesynthnet.prescription.priors import draw
from lgesynthnet.prescription.rasterize import ScarMask, rasterize
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Image
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Method, Prior, Role

PICTURES, SIDE = 10, 88
REPAINT, NOVEL, REAL = "repaint", "novel", "real"
OUTSIDE = "largest change outside the scar's surroundings, heart units"


@dataclass(frozen=True, kw_only=True)
class PaintingTask:
    """One thing to paint: the same for every method."""

    host: Host
    painted: ScarMask
    prescription: ScarPrescription


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """What one method reached, on repainted and on new scars."""

    method: str
    fingerprint: str
    lines: Mapping[str, list[ResultRow]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The whole table.

    Attributes:
        part: whose slices were painted.
        judged: by method, in the order asked.
    """

    part: str
    auditor: str
    real: list[Scores]
    judged: list[MethodResult]


def compare(
    workshop: TrainedMethods,
    out: Path,
    *,
    part: str = "test",
    methods: list[Method],
    limit: int = 1,
    tell: Tell,
    note: Callable[[str], None],
) -> Comparison:
    """Train what is missing, then paint and judge; what is finished is not done again, so the same command goes on.

    Args:
        part: of the splits; nothing may have learnt from it.
        limit: take every so-manieth slice, for a quick look.
    Raises:
        InputError: the part is not there, or holds no scar.
        RunError: the auditor taught or chose a method.
    """
    if part not in workshop.splits:
        raise InputError(f"--part {part}: the splits have {', '.join(workshop.splits)}")
    for stage in workshop.missing(methods):
        note(f"training {stage}; its checkpoints are in {workshop.work}")
        workshop.train(stage, tell)
    auditor = _auditor(workshop)
    shelf = find_hosts(workshop.cohort, with_scar=True)
    hosts = [shelf.fetch(entry) for entry in shelf.entries if entry.patient in workshop.splits[part]][::limit]
    court = MethodEvaluator.of(hosts, workshop.scar_levels(), auditor, out, tell)
    if not court.real:
        raise InputError(f"{workshop.cohort.root}: no slice with scar in part {part}, so there is nothing to paint again")
    note(f"{len(court.real)} slices with scar, {len(hosts) - len(court.real)} without, judged by {auditor.fingerprint}")
    judged = []
    for method in methods:
        painter = workshop.painter(method)
        lines = court.known(method, painter.fingerprint)
        if lines is None:
            note(f"painting and judging {method}")
            lines = court.judge(method, painter)
        judged.append(MethodResult(method=method.value, fingerprint=painter.fingerprint, lines=lines))
    return Comparison(part=part, auditor=auditor.fingerprint, real=court.scores, judged=judged)


def _auditor(workshop: TrainedMethods) -> TrainedScarSegmenter:
    folder = workshop.auditor()
    if folder is None:
        raise InputError(
            f"{workshop.models or workshop.work}: holds no auditor; train it with `lgesynthnet train scar-segmenter --role auditor`"
        )
    parties = {}
    for place in (place for place in (workshop.models, workshop.work) if place is not None):
        for role in ("reward", "filter"):
            mark = segmenter_fingerprint(place / role) or segmenter_fingerprint(place / f"scar-segmenter-{role}" / "model")
            if mark is not None:
                parties[mark] = f"is the {role} of what is judged"
    require_independent(folder, parties)
    return TrainedScarSegmenter.from_pretrained(folder, Role.AUDITOR)


def wishes(hosts: list[Host], levels: Float[np.ndarray, " quantiles"], *, seed: int = 0) -> dict[str, list[PaintingTask]]:
    """Every scar of the slices again, and one new ischaemic scar in each slice without."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[PaintingTask]] = {REPAINT: [], NOVEL: []}
    for host in hosts:
        if host.slice_.scar.any():
            painted, said = own_scar(host, levels)
            found[REPAINT].append(PaintingTask(host=host, painted=painted, prescription=said))
        else:
            said = draw(Prior.ISCHAEMIC, host.frame.level, rng)
            found[NOVEL].append(PaintingTask(host=host, painted=rasterize(said, host.frame), prescription=said))
    return found


@dataclass(frozen=True, kw_only=True)
class MethodEvaluator:
    """One judge, one set of wishes, and the real slices beside which every method stands."""

    wanted: dict[str, list[PaintingTask]]
    auditor: TrainedScarSegmenter
    real: list[Case]
    scores: list[Scores]
    out: Path
    tell: Tell

    @classmethod
    def of(
        cls, hosts: list[Host], levels: Float[np.ndarray, " quantiles"], auditor: TrainedScarSegmenter, out: Path, tell: Tell
    ) -> MethodEvaluator:
        real = [Case.of_real(host) for host in hosts if host.slice_.scar.any()]
        court = cls(
            wanted=wishes(hosts, levels), auditor=auditor, real=real, scores=[score(case, auditor) for case in real], out=out, tell=tell
        )
        court._pictures(REAL, [(wish.host, wish.host.slice_.image) for wish in court.wanted[REPAINT]])
        return court

    def judge(self, method: Method, painter: Generator) -> dict[str, list[ResultRow]]:
        """Paint every wish, read it, and write the figures down."""
        lines: dict[str, list[ResultRow]] = {}
        for name, wanted in self.wanted.items():
            samples, scores = [], []
            for done, wish in enumerate(wanted, start=1):
                samples.append(painter.inpaint_mask(wish.host, wish.painted, wish.prescription, seed=done))
                scores.append(score(Case.of_sample(samples[-1]), self.auditor))
                self.tell(f"{method}, {name}", done, len(wanted))
            if not samples:
                continue
            lines[name] = [*compared(scores, self.scores), _outside(samples)]
            if name == REPAINT:
                lines["realism"] = realism([Case.of_sample(sample) for sample in samples], self.real, auditor=self.auditor)
                self._pictures(method.value, [(sample.host, sample.image) for sample in samples])
        record = {name: [asdict(line) for line in some] for name, some in lines.items()}
        write_json(self._file(method), self._marks(painter.fingerprint) | {"lines": record})
        return lines

    def known(self, method: Method, fingerprint: str) -> dict[str, list[ResultRow]] | None:
        """The figures of an earlier session; None where the painter, the judge or the slices were others."""
        if not self._file(method).is_file():
            return None
        record = json.loads(self._file(method).read_text())
        marks = self._marks(fingerprint)
        if {key: record.get(key) for key in marks} != marks:
            return None
        return {name: [_line(line) for line in some] for name, some in record["lines"].items()}

    def _file(self, method: Method) -> Path:
        return self.out / "methods" / f"{method.value}.json"

    def _marks(self, fingerprint: str) -> dict[str, object]:
        names = [wish.host.name for some in self.wanted.values() for wish in some]
        return {"painter": fingerprint, "auditor": self.auditor.fingerprint, "slices": names}

    def _pictures(self, method: str, images: list[tuple[Host, Image]]) -> None:
        """The same ten slices of every method, evenly spread over all of them."""
        for i in np.unique(np.linspace(0, len(images) - 1, PICTURES).astype(int)):
            host, image = images[i]
            roi, window = Roi(centre=host.frame.centre, spacing_mm=host.frame.spacing_mm), HeartWindow.of(host.slice_)
            edge = (SIZE - SIDE) // 2
            content = io.BytesIO()
            Picture.fromarray(grey(roi.crop(window.to_unit(image)))[edge:-edge, edge:-edge]).save(content, "PNG")
            write_bytes(self.out / "pictures" / method / f"{i:03d}.png", content.getvalue())


def _outside(samples: list[SyntheticSample]) -> ResultRow:
    """What a generator changed beyond the region that the product hides: 0, or it does not keep its host."""
    most: dict[str, list[float]] = {}
    for sample in samples:
        host = sample.host.slice_
        allowed = hidden_round(sample.intended, sample.host.frame.wall, host.spacing_mm)
        change = np.abs(sample.image.astype(np.float64) - host.image.astype(np.float64))[~allowed].max()
        most.setdefault(host.patient, []).append(float(change / HeartWindow.of(host).span))
    largest = max(value for row in most.values() for value in row)
    found = mean(most)
    return ResultRow(
        figure=OUTSIDE, value=found and replace(found, value=largest), aim=Goal.ZERO, note="value: largest; interval: of the mean"
    )


def _line(record: dict[str, object]) -> ResultRow:
    values = {key: Interval(**value) if isinstance(value, dict) else None for key in ("value", "real") for value in [record[key]]}
    return ResultRow(
        figure=str(record["figure"]), aim=Goal(str(record["aim"])), group=str(record["group"]), note=str(record["note"]), **values
    )
