"""The bull's-eye places every segment as the AHA map does."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lgesynthnet.anatomy.aha import SECTOR_DEG, SECTOR_START_DEG, segment_at
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription
from lgesynthnet.records import Level
from lgesynthnet.report.bullseye import HALF, _covered_arcs, counts_svg, prescription_svg


def label_places(svg: str) -> dict[int, tuple[float, float]]:
    """Segment -> (x to the right, y upwards) of its number."""
    texts = re.findall(r'<g data-segment="(\d+)">.*?<text x="([-\d.]+)" y="([-\d.]+)"', svg)
    return {int(segment): (float(x), 4 - float(y)) for segment, x, y in texts}


def test_anterior_is_on_top_the_septum_on_the_left_and_the_base_outside():
    place = label_places(counts_svg({}))
    assert len(place) == 16
    assert place[1][1] > 80
    assert abs(place[1][0]) < 1  # basal anterior straight up
    for septal in (2, 3, 8, 9, 14):
        assert place[septal][0] < -30
    for lateral in (5, 6, 11, 12, 16):
        assert place[lateral][0] > 30
    assert place[3][1] < 0 < place[2][1]  # inferoseptal below anteroseptal
    radius = {segment: np.hypot(*xy) for segment, xy in place.items()}
    assert radius[1] > radius[7] > radius[13]


def test_every_number_is_drawn_inside_the_segment_that_rasterizing_uses():
    for level, segments in ((Level.BASAL, range(1, 7)), (Level.MID, range(7, 13)), (Level.APICAL, range(13, 17))):
        place = label_places(counts_svg({}))
        angles = np.array([np.degrees(np.arctan2(place[s][1], place[s][0])) for s in segments])
        assert segment_at(angles, level).tolist() == list(segments)


def test_counts_are_printed_and_more_is_darker():
    svg = counts_svg({2: 10, 3: 5})
    assert "2 basal anteroseptal: 10" in svg
    fills = dict(re.findall(r'data-segment="(\d+)">.*?fill="(#\w+)"', svg))
    brightness = {segment: int(fill[1:3], 16) + int(fill[3:5], 16) + int(fill[5:], 16) for segment, fill in fills.items()}
    assert brightness["2"] < brightness["3"] < brightness["1"]
    with pytest.raises(ValueError, match="17"):
        counts_svg({17: 1})


def test_a_subendocardial_band_starts_at_the_inner_edge_and_ends_at_its_depth():
    svg = prescription_svg(ScarPrescription(segments=frozenset({1}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.4))
    [path] = re.findall(r'<path data-segment="1" d="([^"]+)"', svg)
    outer, inner = (float(r) for r in re.findall(r"A([\d.]+) ", path))
    assert inner == pytest.approx(0.75 * HALF)
    assert outer == pytest.approx((0.75 + 0.4 * 0.25) * HALF)


@pytest.mark.parametrize("seed", range(20))
def test_an_arc_covers_the_same_part_of_a_segment_as_rasterizing(seed):
    rng = np.random.default_rng(seed)
    arc = Arc(start_deg=float(rng.integers(360)), extent_deg=float(rng.integers(1, 361)))
    angle = np.arange(0, 360, 0.5) + 0.25
    for segment in range(1, 17):
        level = Level.BASAL if segment < 7 else Level.MID if segment < 13 else Level.APICAL
        painted = (segment_at(angle, level) == segment) & ((angle - arc.start_deg) % 360 < arc.extent_deg)
        drawn = np.zeros_like(painted)
        for first, wide in _covered_arcs(segment, arc):
            assert 0 < wide <= SECTOR_DEG[level]
            drawn |= (angle - first) % 360 < wide
        np.testing.assert_array_equal(drawn, painted)
    assert _covered_arcs(1, None) == [(SECTOR_START_DEG[1], 60.0)]
