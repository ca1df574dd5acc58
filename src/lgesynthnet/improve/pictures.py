"""Pictures of the report: what a segmenter missed or falsely called in real slices, as labelled and as called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.anatomy.aha import NAME_OF
from lgesynthnet.improve.jobs import fold_segmenter, read_fold
from lgesynthnet.improve.misses import FalseCall, Lesion, called_scar
from lgesynthnet.improve.results import RoundResult
from lgesynthnet.improve.setup import Improvement
from lgesynthnet.records import Mask, ShortAxisSlice
from lgesynthnet.report.html import data_uri
from lgesynthnet.report.panels import Panel, grey, heart_window, outline, png_bytes

LABELLED_RGB, CALLED_RGB = (255, 176, 0), (0, 229, 160)
Found = TypeVar("Found", Lesion, FalseCall)


@dataclass(frozen=True, kw_only=True)
class SlicePictures:
    """One real slice of the report.

    Attributes:
        title: pseudonym and slice.
        text: what was missed or falsely called, as a sentence.
    """

    title: str
    text: str
    panels: list[Panel]


def worst(found: Sequence[Found], most: int) -> list[Found]:
    """The largest ones, one of each patient before a second of any."""
    by_size = sorted(found, key=lambda each: (-each.area_mm2, each.patient, each.index))
    seen: dict[str, int] = {}
    ranked = []
    for each in by_size:
        seen[each.patient] = seen.get(each.patient, 0) + 1
        ranked.append((seen[each.patient], each))
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])][:most]


def draw(
    improvement: Improvement, round_: RoundResult, found: Sequence[Lesion | FalseCall], pseudonyms: dict[str, str]
) -> list[SlicePictures]:
    """The slices of these findings: the image, the labelled scar, and what the segmenter of the fold calls scar."""
    folds = _folds_of(improvement, round_)
    cohort, pictures = improvement.cohort(), []
    called: dict[str, np.ndarray] = {}
    for each in found:
        stack = cohort.stack(each.patient)
        if each.patient not in called:
            segmenter = fold_segmenter(improvement, round_.training_set, folds[each.patient], round_.least_area_mm2)
            called[each.patient] = called_scar(segmenter, stack)
        pictures.append(
            SlicePictures(
                title=f"{pseudonyms[each.patient]}, slice {each.index}, {each.traits.level}",
                text=describe(each),
                panels=_panels(stack[each.index], called[each.patient][:, :, each.index]),
            )
        )
    return pictures


def describe(found: Lesion | FalseCall) -> str:
    """A lesion or a false call in words."""
    traits = found.traits
    walls = ", ".join(NAME_OF[segment] for segment in traits.segments)
    depth = "" if traits.depth is None else f", {100 * traits.depth:.0f} % of the wall deep"
    if isinstance(found, Lesion):
        return f"Scar of {found.area_mm2:.0f} mm² in the {walls} wall{depth}: {100 * found.found:.0f} % of its area was found."
    return f"A region of {found.area_mm2:.0f} mm² in the {walls} wall{depth} was called scar, and none is labelled there."


def _folds_of(improvement: Improvement, round_: RoundResult) -> dict[str, int]:
    """Patient -> the fold that holds the patient out."""
    count = len(list(improvement.work(round_.training_set.name).glob("fold-*")))
    records = [read_fold(improvement, round_.training_set, fold) for fold in range(count)]
    return {patient: fold for fold, record in enumerate(records) for patient in record.held_out}


def _panels(slice_: ShortAxisSlice, called: Mask) -> list[Panel]:
    window = heart_window([slice_.image], slice_.labels, slice_.spacing_mm)

    def with_line(mask: Mask, colour: tuple[int, int, int]) -> UInt8[np.ndarray, "height width 3"]:
        picture = np.repeat(grey(slice_.image, window)[:, :, None], 3, axis=2)
        picture[outline(mask, window, width=2)] = colour
        return picture

    drawn = (
        ("image", grey(slice_.image, window)),
        ("labelled scar", with_line(slice_.scar, LABELLED_RGB)),
        ("called scar", with_line(called, CALLED_RGB)),
    )
    return [Panel(title=title, src=data_uri(png_bytes(picture), "png")) for title, picture in drawn]
