"""The radiological view and the base follow from the affine, however the file is stored; an affine that says nothing is not believed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from factories import short_axis_affine

from lgesynthnet.data.view import anatomical_directions, base_first_of, shown_axes, view_of
from lgesynthnet.records import View, ViewSource

SHAPE = (7, 5, 3)  # columns, rows, slices
ALL_VIEWS = [
    View(transpose=transpose, flip_rows=rows, flip_columns=columns)
    for transpose, rows, columns in itertools.product((False, True), repeat=3)
]


def stored(affine: np.ndarray, axes: tuple[int, ...], swap: bool) -> np.ndarray:
    """The affine of the same voxels, with axes reversed first and the first two exchanged then."""
    turned = affine.copy()
    for axis in axes:
        turned[:3, 3] += turned[:3, axis] * (SHAPE[axis] - 1)
        turned[:3, axis] *= -1
    return turned[:, [1, 0, 2, 3]] if swap else turned


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 1), (2,), (0, 2), (1, 2), (0, 1, 2)])
def test_every_stored_form_shows_the_same_picture(axes, swap, seed):
    """The file axes are (column, row, slice); the picture is compared voxel by voxel with the one that was stored as it is shown."""
    affine = short_axis_affine(seed)
    voxels = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    shown = voxels.transpose(1, 0, 2)
    honest = stored(affine, axes, swap)
    in_file = np.flip(voxels, axes)
    in_file = in_file.transpose(1, 0, 2) if swap else in_file
    view = view_of(honest)
    assert view.source is ViewSource.AFFINE
    picture = view.turn(in_file.transpose(1, 0, 2))
    np.testing.assert_array_equal(picture, shown[:, :, ::-1] if 2 in axes else shown)
    assert base_first_of(honest) is (2 not in axes)
    np.testing.assert_array_equal(view.turn_back(picture), in_file.transpose(1, 0, 2))


def test_right_and_down_of_the_picture_point_to_the_left_and_to_the_feet_of_the_patient():
    right, down = shown_axes(short_axis_affine(0), view_of(short_axis_affine(0)))
    assert right[0] > 0.5  # left, as on any radiological picture
    assert down[2] < -0.5  # feet
    mirrored = stored(short_axis_affine(0), (1,), swap=False)
    again = shown_axes(mirrored, view_of(mirrored))
    np.testing.assert_allclose(again, (right, down), atol=1e-12)


@pytest.mark.parametrize("diagonal", [(1.5, 1.5, 8.0), (-1.0, -1.0, 1.0), (1.0, 1.0, 1.0), (-1.4, 1.4, 10.0)])
def test_an_affine_along_the_axes_of_the_scanner_says_nothing(diagonal):
    """No short axis lies along an axis of the scanner. EMIDEC and many exports state such an affine, also after its axes were exchanged."""
    affine = np.diag([*diagonal, 1.0])
    for order in itertools.permutations(range(3)):
        assert anatomical_directions(affine[:, [*order, 3]]) is None
    assert view_of(affine) == View(source=ViewSource.STORED)
    assert base_first_of(affine) is None
    assert view_of(None) == View(source=ViewSource.STORED)


def test_planes_that_are_no_short_axis_and_broken_affines_say_nothing():
    right, down = shown_axes(short_axis_affine(0), View())
    four_chamber = np.eye(4)  # holds the long axis
    four_chamber[:3, :3] = np.diag([-1, -1, 1]) @ np.stack([right, np.cross(right, down), down], axis=1)
    assert anatomical_directions(four_chamber) is None
    for broken in (np.zeros((4, 4)), np.full((4, 4), np.nan), np.ones((4, 4))):
        assert anatomical_directions(broken) is None


def test_what_the_user_says_about_the_stored_array_comes_first():
    affine = stored(short_axis_affine(0), (0,), swap=True)
    assert view_of(affine, (True, False)) == View(flip_rows=True, source=ViewSource.GIVEN)
    assert view_of(affine, (False, False)) == View(source=ViewSource.GIVEN)


@pytest.mark.parametrize("view", ALL_VIEWS)
def test_turning_back_undoes_turning(view):
    slices = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(view.turn_back(view.turn(slices)), slices)
    np.testing.assert_array_equal(view.turn(slices[:, :, 1]), view.turn(slices)[:, :, 1])
    assert view.turn_lengths(view.turn_lengths((1.0, 2.0))) == (1.0, 2.0)
    assert view.turn(slices).shape[:2] == view.turn_lengths((2, 3))
