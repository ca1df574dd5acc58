"""The scar of a whole heart: what a slice gets of it, wherever the slice lies between base and apex."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from heart_strategies import ISCHAEMIC, hearts
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lgesynthnet.anatomy.aha import FROM_BASE, SEGMENTS, level_at
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Arc, Pattern, ScarPrescription
from lgesynthnet.records import Level

many = settings(max_examples=300, deadline=None, derandomize=True)
few = settings(max_examples=60, deadline=None, derandomize=True)
shares = st.floats(0, 1)
SMALL_STEP = 1e-4  # of the length, which is about 90 mm
GOOD = {"segments": [8, 9], "pattern": "transmural", "transmurality": 0.9}


def heart(**changes) -> HeartScar:
    """A scar with a smooth border, so that nothing of it varies at random."""
    plain = {"segments": frozenset({8, 9}), "pattern": Pattern.TRANSMURAL, "transmurality": 0.9, "irregularity": 0.0}
    return HeartScar(**(plain | changes))


def from_middle(scar: HeartScar, end: float) -> list[ScarPrescription]:
    """Slices from the middle of the scar to its end."""
    slices = [scar.at(float(position)) for position in np.linspace(sum(scar.ends) / 2, end, 25)]
    assert None not in slices
    return slices


def falls(values: list[float]) -> bool:
    return all(later <= earlier for earlier, later in pairwise(values))


@many
@given(hearts())
def test_a_scar_comes_back_from_its_json(scar):
    assert HeartScar.from_json(scar.to_json()) == scar
    assert HeartScar.from_record(json.loads(scar.to_json()), "here") == scar


def test_the_json_of_a_slice_is_that_of_a_heart_whose_scar_takes_the_levels_of_its_segments():
    slice_ = ScarPrescription(segments=frozenset({8, 9, 14}), pattern=Pattern.SUBEPICARDIAL, transmurality=0.3, seed=5)
    scar = HeartScar.from_json(slice_.to_json())
    assert scar == HeartScar.of(slice_)
    assert scar.as_slice() == slice_
    assert scar.ends == (1 / 3, 1)


@many
@given(hearts(), shares)
def test_a_slice_holds_prescribed_segments_of_its_own_level(scar, position):
    slice_ = scar.at(position)
    if slice_ is None:
        return
    assert slice_.segments <= scar.segments
    assert slice_.levels == {level_at(position)}
    assert (slice_.seed, slice_.irregularity) == (scar.seed, scar.irregularity)
    if scar.pattern in ISCHAEMIC:
        assert slice_.pattern == (Pattern.TRANSMURAL if slice_.transmurality > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL)
    else:
        assert slice_.pattern is scar.pattern


@many
@given(hearts(), shares)
def test_nothing_lies_beyond_the_ends(scar, share):
    low, high = scar.ends
    for position in (low * share, high + (1 - high) * share):
        assert low <= position <= high or scar.at(position) is None


@many
@given(hearts(with_arc=False), shares)
def test_the_walls_of_one_level_hold_scar_from_end_to_end(scar, share):
    low, high = scar.ends
    position = min(low + share * (high - low), high)
    assume(len(scar.levels) == 1 and level_at(position) in scar.levels)
    slice_ = scar.at(position)
    assert (slice_ is None) == (scar.pattern is Pattern.RV_INSERTION and level_at(position) is Level.APICAL)


@many
@given(hearts())
def test_thick_and_thin_slices_agree_where_they_have_the_same_position(scar):
    same = HeartScar.from_json(scar.to_json())
    thick = {(i + 0.5) / 8: scar.at((i + 0.5) / 8) for i in range(8)}
    thin = {(i + 0.5) / 24: same.at((i + 0.5) / 24) for i in reversed(range(24))}
    assert thick.keys() < thin.keys()
    assert {position: thin[position] for position in thick} == thick


@many
@given(hearts(most=3), shares)
def test_a_small_step_changes_little(scar, share):
    low, high = scar.ends
    assume(high - low > 0.2)
    position = low + share * (high - low - 2 * SMALL_STEP)
    slices = scar.at(position), scar.at(position + SMALL_STEP)
    assume(None not in slices)
    one, other = slices
    assert other.transmurality == pytest.approx(one.transmurality, abs=0.005)
    assert other.band == pytest.approx(one.band, abs=0.005)
    if one.arc and other.arc:  # a wide scar may become a whole ring, which has no arc
        assert other.arc.extent_deg == pytest.approx(one.arc.extent_deg, abs=2)


@few
@given(hearts(most=3, irregular=False))
def test_nothing_jumps_from_end_to_end_where_nothing_varies_at_random(scar):
    low, high = scar.ends
    assume(high - low > 0.2)
    slices = [scar.at(float(position)) for position in np.linspace(low, high, 100)]
    widest = max((slice_.arc.extent_deg for slice_ in slices if slice_ and slice_.arc), default=0.0)
    for one, other in pairwise(slices):
        if one is None or other is None:
            continue
        assert other.transmurality == pytest.approx(one.transmurality, abs=0.05)
        if one.arc and other.arc:
            assert other.arc.extent_deg == pytest.approx(one.arc.extent_deg, abs=5 + 0.06 * widest)


@many
@given(
    st.sampled_from(FROM_BASE),
    st.integers(0, 5),
    st.integers(1, 3),
    st.sampled_from([pattern for pattern in Pattern if pattern is not Pattern.RV_INSERTION]),
    shares,
)
def test_a_scar_becomes_narrower_and_less_deep_towards_an_end_inside_the_heart(level, start, count, pattern, share):
    ring, third = SEGMENTS[level], FROM_BASE.index(level) / 3
    scar = heart(
        segments=frozenset(ring[(start + i) % len(ring)] for i in range(count)),
        pattern=pattern,
        transmurality=0.8 if pattern is Pattern.TRANSMURAL else 0.3 + 0.4 * share,
        extent=(third + 0.01 + 0.1 * share, third + 0.32),
    )
    for end in scar.ends:
        slices = from_middle(scar, end)
        for sizes in ([slice_.transmurality for slice_ in slices], [slice_.arc.extent_deg for slice_ in slices]):
            assert falls(sizes)
            assert sizes[-1] < 0.9 * sizes[0]


@pytest.mark.parametrize("extent_deg", [45.0, 90.0, 150.0])
def test_an_arc_becomes_narrower_towards_a_basal_end_inside_the_heart(extent_deg):
    scar = heart(segments=frozenset(range(1, 17)), arc=Arc(start_deg=100.0, extent_deg=extent_deg), extent=(0.1, 0.9))
    widths = [slice_.arc.extent_deg for slice_ in from_middle(scar, 0.1)]
    assert widths[0] == pytest.approx(extent_deg, abs=0.1)
    assert falls(widths)
    assert widths[-1] < 0.9 * widths[0]


def test_a_scar_that_reaches_the_end_of_the_heart_keeps_its_depth_there():
    for segments, extent, reached, inside in (({2, 3, 8, 9}, (0.0, 0.6), 0.0, 0.6), ({8, 9, 14}, (0.4, 1.0), 1.0, 0.4)):
        scar = heart(segments=frozenset(segments), extent=extent)
        assert {slice_.transmurality for slice_ in from_middle(scar, reached)} == {0.9}
        assert scar.at(inside).transmurality < 0.9


@many
@given(hearts(irregular=False))
def test_the_middle_of_the_scar_is_as_prescribed(scar):
    slice_ = scar.at(sum(scar.ends) / 2)
    assume(slice_ is not None)
    assert slice_.transmurality == pytest.approx(scar.transmurality, abs=1e-4)
    assert slice_.band == pytest.approx(scar.depth, abs=1e-4)
    assert slice_.intensity_percentile == scar.intensity_percentile
    if scar.arc and slice_.arc:
        assert slice_.arc.extent_deg == pytest.approx(scar.arc.extent_deg, abs=0.1)
        assert slice_.arc.start_deg == pytest.approx(scar.arc.start_deg, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "extent"), [((Level.MID,), (0.4, 0.6)), ((Level.BASAL, Level.MID), (0.05, 0.6)), (tuple(Level), (0.05, 0.95))]
)
def test_a_scar_of_the_whole_ring_stays_one(levels, extent):
    scar = heart(segments=frozenset().union(*(SEGMENTS[level] for level in levels)), extent=extent)
    for position in np.linspace(*scar.ends, 40):
        slice_, level = scar.at(float(position)), level_at(float(position))
        if level in levels:
            assert slice_.arc is None
            assert slice_.segments == set(SEGMENTS[level])
        else:
            assert slice_ is None


def test_a_scar_at_the_insertions_has_no_arc_and_no_apical_slice():
    scar = heart(segments=frozenset({8, 9, 14}), pattern=Pattern.RV_INSERTION, transmurality=0.4)
    assert scar.at(0.5).arc is None
    assert scar.at(0.5).segments == {8, 9}
    assert scar.at(0.9) is None


def test_the_core_is_largest_in_its_middle_and_ends_where_it_is_said():
    scar = heart(segments=frozenset({2, 8, 14}), extent=(0.1, 0.9), mvo_share=0.3, mvo_extent=(0.4, 0.6))
    shares = [scar.at(position).mvo_share for position in (0.39, 0.41, 0.45, 0.5, 0.55, 0.59, 0.61)]
    assert shares[0] == shares[-1] == 0
    assert max(shares) == shares[3] == pytest.approx(0.3)
    assert falls(shares[3:])
    assert falls(shares[3::-1])
    assert 0 < shares[1] < shares[3]
    unsaid = heart(extent=(0.4, 0.6), mvo_share=0.3)
    assert [unsaid.at(position).mvo_share for position in (0.4, 0.5, 0.6)] == pytest.approx([0, 0.3, 0])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"segments": [1, 13]}, "runs through the mid level; name mid segments too"),
        ({"segments": [7, 9]}, "the mid segments [7, 9] are no single stretch of wall; prescribe one scar for each stretch"),
        ({"segments": [8, 13, 15]}, "the apical segments [13, 15] are no single stretch"),
        ({"segments": [17]}, "segments must be AHA 1-16"),
        ({"segments": []}, "segments must be AHA 1-16, got none"),
        ({"extent": [0.9, 0.4]}, "extent must be two numbers from 0 (base) to 1 (apex)"),
        ({"extent": [0.5, 0.5]}, "extent must be two numbers"),
        ({"extent": [-0.1, 0.5]}, "extent must be two numbers"),
        ({"extent": [0.4, 1.1]}, "extent must be two numbers"),
        ({"extent": [0.0, 0.3]}, "the extent 0 to 0.3 does not reach the mid segments"),
        ({"extent": [0.7, 1.0]}, "the extent 0.7 to 1 does not reach the mid segments"),
        ({"mvo_extent": [0.4, 0.5]}, "mvo_share is 0; give it, or leave mvo_extent out"),
        ({"mvo_share": 0.2, "mvo_extent": [0.5, 0.4]}, "mvo_extent must be two numbers"),
        (
            {"mvo_share": 0.2, "mvo_extent": [0.3, 0.5]},
            "the core 0.3 to 0.5 reaches beyond the scar 0.333333 to 0.666667; it must lie inside",
        ),
        ({"mvo_share": 0.2, "extent": [0.4, 0.6], "mvo_extent": [0.5, 0.61]}, "reaches beyond the scar 0.4 to 0.6"),
        ({"transmurality": 0.7}, "a transmural scar takes more than 75 % of the wall"),
        ({"pattern": "mid-wall", "mvo_share": 0.2}, "microvascular obstruction belongs to infarcts"),
        ({"extent": [0.4]}, "extent must be null or two numbers from 0 (base) to 1 (apex), got [0.4]"),
        ({"mvo_extent": "mid"}, "mvo_extent must be null or two numbers"),
        ({"extend": [0.4, 0.6]}, "the key 'extend' is unknown; keys are segments"),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_place(changes, complaint):
    with pytest.raises(PrescriptionError, match=rf"^line 3: .*{re.escape(complaint)}"):
        HeartScar.from_json(json.dumps(GOOD | changes), "line 3")


def test_a_line_that_is_no_record_is_refused():
    for line, complaint in (("[]", "not a list"), ("{", "is not strict JSON"), ('{"pattern": "transmural"}', "segments is missing")):
        with pytest.raises(PrescriptionError, match=f"^line 3: .*{complaint}"):
            HeartScar.from_json(line, "line 3")


@pytest.mark.parametrize(
    ("scar", "complaint"),
    [
        ({"segments": frozenset({7}), "arc": Arc(start_deg=200.0, extent_deg=30.0)}, "the arc lies outside the segments"),
        ({"segments": frozenset({13, 14}), "pattern": Pattern.RV_INSERTION, "transmurality": 0.4}, "RV insertions have no apical segments"),
        ({"segments": frozenset({1, 10})}, "do not go on in those of the next"),
    ],
)
def test_a_scar_that_no_slice_would_show_or_that_has_a_gap_is_not_born(scar, complaint):
    settings = {"pattern": Pattern.SUBENDOCARDIAL, "transmurality": 0.5, **scar}
    with pytest.raises(PrescriptionError, match=complaint):
        HeartScar(**settings)
