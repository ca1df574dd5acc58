"""What may be asked of a slice besides one more scar: no scar at all, or its own scar in another form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.scar import ALLOWED, ScarPrescription
from lgesynthnet.prescription.strict_json import parsed
from lgesynthnet.terms import Edit


@dataclass(frozen=True)
class NoEnhancement:
    """ "No late enhancement": the scar that the slice holds becomes healthy wall. A scar needs segments, and this has none."""

    def to_json(self) -> str:
        """The line of JSON that `wish_from_record` reads back."""
        return json.dumps({"edit": Edit.REMOVE.value})


@dataclass(frozen=True, kw_only=True)
class OwnScar:
    """The scar that the slice holds, in its place, with another brightness or depth.

    Attributes:
        intensity_percentile: brightness as a percentile of the scars that the model was trained on, 0 to 100.
        transmurality: depth from the endocardium, in (0, 1]; None keeps the masks as they are.

    Raises:
        PrescriptionError: a value is out of its range.
    """

    __pydantic_config__ = {"extra": "forbid"}

    intensity_percentile: float
    transmurality: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.intensity_percentile <= 100:
            raise PrescriptionError(f"intensity_percentile must be in [0, 100], got {self.intensity_percentile}")
        if self.transmurality is not None and not 0 < self.transmurality <= 1:
            raise PrescriptionError(f"transmurality must be in (0, 1], got {self.transmurality}")

    def to_json(self) -> str:
        """The line of JSON that `wish_from_record` reads back."""
        return json.dumps({"edit": Edit.REPLACE.value, **asdict(self)}, sort_keys=True)


Prescription = ScarPrescription | NoEnhancement  # what a sample shows
Scar = TypeVar("Scar")
Wish = Prescription | OwnScar  # what may be asked for; the scar of an `OwnScar` is described once its slice is read


def prescription_from_json(line: str, place: str = "prescription") -> Prescription:
    """Read what a sample shows from one line of JSON.

    Args:
        place: where the line comes from; it begins the error message.
    Raises:
        PrescriptionError: see `ScarPrescription.from_json`.
    """
    record = parsed(line, place)
    return NoEnhancement() if record == {"edit": Edit.REMOVE.value} else ScarPrescription.from_record(record, place)


def wish_from_record(record: object, place: str) -> tuple[Edit, Wish]:
    """Read a wish from JSON that is parsed already: the keys of a prescription, and `edit`, which is `add` where it is missing.

    Args:
        place: where the record comes from; it begins the error message.
    Raises:
        PrescriptionError: the edit is unknown, a key does not belong to it or is missing, or a value is invalid.
    """
    return edit_and_wish(record, place, ScarPrescription.from_record)


def edit_and_wish(record: object, place: str, read_scar: Callable[[object, str], Scar]) -> tuple[Edit, Scar | NoEnhancement | OwnScar]:
    """`wish_from_record` for any kind of scar.

    Args:
        read_scar: reads the keys of the scar.
    """
    if not isinstance(record, dict) or "edit" not in record:
        return Edit.ADD, read_scar(record, place)
    keys = {key: value for key, value in record.items() if key != "edit"}
    if record["edit"] not in list(Edit):
        raise PrescriptionError(f"{place}: edit must be one of {', '.join(Edit)}, got {str(record['edit'])[:40]!r}")
    match edit := Edit(record["edit"]):
        case Edit.REMOVE:
            if keys:
                raise PrescriptionError(f"{place}: the edit remove stands alone, but {next(iter(keys))[:40]!r} is there too; leave it out")
            return edit, NoEnhancement()
        case Edit.REPLACE:
            return edit, _own_scar(keys, place)
        case _:
            return edit, read_scar(keys, place)


def edit_named_by(wish: Scar | NoEnhancement | OwnScar) -> Edit:
    """What is done where nothing but the wish says it."""
    match wish:
        case NoEnhancement():
            return Edit.REMOVE
        case OwnScar():
            return Edit.REPLACE
        case _:
            return Edit.ADD


def _own_scar(keys: dict[str, object], place: str) -> OwnScar:
    if unknown := sorted(keys.keys() - {"intensity_percentile", "transmurality"}):
        raise PrescriptionError(
            f"{place}: the edit replace has the keys intensity_percentile and transmurality, and not {unknown[0][:40]!r}; leave it out"
        )
    percentile, transmurality = keys.get("intensity_percentile"), keys.get("transmurality")
    if not _is_number(percentile):
        raise PrescriptionError(f"{place}: the edit replace needs intensity_percentile: {ALLOWED['intensity_percentile']}")
    if not (transmurality is None or _is_number(transmurality)):
        raise PrescriptionError(f"{place}: transmurality must be {ALLOWED['transmurality']}, or null, got {str(transmurality)[:40]!r}")
    try:
        return OwnScar(intensity_percentile=percentile, transmurality=transmurality)  # type: ignore[arg-type]  # both were checked
    except PrescriptionError as fault:
        raise PrescriptionError(f"{place}: {fault}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
