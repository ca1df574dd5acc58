"""Prescriptions follow the misses: what is always missed is asked for more often, and no cell dies out."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache

import numpy as np
import pytest
from factories import ring_labels

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.improve.cells import CELLS, Axis, ScarTraits, memberships, traits_of_prescription
from lgesynthnet.improve.misses import find_misses
from lgesynthnet.improve.prescribing import HostGroup, prescription_lines, weights_for
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Level, Stack
from lgesynthnet.terms import Prior

FAINT_INFERIOR = ScarTraits(level=Level.MID, segments=(10,), share=0.05, depth=0.3, brightness=10.0)
LEVELS = {Level.BASAL: 10, Level.MID: 10}


@cache
def drawn(misses, count=700, seed=0):
    """The traits of the prescriptions that are asked for after so many misses of one kind."""
    group = HostGroup(patients=("N1",), levels=LEVELS, missed=[FAINT_INFERIOR] * misses)
    lines = prescription_lines([group], Prior.ISCHAEMIC, count, np.random.default_rng(seed)).splitlines()
    found = []
    for line in map(json.loads, lines):
        assert line.pop("patients") == ["N1"]
        prescription = ScarPrescription.from_json(json.dumps(line | {"seed": 0}))
        found.append(traits_of_prescription(prescription, next(iter(prescription.levels))))
    return found


def share_in(traits, axis, cell):
    return float(memberships(traits, axis)[:, cell].mean())


def test_a_cell_that_is_always_missed_is_asked_for_more_than_one_that_never_is():
    plain, asked = drawn(0), drawn(12)
    for axis, missed, found in ((Axis.SEGMENT, 9, 6), (Axis.SIZE, 0, 2), (Axis.DEPTH, 0, 2), (Axis.BRIGHTNESS, 0, 2), (Axis.LEVEL, 1, 0)):
        assert share_in(asked, axis, missed) > 1.2 * share_in(plain, axis, missed), axis
        assert share_in(asked, axis, missed) > share_in(asked, axis, found), axis


def test_no_cell_dies_out():
    plain, asked = drawn(0), drawn(200)
    for axis in Axis:
        for cell in range(len(CELLS[axis])):
            if share_in(plain, axis, cell) > 0.02:
                assert share_in(asked, axis, cell) > 0.3 * share_in(plain, axis, cell), CELLS[axis][cell]


def test_few_misses_move_the_shares_little_and_many_misses_far():
    few, many = drawn(1), drawn(200)
    plain = share_in(drawn(0), Axis.BRIGHTNESS, 0)
    assert plain < share_in(few, Axis.BRIGHTNESS, 0) < share_in(many, Axis.BRIGHTNESS, 0)
    assert share_in(few, Axis.BRIGHTNESS, 0) - plain < 0.15


def test_the_weights_reach_the_shrunk_shares_of_the_misses():
    """12 misses in one of three cells of brightness that the prior fills evenly, and a lesion a cell for the prior: 12 + 1 of 15."""
    rng = np.random.default_rng(1)
    candidates = [traits_of_prescription(draw_prescription(Prior.ISCHAEMIC, Level.MID, rng), Level.MID) for _ in range(3000)]
    bright = memberships(candidates, Axis.BRIGHTNESS)
    base = bright.mean(axis=0)
    weights = weights_for(candidates, [FAINT_INFERIOR] * 12)
    assert weights @ bright == pytest.approx((np.array([12, 0, 0]) + 3 * base) / 15, abs=0.01)
    assert weights.sum() == pytest.approx(1)


def test_each_group_is_painted_from_its_own_misses():
    """Of two folds, one misses faint scars and the other bright ones; each is asked for what it misses."""
    bright = ScarTraits(level=Level.BASAL, segments=(1,), share=0.4, depth=0.9, brightness=95.0)
    groups = [
        HostGroup(patients=("N1",), levels=LEVELS, missed=[FAINT_INFERIOR] * 20),
        HostGroup(patients=("N2",), levels=LEVELS, missed=[bright] * 20),
    ]
    lines = prescription_lines(groups, Prior.ISCHAEMIC, 300, np.random.default_rng(0)).splitlines()
    percentiles = {"N1": [], "N2": []}
    for line in map(json.loads, lines):
        percentiles[line["patients"][0]].append(line["intensity_percentile"])
    assert np.mean(percentiles["N1"]) < 45
    assert np.mean(percentiles["N2"]) > 55
    assert Counter(json.loads(line)["patients"][0] for line in lines)["N1"] == pytest.approx(150, abs=40)  # as many hosts, as many scars


@pytest.fixture(scope="module")
def ring():
    """A mid slice of rings of 1 mm pixels, with a scar of 8 x 4 mm at its bottom and a second one of 6 x 5 mm on the image's right."""
    labels = ring_labels(64, 10, 18)
    labels[44:48, 28:36] = 3
    labels[29:35, 44:49] = 3
    image = np.where(labels == 1, 180.0, np.where(labels == 2, 40.0, np.where(labels == 3, 210.0, 90.0)))
    image += np.random.default_rng(0).normal(0, 3, image.shape)
    stack = Stack(patient="P1", image=image[:, :, None], labels=labels[:, :, None], spacing_mm=(1.0, 1.0), slice_step_mm=8.0)
    return stack, {0: Host(slice_=stack[0], frame=compute_heart_frame(stack[0], Level.MID))}


def test_a_lesion_is_missed_where_less_than_half_of_it_is_called(ring):
    stack, hosts = ring
    called = np.zeros(stack.labels.shape, bool)
    called[44:47, 28:36] = True  # three quarters of the first lesion
    called[29:31, 44:49] = True  # a third of the second
    found = find_misses(stack, called, hosts, np.array([-1.0, 2.0]))
    assert [(lesion.area_mm2, round(lesion.found, 2), lesion.is_missed) for lesion in found.lesions] == [
        (30, 0.33, True),
        (32, 0.75, False),
    ]
    assert [lesion.traits.segments for lesion in found.lesions] == [(11, 12), (10,)]  # on both sides of 0 degrees; inferior
    assert not found.calls


def test_a_call_that_touches_no_labelled_scar_is_false_and_a_small_one_is_nothing(ring):
    stack, hosts = ring
    called = np.zeros(stack.labels.shape, bool)
    called[15:20, 29:35] = True  # 30 mm² in the anterior wall
    called[30:34, 15:20] = True  # 20 mm² in the septum
    found = find_misses(stack, called, hosts, None)
    assert [(call.area_mm2, call.traits.segments) for call in found.calls] == [(30, (7,))]
    assert found.calls[0].traits.brightness is None
    assert all(lesion.is_missed for lesion in found.lesions)
