"""Read the numbers and structs of a MATLAB 5 file, and nothing else of it.

The file is walked by the lengths that it states, each checked against what is there, and only the wanted fields are decoded. Objects,
function handles and cells are never made, and no nesting is followed but that of the structs asked for.
Source: The MathWorks, MAT-File Format (2023).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

MAX_INFLATED = 2**30  # bytes of one variable; a stack of images that Segment saves has up to some hundred MB
PIECE_BYTES = 2**20
NAME_BYTES = 4096  # of a compressed variable; enough for its name
MAX_DIMENSIONS, MAX_ELEMENTS, MAX_FIELDS = 8, 10_000, 4096
_MATRIX, _COMPRESSED, _INT32, _INT8, _UINT32 = 14, 15, 5, 1, 6
_STRUCT, _NUMERIC = 2, range(6, 16)  # classes of arrays: double, single and the integers
_CHAR = 4
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


@dataclass(frozen=True)
class Array:
    """One array of the file, not yet decoded.

    Attributes:
        kind: class of the array in MATLAB.
        shape: rows, columns and so on.
        body: what follows its name in the file.
        order: byte order, "<" or ">".
    """

    kind: int
    shape: tuple[int, ...]
    body: memoryview
    order: str
    complex: bool = False

    @property
    def is_struct(self) -> bool:
        return self.kind == _STRUCT

    def numbers(self) -> Shaped[np.ndarray, "*shape"]:
        """The numbers, in the shape that MATLAB shows.

        Raises:
            ValueError: the array holds no real numbers, or their count does not fit its shape.
        """
        if self.kind not in _NUMERIC or self.complex:
            raise ValueError("an array of numbers was expected")
        stored_as, data, _ = _element(self.body, 0, self.order)
        if stored_as not in _NUMBERS:
            raise ValueError("an array holds no numbers")
        values = np.frombuffer(data, dtype=np.dtype(self.order + _NUMBERS[stored_as]))
        if values.size != math.prod(self.shape):
            raise ValueError("an array has another size than it states")
        return values.reshape(self.shape, order="F")

    def text(self) -> str:
        """A text in one row; empty where the array is none."""
        if self.kind != _CHAR or len(self.body) == 0:
            return ""
        stored_as, data, _ = _element(self.body, 0, self.order)
        encoding = {4: "utf-16-le" if self.order == "<" else "utf-16-be", 17: "utf-16-le" if self.order == "<" else "utf-16-be"}
        return bytes(data[:400]).decode(encoding.get(stored_as, "utf-8"), "replace")

    def structs(self) -> Iterator[dict[str, Array]]:
        """The structs of an array of structs, each as field -> array.

        Raises:
            ValueError: the array is no array of structs, or is damaged.
        """
        if not self.is_struct:
            raise ValueError("a struct was expected")
        _, length, at = _element(self.body, 0, self.order)
        longest = int(np.frombuffer(length, dtype=self.order + "i4", count=1)[0])
        _, names, at = _element(self.body, at, self.order)
        if longest <= 0 or len(names) % longest or len(names) // longest > MAX_FIELDS or math.prod(self.shape) > MAX_ELEMENTS:
            raise ValueError("a struct is damaged")
        fields = [bytes(names[k : k + longest]).split(b"\0")[0].decode("ascii", "replace") for k in range(0, len(names), longest)]
        for _ in range(math.prod(self.shape)):
            values = {}
            for field in fields:
                stored_as, data, at = _element(self.body, at, self.order)
                if stored_as != _MATRIX:
                    raise ValueError("a field of a struct is damaged")
                if len(data):  # an empty field may be stored as an element of no bytes
                    values[field] = _array(data, self.order)[1]
            yield values


def find_variable(content: bytes, name: str) -> Array | None:
    """The variable of this name in a MATLAB 5 file; None where there is none.

    Raises:
        ValueError: the file is damaged, or the variable is too large.
    """
    orders = {b"IM": "<", b"MI": ">"}
    if content[126:128] not in orders:
        raise ValueError("its byte order is not stated")
    order = orders[content[126:128]]
    view, at = memoryview(content), 128
    while at + 8 <= len(view):
        kind, data, at = _element(view, at, order, padded=False)
        if kind == _COMPRESSED:
            _, head, _ = _element(memoryview(_inflated(data, NAME_BYTES, whole=False)), 0, order, cut=True)
            if _array(head, order)[0] != name:
                continue
            kind, data, _ = _element(memoryview(_inflated(data, MAX_INFLATED, whole=True)), 0, order)
        if kind == _MATRIX and len(data):
            found, array = _array(data, order)
            if found == name:
                return array
    return None


def _inflated(data: memoryview, limit: int, *, whole: bool) -> bytes:
    """The first bytes of a compressed element, or all of it."""
    inflate = zlib.decompressobj()
    pieces, size = [inflate.decompress(data, limit)], 0
    size = len(pieces[0])
    if whole and (size >= limit or not inflate.eof):
        raise ValueError("a variable is truncated, or larger than 1 GB")
    return b"".join(pieces)


def _element(view: memoryview, at: int, order: str, *, padded: bool = True, cut: bool = False) -> tuple[int, memoryview, int]:
    """Type and content of the element at a place, and the place of the next one.

    Args:
        padded: whether elements begin at multiples of 8 bytes, as all but compressed ones do.
        cut: take what is there of an element that goes on beyond the end.
    """
    if at + 8 > len(view):
        raise ValueError("it is truncated")
    kind, length = struct.unpack_from(order + "II", view, at)
    if kind >> 16:  # a short element: type and length share four bytes
        length, kind = kind >> 16, kind & 0xFFFF
        if length > 4:
            raise ValueError("an element is damaged")
        return kind, view[at + 4 : at + 4 + length], at + 8
    start, end = at + 8, at + 8 + length
    if end > len(view) and not cut:
        raise ValueError("it is truncated")
    return kind, view[start:end], end + (-length % 8 if padded or kind != _COMPRESSED else 0)


def _array(data: memoryview, order: str) -> tuple[str, Array]:
    """The name of an array, and the array."""
    _, flags, at = _element(data, 0, order)
    bits = int(np.frombuffer(flags, dtype=order + "u4", count=1)[0])
    kind = bits & 0xFF
    if kind in (17, 18):  # an opaque object, such as a string or a function handle, states no shape
        return "", Array(kind, (), data[:0], order)
    _, shape, at = _element(data, at, order)
    sizes = tuple(np.frombuffer(shape, dtype=order + "i4").tolist())
    if not 2 <= len(sizes) <= MAX_DIMENSIONS or min(sizes) < 0:
        raise ValueError("the shape of an array is damaged")
    _, name, at = _element(data, at, order)
    return bytes(name).decode("ascii", "replace"), Array(kind, sizes, data[at:], order, bool(bits & 0x0800))
