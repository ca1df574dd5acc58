"""Grain: as much noise as the repainted wall lacks, measured in the finished picture."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.texture import noise_ratio
from lgesynthnet.generate.composite import composite_roi
from lgesynthnet.generate.grain import STRONGEST, grain, matched_noise
from lgesynthnet.records import Level, ShortAxisSlice

SPACING_MM = (1.4, 1.4)
SIDE = 110


def levels(labels: np.ndarray) -> np.ndarray:
    """Wall at 100, blood at 300, a chest at 200, on a ramp that lies across the grey levels."""
    rows, cols = np.indices(labels.shape)
    return np.where(labels == 1, 300.0, np.where(labels == 2, 100.0, 200.0)) + 0.13 * rows + 0.17 * cols


def noisy_host(noise: float, dtype: type = np.float64, spacing_mm: tuple[float, float] = SPACING_MM) -> Host:
    """A ring of wall round blood under white noise of so many grey levels."""
    rows, cols = np.indices((SIDE, SIDE))
    away_mm = np.hypot((rows - 55) * spacing_mm[0], (cols - 54.6) * spacing_mm[1])
    labels = np.where(away_mm <= 25, 1, np.where(away_mm <= 40, 2, 0)).astype(np.uint8)
    image = levels(labels) + noise * np.random.default_rng(0).standard_normal(labels.shape)
    image = (np.rint(image) if np.dtype(dtype).kind in "iu" else image).astype(dtype)
    slice_ = ShortAxisSlice(patient="flat", index=0, image=image, labels=labels, spacing_mm=spacing_mm)
    return Host(slice_=slice_, frame=compute_heart_frame(slice_, Level.MID))


def third(host: Host) -> np.ndarray:
    near = np.abs(host.frame.nominal_deg - 200) < 60
    rows, cols = np.indices(near.shape)
    away_mm = np.hypot((rows - 55) * host.frame.spacing_mm[0], (cols - 54.6) * host.frame.spacing_mm[1])
    return near & (away_mm > 22) & (away_mm < 43)


def repainted(host: Host, seed: int = 1, picture_noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bare and grainy picture of a repainted third, and the grain; the painter knows the levels and paints them smooth."""
    window, hidden = HeartWindow.from_slice(host.slice_), third(host)
    roi = Roi(centre=host.frame.centre, spacing_mm=host.frame.spacing_mm)
    smooth = levels(host.slice_.labels)
    picture = roi.crop(window.to_unit(smooth)).astype(np.float64)
    picture += picture_noise / window.span * np.random.default_rng(5).standard_normal(picture.shape)
    bare = composite_roi(host.slice_.image, picture, roi, window, hidden)
    lacking = matched_noise(host, bare, smooth, hidden, np.random.default_rng(seed))
    return bare, composite_roi(host.slice_.image, picture, roi, window, hidden, lacking), lacking


def ratio(host: Host, image: np.ndarray) -> float:
    scar = host.frame.wall & third(host)
    case = Case(
        name="flat",
        patient="flat",
        image=image,
        host=host.slice_,
        frame=host.frame,
        scar=scar,
        no_reflow=np.zeros_like(scar),
        hidden=third(host),
        removed=np.zeros_like(scar),
    )
    found = noise_ratio(case)
    assert found is not None
    return found


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8), (1.0, 1.0), (1.4, 1.4), (1.6, 1.2)])
@pytest.mark.parametrize("dtype", [np.float64, np.uint16])
def test_a_smooth_picture_becomes_as_noisy_as_the_untouched_wall_on_any_grid(spacing_mm, dtype):
    host = noisy_host(12.0, dtype, spacing_mm)
    bare, grainy, _ = repainted(host)
    assert ratio(host, bare) < 0.1
    assert ratio(host, grainy) == pytest.approx(1, abs=0.25)


def test_rounding_is_noise_that_the_picture_has_already():
    whole, exact = (repainted(noisy_host(0.4, dtype))[2].std() for dtype in (np.uint16, np.float64))
    assert exact == pytest.approx(0.4, rel=0.15)
    assert whole == pytest.approx(0.4, rel=0.15)  # and not sqrt(0.4² + 1/12), as strong as what the rounded host shows


def test_a_picture_with_noise_of_its_own_gets_less_and_one_with_more_than_the_host_none():
    host = noisy_host(12.0)
    smooth, half, full = (repainted(host, picture_noise=noise)[2].std() for noise in (0.0, 12.0, 80.0))
    assert 0.2 * smooth < half < 0.95 * smooth
    assert full == 0


def test_a_host_without_noise_gets_none():
    assert not repainted(noisy_host(0.0))[2].any()


def test_a_seed_is_the_same_grain_and_another_is_not():
    host = noisy_host(12.0)
    one, again, other = (repainted(host, seed)[2] for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_a_wall_far_noisier_than_all_round_it_does_not_make_the_grain_run_away():
    host, smooth = noisy_host(12.0), levels(noisy_host(0.0).slice_.labels)
    fine = np.where(host.frame.wall, 0.1, 1.0) * (host.slice_.image - smooth)
    weave = np.where(host.frame.wall, 80.0 * (-1.0) ** np.indices(fine.shape).sum(0), 0.0)
    woven = replace(host, slice_=replace(host.slice_, image=smooth + weave + fine))
    lacking = matched_noise(woven, smooth, smooth + weave, third(host), np.random.default_rng(1))
    around = grain(fine, host.frame.wall, third(host), np.random.default_rng(1), spacing_mm=SPACING_MM)
    np.testing.assert_allclose(lacking, STRONGEST * around, atol=1e-6)
