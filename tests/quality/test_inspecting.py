"""Faults that the published rule cannot see: each is made on purpose, alone, in a sample that the Dice coefficient would keep."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.quality.appearance import measure_appearance
from lgesynthnet.quality.verdict import Reason, Rules, inspect

HALF = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.5, intensity_percentile=60)


@pytest.fixture(scope="module")
def sample():
    patient = simulate("N", 33, infarct=False)
    index = next(i for i, known in enumerate(patient.truth) if known.level == "mid")
    host = Host(slice_=patient.stack[index], frame=compute_heart_frame(patient.stack[index], patient.truth[index].level))
    return IntensityPaste().inpaint(host, HALF, seed=1)


def brighter(sample, where, by):
    """The sample with `by` heart units more where a mask says so."""
    span = HeartWindow.from_slice(sample.host.slice_).span
    return replace(sample, image=(sample.image.astype(float) + where * by * span).astype(sample.image.dtype))


def test_a_sample_that_is_read_as_intended_and_looks_like_its_host_is_kept(sample):
    verdict = inspect(sample, sample.intended)
    assert verdict.reason is Reason.KEPT
    assert verdict.segments == 1
    assert verdict.extent_error == 0
    assert abs(verdict.brightness - 0.5) < 0.4
    assert verdict.spill_mm2 < 10
    assert verdict.seam < 0.05


def test_a_scar_read_through_the_whole_wall_is_too_deep(sample):
    angles = sample.host.frame.nominal_deg
    arc = sample.host.frame.wall & (angles >= angles[sample.intended].min()) & (angles <= angles[sample.intended].max())
    verdict = inspect(sample, arc, Rules(segments_from=None))
    assert verdict.dice > 0.6
    assert verdict.reason is Reason.EXTENT_OFF
    assert "deeper than prescribed" in verdict.explain()


def test_a_scar_that_creeps_into_other_segments_is_in_the_wrong_ones(sample):
    frame = sample.host.frame
    creep = frame.wall & np.isin(frame.segments, (8, 11, 12)) & (frame.depth < 0.3)
    read = sample.intended | creep
    verdict = inspect(sample, read, Rules(extent_within=None))
    assert verdict.segments < 0.5
    if verdict.dice > 0.6:
        assert verdict.reason is Reason.WRONG_SEGMENT
    assert inspect(sample, read, Rules(extent_within=None, dice_above=0.3)).reason is Reason.WRONG_SEGMENT


@pytest.mark.parametrize(("by", "word"), [(3.0, "2.5"), (-1.2, "-0.")])
def test_a_scar_brighter_than_any_or_dark_as_the_wall_is_implausible(sample, by, word):
    verdict = inspect(brighter(sample, sample.intended, by), sample.intended, Rules(seam_below=None, spill_below_mm2=None))
    assert verdict.reason is Reason.IMPLAUSIBLE
    assert word in verdict.explain() or verdict.brightness > 1.9


def test_a_no_reflow_core_must_be_darker_than_the_scar_round_it(sample):
    wish = replace(HALF, pattern=Pattern.TRANSMURAL, transmurality=1.0, depth=None, mvo_share=0.25)
    cored = IntensityPaste().inpaint(sample.host, wish, seed=1)
    dark = inspect(cored, cored.intended)
    assert dark.reason is Reason.KEPT
    assert dark.core_contrast < -0.5
    filled = brighter(cored, cored.intended_no_reflow, -dark.core_contrast)
    verdict = inspect(filled, filled.intended)
    assert verdict.reason is Reason.BRIGHT_CORE
    assert "darker than the scar round it" in verdict.explain()
    assert inspect(filled, filled.intended, Rules.published()).reason is Reason.KEPT
    assert inspect(sample, sample.intended).core_contrast is None


def test_paint_beyond_the_wall_has_spilled(sample):
    frame = sample.host.frame
    outer = sample.hidden & ~ndimage.binary_fill_holes(frame.wall | frame.cavity)
    verdict = inspect(brighter(sample, outer, 1.0), sample.intended, Rules(seam_below=None, spill_below_mm2=20.0))
    assert verdict.spill_mm2 == pytest.approx(outer.sum() * frame.pixel_mm2, rel=0.1)
    assert verdict.reason is Reason.SPILLED


def test_a_step_at_the_border_of_the_hidden_region_is_a_seam_of_its_height(sample):
    verdict = inspect(brighter(sample, sample.hidden, 0.4), sample.intended, Rules(spill_below_mm2=None))
    assert verdict.reason is Reason.SEAM
    assert verdict.seam == pytest.approx(0.4, abs=0.1)
    flat = replace(sample, image=sample.host.slice_.image)
    assert measure_appearance(flat).seam == 0


def test_the_published_rule_sees_none_of_it(sample):
    spoilt = brighter(sample, sample.hidden, 2.5)
    assert inspect(spoilt, sample.intended, Rules.published()).reason is Reason.KEPT
    assert inspect(spoilt, sample.intended).reason is not Reason.KEPT


def test_a_low_dice_is_told_before_anything_else(sample):
    assert inspect(brighter(sample, sample.hidden, 2.5), np.zeros_like(sample.intended)).reason is Reason.INVISIBLE


def test_a_scar_read_in_the_inner_wall_alone_is_too_shallow(sample):
    shallow = sample.intended & (sample.host.frame.depth < 0.2)
    verdict = inspect(sample, shallow, Rules(dice_above=0.2, extent_within=0.1, segments_from=None))
    assert verdict.reason is Reason.EXTENT_OFF
    assert verdict.extent_error < -0.1
    assert "less deep than prescribed" in verdict.explain()


def test_a_value_on_its_limit_is_within_it(sample):
    creep = sample.intended | (sample.host.frame.wall & (sample.host.frame.depth < 0.1))
    verdict = inspect(sample, creep, Rules(dice_above=0.3))
    limits = Rules(
        dice_above=0.3,
        segments_from=verdict.segments,
        extent_within=abs(verdict.extent_error),
        brightness=(verdict.brightness, verdict.brightness),
        spill_below_mm2=verdict.spill_mm2,
        seam_below=verdict.seam,
    )
    assert inspect(sample, creep, limits).kept
    assert inspect(sample, creep, replace(limits, brightness=(verdict.brightness + 1e-9, 2.0))).reason is Reason.IMPLAUSIBLE
    assert inspect(sample, creep, replace(limits, brightness=(0.0, verdict.brightness - 1e-9))).reason is Reason.IMPLAUSIBLE


def test_scar_that_the_host_had_changes_neither_segments_nor_extent(sample):
    frame = sample.host.frame
    existing = frame.wall & np.isin(frame.segments, (7, 12))
    labels = sample.host.slice_.labels.copy()
    labels[existing] = 3
    scarred = replace(sample, host=replace(sample.host, slice_=replace(sample.host.slice_, labels=labels)))
    verdict = inspect(scarred, sample.intended | existing)
    assert (verdict.dice, verdict.segments, verdict.extent_error) == (1.0, 1.0, 0.0)


def test_where_no_scar_is_prescribed_only_the_area_found_decides(sample):
    nothing = np.zeros_like(sample.intended)
    removed = replace(sample, intended=nothing, intended_no_reflow=nothing)
    area_mm2 = sample.intended.sum() * sample.host.frame.pixel_mm2
    verdict = inspect(removed, sample.intended)
    assert verdict.reason is Reason.INVENTED
    assert (verdict.segments, verdict.brightness) == (None, None)
    assert inspect(removed, sample.intended, Rules(stray_below_mm2=area_mm2 + 1)).kept


def test_a_little_more_brightness_beyond_the_wall_is_no_spill(sample):
    frame = sample.host.frame
    outer = sample.hidden & ~ndimage.binary_fill_holes(frame.wall | frame.cavity)
    unpainted = replace(sample, image=sample.host.slice_.image.astype(float))
    assert measure_appearance(brighter(unpainted, outer, 0.45)).spill_mm2 == 0
    assert measure_appearance(brighter(unpainted, outer, 0.55)).spill_mm2 == pytest.approx(outer.sum() * frame.pixel_mm2)
    assert measure_appearance(brighter(unpainted, frame.wall | frame.cavity, 2.0)).spill_mm2 == 0


def test_the_dark_core_has_no_part_in_the_brightness_of_the_scar(sample):
    core = sample.intended & (sample.host.frame.depth < 0.25)
    dark = replace(brighter(sample, core, -1.0), intended_no_reflow=core)
    lit = sample.intended & ~core
    unit = HeartWindow.from_slice(sample.host.slice_).to_unit(sample.image.astype(np.float64))
    assert measure_appearance(dark).brightness == pytest.approx(unit[lit].mean(), abs=1e-3)
    assert measure_appearance(replace(sample, intended_no_reflow=sample.intended)).brightness is None


def test_a_step_into_the_dark_is_a_seam_too(sample):
    assert measure_appearance(brighter(sample, sample.hidden, -0.4)).seam == pytest.approx(0.4, abs=0.1)


@pytest.mark.parametrize("pattern", list(Pattern))
def test_scars_that_are_no_infarcts_are_compared_with_one_pixel_of_tolerance(sample, pattern):
    deep = 0.9 if pattern is Pattern.TRANSMURAL else 0.4
    wish = ScarPrescription(segments=frozenset({8, 9}), pattern=pattern, transmurality=deep, intensity_percentile=60)
    thin = IntensityPaste().inpaint(sample.host, wish, seed=1)
    verdict = inspect(thin, np.roll(thin.intended, 1, axis=0) & sample.host.frame.wall)
    infarct = pattern in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL)
    assert (verdict.dice_within is None) is infarct
    assert infarct or verdict.dice_within > verdict.dice
    assert inspect(thin, thin.intended, Rules.published()).dice_within is None


def test_the_depth_of_a_scar_that_is_no_infarct_is_left_to_the_dice(sample):
    wish = ScarPrescription(segments=frozenset({8, 9}), pattern=Pattern.MID_WALL, transmurality=0.25, intensity_percentile=60)
    line = IntensityPaste().inpaint(sample.host, wish, seed=1)
    inner = np.isin(sample.host.frame.segments, (8, 9)) & (sample.host.frame.depth < 0.2) & sample.host.frame.wall
    assert inspect(line, line.intended | inner, Rules(segments_from=None, thin_within_mm=None, dice_above=0.3)).reason is Reason.KEPT
    assert inspect(line, inner).reason is not Reason.KEPT
