"""Blood beside the wall follows the wall: known mixtures come out as they were made, and no other blood changes."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.edit import add_scar, remove_scar
from lgesynthnet.conditioning.repaint_region import BLOOD_REACH_MM, blood_beside
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.generate.blood import mixed, wall_share
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Label, Level, ShortAxisSlice

WALL, BLOOD = 400.0, 2000.0
SCAR = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=1.0, irregularity=0.0)
ROWS, COLS = np.mgrid[:112, :112] - 55.5
AWAY = np.hypot(ROWS, COLS)


def share(distance_mm):
    """Share of the wall that the test's heart has in its blood."""
    return 0.6 * np.clip(1 - distance_mm / BLOOD_REACH_MM, 0, 1)


def heart(scar=None, brightness=BLOOD, dtype=np.float32) -> Host:
    """A ring of 1 mm pixels whose blood is mixed with the wall; `scar` is a mask of wall that is `brightness` instead of dark."""
    labels = np.where(AWAY <= 22, Label.CAVITY, np.where(AWAY <= 32, Label.WALL, 0)).astype(np.uint8)
    angle = np.degrees(np.arctan2(-ROWS, COLS)) % 360
    if scar is not None:
        labels[(labels == Label.WALL) & scar(angle)] = Label.SCAR
    wall = np.where(labels == Label.SCAR, brightness, WALL)
    to_edge = 24 / np.maximum(AWAY, 1e-9)  # along the ray from the centre to the wall
    rows, cols = (np.clip(np.rint(55.5 + axis * to_edge).astype(int), 0, 111) for axis in (ROWS, COLS))
    edge = wall[rows, cols]
    f = np.where(AWAY <= 22, share(23 - AWAY), 0)
    image = np.where(labels == Label.CAVITY, BLOOD * (1 - f) + edge * f, np.where(labels == 0, 900.0, wall))
    slice_ = ShortAxisSlice(patient="B", index=0, image=image.astype(dtype), labels=labels, spacing_mm=(1.0, 1.0))
    return Host(slice_=slice_, frame=compute_heart_frame(slice_, Level.MID))


def test_the_share_of_the_wall_is_read_off_the_host():
    host = heart()
    found, blood = wall_share(host, 23 - AWAY)
    near = host.frame.cavity & (AWAY > 23 - BLOOD_REACH_MM) & (AWAY < 21.5)
    np.testing.assert_allclose(found[near], share(23 - AWAY[near]), atol=0.06)
    assert blood == pytest.approx(BLOOD, rel=0.02)


@pytest.mark.parametrize("brightness", [900.0, 1400.0, 2000.0, 2600.0])
def test_blood_beside_painted_scar_is_what_the_mixture_makes_of_it(brightness):
    host = heart()
    edit = add_scar(host, SCAR)
    scar = edit.painted.scar
    painted = np.where(scar, brightness, host.slice_.image)
    blood = mixed(host, painted)
    angle = np.degrees(np.arctan2(-ROWS, COLS)) % 360
    middle = np.abs((angle - np.degrees(np.arctan2(-ROWS[scar].mean(), COLS[scar].mean())) + 180) % 360 - 180) < 25
    for low, high in ((1, 2), (2, 3), (3, 4.5)):
        here = host.frame.cavity & middle & (low < 23 - AWAY) & (high >= 23 - AWAY)
        f = share(23 - AWAY[here])
        np.testing.assert_allclose(blood[here].mean(), (BLOOD * (1 - f) + brightness * f).mean(), rtol=0.05)


def test_blood_away_from_the_scar_is_the_host_s_bit_for_bit():
    host = heart(dtype=np.int16)
    sample = IntensityPaste().apply(host, add_scar(host, SCAR), seed=1)
    near = blood_beside(sample.intended, host.frame.cavity, (1.0, 1.0))
    away = host.frame.cavity & ~near
    assert away.sum() > 300
    np.testing.assert_array_equal(sample.image[away], host.slice_.image[away])
    assert not sample.hidden[away].any()
    assert (sample.image[near].astype(int) - host.slice_.image[near]).mean() > 100


def test_a_stripe_in_the_middle_of_the_wall_leaves_the_blood_as_it_is():
    host = heart()
    stripe = host.frame.wall & (AWAY > 25) & (AWAY < 29)
    blood = mixed(host, np.where(stripe, BLOOD, host.slice_.image))
    np.testing.assert_array_equal(blood[host.frame.cavity], host.slice_.image[host.frame.cavity])


def test_wall_that_is_labelled_as_cavity_does_not_stay_behind_as_a_dark_line():
    """The innermost ring of the wall has the label of the cavity, as where a contour was drawn a pixel too far out."""
    host = heart()
    misdrawn = host.frame.cavity & (AWAY > 21)
    image = np.where(misdrawn, WALL, host.slice_.image)
    host = replace(host, slice_=replace(host.slice_, image=image))
    scar = add_scar(host, SCAR).painted.scar
    after = mixed(host, np.where(scar, BLOOD, image))
    angle = np.degrees(np.arctan2(-ROWS, COLS)) % 360
    middle = np.abs((angle - np.degrees(np.arctan2(-ROWS[scar].mean(), COLS[scar].mean())) + 180) % 360 - 180) < 20
    assert after[misdrawn & middle].min() > WALL + 0.85 * (BLOOD - WALL)
    assert after[host.frame.cavity & middle].max() <= BLOOD * 1.001  # and nothing becomes brighter than what is mixed


def test_a_papillary_muscle_beside_the_scar_stays():
    host = heart()
    image = host.slice_.image.copy()
    scar = add_scar(host, SCAR).painted.scar
    rows, cols = np.nonzero(scar & (AWAY < 23.5))
    muscle = np.hypot(ROWS - ROWS[rows, cols].mean() * 0.85, COLS - COLS[rows, cols].mean() * 0.85) < 3
    image[muscle & host.frame.cavity] = WALL
    with_muscle = replace(host, slice_=replace(host.slice_, image=image))
    after = mixed(with_muscle, np.where(scar, BLOOD, image))
    around = blood_beside(scar, host.frame.cavity, (1.0, 1.0)) & ~muscle & (AWAY < 20)
    assert after[muscle & host.frame.cavity].mean() < after[around].mean() - 0.4 * (BLOOD - WALL)


def test_removed_scar_leaves_the_dark_rim_that_healthy_wall_casts():
    def infarct(angle):
        return (angle > 200) & (angle < 280)

    host = heart(scar=infarct)
    sample = IntensityPaste().apply(host, remove_scar(host), seed=1)
    healthy = heart()
    angle = np.degrees(np.arctan2(-ROWS, COLS)) % 360
    rim = host.frame.cavity & (angle > 215) & (angle < 265) & (AWAY > 19)
    before, after, wanted = (image[rim].mean() for image in (host.slice_.image, sample.image, healthy.slice_.image))
    assert abs(after - wanted) < 0.2 * (before - wanted)


def test_without_an_edit_nothing_is_beside_it():
    host = heart()
    assert not blood_beside(np.zeros_like(host.frame.wall), host.frame.cavity, (1.0, 1.0)).any()
