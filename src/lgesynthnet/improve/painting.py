"""The painting of a round: an ordinary run whose kept samples are valid and hard, and the control run of random prescriptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import damaged_files
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.improve.hardness import HardSelector
from lgesynthnet.improve.jobs import fold_segmenter, read_fold, read_misses
from lgesynthnet.improve.prescribing import HostGroup, prescription_lines
from lgesynthnet.improve.samples import prepare_samples
from lgesynthnet.improve.setup import Improvement, TrainingSet, control_name, round_name
from lgesynthnet.run.folder import HOSTS_CACHE
from lgesynthnet.run.request import ATTEMPTS_PER_SAMPLE, SynthesisRequest
from lgesynthnet.synthesis.painters import Painter, load_painter
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.synthesis.selecting import Selector
from lgesynthnet.synthesis.synthesize import synthesize
from lgesynthnet.terms import LEAST_ORIENTATION_CONFIDENCE

MOST_PRESCRIPTIONS = 5000  # of a round; further attempts begin again with the first
SEEDS_APART = 1000  # the runs of one command have seeds, and so samples have names, of their own
CONTROL_ROUND = 0
OnAttempt = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RoundPlan:
    """What a round is painted from.

    Attributes:
        number: of the round, from 1.
        before: the training set of the round before, whose folds say what is missed and what is hard.
        least_area_mm2: from which expected area on these folds draw scar.
    """

    number: int
    before: TrainingSet
    least_area_mm2: float


def paint_round(improvement: Improvement, plan: RoundPlan, folds: int, on_attempt: OnAttempt | None = None) -> None:
    """Paint what is missed into the scar-free slices of the training patients, and keep what is valid and hard.

    Valid: the filter, which is shown the wall, keeps the sample. Hard: the segmenter that holds out the host's patient finds it with a
    Dice below the bound. A finished round is left as it is.

    Raises:
        InputError: no slice can be painted into.
    """
    name, request = round_name(plan.number), improvement.request
    if damaged_files(improvement.out / name, FolderKind.RUN) != []:
        records = [read_fold(improvement, plan.before, fold) for fold in range(folds)]
        fold_of = {patient: fold for fold, record in enumerate(records) for patient in record.held_out}
        pool = _hosts(improvement)
        groups = host_groups(improvement, plan.before, pool, folds)
        rng = np.random.default_rng([request.seed, plan.number, 7])
        lines = prescription_lines(groups, improvement.prior, min(ATTEMPTS_PER_SAMPLE * request.count, MOST_PRESCRIPTIONS), rng)
        path = improvement.out / "prescriptions" / f"{name}.jsonl"
        write_bytes(path, lines.encode())
        segmenters = [fold_segmenter(improvement, plan.before, fold, plan.least_area_mm2) for fold in range(folds)]
        selector = HardSelector(segmenters=segmenters, fold_of=fold_of, below=request.hard_below)
        asked = SynthesisRequest(
            hosts=_source(improvement),
            count=request.count,
            model=request.model,
            prescriptions=path,
            seed=seed_of(improvement, plan.number),
            device=request.device,
        )
        _paint(improvement, name, asked, selector, on_attempt)
    prepare_samples(improvement, name)


def paint_control(improvement: Improvement, count: int, on_attempt: OnAttempt | None = None) -> None:
    """Paint as many samples as the prior draws them, kept by the filter alone."""
    name = control_name(count)
    if damaged_files(improvement.out / name, FolderKind.RUN) != []:
        request = improvement.request
        asked = SynthesisRequest(
            hosts=_source(improvement),
            count=count,
            model=request.model,
            prior=request.prior,
            seed=seed_of(improvement, CONTROL_ROUND),
            device=request.device,
        )
        _paint(improvement, name, asked, None, on_attempt)
    prepare_samples(improvement, name)


def host_groups(improvement: Improvement, before: TrainingSet, pool: HostPool, folds: int) -> list[HostGroup]:
    """The hosts of each fold that has any, with what was missed in its patients."""
    groups = []
    for fold in range(folds):
        held_out = set(read_fold(improvement, before, fold).held_out)
        entries = [entry for entry in pool.entries if entry.patient in held_out]
        if entries:
            missed = [lesion.traits for lesion in read_misses(improvement, before, fold).findings.missed]
            levels = dict(sorted(Counter(entry.level for entry in entries).items()))
            groups.append(HostGroup(patients=tuple(sorted({entry.patient for entry in entries})), levels=levels, missed=missed))
    return groups


def seed_of(improvement: Improvement, number: int) -> int:
    """Seed of the run of a round."""
    return improvement.request.seed * SEEDS_APART + number


def _hosts(improvement: Improvement) -> HostPool:
    """The slices that a round may be painted into, as `synthesize` finds them."""
    try:
        return find_hosts(
            _source(improvement).open(), least_confidence=LEAST_ORIENTATION_CONFIDENCE, cache=improvement.prepared / HOSTS_CACHE
        )
    except InputError as fault:
        raise InputError(f"{fault} (painting into the training patients)") from None


def _source(improvement: Improvement) -> CohortSource:
    return replace(improvement.request.data, patients=improvement.patients)


def _paint(improvement: Improvement, name: str, asked: SynthesisRequest, selector: Selector | None, on_attempt: OnAttempt | None) -> None:
    painter: Painter = load_painter(asked.model, asked.device)
    planned = plan_synthesis(asked, painter=painter, run=improvement.prepared, selector=selector)  # where the hearts are located already
    synthesize(planned, improvement.out / name, on_attempt=on_attempt)
