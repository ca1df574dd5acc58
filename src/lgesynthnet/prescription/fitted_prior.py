"""A prior that was learnt from labelled patients: a table of shares and quantiles that holds no patient.

Every number in it belongs to a group of at least `LEAST_SLICES` slices of at least `LEAST_PATIENTS` patients, and is rounded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from lgesynthnet.anatomy.aha import SEGMENTS, WALL_OF
from lgesynthnet.errors import InputError, PrescriptionError
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

LEAST_SLICES, LEAST_PATIENTS = 5, 3
LEAST_HEARTS = 5  # a heart counts once for how far its scar runs
QUANTILES = tuple((2 * i + 1) / 20 for i in range(10))  # 0.05, 0.15, ..., 0.95: neither the smallest nor the largest scar is told
# The traits of a scar that are drawn together; their order is that of `FittedPrior.correlations`.
TRAITS = ("width_deg", "transmurality", "brightness", "no_reflow")
PATTERNS = ("endocardial", "mid-wall", "subepicardial")
IRREGULARITIES = ("0.25", "0.5", "0.75", "1.0")
FORMAT = 1
FILE_BYTES = 2**18  # a file of ours has 6 kB
MOST = 10**9
STRICT = {"extra": "forbid", "allow_inf_nan": False}


class _PriorError(PrescriptionError):
    """A value of a table is impossible. The reader of the file adds its name."""


@dataclass(frozen=True, kw_only=True)
class ScarTable:
    """The scars of one kind of slice: quantiles at 0.05, 0.15, ..., 0.95.

    Attributes:
        slices, patients: how many it was learnt from.
        pooled: what was put together because a group was too small: nothing, the slices at the border of an infarct with those inside,
            all levels, or all slices.
        width_deg: width of the scar round the ring, in nominal degrees, (0, 360].
        transmurality: see `ScarPrescription`, (0, 1].
        brightness: mean of the scar without no-reflow, in heart units, [-2, 2.5].
        no_reflow: share of the slices that have no-reflow, 0 to 1.

    Raises:
        PrescriptionError: a value is out of its range, or quantiles fall.
    """

    __pydantic_config__ = STRICT

    slices: int
    patients: int
    pooled: Literal["nothing", "positions", "levels", "everything"]
    width_deg: tuple[float, ...]
    transmurality: tuple[float, ...]
    brightness: tuple[float, ...]
    no_reflow: float

    def __post_init__(self) -> None:
        _require_group(self.slices, self.patients)
        _require_quantiles("width_deg", self.width_deg, 1, 360)
        _require_quantiles("transmurality", self.transmurality, 0.01, 1)
        _require_quantiles("brightness", self.brightness, -2, 2.5)
        _require_within("no_reflow", self.no_reflow, 0, 1)


@dataclass(frozen=True, kw_only=True)
class LevelTable:
    """The scars of one level.

    Attributes:
        at_border: share of the scarred slices of this level at the border of an infarct: a slice beside them has no scar. 0 to 1.
        middles: wall -> share of the scars whose middle lies in it; the shares sum to 1.
        border, inside: the scars of the slices at the border of an infarct, and of the slices between.
    """

    __pydantic_config__ = STRICT

    at_border: float
    middles: dict[str, float]
    border: ScarTable
    inside: ScarTable

    def __post_init__(self) -> None:
        _require_within("at_border", self.at_border, 0, 1)


@dataclass(frozen=True, kw_only=True)
class HeartTable:
    """How far scars run through the hearts: quantiles at 0.05, 0.15, ..., 0.95, as fractions of the length of the left ventricle.

    Attributes:
        patients: how many it was learnt from.
        basal_ends, apical_ends: 0 at the base, 1 at the apex.
        correlation: rank correlation of the two ends, (-1, 1).

    Raises:
        PrescriptionError: a value is out of its range, or quantiles fall.
    """

    __pydantic_config__ = STRICT

    patients: int
    basal_ends: tuple[float, ...]
    apical_ends: tuple[float, ...]
    correlation: float

    def __post_init__(self) -> None:
        if not LEAST_HEARTS <= self.patients <= MOST:
            raise _PriorError(f"hearts must be learnt from {LEAST_HEARTS} patients or more, got {self.patients}")
        _require_quantiles("hearts.basal_ends", self.basal_ends, 0, 1)
        _require_quantiles("hearts.apical_ends", self.apical_ends, 0, 1)
        _require_within("hearts.correlation", self.correlation, -0.99, 0.99)


@dataclass(frozen=True, kw_only=True)
class FittedPrior:
    """A population of scars that was learnt from labelled patients; the content of the file that `lgesynthnet prior fit` writes.

    Attributes:
        format: of the file.
        version: of the program that wrote it.
        patients, slices: how many with scar it was learnt from.
        further: the built-in prior that counts as one further patient, so that what was never seen stays possible.
        levels: a table for each level.
        no_reflow_share: quantiles of the share of the scar that is no-reflow, where there is any, [0, 0.6]; empty where it was seen in too
            few slices, and then none is drawn.
        patterns: share of the scars that start at the endocardium, lie in the middle of the wall, or lie at the epicardium.
        irregularities: share of the scars whose border is as ragged as that of a drawn scar of this irregularity.
        correlations: rank correlations of width, transmurality, brightness and no-reflow within a kind of slice, in this order.
        brightness_scale: heart units at evenly spaced percentiles, 0 to 100, of the scars that a model was trained on. It turns brightness
            into `intensity_percentile`.
        hearts: how far scars run from base to apex; None where too few patients have scar, or an older version wrote the file. Then they
            run as far as those of the built-in prior.

    Raises:
        PrescriptionError: a value is out of its range, or a level, wall or trait is missing.
    """

    __pydantic_config__ = STRICT

    format: int = FORMAT
    version: str
    patients: int
    slices: int
    further: Literal[Prior.ISCHAEMIC, Prior.NON_ISCHAEMIC]
    levels: dict[Level, LevelTable]
    no_reflow_share: tuple[float, ...]
    patterns: dict[str, float]
    irregularities: dict[str, float]
    correlations: tuple[tuple[float, ...], ...]
    brightness_scale: tuple[float, ...]
    hearts: HeartTable | None = None

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise _PriorError(f"format is {self.format}, and this version reads {FORMAT}")
        if not self.version.isprintable() or len(self.version) > 40:
            raise _PriorError("version must be a word of at most 40 characters")
        _require_group(self.slices, self.patients)
        if set(self.levels) != set(Level):
            raise _PriorError(f"levels must be {', '.join(Level)}")
        for level, table in self.levels.items():
            _require_shares(f"levels.{level}.middles", table.middles, walls_of(level))
        if self.no_reflow_share:
            _require_quantiles("no_reflow_share", self.no_reflow_share, 0.01, 0.6)
        _require_shares("patterns", self.patterns, PATTERNS)
        _require_shares("irregularities", self.irregularities, IRREGULARITIES)
        _require_correlations(self.correlations)
        _require_rising("brightness_scale", self.brightness_scale, -1000, 1000)
        if not 2 <= len(self.brightness_scale) <= 1001:
            raise _PriorError("brightness_scale must have 2 to 1001 numbers")

    @property
    def further_share(self) -> float:
        """Share of the draws that the built-in prior gets, as one further patient."""
        return 1 / (self.patients + 1)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides a draw."""
        decisive = {name: value for name, value in self.record().items() if name != "version"}
        return f"prior:{hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]}"

    def describe(self) -> str:
        """What the prior is, in one phrase for tables and messages."""
        return f"learnt from {self.slices} slices of {self.patients} patients ({self.fingerprint})"

    def on_scale(self, levels: Sequence[float]) -> FittedPrior:
        """The same prior for another model.

        Args:
            levels: brightness of the model's training scars in heart units at evenly spaced percentiles, 0 to 100.
        """
        return replace(self, brightness_scale=tuple(float(level) for level in levels))

    def percentile_of(self, brightness: float) -> float:
        """The percentile, 0 to 100, of a brightness in heart units among the scars of the model."""
        return 100 * float(np.interp(brightness, self.brightness_scale, np.linspace(0, 1, len(self.brightness_scale))))

    def record(self) -> dict[str, object]:
        """The prior as it stands in the file."""
        record: dict[str, object] = json.loads(json.dumps(asdict(self)))
        if self.hearts is None:  # as older versions wrote it, so that their runs go on
            del record["hearts"]
        return record

    def write(self, path: Path) -> None:
        """Write the file.

        Raises:
            RunError: another file stands there, or the folder cannot be written.
        """
        from lgesynthnet.files.writing import write_new

        write_new(path, (json.dumps(self.record(), indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> FittedPrior:
        """Read the file that `write` wrote.

        Raises:
            InputError: the file cannot be read, is larger than 256 KiB or no strict JSON, or a value is missing, unknown or impossible.
        """
        from lgesynthnet.files.reading import checked, read_json  # pydantic is not loaded where nothing is read

        try:
            return checked(cls, read_json(path, FILE_BYTES), str(path))
        except _PriorError as fault:
            raise InputError(f"{path}: {fault}; correct it, or write it again with `lgesynthnet prior fit`") from None


def walls_of(level: Level) -> tuple[str, ...]:
    """Names of the walls of a level, in the order of their AHA segments."""
    return tuple(WALL_OF[segment] for segment in SEGMENTS[level])


def name_of(prior: Prior | FittedPrior) -> str:
    """The prior in messages, tables and settings: its name, or what it was learnt from."""
    return prior.value if isinstance(prior, Prior) else prior.describe()


def _require_group(slices: int, patients: int) -> None:
    if not (LEAST_SLICES <= slices <= MOST and LEAST_PATIENTS <= patients <= slices):
        raise _PriorError(
            f"a table needs at least {LEAST_SLICES} slices of {LEAST_PATIENTS} patients, and no more patients than slices; "
            f"got {slices} and {patients}"
        )


def _require_within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise _PriorError(f"{name} must be in [{low:g}, {high:g}], got {value:g}")


def _require_rising(name: str, values: Sequence[float], low: float, high: float) -> None:
    for value in values:
        _require_within(name, value, low, high)
    if any(after < before for before, after in pairwise(values)):
        raise _PriorError(f"{name} must not fall from one number to the next")


def _require_quantiles(name: str, values: Sequence[float], low: float, high: float) -> None:
    if len(values) != len(QUANTILES):
        raise _PriorError(f"{name} must have {len(QUANTILES)} numbers, got {len(values)}")
    _require_rising(name, values, low, high)


def _require_shares(name: str, shares: Mapping[str, float], keys: Sequence[str]) -> None:
    if set(shares) != set(keys):
        raise _PriorError(f"{name} must have the keys {', '.join(keys)}")
    for key, share in shares.items():
        _require_within(f"{name}.{key}", share, 0, 1)
    if abs(sum(shares.values()) - 1) > 0.05:  # they are rounded
        raise _PriorError(f"{name} must sum to 1, got {sum(shares.values()):g}")


def _require_correlations(rows: Sequence[Sequence[float]]) -> None:
    size = len(TRAITS)
    if [len(row) for row in rows] != [size] * size:
        raise _PriorError(f"correlations must have {size} rows of {size} numbers ({', '.join(TRAITS)})")
    matrix = np.array(rows)
    if np.abs(matrix).max() > 1 or (np.diag(matrix) != 1).any() or (matrix != matrix.T).any():
        raise _PriorError("correlations must be in [-1, 1], 1 on the diagonal, and the same in both directions")
    if np.linalg.eigvalsh(matrix).min() < 1e-3:
        raise _PriorError("correlations contradict each other, so that no scar could have them")
