"""The prescription for a whole heart: one scar that runs through the stack. A prescription that exists is valid.

It is a function of angle, depth and position between base and apex, so that slice thickness and gaps do not matter: `HeartScar.at`
evaluates it at one position, and the result is the prescription of that slice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from lgesynthnet.anatomy.aha import FROM_BASE, LEVEL_OF, SEGMENTS, level_at
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.scar import ALLOWED, TRANSMURAL_ABOVE, Arc, Pattern, ScarPrescription, default_depth
from lgesynthnet.prescription.stretches import segments_round, shortest_arc
from lgesynthnet.prescription.strict_json import checked_record, parsed
from lgesynthnet.records import Level

LEVEL_MIDDLE = {level: (2 * i + 1) / 6 for i, level in enumerate(FROM_BASE)}  # a level is a third of the length
# Towards an end that lies inside the heart a scar becomes narrower and less deep (wavefront; Reimer and Jennings, 1979), and in the border
# slice fainter, because healthy wall lies in a part of its thickness. What is left at the end itself of its largest width and depth, and by
# how many percentiles it is fainter there: 16 ends of 26 patients (EMIDEC `train`, experiments/continuity.py).
LEAST_WIDTH, LEAST_DEPTH, FAINTER = 0.35, 0.74, 20.0
TAPER_POWER = 2.5
# How much a scar with a ragged border (irregularity 1) varies on its way from base to apex, as standard deviations: the middle of its
# stretch in degrees, the logarithms of its width and depth, and its brightness in percentiles. So neighbouring slices differ as much as
# those of patients do.
WANDER_DEG, WIDTH_VARIES, DEPTH_VARIES, BRIGHTNESS_VARIES = 22.0, 0.35, 0.22, 15.0
WAVES = (1.1, 2.3, 3.7)  # how often it does so, from base to apex
RING_REACH = 0.8  # the ring of the wall shrinks towards the apex like an ellipsoid of which the stack covers this share
MOST_WIDENING = 2.0
LEAST_WIDTH_DEG = 20.0
FAINTEST = 5.0
LEAST_TRANSMURALITY = 0.1
PLACES = 24  # positions at which a new prescription is looked at
LEAST_EXTENT = 0.02  # share of the length of the heart
LEAST_CORE = 0.02  # a core that takes a smaller share of the scar is left out
CORE_OF_EXTENT = 0.6  # a no-reflow core takes this share of the scar's length, in its middle, where nothing else is said
CORE_POWER = 4  # its share of the scar hardly changes but near its ends


@dataclass(frozen=True, kw_only=True)
class HeartScar:
    """One scar through a heart. Positions are fractions of the length of the left ventricle: 0 at the base, 1 at the apex.

    Attributes:
        segments: AHA numbers 1-16. At each level they form one stretch without a gap, and no level between two others is left out.
        pattern: see `Pattern`. A transmural infarct becomes subendocardial where it is less deep.
        transmurality: scarred share of the wall before the scar tapers, in (0, 1].
        extent: (basal end, apical end) of the scar; None takes the levels of its segments. Towards an end inside the heart the scar
            becomes narrower, less deep and fainter.
        arc: the stretch of the wall that the scar takes before it tapers; None takes the whole width of the segments, which differs between
            levels.
        depth: see `ScarPrescription`.
        intensity_percentile: brightness of the whole heart, see `ScarPrescription`.
        irregularity: see `ScarPrescription`; the more irregular, the more do depth, brightness, and the place and width of an arc vary
            round their values from base to apex.
        mvo_share: share of the scar that is no-reflow where the core is largest, in [0, 0.6].
        mvo_extent: (basal end, apical end) of the core; None takes three fifths of the scar, in its middle.
        seed: random seed of the border, which changes smoothly from slice to slice.

    Raises:
        PrescriptionError: a value is out of its range, or two values contradict each other.
    """

    __pydantic_config__ = {"extra": "forbid"}

    segments: frozenset[int]
    pattern: Pattern
    transmurality: float
    extent: tuple[float, float] | None = None
    arc: Arc | None = None
    depth: tuple[float, float] | None = None
    irregularity: float = 0.5
    mvo_share: float = 0.0
    mvo_extent: tuple[float, float] | None = None
    intensity_percentile: float = 50.0
    seed: int = 0

    def __post_init__(self) -> None:
        checked = self.as_slice()
        for name in ("segments", "pattern", "depth", "seed"):
            object.__setattr__(self, name, getattr(checked, name))
        levels = [level for level in FROM_BASE if checked.at(level)]
        if len(levels) == 2 and Level.MID not in levels:
            raise PrescriptionError("a scar with basal and apical segments runs through the mid level; name mid segments too")
        for level in levels:
            if not _is_one_stretch(checked.at(level), level):
                raise PrescriptionError(
                    f"the {level} segments {sorted(checked.at(level))} are no single stretch of wall; prescribe one scar for each stretch"
                )
        first, last = FROM_BASE.index(levels[0]), FROM_BASE.index(levels[-1])
        extent = _checked_range("extent", self.extent) or (first / 3, (last + 1) / 3)
        reached = levels_between(*extent)
        if missed := [level for level in levels if level not in reached]:
            raise PrescriptionError(
                f"the extent {_shown(extent)} does not reach the {' and '.join(missed)} segments (each level is a third of the length); "
                "leave them out, or make the extent longer"
            )
        if beyond := [level for level in levels_between(*extent, least=LEAST_EXTENT) if level not in levels]:
            raise PrescriptionError(
                f"the extent {_shown(extent)} goes on at the {' and '.join(beyond)} level, where no segment is named; name some there, "
                "or make the extent shorter"
            )
        object.__setattr__(self, "extent", extent)
        core = _checked_range("mvo_extent", self.mvo_extent)
        if core is not None and not self.mvo_share:
            raise PrescriptionError("mvo_extent says where a no-reflow core lies, and mvo_share is 0; give it, or leave mvo_extent out")
        if core is not None and not extent[0] <= core[0] < core[1] <= extent[1]:
            raise PrescriptionError(f"the core {_shown(core)} reaches beyond the scar {_shown(extent)}; it must lie inside")
        object.__setattr__(self, "mvo_extent", core)
        self._require_one_scar()

    @classmethod
    def of(cls, prescription: ScarPrescription, *, extent: tuple[float, float] | None = None) -> HeartScar:
        """The heart's scar that is as this one of a slice where it is largest.

        Args:
            extent: see the attribute.
        """
        return cls(**{field.name: getattr(prescription, field.name) for field in fields(prescription)}, extent=extent)

    @property
    def ends(self) -> tuple[float, float]:
        """`extent` of a finished prescription, which is never None."""
        assert self.extent is not None
        return self.extent

    @property
    def levels(self) -> frozenset[Level]:
        """The levels of the prescribed segments."""
        return frozenset(LEVEL_OF[s] for s in self.segments)

    def with_seed(self, seed: int) -> HeartScar:
        """The same scar with another seed of its border."""
        return replace(self, seed=seed)

    def at(self, position: float) -> ScarPrescription | None:
        """The prescription of the slice at a position, 0 base to 1 apex; None where the scar does not reach.

        All slices have the same seed; see `rasterize` for a border that continues between them.
        """
        basal, apical = self.ends
        level = level_at(position)
        if not basal <= position <= apical or (self.pattern is Pattern.RV_INSERTION and level is Level.APICAL):
            return None
        away = self._towards_end(position)
        middle, width = self._stretch(position)
        if width < 360:  # a whole ring has no middle towards which it could become narrower
            width = max(width * _tapered(away, LEAST_WIDTH), min(width, LEAST_WIDTH_DEG))
        named = self._at_level(level)
        if width < 360 and self.pattern is not Pattern.RV_INSERTION:
            named &= segments_round(middle, width, level)
        if not named:
            return None
        depth_share = _tapered(away, LEAST_DEPTH) * np.exp(DEPTH_VARIES * self._varies(position, 3))
        transmurality, depth = self._across_wall(float(depth_share))
        pattern = self.pattern
        if pattern in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL):
            pattern = Pattern.TRANSMURAL if transmurality > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL
        whole = width >= 360 or self.pattern is Pattern.RV_INSERTION  # the latter is bound to the insertions instead of an arc
        return ScarPrescription(
            segments=named,
            pattern=pattern,
            transmurality=transmurality,
            arc=None if whole else Arc(start_deg=round((middle - width / 2) % 360.0, 1) % 360.0, extent_deg=max(round(width, 1), 0.1)),
            depth=depth,
            irregularity=self.irregularity,
            mvo_share=self._core_at(position),
            intensity_percentile=self._brightness(position, away),
            seed=self.seed,
        )

    def to_json(self) -> str:
        """One line of JSON with sorted keys. `from_json` reads it back as an equal prescription."""
        record = asdict(self)
        record["segments"] = sorted(self.segments)
        return json.dumps(record, sort_keys=True)

    @classmethod
    def from_json(cls, line: str, place: str = "prescription") -> HeartScar:
        """Read a prescription from one line of JSON.

        Args:
            place: where the line comes from; it begins the error message.
        Raises:
            PrescriptionError: the line is not strict JSON, a key is unknown or missing, or a value is invalid.
        """
        return cls.from_record(parsed(line, place), place)

    @classmethod
    def from_record(cls, record: object, place: str) -> HeartScar:
        """Read a prescription from JSON that is parsed already. The prescription of a slice is one of a heart, too.

        Args:
            place: where the record comes from; it begins the error message.
        Raises:
            PrescriptionError: a key is unknown or missing, or a value is invalid.
        """
        scar: HeartScar = checked_record(cls, record, place, ALLOWED_OF_HEARTS)
        return scar

    def as_slice(self) -> ScarPrescription:
        """What a heart's scar and that of a slice have in common, so that one place checks it."""
        shared = {field.name: getattr(self, field.name) for field in fields(ScarPrescription)}
        return ScarPrescription(**shared)

    def _require_one_scar(self) -> None:
        """Between its ends the scar must be somewhere, and go on without a gap; a random border does not count."""
        smooth = copy(self)
        object.__setattr__(smooth, "irregularity", 0.0)
        basal, apical = self.ends
        shown = [smooth.at(basal + (apical - basal) * (i + 0.5) / PLACES) is not None for i in range(PLACES)]
        if not any(shown):
            what = "RV insertions have no apical segments" if self.pattern is Pattern.RV_INSERTION else "the arc lies outside the segments"
            raise PrescriptionError(f"no slice would show this scar, because {what}; name other segments")
        first, last = shown.index(True), PLACES - shown[::-1].index(True)
        if not all(shown[first:last]) and self.pattern is not Pattern.RV_INSERTION:
            raise PrescriptionError("the segments of one level do not go on in those of the next; prescribe one scar for each stretch")

    def _towards_end(self, position: float) -> float:
        """0 in the middle of the scar to 1 at its end; 0 on the side on which it reaches the end of the heart."""
        basal, apical = self.ends
        middle, half = (basal + apical) / 2, (apical - basal) / 2
        reaches = basal <= 0 if position < middle else apical >= 1
        return 0.0 if reaches else abs(position - middle) / half

    def _stretch(self, position: float) -> tuple[float, float]:
        """Middle and width of the stretch of wall at a position, in nominal degrees, before it tapers."""
        if self.arc is not None:
            middle = self.arc.start_deg + self.arc.extent_deg / 2 + WANDER_DEG * self._varies(position, 1)
            # Near the apex the ring is smaller, so the same width of scar takes more degrees.
            wider = _ring(sum(self.ends) / 2) / _ring(position) * np.exp(WIDTH_VARIES * self._varies(position, 2))
            return middle, min(self.arc.extent_deg * float(np.clip(wider, 1 / MOST_WIDENING, MOST_WIDENING)), 360.0)
        arcs = {LEVEL_MIDDLE[level]: shortest_arc(here) for level in FROM_BASE if (here := self._at_level(level))}
        width = float(np.interp(position, list(arcs), [arc.extent_deg for arc in arcs.values()]))
        middles = {place: arc.start_deg + arc.extent_deg / 2 for place, arc in arcs.items() if arc.extent_deg < 360}
        if not middles:
            return 0.0, width
        return float(np.interp(position, list(middles), np.unwrap(list(middles.values()), period=360.0))) % 360.0, width

    def _varies(self, position: float, number: int) -> float:
        """A smooth random function of the position, with a standard deviation of the irregularity.

        Args:
            number: of the function; different ones are independent.
        """
        if not self.irregularity:
            return 0.0
        phases = np.random.default_rng([self.seed, number]).uniform(0, 2 * np.pi, len(WAVES))
        waves = np.sin(2 * np.pi * np.array(WAVES) * position + phases)
        return self.irregularity * float(waves.sum() * np.sqrt(2 / len(WAVES)))

    def _at_level(self, level: Level) -> frozenset[int]:
        return frozenset(s for s in self.segments if LEVEL_OF[s] is level)

    def _brightness(self, position: float, away: float) -> float:
        """Percentile of a slice; the brightest and the faintest scar of all are neither brighter nor fainter in any slice."""
        own = self.intensity_percentile
        changed = own - FAINTER * away**TAPER_POWER + BRIGHTNESS_VARIES * self._varies(position, 4)
        return round(float(np.clip(changed, min(own, FAINTEST), max(own, 100.0 - FAINTEST))), 1)

    def _across_wall(self, share: float) -> tuple[float, tuple[float, float] | None]:
        """Transmurality and depth of a slice in which the scar has this share of its largest depth."""
        full = self.transmurality
        inner, outer = self.depth or default_depth(self.pattern, full)
        patchy, as_usual = self.pattern is Pattern.PATCHY, (inner, outer) == default_depth(self.pattern, full)
        most = 1.0 if as_usual and not patchy else max(outer - inner, full)
        transmurality = min(round(float(np.clip(full * share, min(LEAST_TRANSMURALITY, full), most)), 4) or full, most)
        if patchy or as_usual:
            return transmurality, (inner, outer) if patchy else None
        kept = transmurality / full * (outer - inner)
        match self.pattern:
            case Pattern.SUBENDOCARDIAL | Pattern.TRANSMURAL:
                return transmurality, (inner, inner + kept)
            case Pattern.SUBEPICARDIAL:
                return transmurality, (outer - kept, outer)
            case _:
                return transmurality, ((inner + outer - kept) / 2, (inner + outer + kept) / 2)

    def _core_at(self, position: float) -> float:
        """Share of the scar that is no-reflow: largest in the middle of the core, and 0 beyond its ends."""
        if not self.mvo_share:
            return 0.0
        basal, apical = self.mvo_extent or _middle_part(self.ends, CORE_OF_EXTENT)
        away = abs(position - (basal + apical) / 2) / ((apical - basal) / 2)
        share = round(self.mvo_share * (1 - away**CORE_POWER), 3)
        return share if share >= LEAST_CORE else 0.0


