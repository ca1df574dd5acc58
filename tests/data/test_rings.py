"""A slice is usable when its wall is a closed ring round the cavity; otherwise the reason tells what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from lgesynthnet.data.ring import Fault, encloses, find_ring_fault, lined_share, usable_slices
from lgesynthnet.records import Label, Stack

COLUMNS = np.mgrid[:64, :64][1]


def stack_of(*slices, image=None):
    labels = np.stack(slices, axis=2)
    image = np.ones(labels.shape, np.float32) if image is None else image
    return Stack(patient="A", image=image, labels=labels, spacing_mm=(1.0, 1.0), slice_step_mm=8.0)


def test_a_ring_is_usable_with_scar_and_no_reflow_in_it_and_an_rv_beside_it(ring):
    labels = ring()
    labels[(labels == 2) & (COLUMNS > 40)] = Label.SCAR
    labels[(labels == 3) & (COLUMNS > 46)] = Label.NO_REFLOW
    labels[28:36, 8:16] = Label.RV
    assert find_ring_fault(labels) is None


def test_a_thin_ring_joined_by_corners_only_still_closes():
    side = np.abs(np.mgrid[:32, :32] - 16).sum(axis=0)  # a diamond one pixel thick
    assert find_ring_fault(np.where(side < 10, 1, np.where(side == 10, 2, 0)).astype(np.uint8)) is None


@pytest.mark.parametrize("gap_rows", [range(31, 34), range(28, 37), range(64)])
def test_a_gap_opens_the_ring(ring, gap_rows):
    labels = ring()
    for row in gap_rows:
        labels[row, (labels[row] == 2) & (COLUMNS[row] > 32)] = 0
    assert find_ring_fault(labels) is Fault.OPEN


def test_a_gap_of_a_pixel_opens_the_ring_though_nearly_all_of_the_cavity_is_lined(ring):
    labels = ring(side=128, inner=30, outer=36)
    labels[64, 95:] = 0
    assert lined_share(labels == 1, labels == 2) > 0.98
    assert find_ring_fault(labels) is Fault.OPEN


def test_a_moat_between_cavity_and_wall_is_no_lining(ring):
    labels = ring(inner=12, outer=18)
    labels[ring(inner=8, outer=12) == 2] = 0  # the ring is closed but nothing touches it
    assert encloses(labels == 2, labels == 1)
    assert find_ring_fault(labels) is Fault.OPEN
    labels = ring(inner=12, outer=18)
    labels[22:42, 20:23] = 0  # a slit along a tenth of the endocardium
    assert 0.5 < lined_share(labels == 1, labels == 2) < 0.98
    assert find_ring_fault(labels) is Fault.OPEN


def test_a_long_axis_horseshoe_is_taken_for_what_it_is(ring):
    labels = ring(inner=14, outer=22)
    labels[:26] = 0  # the wall ends at the mitral plane and the cavity lies open
    assert find_ring_fault(labels) is Fault.OPEN
    assert "is not a closed ring; close it, or leave the slice unlabelled" in Fault.OPEN


def test_a_cavity_that_touches_the_rv_through_the_wall_is_open(ring):
    labels = ring()
    labels[30:34, 8:24] = Label.RV
    labels[30:34, 16:24] = Label.CAVITY
    assert find_ring_fault(labels) is Fault.OPEN


def test_a_heart_cut_by_the_edge_of_the_image_is_open(ring):
    assert find_ring_fault(ring(centre=(4, 32))) is Fault.OPEN


def test_the_other_faults(ring):
    whole = ring()
    assert find_ring_fault(np.zeros((64, 64), np.uint8)) is Fault.UNLABELLED
    assert find_ring_fault(np.where(whole == 1, 0, whole).astype(np.uint8)) is Fault.NO_CAVITY
    assert find_ring_fault(np.where(whole == 2, 0, whole).astype(np.uint8)) is Fault.NO_WALL
    scattered = whole.copy()
    scattered[2:10, 2:10] = 2
    assert find_ring_fault(scattered) is Fault.SCATTERED


def test_bad_slices_are_listed_and_the_rest_of_the_patient_is_used(ring):
    image = np.ones((64, 64, 4), np.float32)
    image[:, :, 1] = 0
    image[3, 3, 2] = np.nan
    usable, skipped = usable_slices(stack_of(ring(), ring(), ring(), ring() * 0, image=image))
    assert usable == [0]
    assert [item.name for item in skipped] == ["A_s01", "A_s02", "A_s03"]
    assert [item.reason for item in skipped] == [Fault.EMPTY, Fault.NOT_FINITE, Fault.UNLABELLED]
