"""RV insertions, stack order and levels on drawn hearts whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.insertions import insertions_from_image, insertions_from_rv_label
from lgesynthnet.anatomy.orientation import MIN_CONFIDENCE, OrderSource, assign_levels, find_all_insertions, find_insertions, order_stack
from lgesynthnet.errors import AnatomyError
from lgesynthnet.records import Label, Level, ShortAxisSlice, Source, Stack

BLOOD, HEALTHY, LUNG, FAT = 150.0, 100.0, 30.0, 230.0
SPACING = (1.2, 1.5)
SIDE = 96


def heart(anterior_deg, arc_deg, *, inner_mm=20.0, outer_mm=30.0, rv="labelled", noise=4.0, seed=0):
    """Image and labels of a round LV, an RV that extends 20 mm beyond it over the arc, a thin RV wall, and lung round them."""
    up = (SIDE / 2 - np.arange(SIDE))[:, None] * SPACING[0]
    right = (np.arange(SIDE) - SIDE / 2)[None, :] * SPACING[1]
    radius, angle = np.hypot(up, right), np.degrees(np.arctan2(up, right)) % 360
    along_arc = ((angle - anterior_deg) % 360) / arc_deg
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[radius < outer_mm] = Label.WALL
    labels[radius < inner_mm] = Label.CAVITY
    image = np.select([labels == Label.CAVITY, labels == Label.WALL], [BLOOD, HEALTHY], LUNG)
    top = outer_mm + 20 * np.sqrt(np.sin(np.pi * np.clip(along_arc, 0, 1)))
    beyond = (labels == Label.BACKGROUND) & (along_arc < 1)
    if rv is not None:
        image[beyond & (radius < top + 4)] = FAT
        image[beyond & (radius < top)] = BLOOD
        if rv == "labelled":
            labels[beyond & (radius < top)] = Label.RV
    return image + np.random.default_rng(seed).normal(0, noise, image.shape), labels


def slice_of(image, labels, spacing=SPACING):
    return ShortAxisSlice(patient="drawn", index=0, image=image, labels=labels, spacing_mm=spacing)


def stack_of(pairs, *, spacing=SPACING, **given):
    image, labels = (np.stack(parts, axis=2) for parts in zip(*pairs, strict=True))
    return Stack(patient="drawn", image=image, labels=labels, spacing_mm=spacing, slice_step_mm=10.0, **given)


def tapering(anterior_deg=140.0, arc_deg=117.0, count=5, **how):
    """A stack with the apex first, in which radii grow and the insertions turn as in patients."""
    return [
        heart(anterior_deg - 8 * i, arc_deg + 6 * i, inner_mm=10.0 + 2.5 * i, outer_mm=20.0 + 2.5 * i, seed=i, **how) for i in range(count)
    ]


def off(angle, target):
    return abs((angle - target + 180) % 360 - 180)


@pytest.mark.parametrize(("anterior", "arc"), [(120, 120), (137, 116), (67, 121), (300, 110), (200, 160), (350, 90)])
def test_rv_label_gives_its_ends_back_across_the_wrap(anterior, arc):
    insertions = insertions_from_rv_label(slice_of(*heart(anterior, arc)))
    assert insertions is not None
    assert off(insertions.anterior_deg, anterior) <= 5
    assert off(insertions.inferior_deg, anterior + arc) <= 5
    assert (insertions.source, insertions.confidence) == (Source.RV_LABEL, 1.0)


def test_a_stray_rv_pixel_does_not_move_the_insertions():
    image, labels = heart(137, 116)
    labels[48, 68] = Label.RV  # in the lung, right against the free wall
    insertions = insertions_from_rv_label(slice_of(image, labels))
    assert insertions is not None
    assert off(insertions.anterior_deg, 137) <= 5


def test_no_rv_label_and_a_mere_touch_are_not_a_septum():
    assert insertions_from_rv_label(slice_of(*heart(137, 116, rv="unlabelled"))) is None
    assert insertions_from_rv_label(slice_of(*heart(137, 12))) is None


@pytest.mark.parametrize(("read", "slack"), [(insertions_from_rv_label, 3), (insertions_from_image, 20)])
def test_mirrored_heart_swaps_the_ends(read, slack):
    image, labels = heart(137, 116, rv="labelled" if read is insertions_from_rv_label else "unlabelled")
    insertions, mirrored = read(slice_of(image, labels)), read(slice_of(image[:, ::-1], labels[:, ::-1].copy()))
    assert off(mirrored.anterior_deg, 180 - insertions.inferior_deg) <= slack
    assert off(mirrored.inferior_deg, 180 - insertions.anterior_deg) <= slack
    assert 90 < mirrored.septum_deg < 150


@pytest.mark.parametrize("anterior", [137, 67, 100, 250, 340])
def test_bright_crescent_without_a_label_is_found(anterior):
    insertions = insertions_from_image(slice_of(*heart(anterior, 117, rv="unlabelled")))
    assert insertions.source is Source.IMAGE
    assert off(insertions.anterior_deg, anterior) <= 20
    assert off(insertions.inferior_deg, anterior + 117) <= 20
    assert insertions.confidence > 0.5


@pytest.mark.parametrize("noise", [0.0, 4.0, 40.0])
def test_an_image_without_an_rv_is_not_believed(noise):
    image, labels = heart(137, 117, rv=None, noise=noise)
    assert insertions_from_image(slice_of(image, labels)).confidence < MIN_CONFIDENCE
    blank = stack_of([(np.full_like(image, 7.0), labels), (image, labels)])
    for index in (0, 1):
        insertions = find_insertions(blank, index)
        assert (insertions.source, insertions.confidence) == (Source.ASSUMED, 0.0)
        assert (insertions.anterior_deg, insertions.inferior_deg) == (120.0, 240.0)


def test_neighbours_carry_a_slice_that_shows_nothing():
    pairs = tapering(rv="unlabelled")
    pairs[2] = (np.full_like(pairs[2][0], HEALTHY), pairs[2][1])
    stack = stack_of(pairs)
    insertions = find_insertions(stack, 2)
    assert insertions.source is Source.IMAGE
    assert off(insertions.anterior_deg, 140 - 16) <= 15
    assert find_insertions(stack, 2, smooth=False).source is Source.ASSUMED


def test_neighbours_are_turned_by_the_drift_before_they_speak():
    pairs = tapering(rv="unlabelled")
    pairs[4] = (np.full_like(pairs[4][0], HEALTHY), pairs[4][1])
    straight, against = (find_insertions(stack_of(pairs, base_first=order), 4) for order in (False, True))
    assert off(straight.anterior_deg, 140 - 32) <= 15
    assert 6 < (against.anterior_deg - straight.anterior_deg) % 360 < 32  # twice the drift of one or two slices, less the prior's pull


def test_one_by_one_and_all_at_once_agree():
    stack = stack_of([*tapering(rv="unlabelled", count=3), heart(0, 117, inner_mm=0.0, outer_mm=0.0)])
    together = find_all_insertions(stack)
    assert together[3] is None
    for index in range(3):
        alone = find_insertions(stack, index)
        assert together[index] is not None
        assert off(together[index].anterior_deg, alone.anterior_deg) < 1e-6
    with pytest.raises(AnatomyError, match="drawn_s03: the labels have no myocardium"):
        find_insertions(stack, 3)


def test_landmarks_win_over_a_label_and_drift_towards_the_base():
    stack = stack_of(tapering(), insertions_deg={1: (10.0, 100.0)}, base_first=False)
    own, two_up, below = (find_insertions(stack, index) for index in (1, 3, 0))
    assert (own.anterior_deg, own.inferior_deg, own.source, own.confidence) == (10.0, 100.0, Source.LANDMARKS, 1.0)
    assert (two_up.anterior_deg, two_up.inferior_deg) == (pytest.approx(354.0), pytest.approx(96.0))
    assert (below.anterior_deg, below.inferior_deg) == (pytest.approx(18.0), pytest.approx(102.0))
    other_way = find_insertions(replace(stack, base_first=True), 3)
    assert other_way.anterior_deg == pytest.approx(26.0)


def test_between_two_landmarks_the_short_way_round_is_taken():
    stack = stack_of(tapering(), insertions_deg={0: (350.0, 100.0), 4: (10.0, 120.0)})
    insertions = find_insertions(stack, 1)
    assert (insertions.anterior_deg, insertions.inferior_deg) == (pytest.approx(355.0), pytest.approx(105.0))


def test_rv_label_wins_over_the_image_and_reaches_its_neighbours():
    pairs = tapering()
    pairs[0][1][pairs[0][1] == Label.RV] = Label.BACKGROUND
    insertions = find_all_insertions(stack_of(pairs))
    assert [pair.source for pair in insertions] == [Source.RV_LABEL] * 5
    assert off(insertions[0].anterior_deg, 140) <= 6
    assert off(insertions[4].anterior_deg, 108) <= 5


def test_order_is_read_from_the_areas_and_turns_with_the_stack():
    pairs = tapering(rv="unlabelled")
    apex_first, base_first = order_stack(stack_of(pairs)), order_stack(stack_of(pairs[::-1]))
    assert (apex_first.base_first, base_first.base_first) == (False, True)
    assert apex_first.source is base_first.source is OrderSource.AREAS
    assert apex_first.confidence == pytest.approx(base_first.confidence)
    assert apex_first.confidence > 0.8


def test_given_order_wins_and_a_lone_slice_is_assumed():
    pairs = tapering()
    given = order_stack(stack_of(pairs, base_first=True))
    assert (given.base_first, given.confidence, given.source) == (True, 1.0, OrderSource.GIVEN)
    for some in (pairs[:1], [pairs[0], pairs[0]], [pairs[0], heart(0, 90, inner_mm=0.0, outer_mm=0.0, rv=None)]):
        order = order_stack(stack_of(some))
        assert (order.confidence, order.source) == (0.0, OrderSource.ASSUMED)


def test_levels_are_thirds_of_the_slices_with_a_wall():
    nothing = heart(0, 90, inner_mm=0.0, outer_mm=0.0, rv=None)
    stack = stack_of([nothing, *tapering(count=6), nothing])
    thirds = [Level.APICAL] * 2 + [Level.MID] * 2 + [Level.BASAL] * 2
    assert assign_levels(stack, order_stack(stack)) == [None, *thirds, None]
    turned = stack_of([nothing, *tapering(count=6)[::-1], nothing])
    assert assign_levels(turned, order_stack(turned)) == [None, *thirds[::-1], None]
    lone = stack_of(tapering(count=1))
    assert assign_levels(lone, order_stack(lone)) == [Level.MID]
    assert assign_levels(stack_of([nothing]), order_stack(stack_of([nothing]))) == [None]
