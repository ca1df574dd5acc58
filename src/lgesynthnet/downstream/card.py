"""The card of a downstream segmenter: what it is, what it learnt from and what it is not for. It names no patient."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet.downstream.preparing import PreparedTraining
from lgesynthnet.downstream.request import PHANTOM, DownstreamRequest
from lgesynthnet.model_store import OWN_LICENCE, licence_of, shipped_or_path
from lgesynthnet.options import words
from lgesynthnet.run.licence import host_licence, licence_of_weights
from lgesynthnet.terms import Precision, WallFrom
from lgesynthnet.train.options import RANDOM_WEIGHTS

RESEARCH_ONLY = "Research software, not for diagnosis."
_OF_WALL = {
    WallFrom.CROP: "It finds the heart by itself.",
    WallFrom.CASCADE: "A first network (`wall/`) draws the wall, and a second one finds scar in it.",
    WallFrom.KNOWN_WALL: "It is given the cavity and the wall with each image (`segment --wall`).",
}


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What the card says of the training itself.

    Attributes:
        least_area_mm2: the default.
        point_rows: see `packing.point_rows`.
    """

    least_area_mm2: float
    point_rows: Sequence[Mapping[str, float | None]]
    precision: Precision


def model_card(facts: CardFacts, prepared: PreparedTraining, request: DownstreamRequest) -> str:
    """Text of README.md."""
    licence = licence_of_segmenter(prepared, request)
    has_scar = prepared.real.has_scar
    painted = sum(len(samples.rows) for samples in prepared.samples)
    start = "random weights" if request.first_weights is None else f"the weights `{request.first_weights.name}`"
    learnt = (
        f"It learnt from {len(has_scar)} patients, {sum(has_scar.values())} of them with scar: {len(prepared.real)} slices, "
        f"{prepared.real.free_of_scar.sum()} of them with a wall and without scar."
    )
    if painted:
        told = "a second input channel said which these are" if request.origin else "mixed in without telling which these are"
        learnt += f" It also learnt from {painted} slices with a painted scar in these patients ({told})."
    lines = [
        *_header(licence),
        f"# {request.out.resolve().name}",
        "",
        f"A segmenter of cavity, wall, scar and no-reflow in short-axis LGE stacks. {RESEARCH_ONLY} {_OF_WALL[request.wall_from]}",
        "",
        learnt,
        f"Training began from {start}, in {'bfloat16' if facts.precision is Precision.BF16 else 'float32'}.",
        *_about_labels(prepared),
        "",
        *_about_points(facts),
        "",
        "```bash",
        f"lgesynthnet segment IMAGES --model {shlex.quote(request.out.resolve().name)} --out MASKS"
        + (" --wall CONTOURS" if request.wall_from is WallFrom.KNOWN_WALL else ""),
        "```",
        "",
        "Made by:",
        "",
        "```bash",
        shared_command(request),
        "```",
        "",
        f"Licence: {_about_licence(licence)} `reports.json` names the patients: remove it before you share the weights with "
        "somebody who must not know the names. Benchmarks then refuse the segmenter, because nobody can say whom it has seen.",
        "",
    ]
    return "\n".join(lines)


def licence_of_segmenter(prepared: PreparedTraining, request: DownstreamRequest) -> str | None:
    """The licence that binds the weights: that of patients, generators of samples and first weights; None where it is not known."""
    of_data, _ = host_licence(request.data)
    of_init = None if request.first_weights is None else licence_of(shipped_or_path(request.first_weights))
    others = [licence_of_weights(samples.run.plan.request.model) for samples in prepared.samples]
    found = sorted({name for name in (of_data, of_init, *others) if name not in (None, OWN_LICENCE)})
    return ", ".join(found) if found else of_data


def shared_command(request: DownstreamRequest) -> str:
    """The command that trains it again, with DATA, SPLITS and so on in place of what names a place or a patient."""
    source = request.data
    data = replace(
        source,
        root=Path("DATA"),
        landmarks=Path("LANDMARKS") if source.landmarks else None,
        series="SERIES" if source.series else None,
        contours=Path("CONTOURS") if source.contours else None,
        patients=("PATIENT",) if source.patients else None,
    )
    shared = replace(
        request,
        data=data,
        out=Path("SEG"),
        work=None,
        workers=None,
        device="auto",
        splits=Path("SPLITS") if request.splits else None,
        samples=("RUN",) * len(request.samples) if request.samples else None,
        init=request.init if request.init in (PHANTOM, RANDOM_WEIGHTS) else "INIT",
    )
    return shlex.join(["lgesynthnet", "train", "downstream", *words(shared)])


def _header(licence: str | None) -> list[str]:
    named = [] if licence is None else [f"license: {licence}"]
    return ["---", *named, "library_name: lgesynthnet", "tags: [cardiac-mri, late-gadolinium-enhancement, segmentation]", "---"]


def _about_labels(prepared: PreparedTraining) -> list[str]:
    note = prepared.chosen.cohort.masks_drawn_by
    return [] if note is None else [f"The labels that it learnt from were drawn by the network {note}, and are no ground truth."]


def _about_points(facts: CardFacts) -> list[str]:
    if not facts.point_rows:
        return ["Scar is drawn wherever it is found: there were too few patients to set an operating point for a false-positive rate."]
    columns = ("false_positive_rate", "least_area_mm2", "called_without_scar", "called_with_scar")
    rows = [f"| {' | '.join(_number(row[name]) for name in columns)} |" for row in facts.point_rows]
    return [
        f"By default, scar is drawn in a slice where its expected area is {facts.least_area_mm2:.0f} mm² or more (the share of scar in",
        "the wall's probability, summed over the wall). The operating points were set on the training patients, each read by a network",
        "that had learnt from the other half of them; in other patients the rates differ. A slice is called scarred above 25 mm² of scar.",
        "",
        "| false-positive rate | least expected area, mm² | called scarred, slices without scar | called scarred, slices with scar |",
        "|---|---|---|---|",
        *rows,
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _about_licence(licence: str | None) -> str:
    if licence is None:
        return "not recorded. The weights carry the terms of the patients' data and of whatever painted the samples; ask their owners."
    return f"{licence}, as that of what it learnt from."
