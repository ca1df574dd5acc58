"""One painted slice as a row. This is the only place that names the columns of `samples.csv`."""

from __future__ import annotations

from dataclasses import dataclass

from lgesynthnet.anatomy.orientation import OrderSource
from lgesynthnet.prescription.edits import Prescription, prescription_from_json
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Level, Source, ViewSource
from lgesynthnet.run.cells import Row, check_file
from lgesynthnet.terms import Edit

KEPT, UNPAINTABLE, SURPLUS, EASY, POOR_TWIN = "kept", "unpaintable", "surplus", "easy", "poor-twin"
OF_REJECTED = "of-rejected-stack"
UNCERTAIN_BELOW = 0.5  # insertions that were found in the image with less confidence than this are flagged


@dataclass(frozen=True, kw_only=True)
class SampleRow(Row):
    """One painted slice: an attempt of its own, or a part of a painted stack.

    A number that was not measured is None, and an empty cell in the table.

    Attributes:
        id: `s<seed>_<attempt number>`; the same id has the same bytes in any run of the same plan, whatever the shard.
        host, slice_index: patient, and index of the slice in the host file's own order.
        level, level_source: level of the slice, and how base and apex were told apart.
        insertion_source, insertion_confidence: how the RV insertions were found, and how surely (0 to 1).
        generator, filter: fingerprints of what painted and what judged.
        seed: seed of the noise; the prescription holds the seed of its border.
        caption, sentence, prescription: what the model read; the same as one full sentence; the same in full.
        file: the image, relative to the run folder; empty where nothing could be painted.
        kept: whether the verdict is "kept", whatever folder the files are in.
        reason: reason of the verdict, "unpaintable", "surplus" (--balance had enough of this kind), "easy" (`improve` did not
            need it), "poor-twin" (its twin is no healthy slice), or "of-rejected-stack".
        why: the verdict as a sentence, or what prevented painting.
        dice, recall, precision: of the detected scar against the intended one, 0 to 1.
        threshold: the Dice that had to be exceeded.
        intended_mm2, read_mm2, stray_mm2: areas of the intended scar, of the detected scar, and of detected scar away from it.
        segment_agreement, extent_error, brightness, spill_mm2, seam: what the filter measured besides; see `quality.verdict.Verdict`.
        segments, transmurality, burden, mvo_share: measured in the intended mask.
        max_change_outside: largest change outside the hidden region, in stored numbers.
        seconds: time to paint, segment and judge.
        view_source: how the radiological view of the host was found.
        masks_drawn_by: fingerprint of the network that drew the cavity and the wall of the host; None where a person did.
        edit: what was done to the slice.
        removed_mm2: area of the host's scar that was removed or painted anew.
        core_contrast, left_mm2, healed_brightness, healed_grain, dice_within: see `quality.verdict.Verdict`.
        stack: id of the painted stack that the slice is a part of; None where it stands alone. Such a slice is kept where the filter keeps
            the slice and the stack.
    """

    ADDED = frozenset(
        {
            "view_source",
            "masks_drawn_by",
            "edit",
            "core_contrast",
            "removed_mm2",
            "left_mm2",
            "healed_brightness",
            "healed_grain",
            "dice_within",
            "stack",
        }
    )
    READERS = {Prescription: prescription_from_json}

    id: str
    host: str
    slice_index: int
    level: Level
    level_source: OrderSource
    insertion_source: Source
    insertion_confidence: float
    generator: str
    filter: str
    seed: int
    caption: str
    sentence: str
    prescription: Prescription
    file: str
    kept: bool
    reason: str
    why: str
    dice: float | None = None
    recall: float | None = None
    precision: float | None = None
    threshold: float | None = None
    intended_mm2: float | None = None
    read_mm2: float | None = None
    stray_mm2: float | None = None
    segment_agreement: float | None = None
    extent_error: float | None = None
    brightness: float | None = None
    spill_mm2: float | None = None
    seam: float | None = None
    segments: tuple[int, ...] | None = None
    transmurality: float | None = None
    burden: float | None = None
    mvo_share: float | None = None
    max_change_outside: float | None = None
    seconds: float | None = None
    view_source: ViewSource | None = None
    masks_drawn_by: str | None = None
    edit: Edit = Edit.ADD
    core_contrast: float | None = None
    removed_mm2: float | None = None
    left_mm2: float | None = None
    healed_brightness: float | None = None
    healed_grain: float | None = None
    dice_within: float | None = None
    stack: str | None = None

    @property
    def shown_segments(self) -> tuple[int, ...]:
        """AHA segments as measured, or as prescribed where nothing was painted; none where scar was only removed."""
        if self.segments is not None:
            return self.segments
        return tuple(sorted(self.prescription.segments)) if isinstance(self.prescription, ScarPrescription) else ()

    @property
    def flags(self) -> tuple[str, ...]:
        """What a person must know before trusting this sample."""
        flags = []
        if self.insertion_source is Source.ASSUMED:
            flags.append("orientation assumed: no RV insertion was known, so the segment names may be wrong")
        elif self.insertion_source is Source.IMAGE and self.insertion_confidence < UNCERTAIN_BELOW:
            flags.append(f"orientation uncertain: the RV insertions were found in the image, confidence {self.insertion_confidence:.2f}")
        if self.masks_drawn_by is not None:
            flags.append("cavity and wall of the host were drawn by a network; a scar that the patient has is not in the labels")
        if self.level_source is OrderSource.ASSUMED:
            flags.append("level assumed: nothing told base from apex, so basal and apical may be exchanged")
        if self.max_change_outside:
            flags.append(f"pixels outside the hidden region differ from the host by up to {self.max_change_outside:g}")
        return tuple(flags)

    def check_names(self) -> None:
        super().check_names()
        check_file(self.file, self.id if self.stack is None else self.stack)
        if self.stack is not None and self.id != slice_id(self.stack, self.slice_index):
            raise ValueError(f"column id: {self.id[:60]!r} is not slice {self.slice_index} of the stack {self.stack[:60]!r}")


def slice_id(stack: str, index: int) -> str:
    """The id of a slice of a painted stack."""
    return f"{stack}_z{index:02d}"
