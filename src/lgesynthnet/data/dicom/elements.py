"""The elements of a DICOM data set as they are stored.

pydicom converts a value when it is asked for, warns about each one that breaks a rule, such as a UID with leading zeros, and fails on some.
Here the bytes are read as they are, and what cannot be understood counts as missing.
"""

from __future__ import annotations

import math
import struct
from typing import Any

LONGEST = 2**16  # bytes of one value; longer ones count as missing
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}


class Elements:
    """One data set, or one item of a sequence.

    Args:
        dataset: a pydicom data set.
        utf8: whether its texts are UTF-8; other character sets are read as Latin-1, because the texts are only shown.
    """

    def __init__(self, dataset: Any, *, utf8: bool = False) -> None:
        self._dataset, self._utf8 = dataset, utf8

    def texts(self, tag: int) -> list[str]:
        """The values of a text, without padding; empty where it is missing."""
        element = self._dataset.get_item(tag, keep_deferred=True)
        value = None if element is None else element.value
        if isinstance(value, (bytes, bytearray)):
            if len(value) > LONGEST:
                return []
            value = value.decode("utf-8" if self._utf8 else "latin-1", "replace").split("\\")
        elif value is None:
            return []
        elif isinstance(value, (str, int, float)) or not hasattr(value, "__iter__"):
            value = [value]
        return [str(each).strip("\0 \n\r\t") for each in value]

    def text(self, tag: int) -> str:
        """The first value of a text; empty where it is missing. Characters that cannot be printed are replaced."""
        first = next(iter(self.texts(tag)), "")
        return "".join(letter if letter.isprintable() else "?" for letter in first[:256])

    def numbers(self, tag: int) -> tuple[float, ...]:
        """The values of a number of any kind; empty where it is missing or one of them is not finite."""
        element = self._dataset.get_item(tag, keep_deferred=True)
        value = None if element is None else element.value
        numbers: tuple[float, ...] = ()
        if isinstance(value, (bytes, bytearray)) and (letter := _BINARY.get(_vr(element))):
            count = len(value) // struct.calcsize(letter)
            if len(value) <= LONGEST and count * struct.calcsize(letter) == len(value):
                numbers = struct.unpack(f"{'<' if element.is_little_endian else '>'}{count}{letter}", value)
        else:
            try:
                numbers = tuple(float(text) for text in self.texts(tag) if text)
            except ValueError:
                return ()
        return tuple(map(float, numbers)) if all(map(math.isfinite, numbers)) else ()

    def number(self, tag: int) -> float | None:
        """The first value of a number; None where it is missing."""
        return next(iter(self.numbers(tag)), None)

    def whole(self, tag: int) -> int | None:
        """The first value of a whole number; None where it is missing or not whole."""
        number = self.number(tag)
        return int(number) if number is not None and number == int(number) else None

    def items(self, tag: int) -> list[Elements]:
        """The items of a sequence; empty where it is missing."""
        element = self._dataset.get_item(tag, keep_deferred=True)
        if element is None or element.value is None:
            return []
        try:
            value = self._dataset[tag].value
        except RecursionError:
            raise
        except Exception:  # pydicom raises errors of every kind on damaged items
            return []
        return (
            [Elements(item, utf8=self._utf8) for item in value]
            if hasattr(value, "__iter__") and not isinstance(value, (str, bytes))
            else []
        )

    def item(self, tag: int) -> Elements | None:
        """The first item of a sequence."""
        return next(iter(self.items(tag)), None)


def _vr(element: Any) -> str:
    """How a value is stored: by the file, or where it does not say so (implicit VR), by the standard."""
    if element.VR:
        return str(element.VR)
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    return dictionary_VR(element.tag).split(" or ")[0] if dictionary_has_tag(element.tag) else ""
