"""The simulated scanner: recovery equation, partial volume, resolution, noise, ghosts, and alignment of image and labels."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.phantom.acquisition import acquire, to_stored
from lgesynthnet.phantom.body import Tissue
from lgesynthnet.phantom.scan import TEXTURE_MM, draw_scan, scan_of_slice
from lgesynthnet.phantom.signal import inversion_recovery, smooth_noise, tissue_signal

SIDE, FINE_MM = 240, 0.8


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def plain():
    """A scanner without noise, coils, ghosts, motion, texture and fat shift; the phase direction is rows."""
    return replace(
        draw_scan(np.random.default_rng(0)),
        texture=np.zeros((len(Tissue), len(TEXTURE_MM)), np.float32),
        resolution_mm=(2.0, 1.6),
        phase_axis=0,
        taper=0.5,
        sharpening=0.0,
        motion_mm=0.0,
        noise=0.0,
        coil_per_mm=0.0,
        shading=(0.0, 0.0, 0.0),
        ghosts=(),
        fat_shift_mm=0.0,
        india_ink=0.0,
        phase_sensitive=True,
    )


def level(scan, tissue):
    return float(inversion_recovery(np.array([scan.t1_ms[tissue]]), np.array([scan.density[tissue]]), scan.ti_ms, scan.tr_ms)[0])


def map_of(tissue):
    return np.full((SIDE, SIDE), tissue, np.uint8)


def test_the_recovery_equation_nulls_at_ln2_t1_and_ranks_tissues():
    t1 = np.array([450.0])
    null = 450 * np.log(2)
    assert abs(float(inversion_recovery(t1, np.ones(1), null, 1e6)[0])) < 1e-12
    values = inversion_recovery(np.array([265.0, 310.0, 450.0, 700.0]), np.ones(4), 304.0, 1800.0)
    np.testing.assert_allclose(values, [0.37, 0.25, 0.0, -0.22], atol=0.02)  # paper.md 5.5: scar, blood, wall, no-reflow


def test_drawn_scans_keep_scar_above_healthy_wall_and_wall_to_blood_in_the_clinical_range():
    scans = [s for s in map(draw_scan, map(np.random.default_rng, range(400))) if s.phase_sensitive]
    assert all(s.t1_ms[Tissue.SCAR] < 0.83 * s.t1_ms[Tissue.MYOCARDIUM] for s in scans)
    assert all(level(s, Tissue.SCAR) > level(s, Tissue.MYOCARDIUM) for s in scans)
    ratio = np.percentile([level(s, Tissue.MYOCARDIUM) / level(s, Tissue.BLOOD) for s in scans], (10, 50, 90))
    np.testing.assert_allclose(ratio, (-0.04, 0.46, 0.78), atol=0.2)  # of 284 real phase-sensitive slices


def test_half_a_slab_of_scar_reads_half_way(plain, rng):
    slab = np.full((4, 60, 50), Tissue.MYOCARDIUM, np.uint8)
    slab[:2] = Tissue.SCAR
    signal = tissue_signal(map_of(Tissue.MYOCARDIUM), slab, (40, 90), FINE_MM, plain, rng)
    scar, wall = level(plain, Tissue.SCAR), level(plain, Tissue.MYOCARDIUM)
    np.testing.assert_allclose(signal[40:100, 90:140], (scar + wall) / 2, rtol=1e-4)
    outside = np.ones((SIDE, SIDE), bool)
    outside[40:100, 90:140] = False
    np.testing.assert_allclose(signal[outside], wall, rtol=1e-4)


@pytest.mark.parametrize("phase_axis", [0, 1])
def test_fat_moves_across_the_phase_direction_and_water_stays(plain, rng, phase_axis):
    scene = map_of(Tissue.AIR)
    scene[100:120, 100:120] = Tissue.FAT
    scene[150:170, 150:170] = Tissue.LIVER
    scan = replace(plain, fat_shift_mm=5 * FINE_MM, phase_axis=phase_axis)
    signal = tissue_signal(scene, scene[None, :0, :0], (0, 0), FINE_MM, scan, rng)
    fat, liver = (np.argwhere(np.isclose(signal, level(plain, t), rtol=1e-4)).mean(0) for t in (Tissue.FAT, Tissue.LIVER))
    np.testing.assert_allclose(fat, [109.5, 114.5] if phase_axis == 0 else [114.5, 109.5])
    np.testing.assert_allclose(liver, [159.5, 159.5])


def test_fat_and_water_in_one_voxel_darken_each_other_in_opposed_phase(plain, rng):
    scene = map_of(Tissue.LIVER)
    scene[:, 120:] = Tissue.FAT
    dark = tissue_signal(scene, scene[None, :0, :0], (0, 0), FINE_MM, replace(plain, india_ink=1.0), rng)
    assert abs(dark[100, 119:121]).max() < 0.15 * level(plain, Tissue.LIVER)
    assert dark[100, 100] == pytest.approx(level(plain, Tissue.LIVER), rel=1e-3)


def test_smooth_noise_has_unit_spread_and_its_length():
    fields = [smooth_noise((200, 160), 3.0, np.random.default_rng(i)) for i in range(20)]
    assert np.std(fields) == pytest.approx(1.0, abs=0.03)
    beside = np.mean([(f * np.roll(f, 6, axis)).mean() for f in fields for axis in (0, 1)])
    assert beside == pytest.approx(np.exp(-(6**2) / (4 * 3**2)), abs=0.04)  # autocorrelation of white noise seen through a Gaussian


def test_a_line_pair_below_the_acquired_resolution_vanishes_and_the_mean_stays(plain, rng):
    def amplitude(period_mm, axis):
        wave = np.cos(2 * np.pi * np.arange(SIDE) * FINE_MM / period_mm, dtype=np.float32)
        lines = np.broadcast_to(wave[:, None] if axis == 0 else wave, (SIDE, SIDE)).copy()
        image = acquire(1 + lines, FINE_MM, 150, replace(plain, taper=0.0), rng)
        assert image.mean() == pytest.approx(1.0, abs=1e-4)
        return image.std() * np.sqrt(2)

    # 192 mm hold 54 periods of 32/9 mm and 40 of 4.8 mm; rows resolve 2.0 mm (periods of 4 mm), columns 1.6 mm (3.2 mm).
    assert amplitude(32 / 9, axis=0) < 1e-3
    assert amplitude(32 / 9, axis=1) == pytest.approx(1.0, abs=1e-3)
    assert amplitude(4.8, axis=0) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("matrix", [120, 150, 97])
def test_an_image_lies_over_its_labels_whatever_the_matrix(plain, rng, matrix):
    rows, cols = np.indices((SIDE, SIDE))
    spot = np.exp(-((rows - 70) ** 2 + (cols - 150) ** 2) * FINE_MM**2 / (2 * 5**2)).astype(np.float32)
    image = acquire(spot, FINE_MM, matrix, plain, rng)
    pixel_mm = SIDE * FINE_MM / matrix
    centre = [(image.sum(1 - axis) * (np.arange(matrix) + 0.5)).sum() / image.sum() * pixel_mm for axis in (0, 1)]
    np.testing.assert_allclose(centre, [70.5 * FINE_MM, 150.5 * FINE_MM], atol=0.05)


def test_noise_of_air_is_rician_in_magnitude_and_centred_in_phase_sensitive_images(plain, rng):
    nothing = np.zeros((SIDE, SIDE), np.float32)
    signed = acquire(nothing, FINE_MM, 150, replace(plain, noise=0.02), rng)
    assert signed.std() == pytest.approx(0.02, rel=0.05)
    assert abs(signed.mean()) < 0.002
    magnitude = acquire(nothing, FINE_MM, 150, replace(plain, noise=0.02, phase_sensitive=False), rng)
    assert magnitude.min() >= 0
    assert magnitude.mean() == pytest.approx(0.02 * np.sqrt(np.pi / 2), rel=0.03)


@pytest.mark.parametrize("phase_axis", [0, 1])
def test_ghosts_stand_at_their_distance_along_phase_alone(plain, rng, phase_axis):
    signal = np.zeros((SIDE, SIDE), np.float32)
    signal[115:125, 115:125] = 1.0
    ghosted = replace(plain, phase_axis=phase_axis, ghosts=(0.1 + 0j,), ghost_mm=32.0)
    extra = acquire(signal, FINE_MM, 240, ghosted, rng) - acquire(signal, FINE_MM, 240, replace(plain, phase_axis=phase_axis), rng)
    if phase_axis == 1:
        extra = extra.T
    assert extra[120 - 40, 120] == pytest.approx(0.1, abs=0.02)
    assert extra[120 + 40, 120] == pytest.approx(0.1, abs=0.02)
    assert abs(extra[:, :100]).max() < 0.02
    assert abs(extra[90:150, 120]).max() < 0.02


def test_motion_blurs_along_phase_alone(plain, rng):
    signal = np.zeros((SIDE, SIDE), np.float32)
    signal[100:140, 100:140] = 1.0
    still = replace(plain, resolution_mm=(1.6, 1.6))
    images = [acquire(signal, FINE_MM, 240, replace(still, motion_mm=motion_mm), rng) for motion_mm in (0.0, 2.0)]
    (rows, cols), (moved_rows, moved_cols) = ([abs(np.diff(line)).max() for line in (image[:, 120], image[120])] for image in images)
    assert moved_rows < 0.6 * rows
    assert moved_cols == pytest.approx(cols, rel=0.01)


def test_tissue_beside_the_coil_is_brighter_and_the_scanners_correction_takes_it_back(plain, rng):
    flat = np.ones((SIDE, SIDE), np.float32)
    coil = replace(plain, coil_deg=90.0, coil_per_mm=0.01, shading_correction=0.0)
    top, bottom = (acquire(flat, FINE_MM, 150, coil, rng)[row, 75] for row in (15, 135))
    assert top / bottom == pytest.approx(np.exp(0.01 * 120 * 192 / 150), rel=0.05)
    even = acquire(flat, FINE_MM, 150, replace(coil, shading_correction=1.0), rng)
    np.testing.assert_allclose(even[15:135, 15:135], 1.0, atol=0.05)


def test_before_its_null_a_wall_is_black_if_phase_sensitive_and_grey_in_magnitude(plain, rng):
    early = replace(plain, ti_ms=0.7 * plain.t1_ms[Tissue.MYOCARDIUM] * np.log(2), tr_ms=1e6)
    wall = map_of(Tissue.MYOCARDIUM)
    signal = tissue_signal(wall, wall[None, :0, :0], (0, 0), FINE_MM, early, rng)
    assert acquire(signal, FINE_MM, 150, early, rng).mean() < -0.1
    assert acquire(signal, FINE_MM, 150, replace(early, phase_sensitive=False), rng).mean() > 0.1


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (12, 4095)])
def test_stored_zero_is_mid_grey_if_phase_sensitive_and_dark_in_magnitude(plain, bits, top):
    volume = np.linspace(-0.5, 1.0, 3000, dtype=np.float32).reshape(20, 30, 5)
    zero = volume * 0
    zero.flat[:10] = 1.0
    assert abs(int(np.median(to_stored(zero, replace(plain, bits=bits)))) - top / 2) <= 1
    assert np.median(to_stored(zero, replace(plain, bits=bits, phase_sensitive=False))) == 1  # 0 is padding
    stored = to_stored(volume, replace(plain, bits=bits))
    assert (np.diff(stored.ravel().astype(int)) >= 0).all()


def test_slices_differ_as_contrast_washes_out(plain):
    first, last = (scan_of_slice(plain, index, np.random.default_rng(1)) for index in (0, 8))
    assert last.t1_ms[Tissue.BLOOD] > first.t1_ms[Tissue.BLOOD] == plain.t1_ms[Tissue.BLOOD]
    assert last.t1_ms[Tissue.FAT] == plain.t1_ms[Tissue.FAT]
    assert scan_of_slice(plain, 3, np.random.default_rng(1)).ti_ms != scan_of_slice(plain, 3, np.random.default_rng(2)).ti_ms


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    def image(seed):
        rng = np.random.default_rng(seed)
        scene = np.repeat(np.arange(len(Tissue), dtype=np.uint8), 10)[None, :].repeat(190, 0)
        scan = scan_of_slice(draw_scan(rng), 2, rng)
        return acquire(tissue_signal(scene, scene[None, 50:90, 60:100], (50, 60), 1.0, scan, rng), 1.0, 120, scan, rng).tobytes()

    assert image(5) == image(5)
    assert image(5) != image(6)
