"""A drawn mask measures as prescribed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.describing import describe_scar
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription
from lgesynthnet.records import Label, Level, ShortAxisSlice
from lgesynthnet.terms import Prior


def frame_of(level=Level.MID, inner=24.0, wall=9.0, spacing=1.0):
    size = int(90 / spacing)
    down, right = (np.indices((size, size)) - (size - 1) / 2) * spacing
    radius = np.hypot(down, right * 1.07)
    labels = np.zeros((size, size), np.uint8)
    labels[radius < inner + wall] = Label.WALL
    labels[radius < inner] = Label.CAVITY
    return compute_heart_frame(
        ShortAxisSlice(patient="p", index=1, image=labels * 1.0, labels=labels, spacing_mm=(spacing, spacing)), level
    )


def scar(**settings):
    return ScarPrescription(**({"segments": frozenset({9}), "pattern": Pattern.TRANSMURAL, "transmurality": 0.9} | settings))


@pytest.mark.parametrize("prior", list(Prior))
def test_drawn_scars_measure_back_as_prescribed(prior):
    rng = np.random.default_rng(0)
    errors, same = [], []
    for i in range(90):
        frame = frame_of(list(Level)[i % 3], inner=rng.uniform(15, 28), wall=rng.uniform(7, 12))
        wanted = draw_prescription(prior, frame.level, rng)
        painted = rasterize(wanted, frame)
        measured = measure_scar(painted.scar, frame, painted.no_reflow)
        same.append(measured.segments == wanted.segments)
        errors.append(abs(measured.transmurality - wanted.transmurality))
    assert np.mean(same) >= 0.95
    assert np.mean(errors) <= 0.08


def test_scar_stays_in_the_prescribed_wall_and_segments():
    frame = frame_of()
    painted = rasterize(scar(segments=frozenset({8, 9})), frame)
    assert not (painted.scar & ~frame.wall).any()
    assert set(np.unique(frame.segments[painted.scar])) == {8, 9}


def test_subendocardial_starts_at_the_endocardium_and_subepicardial_at_the_epicardium():
    frame = frame_of()
    inner = rasterize(scar(pattern=Pattern.SUBENDOCARDIAL, transmurality=0.3), frame).scar
    outer = rasterize(scar(pattern=Pattern.SUBEPICARDIAL, transmurality=0.3), frame).scar
    middle = rasterize(scar(pattern=Pattern.MID_WALL, transmurality=0.3), frame).scar
    touches = ndimage.binary_dilation(frame.cavity)
    assert (inner & touches).any()
    assert not (outer & touches).any()
    assert not (middle & touches).any()
    assert np.mean(frame.depth[inner]) < 0.25 < 0.4 < np.mean(frame.depth[middle]) < 0.6 < 0.75 < np.mean(frame.depth[outer])


def test_a_deeper_prescription_paints_more_of_the_wall():
    frame = frame_of()
    areas = [rasterize(scar(pattern=Pattern.SUBENDOCARDIAL, transmurality=t), frame).scar.sum() for t in (0.25, 0.5, 0.75)]
    assert areas[0] < areas[1] < areas[2]


def test_the_seed_draws_the_border_and_nothing_else():
    frame = frame_of()
    wanted = scar(pattern=Pattern.SUBENDOCARDIAL, transmurality=0.5, irregularity=1.0)
    first, again, other_seed = (rasterize(replace(wanted, seed=s), frame).scar for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other_seed).any()


def test_the_same_scar_on_a_finer_grid_is_the_same_scar():
    wanted = scar(segments=frozenset({9, 10}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.5, seed=5)
    coarse, fine = (measure_scar(rasterize(wanted, f).scar, f) for f in (frame_of(spacing=1.5), frame_of(spacing=0.5)))
    assert coarse.area_mm2 == pytest.approx(fine.area_mm2, rel=0.1)
    assert coarse.segments == fine.segments == {9, 10}


def test_no_reflow_is_a_core_with_a_rim_of_scar():
    frame = frame_of(wall=11.0)
    painted = rasterize(scar(segments=frozenset({9, 10}), mvo_share=0.25), frame)
    healthy = frame.wall & ~painted.scar
    assert 0.15 < painted.no_reflow.sum() / painted.scar.sum() < 0.3
    assert not (painted.no_reflow & ~painted.scar).any()
    assert not (ndimage.binary_dilation(healthy) & painted.no_reflow).any()


def test_an_arc_narrows_the_scar():
    frame = frame_of()
    painted = rasterize(scar(arc=Arc(start_deg=200.0, extent_deg=25.0), irregularity=0.0), frame).scar
    angles = frame.nominal_deg[painted]
    assert angles.min() >= 200
    assert angles.max() <= 225


def test_what_cannot_fall_on_this_slice_says_why():
    with pytest.raises(PrescriptionError, match=r"p_s01 is a mid slice.*basal segments \[3\]"):
        rasterize(scar(segments=frozenset({3})), frame_of(Level.MID))
    with pytest.raises(PrescriptionError, match="no wall inside the prescribed arc"):
        rasterize(scar(arc=Arc(start_deg=10.0, extent_deg=20.0)), frame_of())


def test_describe_reads_back_what_paint_drew():
    frame = frame_of(wall=10.0)
    for pattern, extent in (
        (Pattern.TRANSMURAL, 0.95),
        (Pattern.SUBENDOCARDIAL, 0.4),
        (Pattern.SUBEPICARDIAL, 0.35),
        (Pattern.MID_WALL, 0.3),
    ):
        measured = describe_scar(rasterize(scar(pattern=pattern, transmurality=extent), frame).scar, np.zeros_like(frame.wall), frame)
        assert measured is not None
        assert measured.pattern is pattern
        assert measured.segments == {9}
        assert measured.transmurality == pytest.approx(extent, abs=0.1)


def test_a_healthy_slice_measures_nothing():
    frame = frame_of()
    nothing = np.zeros_like(frame.wall)
    measured = measure_scar(nothing, frame)
    assert measured.transmurality is None
    assert not measured.segments
    assert measured.burden == 0
    assert describe_scar(nothing, nothing, frame) is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"transmurality": 75}, "divided by 100"),
        ({"segments": frozenset({17})}, "AHA 1-16"),
        ({"segments": frozenset()}, "none"),
        ({"transmurality": 0.5}, "more than 75 %"),
        ({"pattern": Pattern.SUBENDOCARDIAL}, "at most 75 %"),
        ({"depth": (0.2, 0.4)}, "spans 20% of the wall"),
        ({"mvo_share": 0.2, "pattern": Pattern.MID_WALL, "transmurality": 0.3}, "belongs to infarcts"),
        ({"irregularity": 2.0}, "irregularity must be in"),
    ],
)
def test_nonsense_is_not_born(settings, says):
    with pytest.raises(PrescriptionError, match=says):
        scar(**settings)


def test_json_round_trip():
    wanted = scar(arc=Arc(start_deg=200.0, extent_deg=25.0), mvo_share=0.2, seed=2**40)
    assert ScarPrescription.from_json(wanted.to_json()) == wanted
    with pytest.raises(PrescriptionError, match="keys are"):
        ScarPrescription.from_json('{"segment": [3]}')
