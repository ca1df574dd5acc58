"""Records of earlier commands: read strictly, and made again where they are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import checked, read_json

T = TypeVar("T")


def read_record(path: Path, kind: type[T]) -> T:
    """The record in a JSON file that an earlier command wrote.

    Raises:
        InputError: it is damaged; the same command makes it again once it is deleted.
    """
    try:
        return checked(kind, read_json(path), str(path))
    except InputError as fault:
        what, _, _ = str(fault).rpartition(";")  # a general remedy follows, and here is a better one
        raise InputError(f"{what}; delete it, and the same command makes it again") from None
