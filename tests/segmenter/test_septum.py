"""RV insertions learned on the phantom: exact on a drawn RV, and on simulated patients whose RV label is taken away."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.frame import angle_deg
from lgesynthnet.anatomy.insertions import most_likely_insertions
from lgesynthnet.anatomy.orientation import find_all_insertions
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.records import Label, ShortAxisSlice, Source
from lgesynthnet.segmenter.septum import read_septum, rv_evidence


def turn(one, other):
    return abs((one - other + 180.0) % 360.0 - 180.0)


def ring_with_rv(anterior_deg, inferior_deg):
    """A ring of 20 to 30 pixels, and the probability of a crescent of RV 20 pixels wide beside it."""
    angle = angle_deg((128, 128), (63.5, 63.5), (1.0, 1.0))
    radius = np.hypot(*(np.mgrid[:128, :128] - 63.5))
    labels = np.where(radius < 20, Label.CAVITY, np.where(radius < 30, Label.WALL, 0)).astype(np.uint8)
    beside = (angle - anterior_deg) % 360.0 < (inferior_deg - anterior_deg) % 360.0
    chance = np.where(beside & (radius >= 30) & (radius < 50), 0.95, 0.02)
    return chance, ShortAxisSlice(patient="r", index=0, image=np.ones((128, 128)), labels=labels, spacing_mm=(1.0, 1.0))


@pytest.mark.parametrize(("anterior", "inferior"), [(137, 253), (67, 188), (320, 70)])
def test_a_drawn_rv_is_found_wherever_it_lies(anterior, inferior):
    found = most_likely_insertions(rv_evidence(*ring_with_rv(anterior, inferior)))
    assert turn(found.anterior_deg, anterior) < 5
    assert turn(found.inferior_deg, inferior) < 5
    assert found.confidence > 0.9


def test_a_network_that_sees_no_rv_says_nothing():
    chance, slice_ = ring_with_rv(137, 253)
    evidence = rv_evidence(np.zeros_like(chance), slice_)
    assert most_likely_insertions(evidence).confidence < 0.3
    blank = rv_evidence(np.full_like(chance, 0.5), slice_)
    np.testing.assert_allclose(blank, 0, atol=1e-9)


def test_simulated_patients_without_their_rv_label_are_oriented_by_their_images():
    errors = []
    for seed in (901, 902, 903):
        patient = simulate("P", seed, infarct=True)
        labels = np.where(patient.stack.labels == Label.RV, 0, patient.stack.labels).astype(np.uint8)
        found = find_all_insertions(replace(patient.stack, labels=labels), read_evidence=read_septum)
        for known, read in zip(patient.truth[:-1], found, strict=False):  # the RV ends before the apex
            assert read is not None
            assert read.source is Source.IMAGE
            errors += [turn(read.anterior_deg, known.anterior_deg), turn(read.inferior_deg, known.inferior_deg)]
    assert np.mean(errors) < 8
