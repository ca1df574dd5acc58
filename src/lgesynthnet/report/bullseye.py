"""Draw the AHA bull's-eye as inline SVG: counts by segment, or the prescription of a slice or a heart. Needs no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lgesynthnet.anatomy.aha import LEVEL_OF, NAME_OF, SECTOR_DEG, SECTOR_START_DEG, SHORT_AXIS_SEGMENTS
from lgesynthnet.prescription.edits import NoEnhancement, Prescription
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription
from lgesynthnet.prescription.stretches import shortest_arc
from lgesynthnet.records import Level

# Inner and outer radius of each ring as shares of the radius of the drawing. The disc in the middle is segment 17.
RING = {Level.BASAL: (0.75, 1.0), Level.MID: (0.5, 0.75), Level.APICAL: (0.25, 0.5)}
CAP = 0.25
HALF = 100.0  # radius of the drawing
PALE, DARK = (254, 240, 217), (127, 0, 0)
EMPTY, LINE, SCAR, NO_REFLOW = "#f5f5f4", "#a8a29e", "#d97706", "#3b0764"
SHALLOW, DEEP = (254, 215, 170), (154, 52, 18)  # of a heart's scar that takes nothing or all of the wall
PATCHY_SHARE = 0.55  # a patchy scar fills only a part of its band
RINGS = 45  # of a heart's scar from base to apex; with fewer, a border that wanders round the wall has steps
LAP = 0.012  # by which a ring reaches under the next, so that no line of background shows between them


def counts_svg(counts: Mapping[int, int], *, title: str = "samples per AHA segment") -> str:
    """Draw a number in each of the 16 short-axis segments; a higher number is darker.

    Segment 17 stays empty, because no short-axis slice shows its wall.

    Args:
        counts: AHA segment -> number; a missing segment counts as 0.
        title: what is counted, for readers who cannot see the drawing.
    Returns:
        One `svg` element.
    Raises:
        ValueError: a key is not an AHA segment 1-16.
    """
    unknown = sorted(set(counts) - SHORT_AXIS_SEGMENTS)
    if unknown:
        raise ValueError(f"segments must be AHA 1-16, got {unknown}")
    most = max(counts.values(), default=0)
    parts = []
    for segment in sorted(SHORT_AXIS_SEGMENTS):
        count = counts.get(segment, 0)
        share = count / most if most else 0.0
        inner, outer = RING[LEVEL_OF[segment]]
        first_deg, extent_deg = SECTOR_START_DEG[segment], SECTOR_DEG[LEVEL_OF[segment]]
        x, y = _point(first_deg + extent_deg / 2, (inner + outer) / 2)
        ink = "#ffffff" if share > 0.55 else "#1c1917"
        fill = _blend(PALE, DARK, share) if count else EMPTY
        parts.append(
            f'<g data-segment="{segment}"><title>{segment} {NAME_OF[segment]}: {count}</title>'
            f'<path d="{_sector(first_deg, extent_deg, inner, outer)}" fill="{fill}" stroke="{LINE}"/>'
            f'<text x="{x:.1f}" y="{y + 4:.1f}" fill="{ink}" font-size="12" text-anchor="middle">{count}</text></g>'
        )
    return _drawing("".join(parts), f"Bull's-eye: {title}")


def prescription_svg(prescription: Prescription) -> str:
    """Draw the scar of a prescription in each prescribed segment, from its inner to its outer depth; none where none is prescribed.

    The inner edge of a ring is the endocardium.

    Returns:
        One `svg` element.
    """
    parts = _segments(f'fill="{EMPTY}"')
    if isinstance(prescription, NoEnhancement):
        return _drawing("".join(parts), "Bull's-eye: no enhancement is prescribed")
    opacity = PATCHY_SHARE if prescription.pattern is Pattern.PATCHY else 1.0
    for segment in sorted(prescription.segments):
        inner, outer = RING[LEVEL_OF[segment]]
        shallow, deep = (inner + depth * (outer - inner) for depth in prescription.band)
        for first_deg, extent_deg in _covered_arcs(segment, prescription.arc):
            band = _sector(first_deg, extent_deg, shallow, deep)
            parts.append(f'<path data-segment="{segment}" d="{band}" fill="{SCAR}" fill-opacity="{opacity}"/>')
            if prescription.mvo_share:
                core = _sector(first_deg + extent_deg * 0.1, extent_deg * 0.8, shallow, shallow + prescription.mvo_share * (deep - shallow))
                parts.append(f'<path d="{core}" fill="{NO_REFLOW}"/>')
    return _drawing("".join(parts), "Bull's-eye of the prescription")


def heart_svg(scar: HeartScar) -> str:
    """Draw the scar of a heart as a map: base outside, apex inside, and at each position the stretch of wall that `HeartScar.at` gives.

    The darker, the more of the wall's thickness is scar. The no-reflow core takes its share of the stretch, in the middle.

    Returns:
        One `svg` element.
    """
    parts = [f'<circle r="{HALF}" fill="{EMPTY}"/>']
    for ring in range(RINGS):
        position = (ring + 0.5) / RINGS
        prescription = scar.at(position)
        if prescription is not None:
            outer, inner = (1 - (1 - CAP) * edge / RINGS for edge in (ring, ring + 1))
            parts += _ring_of_heart(prescription, position, inner - LAP, outer)
    return _drawing("".join([*parts, *_segments('fill-opacity="0"')]), "Bull's-eye of the prescription, from base to apex")


def _ring_of_heart(prescription: ScarPrescription, position: float, inner: float, outer: float) -> list[str]:
    """The scar at one position, and its core."""
    share = prescription.transmurality * (PATCHY_SHARE if prescription.pattern is Pattern.PATCHY else 1.0)
    pieces = [piece for segment in sorted(prescription.segments) for piece in _covered_arcs(segment, prescription.arc)]
    parts = [
        f'<path data-position="{position:.3f}" d="{_sector(*piece, inner, outer)}" fill="{_blend(SHALLOW, DEEP, share)}"/>'
        for piece in pieces
    ]
    cores = _middles(pieces, shortest_arc(prescription.segments), prescription.mvo_share) if prescription.mvo_share else []
    return parts + [f'<path data-core="{position:.3f}" d="{_sector(*core, inner, outer)}" fill="{NO_REFLOW}"/>' for core in cores]


def _middles(pieces: list[tuple[float, float]], around: Arc, share: float) -> list[tuple[float, float]]:
    """(first degree, extent) of the middle of one stretch; of a whole ring, which has no middle, that of each piece.

    Args:
        pieces: (first degree, extent) of the parts of the stretch.
        around: holds all of them.
        share: of the stretch that its middle takes, in (0, 1).
    """
    width = sum(extent for _, extent in pieces)
    if width >= 360 - 1e-6:
        return [(first + extent * (1 - share) / 2, extent * share) for first, extent in pieces]
    start = min((first - around.start_deg) % 360.0 for first, _ in pieces) + around.start_deg
    return [(start + width * (1 - share) / 2, width * share)]


def _segments(paint: str) -> list[str]:
    """The outline of every short-axis segment, with its name.

    Args:
        paint: SVG attributes.
    """
    parts = []
    for segment in sorted(SHORT_AXIS_SEGMENTS):
        inner, outer = RING[LEVEL_OF[segment]]
        first_deg, extent_deg = SECTOR_START_DEG[segment], SECTOR_DEG[LEVEL_OF[segment]]
        parts.append(
            f'<path d="{_sector(first_deg, extent_deg, inner, outer)}" {paint} stroke="{LINE}">'
            f"<title>{segment} {NAME_OF[segment]}</title></path>"
        )
    return parts


def _covered_arcs(segment: int, arc: Arc | None) -> list[tuple[float, float]]:
    """(first degree, extent) of each part of a segment that an arc covers. A long arc may cover both ends of a segment."""
    first_deg, extent_deg = SECTOR_START_DEG[segment], SECTOR_DEG[LEVEL_OF[segment]]
    if arc is None:
        return [(first_deg, extent_deg)]
    start = (arc.start_deg - first_deg) % 360.0
    pieces = [(start, min(extent_deg, start + arc.extent_deg)), (0.0, min(extent_deg, start + arc.extent_deg - 360.0))]
    return [(first_deg + low, high - low) for low, high in pieces if high - low > 1e-6]


def _sector(first_deg: float, extent_deg: float, inner: float, outer: float) -> str:
    """SVG path of a ring sector. Angles run counter-clockwise from the right; the y axis of SVG points down."""
    large = int(extent_deg > 180.0)
    ax, ay = _point(first_deg, outer)
    bx, by = _point(first_deg + extent_deg, outer)
    cx, cy = _point(first_deg + extent_deg, inner)
    dx, dy = _point(first_deg, inner)
    return (
        f"M{ax:.2f} {ay:.2f}A{outer * HALF:.2f} {outer * HALF:.2f} 0 {large} 0 {bx:.2f} {by:.2f}"
        f"L{cx:.2f} {cy:.2f}A{inner * HALF:.2f} {inner * HALF:.2f} 0 {large} 1 {dx:.2f} {dy:.2f}Z"
    )


def _point(angle_deg: float, radius: float) -> tuple[float, float]:
    angle = math.radians(angle_deg)
    return HALF * radius * math.cos(angle), -HALF * radius * math.sin(angle)


def _blend(pale: tuple[int, int, int], dark: tuple[int, int, int], share: float) -> str:
    return "#" + "".join(f"{round(low + share * (high - low)):02x}" for low, high in zip(pale, dark, strict=True))


def _drawing(parts: str, title: str) -> str:
    # Inline SVG in HTML needs no xmlns, and without it the page holds no web address.
    label = title.replace("'", "&#39;")
    cap = f'<circle r="{CAP * HALF}" fill="#ffffff" stroke="{LINE}"><title>17 apex: no wall in a short-axis slice</title></circle>'
    return f'<svg class="bullseye" viewBox="-102 -102 204 204" role="img" aria-label="{label}">{parts}{cap}</svg>'
