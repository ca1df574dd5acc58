"""Scar by brightness alone, on rings whose truth is known."""

import numpy as np
import pytest

from lgesynthnet.evaluate.enhancement import full_width_half_maximum, n_sd


@pytest.fixture
def heart(ring):
    labels = ring(side=96, inner=15, outer=25)
    rows, cols = np.mgrid[:96, :96] - 48
    wall = labels == 2
    scar = wall & (cols > 0) & (np.hypot(rows, cols) <= 20)
    noise = np.random.default_rng(0).normal(0, 5, labels.shape)
    image = np.where(scar, 200.0, np.where(labels == 1, 180.0, 60.0)) + noise
    return image, wall, scar, wall & (cols < -2)


def test_both_readings_find_a_clear_scar_and_nothing_but_it(heart):
    image, wall, scar, remote = heart
    for found in (n_sd(image, wall, remote), full_width_half_maximum(image, wall, remote)):
        assert (found == scar)[wall].mean() > 0.995
        assert not found[~wall].any()


def test_a_faint_scar_is_seen_by_fewer_deviations_only(heart):
    image, wall, scar, remote = heart
    faint = np.where(scar, image - 120, image)  # 20 above the wall, 4 deviations
    assert n_sd(faint, wall, remote, n=2)[scar].mean() > 0.9
    assert n_sd(faint, wall, remote, n=6)[scar].mean() < 0.15


def test_a_healthy_wall_reads_as_empty(heart):
    image, wall, scar, remote = heart
    healthy = np.where(scar, image - 140, image)
    assert n_sd(healthy, wall, remote).sum() <= 1
    assert not full_width_half_maximum(healthy, wall, remote).any()


def test_without_remote_wall_nothing_is_read(heart):
    image, wall, _, _ = heart
    nowhere = np.zeros_like(wall)
    assert not n_sd(image, wall, nowhere).any()
    assert not full_width_half_maximum(image, wall, nowhere).any()


def test_readings_do_not_depend_on_the_scanners_scale(heart):
    image, wall, _, remote = heart
    for read in (n_sd, full_width_half_maximum):
        np.testing.assert_array_equal(read(image, wall, remote), read(image * 7 + 1000, wall, remote))


def test_twenty_pixels_of_remote_wall_are_enough_and_nineteen_are_not(heart):
    image, wall, scar, remote = heart
    for count, enough in ((19, False), (20, True)):
        few = np.zeros_like(remote)
        few[tuple(np.argwhere(remote)[:count].T)] = True
        assert n_sd(image, wall, few)[scar].any() == enough
        assert full_width_half_maximum(image, wall, few)[scar].any() == enough


def test_the_maximum_is_looked_for_where_it_is_asked_for(heart):
    image, wall, scar, remote = heart
    rows, _ = np.mgrid[:96, :96] - 48
    upper, lower = scar & (rows < 0), scar & (rows > 0)
    uneven = np.where(lower, image - 90, image)  # 200 above, 110 below, wall 60
    assert not full_width_half_maximum(uneven, wall, remote)[lower].any()
    assert full_width_half_maximum(uneven, wall, remote, within=lower)[lower].mean() > 0.95
    assert full_width_half_maximum(uneven, wall, remote)[upper].all()


@pytest.mark.parametrize(("share", "found"), [(0.4, False), (0.6, True)])
def test_the_limit_is_half_way_to_the_maximum(heart, share, found):
    image, wall, scar, remote = heart
    rows, _ = np.mgrid[:96, :96] - 48
    part = scar & (rows > 12)
    level = np.where(part, 60 + share * 140, np.where(scar, 200.0, image))
    assert full_width_half_maximum(level, wall, remote)[part].any() == found
