"""Unique identifiers that follow from what they name, so that the same export has the same bytes."""

from __future__ import annotations

import hashlib
import json

MOST = 2**128  # an identifier below 2.25 holds the number of a UUID
IMPLEMENTATION_NAME = "LGESYNTHNET"


def uid_of(*parts: str) -> str:
    """A DICOM UID below 2.25, a function of the parts alone. Source: DICOM PS3.5, B.2; the number is a hash and no random UUID."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest, 'big') % MOST}"
