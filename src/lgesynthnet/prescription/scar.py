"""What to paint: one scar in one short-axis slice, as a value that is valid or not born."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from lgesynthnet.anatomy.aha import LEVEL_OF, SHORT_AXIS_SEGMENTS
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.records import Level


class Pattern(StrEnum):
    """Where across the wall, and how connected. The first two are ischaemic: they start at the endocardium."""

    SUBENDOCARDIAL = "subendocardial"
    TRANSMURAL = "transmural"
    MID_WALL = "mid-wall"
    SUBEPICARDIAL = "subepicardial"
    PATCHY = "patchy"
    RV_INSERTION = "rv-insertion"


TRANSMURAL_ABOVE = 0.75  # "transmural" in reports: more than three quarters of the wall


@dataclass(frozen=True, kw_only=True)
class Arc:
    """A stretch of wall in nominal degrees (anterior RV insertion 120, inferior 240), counter-clockwise from `start_deg`."""

    start_deg: float
    extent_deg: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_deg < 360 or not 0 < self.extent_deg <= 360:
            raise PrescriptionError(
                f"an arc starts in [0, 360) and extends over (0, 360] degrees, got start {self.start_deg:g}, extent {self.extent_deg:g}"
            )


def default_depth(pattern: Pattern, transmurality: float) -> tuple[float, float]:
    """Depth range (0 endocardium, 1 epicardium) that a pattern takes when nobody says otherwise."""
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
    """One scar: where (AHA segments, or an arc), how deep, which pattern, how bright.

    Attributes:
        segments: AHA numbers 1-16. Segments of other levels than the slice's are ignored when painting.
        arc: narrows the scar to this stretch of the named segments' wall; None takes their whole width.
        pattern: see `Pattern`.
        transmurality: scarred share of the wall along a chord, mean over the chords that hold scar, in (0, 1].
        depth: (inner, outer) edge of the band; None takes the pattern's default. A band is as thick as the transmurality
            says, except `patchy`, whose islands fill that share of the band.
        irregularity: 0 a smooth border, 1 a ragged one.
        mvo_share: share of the scar's area that is no-reflow core, in [0, 0.6].
        intensity_percentile: brightness among the scars that the model was trained on, 0 to 100; 50 is the median scar.
        seed: draws the irregular border; the same seed in the same slice gives the same mask.

    Raises:
        PrescriptionError: a value is out of its range; the message says which and why.
    """

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
        object.__setattr__(self, "segments", frozenset(int(s) for s in self.segments))
        object.__setattr__(self, "pattern", Pattern(self.pattern))
        strangers = sorted(self.segments - SHORT_AXIS_SEGMENTS)
        if strangers or not self.segments:
            raise PrescriptionError(f"segments must be AHA 1-16, got {strangers or 'none'}")
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
                raise PrescriptionError(f"islands cannot fill {self.transmurality:.0%} of the wall inside a band of {band:.0%}")
        elif abs(band - self.transmurality) > 1e-3:
            raise PrescriptionError(f"depth {self.depth} is a band of {band:.0%} but transmurality says {self.transmurality:.0%}")
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
        """`depth` as it stands in every finished prescription: never None."""
        if self.depth is None:  # __post_init__ filled it; this tells the type checker
            raise PrescriptionError("a prescription without depth was not finished")
        return self.depth

    @property
    def levels(self) -> frozenset[Level]:
        return frozenset(LEVEL_OF[s] for s in self.segments)

    def at(self, level: Level) -> frozenset[int]:
        """The prescribed segments that a slice of this level can hold."""
        return frozenset(s for s in self.segments if LEVEL_OF[s] is level)

    def with_seed(self, seed: int) -> ScarPrescription:
        return replace(self, seed=seed)

    def to_json(self) -> str:
        """One line of JSON, keys sorted, that `from_json` turns back into an equal prescription."""
        record = asdict(self)
        record["segments"] = sorted(self.segments)
        record["depth"] = list(self.band)
        return json.dumps(record, sort_keys=True)

    @classmethod
    def from_json(cls, line: str) -> ScarPrescription:
        try:
            record: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError as fault:
            raise PrescriptionError(f"not a line of JSON ({fault.msg} at column {fault.colno}): {line[:60]!r}") from None
        if not isinstance(record, dict):
            raise PrescriptionError(f"a prescription is a JSON object, got {line[:60]!r}")
        try:
            record["segments"] = frozenset(record.get("segments", ()))
            if "pattern" in record:
                record["pattern"] = Pattern(record["pattern"])
            if record.get("arc") is not None:
                record["arc"] = Arc(**record["arc"])
            if record.get("depth") is not None:
                record["depth"] = tuple(record["depth"])
            return cls(**record)
        except (TypeError, ValueError) as fault:
            raise PrescriptionError(f"not a prescription: {fault}; keys are {', '.join(cls.__dataclass_fields__)}") from None
