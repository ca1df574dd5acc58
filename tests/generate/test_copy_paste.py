"""Copying a real scar: from another patient, at its own depth, along the arc, as bright as it was."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.edit import add_scar
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import InputError
from lgesynthnet.generate.copy_paste import CopyPaste, Donor, arc_of
from lgesynthnet.prescription.rasterize import ScarMask, rasterize
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Label, Level, ShortAxisSlice

WISH = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=0.9, seed=3)
WALL, BLOOD = 40.0, 180.0


def heart(patient: str, *, arc=None, inner=0.0, outer=1.0, level=BLOOD, core=False, tilt=0.0) -> Host:
    """A ring of 1 mm pixels; scar between the depths `inner` and `outer` over `arc` (start, end in degrees), brighter inside by `tilt`."""
    rows, cols = np.mgrid[:96, :96] - 47.5
    away, angle = np.hypot(rows, cols), np.degrees(np.arctan2(-rows, cols)) % 360
    labels = np.where(away <= 18, Label.CAVITY, np.where(away <= 28, Label.WALL, 0)).astype(np.uint8)
    depth = (away - 18) / 10
    image = np.select([labels == Label.CAVITY, labels == Label.WALL], [BLOOD, WALL], 90.0)
    if arc is not None:
        scar = (labels == Label.WALL) & ((angle - arc[0]) % 360 <= arc[1] - arc[0]) & (depth >= inner) & (depth <= outer)
        labels[scar] = Label.SCAR
        image[scar] = (level - tilt * depth)[scar]
        if core:
            dark = scar & (depth < 0.4)
            labels[dark], image[dark] = Label.NO_REFLOW, 70.0
    image += np.random.default_rng(1).normal(0, 1, image.shape)
    slice_ = ShortAxisSlice(patient=patient, index=0, image=image, labels=labels, spacing_mm=(1.0, 1.0))
    return Host(slice_=slice_, frame=compute_heart_frame(slice_, Level.MID))


def scar_level(sample) -> float:
    return float(np.median(sample.image[sample.labels == Label.SCAR]))


def test_the_donor_is_never_the_hosts_own_patient():
    host = heart("A")
    bank = CopyPaste.from_hosts([heart("A", arc=(200, 280), level=400.0), heart("B", arc=(20, 120), level=200.0)])
    names = {bank.donor_for(host, rasterize(WISH, host.frame), np.random.default_rng(seed)).patient for seed in range(40)}
    assert names == {"B"}  # although the scar of A is the likest by far
    assert scar_level(bank.inpaint(host, WISH)) < 250
    alone = CopyPaste.from_hosts([heart("A", arc=(200, 280))])
    with pytest.raises(InputError, match="every donor of the copy-paste bank is of this same patient"):
        alone.inpaint(host, WISH)


def test_a_bright_donor_gives_a_bright_scar_in_the_hosts_own_window():
    dim, bright = (CopyPaste.from_hosts([heart("B", arc=(200, 280), level=level)]) for level in (120.0, 230.0))
    host = heart("A")
    assert scar_level(dim.inpaint(host, WISH)) == pytest.approx(120, abs=8)
    assert scar_level(bright.inpaint(host, WISH)) == pytest.approx(230, abs=8)
    slice_ = replace(host.slice_, image=host.slice_.image * 10 + 1000)  # another scanner: other numbers, the same heart units
    other = bright.inpaint(Host(slice_=slice_, frame=host.frame), WISH)
    assert scar_level(other) == pytest.approx(10 * 230 + 1000, abs=80)


def test_depth_is_kept_wherever_and_whichever_way_round_the_scar_is_laid():
    bank = CopyPaste.from_hosts([heart("B", arc=(30, 110), level=260.0, tilt=120.0)])
    host, mirrored = heart("A"), ScarPrescription(segments=frozenset({7, 12}), pattern=Pattern.TRANSMURAL, transmurality=0.95, seed=3)
    for wish in (WISH, mirrored):
        for seed in range(6):  # both ways round are drawn
            sample = bank.inpaint(host, wish, seed=seed)
            by_depth = [
                float(sample.image[sample.intended & (np.abs(np.nan_to_num(host.frame.depth, nan=9) - at) < 0.12)].mean())
                for at in (0.2, 0.5, 0.8)
            ]
            assert by_depth[0] > by_depth[1] + 20 > by_depth[2] + 40


def test_the_arc_is_followed_from_end_to_end():
    donor = heart("B", arc=(100, 180), level=200.0)
    rows, cols = np.mgrid[:96, :96] - 47.5
    angle = np.degrees(np.arctan2(-rows, cols)) % 360
    image = np.where(donor.slice_.scar, 120.0 + (angle - 100), donor.slice_.image)  # dim at 100 degrees, bright at 180
    bank = CopyPaste.from_hosts([Host(slice_=replace(donor.slice_, image=image), frame=donor.frame)])
    host = heart("A")
    sides = set()
    for seed in range(8):
        sample = bank.inpaint(host, WISH, seed=seed)
        start, extent = arc_of(host.frame.nominal_deg[sample.intended])
        along = ((host.frame.nominal_deg - start) % 360) / extent
        first, last = (float(sample.image[sample.intended & part].mean()) for part in (along < 0.25, along > 0.75))
        assert abs(first - last) > 30
        sides.add(first < last)
    assert sides == {True, False}


def test_a_core_comes_from_a_donor_that_has_one():
    plain, cored = heart("B", arc=(200, 280)), heart("C", arc=(20, 60), core=True)
    host, wish = heart("A"), replace(WISH, mvo_share=0.25)
    bank = CopyPaste.from_hosts([plain, cored])
    for seed in range(6):
        sample = bank.inpaint(host, wish, seed=seed)
        assert sample.intended_no_reflow.sum() > 10
        assert np.median(sample.image[sample.intended_no_reflow]) == pytest.approx(70, abs=15)
    without = CopyPaste.from_hosts([plain]).inpaint(host, wish)  # nobody has one: as dark as the host's own wall
    assert np.median(without.image[without.intended_no_reflow]) == pytest.approx(WALL, abs=15)


def test_the_hosts_own_scar_under_the_mask_is_gone():
    own = heart("A", arc=(200, 280), level=400.0)
    painted = ScarMask(scar=own.slice_.scar, no_reflow=np.zeros_like(own.slice_.scar))
    sample = CopyPaste.from_hosts([heart("B", arc=(200, 280), level=150.0)]).apply(own, add_scar(own, WISH, painted))
    assert sample.image[sample.intended].max() < 175  # at the soft edge a fifth of 400 would shine through


def test_the_same_seed_is_the_same_picture_and_the_bank_is_in_the_fingerprint():
    hosts = [
        heart(name, arc=(200, 200 + width), level=level) for name, width, level in (("B", 60, 160.0), ("C", 80, 200.0), ("D", 90, 240.0))
    ]
    bank, host = CopyPaste.from_hosts(hosts), heart("A")
    np.testing.assert_array_equal(bank.inpaint(host, WISH, seed=5).image, CopyPaste.from_hosts(hosts).inpaint(host, WISH, seed=5).image)
    assert len({bank.inpaint(host, WISH, seed=seed).image.tobytes() for seed in range(12)}) > 3
    assert bank.fingerprint == CopyPaste.from_hosts(hosts).fingerprint != CopyPaste.from_hosts(hosts[:2]).fingerprint


def test_the_likest_donors_come_first_and_specks_are_none():
    hosts = [heart("B", arc=(200, 280)), heart("C", arc=(200, 222), outer=0.3), heart("D", arc=(0, 300))]
    bank, host = CopyPaste.from_hosts(hosts, nearest=1), heart("A")
    assert bank.donor_for(host, rasterize(WISH, host.frame), np.random.default_rng(0)).patient == "B"
    assert Donor.of(heart("E", arc=(200, 205), outer=0.4)) is None
    with pytest.raises(InputError, match="no slice of the bank holds a scar"):
        CopyPaste.from_hosts([heart("E")])


@pytest.mark.parametrize(
    ("angles", "start", "extent"), [([350.0, 0.0, 20.0], 350.0, 30.0), ([90.0, 100.0, 130.0], 90.0, 40.0), ([7.0], 7.0, 0.0)]
)
def test_an_arc_may_lie_across_zero(angles, start, extent):
    assert arc_of(np.array(angles)) == pytest.approx((start, extent))
