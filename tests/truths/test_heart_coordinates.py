"""Physical truths of heart coordinates: units, orientation and names of walls."""

import numpy as np
import pytest

from lgesynthnet.anatomy.aha import NAME_OF, SEGMENTS, TERRITORY, neighbours, segment_at
from lgesynthnet.anatomy.frame import angle_deg, compute_heart_frame, to_image_deg, to_nominal_deg, wall_thickness_mm
from lgesynthnet.errors import AnatomyError
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source


def ring_slice(inner_mm=24.0, outer_mm=33.0, spacing_mm=(1.0, 1.0), open_deg=0.0):
    rows, cols = int(110 / spacing_mm[0]), int(110 / spacing_mm[1])
    centre = ((rows - 1) / 2, (cols - 1) / 2)
    down = (np.arange(rows) - centre[0])[:, None] * spacing_mm[0]
    right = (np.arange(cols) - centre[1])[None, :] * spacing_mm[1]
    radius = np.hypot(down, right)
    labels = np.zeros((rows, cols), np.uint8)
    labels[radius < outer_mm] = Label.WALL
    labels[radius < inner_mm] = Label.CAVITY
    if open_deg:
        gap = angle_deg(labels.shape, centre, spacing_mm) < open_deg
        labels[gap & (labels == Label.WALL)] = Label.BACKGROUND
    return ShortAxisSlice(patient="ring", index=0, image=labels.astype(np.float32), labels=labels, spacing_mm=spacing_mm)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (1.5, 1.0), (1.0, 0.5)])
def test_a_10_mm_ring_is_10_mm_thick_however_the_pixels_are_stretched(spacing_mm):
    slice_ = ring_slice(15.0, 25.0, spacing_mm)
    thickness = wall_thickness_mm(slice_.cavity, slice_.wall, spacing_mm)
    np.testing.assert_allclose(thickness[slice_.wall], 10, atol=1.5 * max(spacing_mm))
    assert np.mean(thickness[slice_.wall]) == pytest.approx(10, abs=0.35 * max(spacing_mm))
    assert np.isnan(thickness[~slice_.wall]).all()


def test_depth_runs_from_endocardium_to_epicardium():
    frame = compute_heart_frame(ring_slice(), Level.MID)
    down, right = np.indices(frame.wall.shape) - np.asarray(frame.centre)[:, None, None]
    radius = np.hypot(down, right)[frame.wall]
    depth = frame.depth[frame.wall]
    np.testing.assert_allclose(depth, (radius - 24) / 9, atol=0.13)
    assert 0 <= depth.min() < 0.1
    assert 0.9 < depth.max() <= 1


def test_a_mirrored_heart_swaps_septum_and_lateral_wall():
    angle = np.linspace(1, 359, 180)  # 60 - angle... mirrors through the anterior wall, whose centre is at 90 degrees
    mirror = {7: 7, 8: 12, 9: 11, 10: 10, 11: 9, 12: 8}
    assert [mirror[int(s)] for s in segment_at(angle, "mid")] == segment_at(180 - angle, "mid").tolist()


@pytest.mark.parametrize(
    ("degrees", "name"),
    [(90, "mid anterior"), (150, "mid anteroseptal"), (210, "mid inferoseptal"), (270, "mid inferior"), (0, "mid inferolateral")],
)
def test_walls_lie_where_the_radiological_view_shows_them(degrees, name):
    found = int(segment_at(np.array([degrees + 1e-9 if degrees else 359.0]), Level.MID)[0])
    assert NAME_OF[found] == name


def test_septum_is_left_anterior_is_up_in_the_picture():
    frame = compute_heart_frame(ring_slice(), Level.MID)
    row, col = (round(v) for v in frame.centre)
    assert frame.segments[row - 28, col] == 7
    assert frame.segments[row + 28, col] == 10
    assert {int(frame.segments[row - 10, col - 26]), int(frame.segments[row + 10, col - 26])} == {8, 9}
    assert {int(frame.segments[row - 10, col + 26]), int(frame.segments[row + 10, col + 26])} == {12, 11}


def test_insertions_land_on_120_and_240_and_the_septum_splits_in_two():
    measured = Insertions(anterior_deg=67.0, inferior_deg=190.0, source=Source.LANDMARKS, confidence=1.0)
    assert to_nominal_deg(np.array([67.0, 190.0, 128.5]), measured) == pytest.approx([120.0, 240.0, 180.0])
    for nominal in (0.0, 119.0, 121.0, 200.0, 250.0, 359.0):
        assert float(to_nominal_deg(np.array([to_image_deg(nominal, measured)]), measured)[0]) == pytest.approx(nominal)


def test_insertions_may_straddle_zero():
    measured = Insertions(anterior_deg=300.0, inferior_deg=60.0, source=Source.LANDMARKS, confidence=1.0)
    assert to_nominal_deg(np.array([0.0]), measured) == pytest.approx([180.0])


@pytest.mark.parametrize("level", list(Level))
def test_every_wall_pixel_has_one_segment_of_its_level(level):
    frame = compute_heart_frame(ring_slice(), level)
    assert set(np.unique(frame.segments[frame.wall])) == set(SEGMENTS[level])
    assert not frame.segments[~frame.wall].any()
    areas = [int((frame.segments == s).sum()) for s in SEGMENTS[level]]
    assert max(areas) < 1.1 * min(areas)


def test_neighbours_go_round_and_territories_cover_all_short_axis_segments_once():
    assert neighbours(1) == (6, 2)
    assert neighbours(16) == (15, 13)
    covered = [s for segments in TERRITORY.values() for s in segments]
    assert sorted(covered) == list(range(1, 17))


def test_an_open_wall_is_refused_with_its_width():
    with pytest.raises(AnatomyError, match=r"ring_s00.*open over \d+ degrees"):
        compute_heart_frame(ring_slice(open_deg=40.0), Level.MID)


def test_no_cavity_and_no_wall_are_named():
    slice_ = ring_slice()
    bare = ShortAxisSlice(
        patient="x", index=3, image=slice_.image, labels=np.where(slice_.cavity, 0, slice_.labels).astype(np.uint8), spacing_mm=(1.0, 1.0)
    )
    with pytest.raises(AnatomyError, match="x_s03: the labels have no LV cavity"):
        compute_heart_frame(bare, Level.MID)
