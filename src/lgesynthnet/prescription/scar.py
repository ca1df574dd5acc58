"""The prescription: one scar in one short-axis slice. A prescription that exists is valid."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from operator import index

from lgesynthnet.anatomy.aha import LEVEL_OF, SHORT_AXIS_SEGMENTS
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.strict_json import checked_record, parsed
from lgesynthnet.records import Level


class Pattern(StrEnum):
    """Where the scar lies across the wall, and whether it is connected. The first two are ischaemic and start at the endocardium."""

    SUBENDOCARDIAL = "subendocardial"
    TRANSMURAL = "transmural"
    MID_WALL = "mid-wall"
    SUBEPICARDIAL = "subepicardial"
    PATCHY = "patchy"
    RV_INSERTION = "rv-insertion"


TRANSMURAL_ABOVE = 0.75  # reports call a scar transmural when it takes more than three quarters of the wall


@dataclass(frozen=True, kw_only=True)
class Arc:
    """A stretch of the wall in nominal degrees (anterior RV insertion 120, inferior 240), counter-clockwise from `start_deg`.

    Attributes:
        start_deg: in [0, 360).
        extent_deg: in (0, 360].

    Raises:
        PrescriptionError: a value is out of its range.
    """

    __pydantic_config__ = {"extra": "forbid"}

    start_deg: float
    extent_deg: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_deg < 360 or not 0 < self.extent_deg <= 360:
            raise PrescriptionError(
                f"an arc starts in [0, 360) and extends over (0, 360] degrees, got start {self.start_deg:g}, extent {self.extent_deg:g}"
            )


def default_depth(pattern: Pattern, transmurality: float) -> tuple[float, float]:
    """Depth range (0 endocardium, 1 epicardium) of a pattern where the prescription does not state one."""
    match pattern:
        case Pattern.SUBENDOCARDIAL | Pattern.TRANSMURAL:
            return (0.0, transmurality)
        case Pattern.SUBEPICARDIAL:
            return (round(1.0 - transmurality, 4), 1.0)
        case Pattern.MID_WALL | Pattern.RV_INSERTION:
            return (round(0.5 - transmurality / 2, 4), round(0.5 + transmurality / 2, 4))
        case Pattern.PATCHY:
            return (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class ScarPrescription:
    """One scar: its AHA segments, pattern, depth and brightness.

    Attributes:
        segments: AHA numbers 1-16. Segments of another level than that of the slice are ignored when the scar is drawn.
        pattern: see `Pattern`.
        transmurality: mean scarred share of the wall over the chords that hold scar, in (0, 1].
        arc: restricts the scar to this stretch of the segments; None takes their whole width.
        depth: (inner, outer) edge of the scar, 0 endocardium to 1 epicardium; None takes the default of the pattern. The
            range is as thick as the transmurality. Only `patchy` differs: its islands fill that share of the wall.
        irregularity: 0 gives a smooth border, 1 a ragged border.
        mvo_share: share of the scar area that is no-reflow core (microvascular obstruction), in [0, 0.6].
        intensity_percentile: brightness as a percentile of the scars that the model was trained on, 0 to 100.
        seed: random seed of the border. The same seed in the same slice gives the same mask.

    Raises:
        PrescriptionError: a value is out of its range, or two values contradict each other.
    """

    __pydantic_config__ = {"extra": "forbid"}

    segments: frozenset[int]
    pattern: Pattern
    transmurality: float
    arc: Arc | None = None
    depth: tuple[float, float] | None = None
    irregularity: float = 0.5
    mvo_share: float = 0.0
    intensity_percentile: float = 50.0
    seed: int = 0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "segments", frozenset(index(s) for s in self.segments))
            object.__setattr__(self, "seed", index(self.seed))
            object.__setattr__(self, "pattern", Pattern(self.pattern))
        except (TypeError, ValueError) as fault:  # `index` takes any whole number, of NumPy too, and no fraction
            raise PrescriptionError(f"segments and seed must be whole numbers, and pattern a pattern: {fault}") from None
        unknown = sorted(self.segments - SHORT_AXIS_SEGMENTS)
        if unknown or not self.segments:
            raise PrescriptionError(f"segments must be AHA 1-16, got {unknown or 'none'}")
        if not 0 < self.transmurality <= 1:
            hint = "; percentages are divided by 100 first" if self.transmurality > 1 else ""
            raise PrescriptionError(f"transmurality must be in (0, 1], got {self.transmurality}{hint}")
        if self.pattern is Pattern.TRANSMURAL and self.transmurality <= TRANSMURAL_ABOVE:
            raise PrescriptionError(
                f"a transmural scar takes more than 75 % of the wall, not {self.transmurality:.0%}: that is subendocardial"
            )
        if self.pattern is Pattern.SUBENDOCARDIAL and self.transmurality > TRANSMURAL_ABOVE:
            raise PrescriptionError(
                f"a subendocardial scar takes at most 75 % of the wall, not {self.transmurality:.0%}: that is transmural"
            )
        inner, outer = (float(edge) for edge in self.depth or default_depth(self.pattern, self.transmurality))
        object.__setattr__(self, "depth", (inner, outer))
        if not 0 <= inner < outer <= 1:
            raise PrescriptionError(f"depth must be 0 <= inner < outer <= 1, got {self.depth}")
        band = outer - inner
        if self.pattern is Pattern.PATCHY:
            if self.transmurality > band + 1e-6:
                raise PrescriptionError(
                    f"islands cannot fill {self.transmurality:.0%} of the wall inside a depth range of {band:.0%}; widen it"
                )
        elif abs(band - self.transmurality) > 1e-3:
            raise PrescriptionError(
                f"depth {self.depth} spans {band:.0%} of the wall but transmurality is {self.transmurality:.0%}; make them equal"
            )
        for name, value, low, high in (
            ("irregularity", self.irregularity, 0, 1),
            ("mvo_share", self.mvo_share, 0, 0.6),
            ("intensity_percentile", self.intensity_percentile, 0, 100),
        ):
            if not low <= value <= high:
                raise PrescriptionError(f"{name} must be in [{low}, {high}], got {value}")
        if self.mvo_share and self.pattern not in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL):
            raise PrescriptionError(f"microvascular obstruction belongs to infarcts, not to a {self.pattern} pattern")
        if not 0 <= self.seed < 2**63:
            raise PrescriptionError(f"seed must be in [0, 2^63), got {self.seed}")

    @property
    def band(self) -> tuple[float, float]:
        """`depth` of a finished prescription, which is never None."""
        if self.depth is None:  # never happens, because __post_init__ sets it; needed for the type checker
            raise PrescriptionError("a prescription without depth was not finished")
        return self.depth

    @property
    def levels(self) -> frozenset[Level]:
        """The levels of the prescribed segments."""
        return frozenset(LEVEL_OF[s] for s in self.segments)

    def at(self, level: Level) -> frozenset[int]:
        """The prescribed segments that belong to this level."""
        return frozenset(s for s in self.segments if LEVEL_OF[s] is level)

    def with_seed(self, seed: int) -> ScarPrescription:
        """The same scar with another seed of its border."""
        return replace(self, seed=seed)

    def to_json(self) -> str:
        """One line of JSON with sorted keys. `from_json` reads it back as an equal prescription."""
        record = asdict(self)
        record["segments"] = sorted(self.segments)
        record["depth"] = list(self.band)
        return json.dumps(record, sort_keys=True)

    @classmethod
    def from_json(cls, line: str, place: str = "prescription") -> ScarPrescription:
        """Read a prescription from one line of JSON.

        Args:
            place: where the line comes from; it begins the error message.
        Raises:
            PrescriptionError: the line is not strict JSON, a key is unknown or missing, or a value is invalid.
        """
        return cls.from_record(parsed(line, place), place)

    @classmethod
    def from_record(cls, record: object, place: str) -> ScarPrescription:
        """Read a prescription from JSON that is parsed already.

        Args:
            place: where the record comes from; it begins the error message.
        Raises:
            PrescriptionError: a key is unknown or missing, or a value is invalid.
        """
        prescription: ScarPrescription = checked_record(cls, record, place, ALLOWED)
        return prescription


# What each key of the JSON form may hold, in words for an error message.
ALLOWED = {
    "segments": "a list of AHA numbers from 1 to 16",
    "pattern": f"one of {', '.join(Pattern)}",
    "transmurality": "a number above 0 and up to 1",
    "arc": 'null or {"start_deg": 0 to 360, "extent_deg": 0 to 360}',
    "depth": "null or two numbers from 0 to 1",
    "irregularity": "a number from 0 to 1",
    "mvo_share": "a number from 0 to 0.6",
    "intensity_percentile": "a number from 0 to 100",
    "seed": "a whole number from 0 to 2^63 - 1",
}