ALLOWED_OF_HEARTS: Mapping[str, str] = {
    **ALLOWED,
    "extent": "null or two numbers from 0 (base) to 1 (apex)",
    "mvo_extent": "null or two numbers from 0 (base) to 1 (apex)",
}


def levels_between(basal: float, apical: float, *, least: float = 1e-9) -> list[Level]:
    """The levels of which at least this share of the length of the heart lies between two positions, from base to apex."""
    return [level for i, level in enumerate(FROM_BASE) if min(apical, (i + 1) / 3) - max(basal, i / 3) >= least]


def _tapered(away: float, least: float) -> float:
    return float(1 - (1 - least) * away**TAPER_POWER)


def _ring(position: float) -> float:
    """Radius of the wall's ring at a position, as a share of that at the base."""
    return float(np.sqrt(1 - (min(max(position, 0.0), 1.0) * RING_REACH) ** 2))


def _middle_part(extent: tuple[float, float], share: float) -> tuple[float, float]:
    middle, half = (extent[0] + extent[1]) / 2, share * (extent[1] - extent[0]) / 2
    return middle - half, middle + half


def _is_one_stretch(segments: frozenset[int], level: Level) -> bool:
    ring = SEGMENTS[level]
    starts = sum(s in segments and ring[i - 1] not in segments for i, s in enumerate(ring))
    return starts <= 1


def _checked_range(name: str, ends: tuple[float, float] | None) -> tuple[float, float] | None:
    if ends is None:
        return None
    low, high = (float(end) for end in ends)
    if not 0 <= low < high <= 1 or high - low < LEAST_EXTENT - 1e-9:
        raise PrescriptionError(
            f"{name} must be two numbers from 0 (base) to 1 (apex), the first at least {LEAST_EXTENT:g} smaller, got {_shown((low, high))}"
        )
    return low, high


def _shown(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"
