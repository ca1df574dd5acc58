"""A painted scar gets the mean brightness that was prescribed; what is not hidden and scar that was not prescribed stay as they are."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.conditioning.edit import remove_scar, replace_scar
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.generate.brightness import (
    FREE,
    LARGEST_CHANGE,
    LEAST_CORE_DROP,
    prescribed_level,
    with_healed_brightness,
    with_prescribed_brightness,
)
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.model.settings import scar_levels
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.edits import OwnScar

LEVELS = (-0.2, 0.2, 0.6, 1.0, 1.6)
ROWS, COLS = np.mgrid[:128, :128]


@pytest.fixture
def condition() -> Condition:
    wall = (ROWS > 40) & (ROWS < 60)
    scar = wall & (COLS > 40) & (COLS < 80) & (ROWS < 52)
    return Condition(
        image=np.full((128, 128), -0.5, np.float32),
        hidden=(ROWS > 36) & (ROWS < 64) & (COLS > 34) & (COLS < 86),
        scar=scar,
        no_reflow=np.zeros_like(wall),
        wall=wall,
        cavity=ROWS > 70,
        nominal_deg=np.zeros((128, 128), np.float32),
        brightness=0.25,
        caption="",
    )


def painted(condition: Condition, scar: float) -> np.ndarray:
    return np.where(condition.scar, np.float32(scar), np.float32(-0.5))


@pytest.mark.parametrize(("rank", "level"), [(0.0, -0.2), (0.25, 0.2), (0.5, 0.6), (0.625, 0.8), (1.0, 1.6)])
def test_a_rank_stands_for_a_level(rank, level):
    assert prescribed_level(rank, LEVELS) == pytest.approx(level)


@pytest.mark.parametrize(("brightness", "expected"), [(0.1, -0.04 + FREE), (0.4, 0.4), (0.36, 0.4), (0.7, 0.92 - FREE)])
def test_the_scar_gets_nearly_the_mean_that_was_prescribed_and_the_rest_stays(condition, brightness, expected):
    condition, image = replace(condition, brightness=brightness), painted(condition, 0.4)
    result = with_prescribed_brightness(image, condition.scar, condition.no_reflow, condition, LEVELS)
    assert result[condition.scar].mean() == pytest.approx(expected, abs=1e-3)
    assert result.dtype == image.dtype
    far = ~condition.hidden | (np.abs(ROWS - 46) > 15)
    np.testing.assert_array_equal(result[far], image[far])


def test_no_patch_is_made_of_a_scar_that_is_far_from_what_was_asked(condition):
    image = painted(condition, -0.5)
    result = with_prescribed_brightness(image, condition.scar, condition.no_reflow, replace(condition, brightness=1.0), LEVELS)
    assert (result - image).max() <= LARGEST_CHANGE + 1e-6


def test_a_core_that_is_hardly_darker_becomes_darker_and_a_dark_one_stays(condition):
    core = condition.scar & (COLS > 50) & (COLS < 70) & (ROWS > 43) & (ROWS < 49)
    for drop, expected in ((0.05, LEAST_CORE_DROP), (0.6, 0.6)):
        image = np.where(core, np.float32(0.4 - drop), painted(condition, 0.4))
        result = with_prescribed_brightness(image, condition.scar, core, condition, LEVELS)
        bright = condition.scar & ~core
        assert result[bright].mean() - result[core].mean() == pytest.approx(expected, abs=0.06)


def test_scar_that_was_not_prescribed_is_left_as_it_was_painted(condition):
    nothing = np.zeros_like(condition.scar)
    image = painted(condition, 0.9)
    np.testing.assert_array_equal(with_prescribed_brightness(image, nothing, nothing, condition, LEVELS), image)


@pytest.mark.parametrize("painted_at", [-0.9, -0.2])
def test_healed_wall_gets_the_mean_of_the_wall_beside_it(condition, painted_at):
    image = np.where(condition.hidden, np.float32(painted_at), np.float32(-0.5))
    healed, nothing = condition.scar, np.zeros_like(condition.scar)
    healing = replace(condition, scar=nothing, image=np.where(COLS < 105, condition.image - 0.1, condition.image + 0.6).astype(np.float32))
    result = with_healed_brightness(image, healed, healing)
    assert result[healed].mean() == pytest.approx(-0.6, abs=1e-3)  # the brighter wall is too far away to count
    np.testing.assert_array_equal(result[~condition.hidden], image[~condition.hidden])
    np.testing.assert_array_equal(with_healed_brightness(image, nothing, healing), image)


@pytest.fixture(scope="module")
def infarct() -> Host:
    patient = simulate("P", 4, infarct=True, non_ischaemic=0.0)
    known = max(patient.truth, key=lambda slice_: slice_.measured.area_mm2 if slice_.measured else 0.0)
    return Host(slice_=patient.stack[known.index], frame=compute_heart_frame(patient.stack[known.index], known.level))


def test_a_faint_scar_is_painted_faint_and_removed_scar_is_as_dark_as_the_wall(infarct):
    setting = LGESynthNet.from_pretrained("phantom", device="cpu")
    plain = LGESynthNet.from_pretrained("phantom", device="cpu", sampling=Sampling(set_brightness=False))
    levels, window = scar_levels("phantom"), HeartWindow.from_slice(infarct.slice_)
    for rank in (0.1, 0.8):
        sample = setting.apply(infarct, replace_scar(infarct, OwnScar(intensity_percentile=100 * rank)), seed=3)
        bright = float(window.to_unit(sample.image.astype(float))[sample.intended & ~sample.intended_no_reflow].mean())
        assert bright == pytest.approx(prescribed_level(rank, levels), abs=0.12)
        assert sample.max_change_outside == 0
    healed = setting.apply(infarct, remove_scar(infarct), seed=1)
    untouched = infarct.frame.wall & ~healed.hidden
    unit = window.to_unit(healed.image.astype(float))
    assert unit[healed.removed].mean() == pytest.approx(float(unit[untouched].mean()), abs=0.25)
    assert setting.fingerprint.endswith("/brightness-1")
    assert plain.fingerprint == setting.fingerprint.replace("4-1-1-1-0", "4-1-1-1-0-set_brightness=False").removesuffix("/brightness-1")
