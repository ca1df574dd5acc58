"""Write a trained downstream segmenter as a model folder: the network, its card, and on whom it was trained."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lgesynthnet import __version__
from lgesynthnet.downstream.card import CardFacts, model_card
from lgesynthnet.downstream.jobs import TrainingReport
from lgesynthnet.downstream.preparing import PreparedTraining
from lgesynthnet.downstream.request import DownstreamRequest
from lgesynthnet.files.writing import remove_folder, write_bytes, write_json
from lgesynthnet.model_store import patients_behind
from lgesynthnet.segmenter.downstream import ROLE, WALL_PART, DownstreamSegmenter, OperatingPoint
from lgesynthnet.segmenter.operating_points import SliceReading, default_area_mm2, share_called
from lgesynthnet.train.packing import CARD, REPORTS
from lgesynthnet.train.segmenters.downstream import DownstreamTraining
from lgesynthnet.train.work import MODEL, require_whole


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A finished training with its folds.

    Attributes:
        place: folder of the final training.
        readings: every slice of the training patients, read by the fold that has not seen the patient; empty without folds.
        points: see `set_points`.
    """

    place: Path
    settings: DownstreamTraining
    reports: Sequence[TrainingReport]
    readings: Sequence[SliceReading]
    points: tuple[OperatingPoint, ...]

    @property
    def least_area_mm2(self) -> float:
        return default_area_mm2(self.points)


def pack_segmenter(trained: TrainedNetwork, prepared: PreparedTraining, request: DownstreamRequest) -> float:
    """Write the model folder `request.out`, which the caller holds; returns the least expected area at which scar is drawn.

    Raises:
        ModelError: the trained network is damaged.
        RunError: the folder cannot be written.
    """
    out = request.out
    require_whole((trained.place / MODEL).absolute(), "downstream")
    segmenter = DownstreamSegmenter.from_pretrained(trained.place / MODEL)
    segmenter.settings = segmenter.settings.model_copy(update={"points": trained.points})
    segmenter.least_area_mm2 = trained.least_area_mm2
    segmenter.save(out)
    if segmenter.wall_segmenter is None:
        remove_folder(out / WALL_PART)  # of a former cascade
    write_json(out / REPORTS, training_reports(trained, prepared, request))
    facts = CardFacts(least_area_mm2=trained.least_area_mm2, point_rows=point_rows(trained), precision=trained.settings.precision)
    write_bytes(out / CARD, model_card(facts, prepared, request).encode())
    return segmenter.least_area_mm2


def training_reports(trained: TrainedNetwork, prepared: PreparedTraining, request: DownstreamRequest) -> dict[str, object]:
    """The reports of the model folder. `patients_behind` reads from them on whom the segmenter was trained, directly and by its samples."""
    final = trained.reports[0]
    settings = trained.settings
    record: dict[str, object] = {
        "lgesynthnet": __version__,
        "recipe": request.recipe.value,
        "wall_from": settings.wall_from.value,
        "origin_channel": settings.origin,
        "precision": settings.precision.value,
        "seed": settings.seed,
        "patients": len(final.patients),
        "names": list(final.patients),
        "masks_drawn_by": prepared.chosen.cohort.masks_drawn_by,
        "trainings": [asdict(report) for report in trained.reports],
        "least_area_mm2": trained.least_area_mm2,
        "operating_points": point_rows(trained),
    }
    reports: dict[str, object] = {ROLE: record}
    if request.first_weights is not None:
        reports["first-weights"] = {"init": request.init} | _named(patients_behind(request.first_weights))
    for number, samples in enumerate(prepared.samples):
        plan = samples.run.plan
        reports[f"samples-{number}"] = {
            "run": samples.run.name,
            "plan": plan.hash,
            "generator": plan.generator_fingerprint,
            "filter": plan.filter_fingerprint,
            "kept": len(samples.rows),
        } | _named(samples.behind)
    return reports


def point_rows(trained: TrainedNetwork) -> list[dict[str, float | None]]:
    """Each operating point with the share of the slices that the folds call scarred at it."""
    return [
        {
            "false_positive_rate": point.false_positive_rate,
            "least_area_mm2": point.least_area_mm2,
            "called_without_scar": share_called(trained.readings, point.least_area_mm2, has_scar=False),
            "called_with_scar": share_called(trained.readings, point.least_area_mm2, has_scar=True),
        }
        for point in trained.points
    ]


def _named(patients: Collection[str] | None) -> dict[str, object]:
    """Names of patients as a report holds them; without a list, `patients_behind` knows that they are not recorded."""
    return {"patients": "not recorded"} if patients is None else {"patients": len(patients), "names": sorted(patients)}
