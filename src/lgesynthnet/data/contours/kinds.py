"""The format of a contour file, by what it contains."""

from __future__ import annotations

import re
import struct
from enum import StrEnum

HEAD_BYTES = 2**16
TRANSFER_SYNTAX, SOP_CLASS = 0x0002_0010, 0x0002_0002
_SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # Segmentation, Label Map Segmentation
_RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")  # with a length of four bytes
_MOST_META = 64  # elements
SUNNYBROOK_NAME = re.compile(r"(?P<image>.+-\d+)-(?P<contour>[a-z]\d?contour)-(?:manual|auto)\.txt")


class Kind(StrEnum):
    """The formats that can be read."""

    SEG = "a DICOM segmentation"
    RTSTRUCT = "a DICOM RT structure set"
    CVI42 = "a cvi42 workspace in XML"
    MAT = "a MATLAB file of Segment"
    SUNNYBROOK = "Sunnybrook text contours (IMAGE-icontour-manual.txt, IMAGE-ocontour-manual.txt)"


def kind_of(head: bytes, name: str) -> Kind | None:
    """The format of a file; None where it is none that can be read.

    Args:
        head: the first bytes of the file, up to `HEAD_BYTES`.
        name: of the file. Sunnybrook contours say in it to which image they belong, and nowhere else.
    """
    if head[128:132] == b"DICM":
        sop_class = file_meta(head).get(SOP_CLASS)
        return Kind.SEG if sop_class in _SEG_CLASSES else Kind.RTSTRUCT if sop_class == _RTSTRUCT_CLASS else None
    if head.startswith((b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file")):
        return Kind.MAT
    text = _text(head)
    if text.lstrip().startswith("<"):
        return Kind.CVI42 if "circlecvi" in text or "Hash:key" in text else None
    return Kind.SUNNYBROOK if SUNNYBROOK_NAME.fullmatch(name) else None  # damaged ones too: they are refused, and not left out in silence


def file_meta(head: bytes) -> dict[int, str]:
    """The texts in the file meta information of a DICOM file: tag -> value, as far as it can be read."""
    values: dict[int, str] = {}
    at = 132
    for _ in range(_MOST_META):
        if len(head) < at + 12:
            break
        group, element = struct.unpack_from("<HH", head, at)
        if group != 2:
            break
        long = head[at + 4 : at + 6] in _LONG
        (length,) = struct.unpack_from("<I", head, at + 8) if long else struct.unpack_from("<H", head, at + 6)
        start = at + (12 if long else 8)
        values[group << 16 | element] = head[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")
        at = start + length
    return values


def is_point(line: str) -> bool:
    """Whether a line holds two numbers."""
    words = line.split()
    if len(words) != 2 or len(line) > 200:
        return False
    try:
        return all(abs(float(word)) >= 0 for word in words)  # False for NaN
    except ValueError:
        return False


def _text(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    return head.decode("utf-8-sig", "replace")
