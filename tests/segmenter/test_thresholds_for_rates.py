"""A threshold for a false-positive rate calls no larger share of the slices without scar scarred, by the area that counts: 25 mm²."""

from __future__ import annotations

import numpy as np
import pytest

from lgesynthnet.errors import InputError
from lgesynthnet.records import scar_of
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, DownstreamSettings, build_downstream, shipped_finder
from lgesynthnet.segmenter.operating_points import SliceReading, critical_threshold, read_slices, require_point, set_points, share_called
from lgesynthnet.terms import WallFrom


@pytest.mark.parametrize(("pixel_mm2", "pixels"), [(1.0, 26), (2.25, 12), (25.0, 2), (30.0, 1)])
def test_a_slice_is_called_scarred_above_25_mm2_and_not_at_25(pixel_mm2, pixels):
    wall = np.ones((6, 6), bool)
    share = np.linspace(1, 0, 36).reshape(6, 6)
    critical = critical_threshold(share, wall, pixel_mm2)
    assert (share >= critical).sum() == pixels
    assert (share >= critical).sum() * pixel_mm2 > 25
    assert (share > critical).sum() * pixel_mm2 <= 25


def test_a_wall_of_25_mm2_is_never_called_scarred():
    assert critical_threshold(np.ones((5, 5)), np.ones((5, 5), bool), 1.0) == 0


def readings(criticals, *, has_scar=False):
    return [SliceReading(patient=f"P{i}", index=0, has_scar=has_scar, critical=float(c)) for i, c in enumerate(criticals)]


@pytest.mark.parametrize("count", [20, 37, 100])
def test_no_more_slices_are_called_than_the_rate_allows_and_no_fewer(count):
    read = readings(np.random.default_rng(count).uniform(0, 1, count))
    for point in set_points([*read, *readings([1.0] * 50, has_scar=True)]):  # slices with scar do not count
        assert share_called(read, point.threshold, has_scar=False) == int(point.false_positive_rate * count) / count


def test_slices_that_look_alike_are_all_left_out_where_one_would_be_too_many():
    [*points] = set_points(readings([0.5] * 20))
    assert [share_called(readings([0.5] * 20), point.threshold, has_scar=False) for point in points] == [0.0, 0.0]


def test_a_rate_is_not_set_by_fewer_than_two_slices_or_where_all_are_certain():
    assert [point.false_positive_rate for point in set_points(readings(np.linspace(0, 0.9, 19)))] == [0.2]
    assert set_points(readings(np.linspace(0, 0.9, 9))) == ()
    assert set_points(readings([1.0] * 40)) == ()


@pytest.fixture(scope="module")
def tiny():
    import torch

    torch.manual_seed(3)
    finder = shipped_finder()
    settings = DownstreamSettings(
        role="downstream-segmenter", wall_from=WallFrom.KNOWN_WALL, filters=(4, 8, 8), side=64, views=1, finder=finder.fingerprint
    )
    return DownstreamSegmenter(build_downstream((4, 8, 8), WallFrom.KNOWN_WALL), settings, finder)


def test_what_is_counted_is_what_the_segmenter_draws_at_that_threshold(tiny):
    from lgesynthnet.phantom.patient import simulate

    stack = simulate("P", 11, infarct=True).stack
    read = read_slices(tiny, stack)
    pixel_mm2 = float(np.prod(stack.spacing_mm))
    for threshold in np.quantile([reading.critical for reading in read], [0.2, 0.5, 0.8]):
        tiny.threshold = float(threshold)
        drawn = scar_of(tiny.read_stack(stack.image, stack.spacing_mm, stack.labels))
        called = [reading.index for reading in read if reading.critical >= threshold]
        assert called == [k for k in range(len(stack)) if drawn[:, :, k].sum() * pixel_mm2 > 25]


def test_a_rate_that_is_not_stored_is_refused_with_those_that_are(tiny):
    with pytest.raises(InputError, match="no operating points"):
        require_point(tiny, 0.1, place="seg")
    tiny.settings = tiny.settings.model_copy(update={"points": set_points(readings(np.linspace(0, 0.9, 40)))})
    assert require_point(tiny, 0.2, place="seg").false_positive_rate == 0.2
    with pytest.raises(InputError, match=r"give 0\.1 or 0\.2"):
        require_point(tiny, 0.3, place="seg")
