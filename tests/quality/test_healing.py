"""The verdict where scar is removed, and where the host keeps scar of its own. Each fault is made on purpose."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.edit import add_scar, move_scar, remove_scar
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.quality.verdict import OWN_RIM_MM, Reason, Rules, inspect, without_own

ELSEWHERE = ScarPrescription(segments=frozenset({12}), pattern=Pattern.TRANSMURAL, transmurality=0.9, intensity_percentile=60)
NOTHING = np.zeros((1, 1), bool)


@pytest.fixture(scope="module")
def host():
    """A mid slice of fine pixels with an inferoseptal infarct."""
    patients = (simulate("N", seed, infarct=False) for seed in range(53, 69))
    patient = next(patient for patient in patients if max(patient.stack.spacing_mm) < 1.3)
    index = next(i for i, known in enumerate(patient.truth) if known.level == "mid")
    bare = Host(slice_=patient.stack[index], frame=compute_heart_frame(patient.stack[index], patient.truth[index].level))
    infarct = ScarPrescription(segments=frozenset({9}), pattern=Pattern.TRANSMURAL, transmurality=0.9, intensity_percentile=70)
    painted = IntensityPaste().inpaint(bare, infarct, seed=3)
    return replace(bare, slice_=replace(bare.slice_, image=painted.image, labels=painted.labels))


@pytest.fixture(scope="module")
def healed(host):
    return IntensityPaste().apply(host, remove_scar(host), seed=1)


def changed(sample, where, by):
    """The sample with `by` heart units more where a mask says so."""
    span = HeartWindow.from_slice(sample.host.slice_).span
    image = sample.image.astype(float) + where * by * span
    return replace(sample, image=image.astype(sample.image.dtype))


def test_a_slice_that_is_healed_and_looks_like_its_wall_is_kept(healed):
    verdict = inspect(healed, np.zeros_like(healed.intended))
    assert verdict.reason is Reason.KEPT
    assert (verdict.dice, verdict.left_mm2) == (None, 0.0)
    assert abs(verdict.healed_brightness) < 0.3
    assert 0.68 < verdict.healed_grain < 1.47


def test_scar_that_the_filter_still_finds_was_not_removed(healed, host):
    verdict = inspect(healed, host.slice_.scar)
    assert verdict.reason is Reason.NOT_REMOVED
    assert f"{verdict.left_mm2:.0f} mm²" in verdict.explain()
    assert inspect(healed, host.slice_.scar, Rules.published()).reason is Reason.NOT_REMOVED


def test_scar_that_appears_elsewhere_was_invented(healed, host):
    frame = host.frame
    verdict = inspect(healed, frame.wall & (frame.segments == 12))
    assert verdict.reason is Reason.INVENTED


@pytest.mark.parametrize("by", [0.8, -1.2])
def test_wall_that_is_healed_too_bright_or_too_dark_is_unlike_the_wall(healed, by):
    verdict = inspect(changed(healed, healed.removed, by), np.zeros_like(healed.intended), Rules(seam_below=None, spill_below_mm2=None))
    assert verdict.reason is Reason.UNLIKE_WALL
    assert "heart units brighter" in verdict.explain()


def test_wall_that_is_healed_without_noise_is_unlike_the_wall(healed):
    flat = healed.image.astype(float)
    flat[healed.hidden] = ndimage.gaussian_filter(flat, 4.0)[healed.hidden]
    smooth = replace(healed, image=flat.astype(healed.image.dtype))
    verdict = inspect(smooth, np.zeros_like(healed.intended), Rules(seam_below=None, spill_below_mm2=None, healed_brightness=None))
    assert verdict.healed_grain < 0.5
    assert verdict.reason is Reason.UNLIKE_WALL


def test_noise_that_nobody_can_see_does_not_tell_healed_wall_from_other_wall(healed, host):
    """In a slice that a scanner has smoothed, twice nothing is nothing."""
    window = HeartWindow.from_slice(host.slice_)
    smooth = ndimage.gaussian_filter(window.to_unit(host.slice_.image.astype(float)), 3.0) * window.span
    noise = np.random.default_rng(0).normal(0, 0.002 * window.span, smooth.shape) * np.where(healed.hidden, 2, 1)
    bare = replace(healed.host, slice_=replace(host.slice_, image=smooth + noise))
    verdict = inspect(replace(healed, host=bare, image=smooth + noise), np.zeros_like(healed.intended), Rules(healed_brightness=None))
    assert verdict.healed_grain == 1.0
    assert verdict.reason is Reason.KEPT


def test_a_scar_that_was_moved_must_be_found_in_its_new_place_and_not_in_the_old(host):
    moved = IntensityPaste().apply(host, move_scar(host, ELSEWHERE), seed=1)
    assert inspect(moved, moved.intended).reason is Reason.KEPT
    assert inspect(moved, moved.intended).left_mm2 == 0
    assert inspect(moved, moved.removed).reason is not Reason.KEPT
    ghost = moved.removed & (host.frame.depth < 0.35)  # small beside the new scar, so that the Dice alone would pass
    verdict = inspect(moved, moved.intended | ghost, Rules(segments_from=None, dice_above=0.5))
    assert verdict.reason is Reason.NOT_REMOVED


def test_the_host_s_own_scar_and_a_rim_round_it_count_neither_for_nor_against(host):
    sample = IntensityPaste().apply(host, add_scar(host, ELSEWHERE), seed=1)
    own = ndimage.distance_transform_edt(~host.slice_.scar, sampling=host.frame.spacing_mm)
    rim, beyond = host.frame.wall & (own <= OWN_RIM_MM), host.frame.wall & (own > OWN_RIM_MM) & (own < OWN_RIM_MM + 4) & ~sample.intended
    alone = inspect(sample, sample.intended)
    assert inspect(sample, sample.intended | rim) == alone
    assert inspect(sample, sample.intended | rim | beyond).stray_mm2 > 0
    assert alone.left_mm2 is None


def test_scar_prescribed_beside_the_host_s_own_must_still_be_found(host):
    beside = replace(ELSEWHERE, segments=frozenset({9, 10}))
    sample = IntensityPaste().apply(host, add_scar(host, beside), seed=1)
    np.testing.assert_array_equal(
        without_own(sample.intended, sample.kept_scar, sample.intended, sample.host.frame.spacing_mm), sample.intended
    )
    assert inspect(sample, sample.intended & host.slice_.scar).recall < 0.8
