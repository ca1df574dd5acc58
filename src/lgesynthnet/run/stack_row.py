"""One attempt at a whole heart as a row. This is the only place that names the columns of `stacks.csv`."""

from __future__ import annotations

from dataclasses import dataclass

from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.heart_edits import HeartWish, heart_wish_from_json
from lgesynthnet.run.cells import Row, check_file
from lgesynthnet.terms import Edit


@dataclass(frozen=True, kw_only=True)
class StackRow(Row):
    """One attempt at a whole heart. A number that was not measured is None, and an empty cell in the table.

    Attributes:
        id: `s<seed>_<attempt number>`.
        host: patient.
        generator, filter: fingerprints of what painted and what judged.
        seed: seed of the noise, from which each slice draws its own; the prescription holds the seed of its border.
        edit: what was done to the heart.
        sentence, prescription: what was asked for in words, and in full.
        file: the image of all slices, relative to the run folder; empty where nothing could be painted.
        kept: whether the verdict is "kept", whatever folder the files are in.
        reason: reason of the verdict, see `quality.stack_verdict.StackReason`; or "unpaintable", "surplus" or "poor-twin".
        why: the verdict as a sentence, or what prevented painting.
        dice: of the detected scar against the intended one in all painted slices together, 0 to 1; see `StackVerdict`.
        threshold: the Dice that had to be exceeded.
        slices, kept_slices: how many slices were painted, and how many of them the filter keeps.
        left_out: slices of the heart that were left as they are, each with its reason.
        intended_ml, read_ml, wall_ml: volumes of the intended scar, of the detected scar, and of the wall of all slices of the heart.
        burden: share of the wall that is scar after the edit, 0 to 1.
        mvo_share: share of the intended scar that is no-reflow.
        segments: AHA segments that the intended scar covers in any slice.
        removed_ml: volume of the host's scar that was removed or painted anew.
        max_change_outside: largest change outside the hidden regions, in stored numbers.
        seconds: time to paint, segment and judge.
    """

    READERS = {HeartWish: heart_wish_from_json}

    id: str
    host: str
    generator: str
    filter: str
    seed: int
    edit: Edit
    sentence: str
    prescription: HeartWish
    file: str
    kept: bool
    reason: str
    why: str
    dice: float | None = None
    threshold: float | None = None
    slices: int | None = None
    kept_slices: int | None = None
    left_out: str = ""
    intended_ml: float | None = None
    read_ml: float | None = None
    wall_ml: float | None = None
    burden: float | None = None
    mvo_share: float | None = None
    segments: tuple[int, ...] | None = None
    removed_ml: float | None = None
    max_change_outside: float | None = None
    seconds: float | None = None

    @property
    def shown_segments(self) -> tuple[int, ...]:
        """AHA segments as measured, or as prescribed where nothing was painted; none where scar was only removed."""
        if self.segments is not None:
            return self.segments
        return tuple(sorted(self.prescription.segments)) if isinstance(self.prescription, HeartScar) else ()

    @property
    def flags(self) -> tuple[str, ...]:
        """What a person must know before trusting this stack; its slices have more."""
        flags = [f"left as it is: {self.left_out}"] if self.left_out else []
        if self.max_change_outside:
            flags.append(f"pixels outside the hidden regions differ from the host by up to {self.max_change_outside:g}")
        return tuple(flags)

    def check_names(self) -> None:
        super().check_names()
        check_file(self.file, self.id)
