"""Unique identifiers that follow from what they name, so that the same export has the same bytes."""

from __future__ import annotations

import hashlib
import json
import re

MOST = 2**128  # an identifier below 2.25 holds the number of a UUID
_UID = re.compile(r"(?=.{3,64}$)[0-2](\.(0|[1-9][0-9]*))+")
IMPLEMENTATION_NAME = "LGESYNTHNET"


def uid_of(*parts: str) -> str:
    """A DICOM UID below 2.25, a function of the parts alone. Source: DICOM PS3.5, B.2; the number is a hash and no random UUID."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest, 'big') % MOST}"


def is_uid(text: str) -> bool:
    """Whether a text keeps the rules for UIDs: at most 64 digits and dots, and no part with a leading zero. Source: DICOM PS3.5, 9.1."""
    return _UID.fullmatch(text) is not None
