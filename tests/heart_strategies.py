"""Scars of whole hearts for property tests."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import reject
from hypothesis import strategies as st

from lgesynthnet.anatomy.aha import FROM_BASE, LEVEL_OF, SEGMENTS
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.heart import LEAST_EXTENT, HeartScar
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription, default_depth

ISCHAEMIC = (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL)


@st.composite
def stretches(draw, *, most=6) -> frozenset[int]:
    """Segments of one level or of neighbouring levels: at each level one stretch, of at most `most` segments."""
    first = draw(st.integers(0, 2))
    segments = set()
    for level in FROM_BASE[first : draw(st.integers(first, 2)) + 1]:
        ring = SEGMENTS[level]
        start, count = draw(st.integers(0, len(ring) - 1)), draw(st.integers(1, min(most, len(ring))))
        segments |= {ring[(start + i) % len(ring)] for i in range(count)}
    return frozenset(segments)


@st.composite
def ends_of(draw, segments: frozenset[int], *, shortest=LEAST_EXTENT) -> tuple[float, float]:
    """Ends of a scar that reaches the levels of its segments and no other, with any digits."""
    levels = [FROM_BASE.index(LEVEL_OF[segment]) for segment in segments]
    first, last = min(levels) / 3, (max(levels) + 1) / 3
    shortest = max(1.05 * shortest, 0.01 if len(set(levels)) == 1 else 0.0)  # the difference of two numbers is not exact
    low = draw(st.just(first) | st.floats(first, min(first + 1 / 3 - 0.01, last - shortest)))
    return low, draw(st.just(last) | st.floats(max(low + shortest, last - 1 / 3 + 0.01), last))


@st.composite
def hearts_like(draw, prescription: ScarPrescription) -> HeartScar:
    """This prescription with ends of its scar and its core, or without."""
    extent = draw(st.none() | ends_of(prescription.segments))
    try:
        scar = HeartScar.of(prescription, extent=extent)
    except PrescriptionError:  # an arc outside the segments, or walls of two levels that do not touch
        reject()
    if not scar.mvo_share or draw(st.booleans()):
        return scar
    low, high = scar.ends
    least = 1.02 * LEAST_EXTENT
    basal = draw(st.just(low) | st.floats(low, high - least))
    return replace(scar, mvo_extent=(basal, draw(st.just(high) | st.floats(basal + least, high))))


@st.composite
def hearts(draw, *, most=6, with_arc=True, irregular=True) -> HeartScar:
    """Scars in whole percents and degrees, whose ends and core have any digits.

    Args:
        most: see `stretches`.
        with_arc: whether some scars have an arc.
        irregular: whether some borders are irregular, so that width and depth vary at random from base to apex.
    """
    pattern = draw(st.sampled_from(Pattern))
    low, high = {Pattern.TRANSMURAL: (76, 100), Pattern.SUBENDOCARDIAL: (2, 75)}.get(pattern, (2, 100))
    percent = draw(st.integers(low, high))
    depth = None
    if draw(st.booleans()):
        inner = draw(st.integers(0, 100 - percent))
        depth = (inner / 100, (draw(st.integers(inner + percent, 100)) if pattern is Pattern.PATCHY else inner + percent) / 100)
    arcs = st.builds(lambda start, extent: Arc(start_deg=start, extent_deg=extent), st.integers(0, 359), st.integers(1, 330))
    prescription = ScarPrescription(
        segments=draw(stretches(most=most)),
        pattern=pattern,
        transmurality=percent / 100,
        depth=depth or default_depth(pattern, percent / 100),
        arc=draw(st.none() | arcs) if with_arc else None,
        irregularity=draw(st.sampled_from([0.0, 0.5, 1.0])) if irregular else 0.0,
        mvo_share=draw(st.integers(0, 60)) / 100 if pattern in ISCHAEMIC else 0.0,
        intensity_percentile=draw(st.integers(0, 100)),
        seed=draw(st.integers(0, 2**63 - 1)),
    )
    return draw(hearts_like(prescription))
