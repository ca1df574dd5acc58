"""What the report shows of one attempt at a whole heart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from markupsafe import Markup

from lgesynthnet.prescription.edits import NoEnhancement
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.report.bullseye import heart_svg, prescription_svg
from lgesynthnet.report.panels import HOST
from lgesynthnet.report.stack_panels import SlicePanels, stack_panels
from lgesynthnet.report.values import fixed, percent, volume
from lgesynthnet.run.pseudonyms import without_names
from lgesynthnet.run.sample_row import KEPT, OF_REJECTED, SampleRow
from lgesynthnet.run.stack_row import StackRow
from lgesynthnet.run.summary import RunSummary

MOST_ACROSS = 11  # slices side by side; more would be too small


@dataclass(frozen=True, kw_only=True)
class SlicePicture:
    """One slice of a stack as the report shows it.

    Attributes:
        tags: titles that are written on its pictures; each title is written once in a stack.
        note: the Dice of the slice; or why there is none.
        fault: why the filter rejects this slice; empty where it keeps it.
    """

    panels: SlicePanels
    tags: tuple[str, ...]
    note: str
    fault: str


@dataclass(frozen=True, kw_only=True)
class StackCard:
    """One attempt at a whole heart as the report shows it.

    Attributes:
        patient: pseudonym of the host's patient.
        why: the verdict as a sentence; like `flags`, without names of patients and files.
        slices: from base to apex.
        bullseye: None where the heart's own scar was painted again, which no prescription describes.
        numbers: measured values as (name, text).
        flags: warnings about this stack and its slices, each once.
    """

    sample: StackRow
    patient: str
    why: str
    slices: list[SlicePicture]
    bullseye: Markup | None
    numbers: list[tuple[str, str]]
    flags: tuple[str, ...]

    @property
    def across(self) -> int:
        """How many slices stand side by side: all of them, or as many in each line."""
        lines = max(math.ceil(len(self.slices) / MOST_ACROSS), 1)
        return max(math.ceil(len(self.slices) / lines), 1)


def stack_card(summary: RunSummary, row: StackRow) -> StackCard:
    """The card of one attempt, with its pictures."""
    run, patient = summary.run, summary.pseudonyms[row.host]
    slices = stack_panels(run, row)
    flags = (*row.flags, *_flags_of_slices(painted for painted in run.rows if painted.stack == row.id))
    if row.file and not slices:
        flags += (f"{row.file} or its masks cannot be read, so there are no pictures",)
    elif slices and not any(panel.title == HOST for panel in slices[0].panels):
        flags += ("the file of the host is no longer there, so the host is not shown",)
    return StackCard(
        sample=row,
        patient=patient,
        why=without_names(row.why, row.host, patient, run.plan.places),
        slices=_slice_pictures(slices),
        bullseye=_bullseye(row),
        numbers=stack_numbers(row),
        flags=tuple(without_names(flag, row.host, patient, run.plan.places) for flag in flags),
    )


def stack_numbers(row: StackRow) -> list[tuple[str, str]]:
    """The measured values of one stack as (name, text); a dash means that a value was not measured."""
    removed = [("removed", volume(row.removed_ml))] if row.removed_ml is not None else []
    return [
        ("3-D Dice", fixed(row.dice)),
        ("slices kept", "–" if row.slices is None else f"{row.kept_slices} of {row.slices} painted"),
        ("intended", volume(row.intended_ml)),
        ("read", volume(row.read_ml)),
        *removed,
        ("LV wall", volume(row.wall_ml)),
        ("scar burden", percent(row.burden, digits=1)),
        ("no-reflow", percent(row.mvo_share)),
        ("segments", " ".join(map(str, row.shown_segments)) or "none"),
        ("seed", str(row.seed)),
    ]


def _bullseye(row: StackRow) -> Markup | None:
    if isinstance(row.prescription, HeartScar):
        return Markup(heart_svg(row.prescription))
    return Markup(prescription_svg(row.prescription)) if isinstance(row.prescription, NoEnhancement) else None


def _slice_pictures(slices: Iterable[SlicePanels]) -> list[SlicePicture]:
    pictures, tagged = [], set[str]()
    for panels in slices:
        tags = tuple(panel.title for panel in panels.panels if panel.title not in tagged)
        tagged.update(tags)
        pictures.append(SlicePicture(panels=panels, tags=tags, note=_note(panels.row), fault=_fault(panels.row)))
    return pictures


def _note(row: SampleRow | None) -> str:
    if row is None:
        return "not painted"
    if not row.intended_mm2:
        return "scar removed" if row.removed_mm2 else "no scar intended"
    return f"Dice {fixed(row.dice if row.dice_within is None else row.dice_within)}"  # the one that decided


def _fault(row: SampleRow | None) -> str:
    return "" if row is None or row.reason in (KEPT, OF_REJECTED) else row.reason


def _flags_of_slices(rows: Iterable[SampleRow]) -> list[str]:
    """The flags of the slices, each once; of those that differ in their numbers alone, that of the least certain slice.

    What changed outside the hidden regions is left out, because the stack has this flag itself.
    """
    flags: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.insertion_confidence):
        for flag in replace(row, max_change_outside=None).flags:
            flags.setdefault(flag.partition(":")[0], flag)
    return list(flags.values())
