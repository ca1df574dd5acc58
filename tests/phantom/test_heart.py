"""The simulated heart has the given sizes, insertions and thinning, and its scar continues between slices."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.frame import compute_heart_frame, wall_depth
from lgesynthnet.overlap import dice
from lgesynthnet.phantom.body import Remodelling, Tissue, draw_body
from lgesynthnet.phantom.heart import compute_contours, cut_plane, draw_labels, heart_box
from lgesynthnet.phantom.wall_map import NOTHING, WallMap, interpolate, read_wall_map, scar_in_plane
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source

PIXEL_MM = 0.5


@pytest.fixture
def body():
    """A smooth heart with a cavity radius of 24 mm and a wall of 10 mm at the base."""
    drawn = draw_body(np.random.default_rng(3))
    smooth = np.zeros_like(drawn.lumps)
    return replace(
        drawn,
        slices=7,
        endo_mm=24.0,
        wall_mm=10.0,
        wall_taper=0.2,
        lumps=smooth,
        wall_lumps=np.zeros_like(drawn.wall_lumps),
        fat_lumps=smooth,
        fluid_lumps=smooth,
        tilt_deg=0.0,
        septal_flattening=0.0,
        anterior_deg=130.0,
        septum_deg=117.0,
        centre_mm=(0.0, 0.0),
        drift_mm=(0.0, 0.0),
    )


def plane_and_window(body, index, remodelling=None):
    plane = compute_contours(body, index, remodelling)
    return plane, heart_box([plane], 440, PIXEL_MM)


def test_the_wall_is_as_thick_as_ordered(body):
    plane, window = plane_and_window(body, 0)
    labels = draw_labels(plane, window)
    _, thickness = wall_depth(labels == Label.CAVITY, labels == Label.WALL, (PIXEL_MM, PIXEL_MM))
    assert np.nanmedian(thickness) == pytest.approx(10.0, abs=0.3)
    assert (labels == Label.CAVITY).sum() * PIXEL_MM**2 == pytest.approx(np.pi * 24**2, rel=0.01)


def test_the_ventricle_closes_towards_the_apex(body):
    areas = [(draw_labels(*plane_and_window(body, index)) == Label.CAVITY).sum() for index in range(body.slices)]
    assert all(a > b for a, b in itertools.pairwise(areas))
    assert areas[-1] < 0.6 * areas[0]


def test_a_tilted_plane_is_wider_on_the_side_that_is_nearer_the_base(body):
    tilted = compute_contours(replace(body, tilt_deg=15.0, tilt_towards_deg=0.0), 4.0)  # image right dips towards the apex
    half = len(tilted.endo) // 2
    assert tilted.endo[half] - tilted.endo[0] > 1.0
    level = compute_contours(body, 4.0)
    assert level.endo[half] == pytest.approx(level.endo[0], abs=1e-4)


def test_the_rv_begins_and_ends_at_its_insertions(body):
    plane, _ = plane_and_window(body, 3)
    anterior, inferior = body.insertions_deg(3)
    bare = np.flatnonzero(plane.rv > plane.epi + 0.05) * 360 / len(plane.rv)
    assert bare.min() == pytest.approx(anterior, abs=1.0)
    assert bare.max() == pytest.approx(inferior, abs=1.0)
    assert plane.nominal_deg[int(anterior * 2)] == pytest.approx(120.0, abs=1.0)


def test_an_old_infarct_thins_its_wall_and_bulges_and_leaves_the_rest(body):
    infarct = Remodelling(start_deg=20.0, extent_deg=80.0, middle=3.0, reach=2.0, thickness=0.5, bulge_mm=4.0)
    plane, healthy = compute_contours(body, 3.0, infarct), compute_contours(body, 3.0)
    nominal = plane.nominal_deg
    inside = np.abs(nominal - 60.0) < 10.0
    outside = (nominal > 150.0) & (nominal < 300.0)
    wall, before = plane.epi - plane.endo, healthy.epi - healthy.endo
    np.testing.assert_allclose(wall[inside] / before[inside], 0.5, atol=0.02)
    np.testing.assert_allclose(plane.epi[inside] - healthy.epi[inside], 4.0, atol=0.2)
    np.testing.assert_array_equal(plane.epi[outside], healthy.epi[outside])
    np.testing.assert_array_equal(compute_contours(body, 6.0, infarct).epi, compute_contours(body, 6.0).epi)  # beyond its reach


def test_every_tissue_of_a_heart_is_there_and_papillary_muscles_count_as_blood(body):
    mid = replace(body, papillary_mm=(4.0, 4.0), pericardium_mm=2.0, fat_mm=6.0)
    plane = compute_contours(mid, 3.0)
    window = heart_box([plane], 440, PIXEL_MM)
    tissue = cut_plane(mid, 3.0, plane, window, np.full(window.shape, Tissue.LUNG, np.uint8))
    round_it = {Tissue.LUNG, Tissue.PERICARDIUM, Tissue.FAT, Tissue.RV_WALL, Tissue.RV_BLOOD}
    assert round_it | {Tissue.MYOCARDIUM, Tissue.BLOOD, Tissue.PAPILLARY} <= set(np.unique(tissue))
    assert set(np.unique(draw_labels(plane, window)[tissue == Tissue.PAPILLARY])) == {Label.CAVITY}
    assert (draw_labels(plane, window) == Label.WALL).sum() == (tissue == Tissue.MYOCARDIUM).sum()


@pytest.fixture
def painted(body):
    plane, window = plane_and_window(body, 3)
    labels = draw_labels(plane, window)
    anterior, inferior = body.insertions_deg(3)
    insertions = Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.LANDMARKS, confidence=1.0)
    slice_ = ShortAxisSlice(patient="b", index=3, image=labels * 1.0, labels=labels, spacing_mm=(PIXEL_MM, PIXEL_MM))
    frame = compute_heart_frame(slice_, Level.MID, insertions)
    order = ScarPrescription(
        segments=frozenset({8, 9}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.6, mvo_share=0.2, irregularity=0.5, seed=4
    )
    return rasterize(order, frame), plane, window


def test_a_scar_read_into_heart_coordinates_comes_back_where_it_was(painted):
    scar, plane, window = painted
    found, _, no_reflow = scar_in_plane(read_wall_map(scar, plane, window), plane, window)
    assert dice(found, scar.scar) > 0.96
    assert dice(no_reflow, scar.no_reflow) > 0.85


def test_a_scar_follows_the_heart_into_a_smaller_plane(painted, body):
    scar, plane, window = painted
    share = scar.scar.sum() / (draw_labels(plane, window) == Label.WALL).sum()
    smaller, box = plane_and_window(body, 6)
    found, _, _ = scar_in_plane(read_wall_map(scar, plane, window), smaller, box)
    wall = draw_labels(smaller, box) == Label.WALL
    assert not found[~wall].any()
    assert found.sum() / wall.sum() == pytest.approx(share, abs=0.08)


def test_a_scar_tapers_towards_a_slice_without_one_and_stays_between_equals(painted):
    scar, plane, window = painted
    map_ = read_wall_map(scar, plane, window)
    areas = [scar_in_plane(interpolate(map_, NOTHING, share), plane, window)[0].sum() for share in (0.0, 0.2, 0.4)]
    assert areas[0] > areas[1] > areas[2] > 0
    np.testing.assert_array_equal(interpolate(map_, map_, 0.4).scar > 0, map_.scar > 0)
    assert not scar_in_plane(NOTHING, plane, window)[0].any()


def test_a_thin_scar_in_the_middle_of_the_wall_is_not_all_border_and_does_not_vanish_in_the_slab(body):
    plane, window = plane_and_window(body, 3)
    depth = (np.arange(24) + 0.5) / 24
    inside = 1.5 - np.abs(depth - 0.5) * 10.0  # mm: a band of 3 mm in a wall of 10
    map_ = WallMap(scar=np.tile(inside, (720, 1)).astype(np.float32), no_reflow=NOTHING.no_reflow)
    whole, border, _ = scar_in_plane(map_, plane, window, border_mm=3.0)
    assert 0.2 < border.sum() / whole.sum() < 0.6
    for share in (0.16, 0.32):  # the outer planes of a slab of 8 mm
        assert scar_in_plane(interpolate(map_, NOTHING, share), plane, window)[0].sum() > 0.4 * whole.sum()


def test_the_border_zone_lies_in_the_scar_and_faces_living_wall_not_blood(painted):
    scar, plane, window = painted
    found, border, _ = scar_in_plane(read_wall_map(scar, plane, window), plane, window, border_mm=2.0)
    assert border.any()
    assert not (border & ~found).any()
    radius, direction = window.polar(plane.centre_mm)
    depth = (radius - plane.endo[direction]) / (plane.epi - plane.endo)[direction]
    wide = np.abs(plane.nominal_deg[direction] - 180.0) < 25.0  # the middle of the scar, away from its ends
    assert not border[wide & (depth < 0.15)].any()
