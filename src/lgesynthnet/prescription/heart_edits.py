"""What may be asked of a whole heart: one more scar, no scar at all, or its own scar in another form."""

from __future__ import annotations

from lgesynthnet.prescription.edits import NoEnhancement, OwnScar, edit_and_wish
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.strict_json import parsed
from lgesynthnet.terms import Edit

HeartWish = HeartScar | NoEnhancement | OwnScar


def heart_wish_from_json(line: str, place: str = "prescription") -> HeartWish:
    """Read what a heart was asked for from one line of JSON.

    Args:
        place: where the line comes from; it begins the error message.
    Raises:
        PrescriptionError: see `heart_wish_from_record`.
    """
    return heart_wish_from_record(parsed(line, place), place)[1]


def heart_wish_from_record(record: object, place: str) -> tuple[Edit, HeartWish]:
    """Read a wish from JSON that is parsed already: the keys of a heart's scar, and `edit`, which is `add` where it is missing.

    Args:
        place: where the record comes from; it begins the error message.
    Raises:
        PrescriptionError: the edit is unknown, a key does not belong to it or is missing, or a value is invalid.
    """
    return edit_and_wish(record, place, HeartScar.from_record)
