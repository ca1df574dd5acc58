"""How many pixels a compressed image says that it holds, so that a small file cannot ask a decoder for gigabytes."""

from __future__ import annotations

MOST_MARKERS = 1000
_J2K = b"\xff\x4f\xff\x51"  # start of codestream and its size marker
_JPEG = b"\xff\xd8"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # start of frame of JPEG, and of JPEG-LS
_ALONE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a segment


def stated_size(content: bytes) -> tuple[int, int] | None:
    """(rows, columns) by the header of a JPEG, JPEG-LS or JPEG 2000 image; None for anything else, such as RLE.

    Source: ITU-T T.81 annex B, T.87 annex C, T.800 annex A.5.
    """
    if content.startswith(_J2K):
        if len(content) < 24:
            return None
        right, down, left, top = (int.from_bytes(content[i : i + 4], "big") for i in (8, 12, 16, 20))
        return down - top, right - left
    return _jpeg_size(content) if content.startswith(_JPEG) else None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    place = 2
    for _ in range(MOST_MARKERS):
        if place + 9 > len(content) or content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xFF or marker in _ALONE:  # filling, or a marker without content
            place += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_MARKERS:
            return int.from_bytes(content[place + 5 : place + 7], "big"), int.from_bytes(content[place + 7 : place + 9], "big")
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return None
