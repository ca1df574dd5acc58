"""The input of the model shows nothing of the scar but its edges, and pasting back changes nothing outside the hidden region."""

import numpy as np
import pytest
from scipy import ndimage

from lgesynthnet.anatomy.aha import SEGMENTS
from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.condition import NEUTRAL, build_condition, control_image, inner_edges
from lgesynthnet.conditioning.edit import add_scar
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import MARGIN_MM, WALL_REACH_MM, blend_weights, draw_hidden_region, hidden_region
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Pattern, ScarPrescription


@pytest.fixture(scope="module")
def host():
    patient = simulate("N", 33, infarct=False)
    known = patient.truth[2]
    return Host(slice_=patient.stack[2], frame=compute_heart_frame(patient.stack[2], known.level))


@pytest.fixture(scope="module")
def conditioned(host):
    prescription = draw_prescription("ischaemic", host.frame.level, np.random.default_rng(4))
    painted = rasterize(prescription, host.frame)
    return painted, build_condition(host, add_scar(host, prescription, painted), HeartWindow.from_slice(host.slice_))


def test_the_hidden_region_holds_the_scar_with_a_margin_and_stays_near_the_wall(host, conditioned):
    painted, (_, _, hidden) = conditioned
    assert hidden[painted.scar].all()
    to_scar = ndimage.distance_transform_edt(~painted.scar, sampling=host.frame.spacing_mm)
    to_wall = ndimage.distance_transform_edt(~host.frame.wall, sampling=host.frame.spacing_mm)
    assert to_scar[hidden].max() <= MARGIN_MM
    assert to_wall[hidden].max() <= WALL_REACH_MM
    assert hidden.sum() > 1.3 * painted.scar.sum()


def test_the_masked_image_is_neutral_in_the_hole_and_the_host_elsewhere(conditioned):
    _, (given, _, _) = conditioned
    assert (given.masked[given.hidden] == NEUTRAL).all()
    np.testing.assert_array_equal(given.masked[~given.hidden], given.image[~given.hidden])
    assert given.scar.any()
    assert "enhancement" in given.caption


def test_the_blend_is_zero_outside_and_reaches_one_inside(host, conditioned):
    _, (_, _, hidden) = conditioned
    weight = blend_weights(hidden, host.frame.spacing_mm)
    assert not weight[~hidden].any()
    assert weight[hidden].min() > 0
    assert weight.max() == 1


@pytest.mark.parametrize("mm", [0.7, 1.0, 1.5, 2.0])
def test_the_blend_begins_at_the_edge_of_the_region_and_ends_two_millimetres_inside(mm):
    """The outermost pixel of a coarse grid must not jump to the painted image."""
    hidden = np.zeros((40, 40), bool)
    hidden[10:30, 10:30] = True
    weight = blend_weights(hidden, (mm, mm))[20, 9:21]
    depth = np.maximum((np.arange(12) - 0.5) * mm, 0)  # of the pixels' centres below the edge
    assert weight[0] == 0
    assert weight[1] < 0.55 * mm / 2.0
    assert (np.diff(weight) >= 0).all()
    assert (weight[depth >= 2.0] == 1).all()


def test_edges_are_the_inner_boundary():
    mask = np.zeros((128, 128), bool)
    mask[10:20, 10:20] = True
    rim = inner_edges(mask)
    assert rim.sum() == 36
    assert not (rim & ~mask).any()
    assert not inner_edges(np.zeros_like(mask)).any()


def test_the_control_image_outlines_the_scar(conditioned):
    _, (condition, *_) = conditioned
    np.testing.assert_array_equal(control_image(condition)[0] > 0, inner_edges(condition.scar))


def test_training_regions_vary_and_always_hold_the_scar(conditioned):
    _, (given, _, _) = conditioned
    rng = np.random.default_rng(0)
    regions = [draw_hidden_region(given.scar, given.wall, given.nominal_deg, rng) for _ in range(30)]
    assert all(region[given.scar].all() for region in regions)
    assert len({int(region.sum()) for region in regions}) > 20
    healthy = [draw_hidden_region(np.zeros_like(given.scar), given.wall, given.nominal_deg, rng) for _ in range(20)]
    assert np.mean([region.any() for region in healthy]) > 0.9


def test_an_angle_is_resampled_across_its_jump():
    rows, cols = np.mgrid[:128, :128] - 63.5
    angle = np.degrees(np.arctan2(-rows, cols)) % 360
    roi = Roi(centre=(63.7, 63.2), spacing_mm=(1.0, 1.0))
    found = roi.crop_angle(angle)
    beside = found[60:68, 100:110]  # image right, where 359 meets 0
    assert (np.minimum(beside, 360 - beside) < 10).all()


def test_the_window_follows_wall_and_blood_and_comes_back(host):
    window = HeartWindow.from_slice(host.slice_)
    unit = window.to_unit(host.slice_.image)
    assert float(np.percentile(unit[host.frame.wall], 25)) == pytest.approx(-0.5, abs=0.02)
    assert float(np.median(unit[host.frame.cavity])) == pytest.approx(0.5, abs=0.02)
    inside = (unit > -2) & (unit < 2.5)
    np.testing.assert_allclose(window.to_stored(unit)[inside], host.slice_.image[inside], atol=1e-3 * window.span)


def test_a_small_scar_hides_little():
    wall = np.zeros((60, 60), bool)
    wall[20:30] = True
    scar = np.zeros_like(wall)
    scar[24:26, 30] = True
    assert 20 < hidden_region(scar, wall, (1.0, 1.0)).sum() < 90


def test_scar_that_the_host_has_is_repainted_as_scar_where_it_gets_hidden():
    patient = simulate("P", 11, infarct=True)
    known = next(k for k in patient.truth if k.prescription is not None and k.measured.area_mm2 > 150)
    host = Host(slice_=patient.stack[known.index], frame=compute_heart_frame(patient.stack[known.index], known.level))
    elsewhere = frozenset(SEGMENTS[known.level]) - known.measured.segments
    prescription = ScarPrescription(segments=frozenset({min(elsewhere)}), pattern=Pattern.TRANSMURAL, transmurality=0.9)
    painted = rasterize(prescription, host.frame)
    given, roi, hidden = build_condition(host, add_scar(host, prescription, painted), HeartWindow.from_slice(host.slice_), whole_wall=True)
    assert hidden[host.frame.wall].all()
    old = roi.crop_mask(host.slice_.scar & ~painted.scar)
    assert (given.scar & old).sum() > 0.9 * old.sum() > 0
    apart, _, _ = build_condition(host, add_scar(host, prescription, painted), HeartWindow.from_slice(host.slice_))
    assert apart.scar.sum() < given.scar.sum()
