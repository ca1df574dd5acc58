"""An operating point for a false-positive rate calls no larger share of the slices without scar scarred, and no fewer than it may."""

from __future__ import annotations

import numpy as np
import pytest

from lgesynthnet.benchmark.utility.scoring import score_stack
from lgesynthnet.errors import InputError
from lgesynthnet.records import Label, scar_of, wall_of, without_scar
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, DownstreamSettings, build_downstream, expected_scar_mm2, shipped_finder
from lgesynthnet.segmenter.operating_points import (
    SliceReading,
    default_area_mm2,
    least_area_mm2,
    read_slices,
    require_point,
    set_points,
    share_called,
)
from lgesynthnet.terms import WallFrom


def readings(expected, *, has_scar=False, is_called=True):
    return [
        SliceReading(patient=f"P{i}", index=0, has_scar=has_scar, expected_scar_mm2=float(area), is_called=is_called)
        for i, area in enumerate(expected)
    ]


@pytest.mark.parametrize("count", [20, 37, 100])
def test_no_more_slices_are_called_than_the_rate_allows_and_no_fewer(count):
    read = readings(np.random.default_rng(count).uniform(0, 900, count))
    points = set_points([*read, *readings([1000.0] * 50, has_scar=True)])  # slices with scar do not count
    assert [point.false_positive_rate for point in points] == [0.1, 0.2]
    for point in points:
        assert share_called(read, point.least_area_mm2, has_scar=False) == int(point.false_positive_rate * count) / count


def test_nothing_is_erased_where_the_rate_is_kept_anyway():
    read = [*readings([500.0, 600.0]), *readings([400.0] * 18, is_called=False)]
    assert [point.least_area_mm2 for point in set_points(read)] == [0.0, 0.0]
    assert share_called(read, 0.0, has_scar=False) == 0.1


def test_slices_that_look_alike_are_all_left_out_where_one_would_be_too_many():
    [*points] = set_points(readings([50.0] * 20))
    assert [share_called(readings([50.0] * 20), point.least_area_mm2, has_scar=False) for point in points] == [0.0, 0.0]


@pytest.mark.parametrize("areas", [[312.3449], [50.0001, 50.0003, 50.0004], [80.0, 50.0042, 50.0041, 50.0]])
@pytest.mark.parametrize("digits", [2, 3])
def test_rounding_lets_no_slice_keep_its_scar_that_should_lose_it(areas, digits):
    stored = readings([*(round(area, digits) for area in areas), *[0.0] * (20 - len(areas))])
    for rate in (0.0, 0.05, 0.1):
        least = least_area_mm2(stored, rate)
        assert sum(area >= least for area in areas) <= rate * 20


def test_the_default_is_the_point_of_the_lowest_rate_and_without_any_nothing_is_erased():
    both, one = set_points(readings(np.linspace(0, 900, 40))), set_points(readings(np.linspace(0, 900, 15)))
    assert default_area_mm2(both) == both[0].least_area_mm2 > both[1].least_area_mm2
    assert [point.false_positive_rate for point in one] == [0.2]
    assert default_area_mm2(one) == one[0].least_area_mm2 > 0
    assert default_area_mm2(()) == 0


def test_a_rate_is_not_set_by_fewer_than_two_slices():
    assert [point.false_positive_rate for point in set_points(readings(np.linspace(0, 900, 19)))] == [0.2]
    assert set_points(readings(np.linspace(0, 900, 9))) == ()
    assert least_area_mm2(readings([100.0], has_scar=True), 0.1) is None


@pytest.fixture(scope="module")
def tiny():
    import torch

    torch.manual_seed(3)
    finder = shipped_finder()
    settings = DownstreamSettings(
        role="downstream-segmenter", wall_from=WallFrom.KNOWN_WALL, filters=(4, 8, 8), side=64, views=1, finder=finder.fingerprint
    )
    return DownstreamSegmenter(build_downstream((4, 8, 8), WallFrom.KNOWN_WALL), settings, finder)


def test_the_expected_area_is_the_share_of_scar_in_the_walls_probability_over_the_drawn_wall():
    probability = np.zeros((6, 2, 2, 2), np.float32)
    probability[Label.CAVITY], probability[Label.WALL], probability[Label.SCAR] = 0.9, 0.02, 0.05
    probability[Label.NO_REFLOW] = 0.03
    drawn = np.array([[[Label.WALL, Label.WALL], [Label.CAVITY, Label.SCAR]], [[Label.RV, 0], [0, 0]]], np.uint8)
    np.testing.assert_allclose(expected_scar_mm2(probability, drawn, (1.5, 2.0)), [0.8 * 3, 0.8 * 6], rtol=1e-5)


@pytest.fixture
def stack():
    from lgesynthnet.phantom.patient import simulate

    return simulate("P", 11, infarct=True).stack


def test_what_is_counted_is_what_the_segmenter_draws_at_that_point(tiny, stack):
    read = read_slices(tiny, stack)
    pixel_mm2 = float(np.prod(stack.spacing_mm))
    try:
        for least in np.quantile([reading.expected_scar_mm2 for reading in read], [0.2, 0.5, 0.8]):
            tiny.least_area_mm2 = float(least)
            drawn = scar_of(tiny.read_stack(stack.image, stack.spacing_mm, stack.labels))
            called = [reading.index for reading in read if reading.is_called and reading.expected_scar_mm2 >= least]
            assert called == [k for k in range(len(stack)) if drawn[:, :, k].sum() * pixel_mm2 > 25]
            assert 0 < len(called) < len(read)
        for scores in (read_slices, score_stack):  # no rate can be reached from what is left
            with pytest.raises(ValueError, match="erases nothing"):
                scores(tiny, stack)
    finally:
        tiny.least_area_mm2 = 0.0


def test_a_slice_keeps_its_scar_as_it_is_or_has_none_and_its_wall_stays(tiny, stack):
    drawn = tiny.read_stack(stack.image, stack.spacing_mm, stack.labels)
    areas = sorted(reading.expected_scar_mm2 for reading in read_slices(tiny, stack))
    try:
        tiny.least_area_mm2 = areas[len(areas) // 2]
        fewer = tiny.read_stack(stack.image, stack.spacing_mm, stack.labels)
    finally:
        tiny.least_area_mm2 = 0.0
    kept = [k for k in range(len(stack)) if scar_of(fewer[:, :, k]).any()]
    assert 0 < len(kept) < scar_of(drawn).any(axis=(0, 1)).sum()
    np.testing.assert_array_equal(fewer[:, :, kept], drawn[:, :, kept])
    others = [k for k in range(len(stack)) if k not in kept]
    np.testing.assert_array_equal(fewer[:, :, others], without_scar(drawn[:, :, others]))
    assert wall_of(fewer).sum() == wall_of(drawn).sum()


def test_a_rate_that_is_not_stored_is_refused_with_those_that_are(tiny):
    with pytest.raises(InputError, match="no operating points"):
        require_point(tiny, 0.1, place="seg")
    tiny.settings = tiny.settings.model_copy(update={"points": set_points(readings(np.linspace(0, 900, 40)))})
    assert require_point(tiny, 0.2, place="seg").false_positive_rate == 0.2
    with pytest.raises(InputError, match=r"give 0\.1 or 0\.2"):
        require_point(tiny, 0.3, place="seg")
