"""The jobs of a round, each for one fold: train and score a segmenter, then measure what it misses. They may run in any process."""

from __future__ import annotations

from pydantic import BaseModel

from lgesynthnet.benchmark.records import read_record
from lgesynthnet.benchmark.utility.scoring import score_stack
from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.files.writing import write_json
from lgesynthnet.improve.misses import Findings, called_scar, find_misses
from lgesynthnet.improve.samples import painted_slices
from lgesynthnet.improve.setup import FINAL, SEGMENTER, Improvement, TrainingSet
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, OperatingPoint
from lgesynthnet.segmenter.operating_points import default_area_mm2
from lgesynthnet.threads import one_thread
from lgesynthnet.train.segmenters.downstream import train_downstream_segmenter

RECORD, MISSES, MODEL = "record.json", "misses.json", "model"


class FoldRecord(BaseModel, extra="forbid"):
    """What a fold's segmenter was trained on, and its scores on the patients that it has not seen.

    Attributes:
        held_out: names of these patients.
        samples: names of the samples that it was trained on.
        slices: one score for each of their slices.
    """

    held_out: list[str]
    samples: list[str]
    slices: list[SliceScore]


class MissesRecord(BaseModel, extra="forbid"):
    """What a fold's segmenter misses and falsely calls, where it draws scar from this expected area on."""

    least_area_mm2: float
    findings: Findings


def train_fold(improvement: Improvement, training_set: TrainingSet, fold: int) -> None:
    """Train the segmenter of a fold and score it on the patients that the fold holds out. A finished fold is left as it is."""
    folder = improvement.work(training_set.name, fold)
    if (folder / RECORD).is_file():
        return
    real = improvement.real()
    held_out = improvement.folds(real)[fold]
    mine = real.of(set(improvement.patients).difference(held_out))
    painted = painted_slices(improvement, training_set.runs, held_out)
    cohort = improvement.cohort()
    with one_thread():
        segmenter = train_downstream_segmenter(mine, painted, folder, improvement.training())
        segmenter.save(folder / MODEL)
        slices = [score for name in held_out for score in score_stack(segmenter, cohort.stack(name))]
    record = FoldRecord(held_out=held_out, samples=[] if painted is None else painted.patients, slices=slices)
    write_json(folder / RECORD, record.model_dump(mode="json"))


def measure_fold(improvement: Improvement, training_set: TrainingSet, fold: int, least_area_mm2: float) -> None:
    """Measure what the segmenter of a fold misses and falsely calls in the patients that the fold holds out."""
    folder = improvement.work(training_set.name, fold)
    if (folder / MISSES).is_file() and read_misses(improvement, training_set, fold).least_area_mm2 == least_area_mm2:
        return
    held_out = read_fold(improvement, training_set, fold).held_out
    pool, segmenter = improvement.find_hosts(tuple(held_out)), fold_segmenter(improvement, training_set, fold, least_area_mm2)
    levels = improvement.brightness_levels()
    parts = []
    with one_thread():
        for name in held_out:
            stack = pool.cohort.stack(name)
            hosts = {entry.index: pool.fetch(entry) for entry in pool.entries if entry.patient == name}
            parts.append(find_misses(stack, called_scar(segmenter, stack), hosts, levels))
    record = MissesRecord(least_area_mm2=least_area_mm2, findings=Findings.joined(parts))
    write_json(folder / MISSES, record.model_dump(mode="json"))


def train_final(improvement: Improvement, training_set: TrainingSet, points: tuple[OperatingPoint, ...]) -> None:
    """Train the segmenter that is handed over, on all training patients, and write it to `RUN/segmenter`.

    Args:
        points: as the folds set them.
    """
    folder, real = improvement.work(FINAL) / training_set.name, improvement.real()
    painted = painted_slices(improvement, training_set.runs)
    with one_thread():
        segmenter = train_downstream_segmenter(real, painted, folder, improvement.training())
    segmenter.settings = segmenter.settings.model_copy(update={"points": points})
    segmenter.least_area_mm2 = default_area_mm2(points)
    segmenter.save(improvement.out / SEGMENTER)
    report = {
        "patients": len(improvement.patients),
        "names": list(improvement.patients),
        "samples": [] if painted is None else painted.patients,
        "training_set": training_set.name,
    }
    write_json(improvement.out / SEGMENTER / "reports.json", {"downstream-segmenter": report})


def read_fold(improvement: Improvement, training_set: TrainingSet, fold: int) -> FoldRecord:
    """The record of a finished fold."""
    return read_record(improvement.work(training_set.name, fold) / RECORD, FoldRecord)


def read_misses(improvement: Improvement, training_set: TrainingSet, fold: int) -> MissesRecord:
    """What a measured fold missed."""
    return read_record(improvement.work(training_set.name, fold) / MISSES, MissesRecord)


def fold_segmenter(improvement: Improvement, training_set: TrainingSet, fold: int, least_area_mm2: float) -> DownstreamSegmenter:
    """The segmenter of a finished fold, which draws scar from this expected area on."""
    segmenter = DownstreamSegmenter.from_pretrained(improvement.work(training_set.name, fold) / MODEL)
    segmenter.least_area_mm2 = least_area_mm2
    return segmenter
