"""Read prescriptions from JSON: strictly, and with errors that say which key is wrong and what it may hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from lgesynthnet.errors import InputError, PrescriptionError

if TYPE_CHECKING:
    from pydantic import ValidationError


def parsed(line: str, place: str) -> object:
    """One line of JSON.

    Args:
        place: where the line comes from; it begins the error message.
    Raises:
        PrescriptionError: the line is not strict JSON.
    """
    from lgesynthnet.files.reading import parse_json

    try:
        return parse_json(line, place)
    except InputError as fault:
        raise PrescriptionError(str(fault)) from None


def checked_record(kind: type, record: object, place: str, allowed: Mapping[str, str]) -> Any:
    """The prescription of this kind, a dataclass, that a record holds.

    Args:
        record: JSON that is parsed already.
        place: where the record comes from; it begins the error message.
        allowed: key -> what it may hold, in words.
    Raises:
        PrescriptionError: a key is unknown or missing, or a value is invalid.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(json.dumps(record), strict=True)
    except ValidationError as fault:
        raise PrescriptionError(f"{place}: {_explained(fault, record, allowed)}") from None
    except PrescriptionError as fault:
        raise PrescriptionError(f"{place}: {fault}") from None


@cache
def _adapter(kind: type) -> Any:  # a TypeAdapter; pydantic is imported here, because drawing and writing prescriptions does without
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _explained(fault: ValidationError, record: object, allowed: Mapping[str, str]) -> str:
    """The first key that is wrong, and what it may hold."""
    if not isinstance(record, dict):
        return f"a prescription is a JSON object with the keys {', '.join(allowed)}, not a {type(record).__name__}"
    keys = [str(error["loc"][0]) if error["loc"] else "" for error in fault.errors(include_url=False)]
    unknown = next((key for key in keys if key not in allowed), None)  # said first: a misspelt key is missing too
    if unknown is not None:
        problem = f"the key {_shown(unknown)} is unknown" if unknown in record else "a text holds half a character"
        return f"{problem}; keys are {', '.join(allowed)}"
    key = keys[0]
    return f"{key} must be {allowed[key]}, got {_shown(record[key])}" if key in record else f"{key} is missing: {allowed[key]}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
