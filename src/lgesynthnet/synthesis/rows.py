"""What the tables of a run say of one painted slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.hosts.pool import HostEntry
from lgesynthnet.prescription.edits import Prescription
from lgesynthnet.prescription.grammar.language import write_caption, write_sentence
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.quality.verdict import Rules, Verdict
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.sample_row import UNPAINTABLE, SampleRow
from lgesynthnet.terms import Edit


def rules_of(plan: SynthesisPlan) -> Rules:
    """The limits of the filter that were asked for."""
    request = plan.request
    return Rules.published(request.dice_above) if request.dice_only else Rules(dice_above=request.dice_above)


def check_contract(sample: SyntheticSample) -> None:
    """Measured here, not believed: a sample that changed more than it may must not leave the program."""
    host = sample.host.slice_.image
    outside = ~sample.hidden
    if sample.image.dtype != host.dtype or sample.image.shape != host.shape or not np.array_equal(sample.image[outside], host[outside]):
        raise RuntimeError(f"{sample.model} changed {sample.host.name} outside the hidden region; this is a bug in the generator")


def unpainted_row(plan: SynthesisPlan, entry: HostEntry, row_id: str, prescription: Prescription, edit: Edit, seed: int) -> SampleRow:
    """The row of a slice before anything is painted."""
    return SampleRow(
        id=row_id,
        host=entry.patient,
        slice_index=entry.index,
        level=entry.level,
        level_source=entry.order.source,
        insertion_source=entry.insertions.source,
        insertion_confidence=round(entry.insertions.confidence, 3),
        view_source=entry.view_source,
        masks_drawn_by=plan.masks_drawn_by,
        generator=plan.generator_fingerprint,
        filter=plan.filter_fingerprint,
        seed=seed,
        caption=write_caption(prescription, entry.level),
        sentence=write_sentence(prescription),
        prescription=prescription,
        file="",
        kept=False,
        reason=UNPAINTABLE,
        why="",
        edit=edit,
    )


def with_numbers(row: SampleRow, sample: SyntheticSample, verdict: Verdict, seconds: float) -> SampleRow:
    """The row of a painted slice, with everything that was measured."""
    intended = measure_scar(sample.intended, sample.host.frame, sample.intended_no_reflow)
    return replace(
        row,
        caption=sample.caption,
        sentence=write_sentence(sample.prescription),
        prescription=sample.prescription,
        edit=sample.edit,
        removed_mm2=rounded(float(sample.removed.sum() * sample.host.frame.pixel_mm2), 2) if sample.removed.any() else None,
        left_mm2=rounded(verdict.left_mm2, 2),
        core_contrast=rounded(verdict.core_contrast),
        healed_brightness=rounded(verdict.healed_brightness),
        healed_grain=rounded(verdict.healed_grain),
        dice=rounded(verdict.dice),
        dice_within=rounded(verdict.dice_within),
        recall=rounded(verdict.recall),
        precision=rounded(verdict.precision),
        threshold=verdict.threshold,
        intended_mm2=rounded(verdict.intended_mm2, 2),
        read_mm2=rounded(verdict.read_mm2, 2),
        stray_mm2=rounded(verdict.stray_mm2, 2),
        segment_agreement=rounded(verdict.segments),
        extent_error=rounded(verdict.extent_error),
        brightness=rounded(verdict.brightness),
        spill_mm2=rounded(verdict.spill_mm2, 2),
        seam=rounded(verdict.seam),
        segments=tuple(sorted(intended.segments)),
        transmurality=rounded(intended.transmurality),
        burden=rounded(intended.burden),
        mvo_share=rounded(intended.mvo_share),
        max_change_outside=sample.max_change_outside,
        seconds=rounded(seconds, 3),
    )


def rounded(value: float | None, digits: int = 4) -> float | None:
    """A number as the tables hold it."""
    return None if value is None else round(float(value), digits)
