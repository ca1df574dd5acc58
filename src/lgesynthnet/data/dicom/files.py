"""Open DICOM files from outside: recognised by their first bytes, never by their name, and read no further than the pixels."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import opened, reason_of

HEADER_BYTES = 2**26  # a header with the functional groups of thousands of frames has a few MiB
DEFERRED_BYTES = 2**20  # single elements of the header that are larger are not read
DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.8.1")  # a small file can inflate to gigabytes
PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_TRANSFER_SYNTAX, _SOP_CLASS = 0x00020010, 0x00020002
_QUIET = threading.Lock()  # the filters of warnings belong to all threads
# The first element of files without the preamble that DICOM asks for: file meta information, or group 8 in little endian.
_BARE = tuple(bytes((group, 0, element, 0)) for group, element in ((2, 0), (2, 1), (8, 0), (8, 1), (8, 5), (8, 8), (8, 0x16)))


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was read of a file before its pixels.

    Attributes:
        dataset: a pydicom data set, its values not converted yet.
        transfer_syntax, sop_class: UIDs by the file meta information; empty where it states none.
        pixel_bytes: stated length of the pixels; None where they are in pieces (compressed), -1 where the file has no pixels.
        left_bytes: bytes of the file after the header.
    """

    dataset: Any
    transfer_syntax: str
    sop_class: str
    pixel_bytes: int | None
    left_bytes: int


class NotInstalledError(InputError):
    """The extra `dicom` is missing, so no DICOM file can be read."""


def load_pydicom(place: Path) -> Any:
    """The module pydicom, which is installed with the extra `dicom`.

    Raises:
        NotInstalledError: it is not installed; the message names the files that need it.
    """
    try:
        import pydicom
    except ImportError:
        raise NotInstalledError(f'{place}: is DICOM, and what reads it is not installed; run: pip install "lgesynthnet[dicom]"') from None
    return pydicom


def is_dicom(path: Path) -> bool:
    """Whether a regular file begins like DICOM, with or without the preamble; False also where it cannot be read."""
    try:
        with opened(path) as file:
            return begins_like_dicom(file.read(132))
    except InputError:
        return False


def begins_like_dicom(head: bytes) -> bool:
    """Whether these are the first 132 bytes of a DICOM file."""
    return head[128:132] == b"DICM" or head.startswith(_BARE)


class Bounded:
    """A file that never reads beyond its end, so that a length stated in a damaged header takes no memory."""

    def __init__(self, file: BufferedReader, path: Path, limit: int) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self.name = str(path)
        self.seek, self.tell, self._read = file.seek, file.tell, file.read
        self._tell, self._left = file.tell, limit

    def read(self, count: int = -1) -> bytes:
        """At most `count` bytes, as of any file; all that are left where it is negative."""
        left = max(self.size - self._tell(), 0)
        count = left if count < 0 or count > left else count
        self._left -= count
        if self._left < 0:
            raise ValueError("its header is too large")
        return self._read(count)


def read_header(path: Path, tags: Sequence[int]) -> Opened | None:
    """The elements of a file that have these tags, up to its pixels; None for a file that is no DICOM.

    Raises:
        InputError: the file cannot be read, is damaged, or is compressed as a whole (Deflated).
    """
    with opened(path) as file:
        if not begins_like_dicom(file.read(132)):
            return None
        load_pydicom(path)
        bounded = Bounded(file, path, HEADER_BYTES)  # type: ignore[arg-type]
        meta: tuple[str, str] = _guarded(path, lambda: _meta(bounded))
        if meta[0] in DEFLATED:
            raise InputError(f"{path}: is compressed as a whole (Deflated), which is not read; export it uncompressed")
        whole: Opened = _guarded(path, lambda: _partial(bounded, meta, tags))
        return whole


def read_whole(path: Path, limit_bytes: int) -> Any:
    """The pydicom data set of a file with its pixels, still encoded.

    Raises:
        InputError: see `read_header`; or the file has more than `limit_bytes` bytes.
    """
    with opened(path) as file:
        pydicom = load_pydicom(path)
        bounded = Bounded(file, path, 2 * limit_bytes)  # type: ignore[arg-type]
        if bounded.size > limit_bytes:
            raise InputError(f"{path}: has {bounded.size} bytes, more than the {limit_bytes} allowed here; crop it or export fewer frames")
        if _guarded(path, lambda: _meta(bounded))[0] in DEFLATED:
            raise InputError(f"{path}: is compressed as a whole (Deflated), which is not read; export it uncompressed")
        file.seek(0)
        return _guarded(path, lambda: _with_syntax(pydicom.dcmread(bounded, force=True)))


def _with_syntax(dataset: Any) -> Any:
    """The data set, with the transfer syntax that it was read in where its file states none; it is then not compressed."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of pydicom, which warns of each value that breaks a rule; what matters is checked by those who use the value."""
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _guarded(path: Path, act: Callable[[], Any]) -> Any:
    """The result of `act`; pydicom raises errors of every kind on damaged files, and each of them means this."""
    try:
        with quiet():
            return act()
    except InputError:
        raise
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror or fault}; check that the file is there") from None
    except Exception as fault:
        raise InputError(f"{path}: is damaged ({reason_of(fault)}); copy or export it again") from None


def _meta(file: Bounded) -> tuple[str, str]:
    """Transfer syntax and SOP class by the file meta information, which is never compressed; empty where it does not state them."""
    from pydicom.filereader import read_dataset, read_preamble

    file.seek(0)
    read_preamble(file, True)  # type: ignore[arg-type]
    meta = read_dataset(
        file,  # type: ignore[arg-type]
        False,
        True,
        stop_when=lambda tag, vr, length: tag >> 16 != 2,
        defer_size=DEFERRED_BYTES,
        specific_tags=[_TRANSFER_SYNTAX, _SOP_CLASS],
    )
    values = [getattr(meta.get_item(tag, keep_deferred=True), "value", None) for tag in (_TRANSFER_SYNTAX, _SOP_CLASS)]
    syntax, sop_class = (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "") for value in values)
    return syntax.strip("\0 "), sop_class.strip("\0 ")


def _partial(file: Bounded, meta: tuple[str, str], tags: Sequence[int]) -> Opened:
    from pydicom.filereader import read_partial

    pixels: list[int] = []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if tag in PIXEL_DATA:
            pixels.append(length)
        return tag in PIXEL_DATA

    file.seek(0)
    dataset = read_partial(file, at_pixels, DEFERRED_BYTES, True, list(tags))  # type: ignore[arg-type]
    length = pixels[0] if pixels else -1
    return Opened(
        dataset=dataset,
        transfer_syntax=meta[0],
        sop_class=meta[1],
        pixel_bytes=None if length == 0xFFFFFFFF else length,
        left_bytes=max(file.size - file.tell(), 0),
    )
