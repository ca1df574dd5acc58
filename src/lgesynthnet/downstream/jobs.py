"""The job of one training: train a network, and let it read the patients that it has not seen. It may run in any process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field
from safetensors.torch import save

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.downstream.preparing import Training, painted_slices_path, real_slices_path
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.files.reading import checked, read_json
from lgesynthnet.files.writing import replaced_folder, write_json
from lgesynthnet.segmenter.downstream import DownstreamSegmenter
from lgesynthnet.segmenter.networks import weights_of
from lgesynthnet.segmenter.operating_points import SliceReading, read_slices
from lgesynthnet.threads import one_thread
from lgesynthnet.train.examples.files import fingerprint_of
from lgesynthnet.train.examples.slices import SliceDataset, read_slice_dataset
from lgesynthnet.train.segmenters.downstream import DownstreamTraining, train_downstream_segmenter
from lgesynthnet.train.work import MODEL, damaged_file, owned_work

READINGS = "readings.json"


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training in its folder.

    Attributes:
        folder: folder of the prepared slices, in which the training has a folder of its own.
        has_samples: whether there are prepared slices of samples.
    """

    training: Training
    settings: DownstreamTraining
    cohort: Cohort
    folder: Path
    has_samples: bool

    @property
    def place(self) -> Path:
        """The folder of this training."""
        return self.folder / self.training.name


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What one training did.

    Attributes:
        slices, painted: number of real slices and of samples that it learnt from.
        steps, loss: optimiser steps, and the mean loss at the end.
        seconds: of wall time; earlier calls count.
    """

    name: str
    patients: tuple[str, ...]
    held_out: tuple[str, ...]
    slices: int
    painted: int
    steps: int
    loss: float | None
    seconds: float


class _Reading(BaseModel, extra="forbid"):
    patient: str
    index: int = Field(ge=0)
    has_scar: bool
    expected_scar_mm2: float = Field(ge=0)
    is_called: bool


class _Readings(BaseModel, extra="forbid"):
    weights: str
    held_out: str
    readings: list[_Reading]


def run_job(job: TrainingJob, on_progress: Callable[[int, int, float], None] | None = None) -> tuple[TrainingReport, list[SliceReading]]:
    """Train, or continue; then read the patients that were held out. On one thread, so that no result depends on how many run.

    Args:
        on_progress: see `train.loop.fit`.
    Returns:
        What the training did, and how its network read each slice of the patients that it has not seen.
    Raises:
        LGESynthNetError: see `train_downstream_segmenter` and `read_slices`.
    """
    real, painted = training_slices(job)
    with one_thread(), owned_work(job.place):
        segmenter = train_downstream_segmenter(real, painted, job.place, job.settings, on_progress=on_progress)
        if not job.training.held_out:
            with replaced_folder(job.place / MODEL) as new:
                segmenter.save(new)
        readings = _readings(job, segmenter)
    log = _last_line(job.place / "metrics.jsonl")
    report = TrainingReport(
        name=job.training.name,
        patients=tuple(sorted(set(real.patients))),
        held_out=job.training.held_out,
        slices=len(real),
        painted=0 if painted is None else len(painted),
        steps=job.settings.recipe.loop.steps,
        loss=log.get("loss"),
        seconds=log.get("seconds", 0.0),
    )
    return report, readings


def training_slices(job: TrainingJob) -> tuple[SliceDataset, SliceDataset | None]:
    """The real slices of the patients of a training, and the samples that were painted into these patients.

    Raises:
        InputError: a prepared file is damaged, or no slice is left.
    """
    real = read_slice_dataset(real_slices_path(job.folder)).of(job.training.patients)
    if not len(real):
        raise InputError(f"{job.place}: its patients have no usable slice; `lgesynthnet verify` says why")
    painted = read_slice_dataset(painted_slices_path(job.folder)).of(job.training.patients) if job.has_samples else None
    return real, painted if painted is not None and len(painted) else None


def _readings(job: TrainingJob, segmenter: DownstreamSegmenter) -> list[SliceReading]:
    """How the network reads the patients that were held out; read again only where it or they are others than before."""
    held_out = list(job.training.held_out)
    if not held_out:
        return []
    weights, patients = _weights_digest(segmenter), fingerprint_of(job.cohort, held_out)
    path = job.place / READINGS
    stored = _stored_readings(path)
    if stored is not None and (stored.weights, stored.held_out) == (weights, patients):
        return [SliceReading(**entry.model_dump()) for entry in stored.readings]
    readings = [reading for patient in held_out for reading in _read_patient(job, segmenter, patient)]
    entries = [_Reading(**vars(reading)) for reading in readings]
    write_json(path, _Readings(weights=weights, held_out=patients, readings=entries).model_dump(mode="json"))
    return readings


def _read_patient(job: TrainingJob, segmenter: DownstreamSegmenter, patient: str) -> Sequence[SliceReading]:
    try:
        return read_slices(segmenter, job.cohort.stack(patient))
    except InputError as fault:
        raise InputError(f"{patient}: cannot be read for the operating points ({fault})") from None


def _stored_readings(path: Path) -> _Readings | None:
    if not path.is_file() or damaged_file(path.absolute()) is not None:
        return None
    try:
        return checked(_Readings, read_json(path), str(path))
    except InputError:
        return None


def _weights_digest(segmenter: DownstreamSegmenter) -> str:
    """Fingerprint of the weights of all its networks."""
    networks = [segmenter.network, *([segmenter.wall_segmenter.network] if segmenter.wall_segmenter is not None else [])]
    digest = hashlib.sha256()
    for network in networks:
        digest.update(save(weights_of(network)))
    return digest.hexdigest()[:16]


def _last_line(path: Path) -> dict[str, float]:
    try:
        line: dict[str, float] = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    except (OSError, ValueError, IndexError) as fault:
        raise ModelError(f"{path}: is damaged ({fault}); delete {path.parent} and the same command trains this network again") from None
    return line
