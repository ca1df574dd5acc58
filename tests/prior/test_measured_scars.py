"""A scar that is measured and drawn again is as large as before, at the same place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import ring_labels

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription
from lgesynthnet.prescription.stretches import segments_round
from lgesynthnet.prior.scars import measure_real_scars
from lgesynthnet.records import Label, Level, ShortAxisSlice

BLOOD, WALL, BRIGHT = 180.0, 40.0, 215.0


def host_with(prescription, index=1):
    """A ring of 24 to 34 pixels of 1 mm with the prescribed scar in image and labels."""
    labels = ring_labels(96, 24, 34)
    image = np.select([labels == Label.CAVITY, labels == Label.WALL], [BLOOD, WALL], 90.0)
    bare = ShortAxisSlice(patient="P", index=index, image=image, labels=labels, spacing_mm=(1.0, 1.0))
    mask = rasterize(prescription, compute_heart_frame(bare, Level.MID))
    labels = np.where(mask.no_reflow, Label.NO_REFLOW, np.where(mask.scar, Label.SCAR, labels)).astype(np.uint8)
    slice_ = replace(bare, labels=labels, image=np.where(mask.scar & ~mask.no_reflow, BRIGHT, image))
    return Host(slice_=slice_, frame=compute_heart_frame(slice_, Level.MID))


def scar(middle=270.0, width=90.0, **changes):
    settings = {
        "segments": segments_round(middle, width, Level.MID),
        "arc": Arc(start_deg=(middle - width / 2) % 360, extent_deg=width),
        "pattern": Pattern.SUBENDOCARDIAL,
        "transmurality": 0.6,
    }
    return ScarPrescription(**(settings | changes))


def measured(host, free=()):
    [found] = measure_real_scars([host], free)
    return found


@pytest.mark.parametrize("width", [40.0, 90.0, 180.0, 280.0])
def test_its_width_is_what_must_be_prescribed_to_get_its_area_back(width):
    areas, again = [], []
    for seed in range(4):
        host = host_with(scar(width=width, seed=seed))
        found = measured(host)
        like = scar(width=found.width_deg, transmurality=round(found.transmurality, 2), seed=seed + 50)
        areas.append(measure_scar(host.slice_.scar, host.frame).area_mm2)
        again.append(measure_scar(rasterize(like, host.frame).scar, host.frame).area_mm2)
    assert np.mean(again) == pytest.approx(np.mean(areas), rel=0.1)


def test_place_depth_brightness_and_no_reflow_are_those_of_the_mask():
    found = measured(host_with(scar(middle=30.0, transmurality=0.7, mvo_share=0.3)))
    assert found.middle_deg == pytest.approx(30, abs=10)
    assert found.transmurality == pytest.approx(0.7, abs=0.04)
    assert found.brightness == pytest.approx((BRIGHT - WALL) / (BLOOD - WALL) - 0.5, abs=0.02)
    assert 0.1 < found.no_reflow <= 0.32
    assert found.pattern == "endocardial"
    assert found.level is Level.MID


def test_a_scar_away_from_the_endocardium_is_told():
    assert measured(host_with(scar(pattern=Pattern.SUBEPICARDIAL, transmurality=0.4))).pattern == "subepicardial"
    assert measured(host_with(scar(pattern=Pattern.MID_WALL, transmurality=0.35))).pattern == "mid-wall"


def test_ragged_borders_are_told_from_smooth_ones():
    smooth, ragged = (
        np.mean([float(measured(host_with(scar(width=120, irregularity=rough, seed=seed))).irregularity) for seed in range(6)])
        for rough in (0.25, 1.0)
    )
    assert smooth < ragged - 0.2


def test_an_infarct_ends_beside_a_slice_without_scar_and_not_at_the_end_of_the_stack():
    host = host_with(scar(), index=4)
    assert measured(host, free={3}).at_border
    assert measured(host, free={5, 6}).at_border
    assert not measured(host, free={2, 6}).at_border
    assert not measured(host).at_border


def test_a_scar_that_is_all_no_reflow_has_no_brightness():
    host = host_with(scar())
    labels = np.where(host.slice_.scar, Label.NO_REFLOW, host.slice_.labels).astype(np.uint8)
    assert measured(replace(host, slice_=replace(host.slice_, labels=labels))).brightness is None


def test_a_pixel_of_scar_is_passed_over_or_small():
    host = host_with(scar())
    labels = np.where(host.slice_.scar, Label.WALL, host.slice_.labels).astype(np.uint8)
    labels[tuple(np.argwhere(host.frame.wall)[0])] = Label.SCAR
    found = list(measure_real_scars([replace(host, slice_=replace(host.slice_, labels=labels))], ()))
    assert all(one.width_deg <= 15 for one in found)
