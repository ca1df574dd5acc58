"""NIfTI files, read without trust and written as a slice of a host. The only place that knows about axes, headers and gzip."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from jaxtyping import Float, Shaped
from nibabel.spatialimages import HeaderDataError

from lgesynthnet.errors import InputError
from lgesynthnet.files import write_bytes

MAX_BYTES = 2**30  # what one file may inflate to
MAX_SLACK_BYTES = 2**20  # some writers pad the end of a file; a bomb goes on
MAX_SIDE, MIN_SIDE = 2048, 32
MAX_PIXEL_MM, MAX_STEP_MM = 10.0, 50.0
_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # by their own length, which is their first number
_MAGIC = (b"n+1", b"n+2")  # one file that holds header and voxels
_TO_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}  # unknown, metre, millimetre, micron: the low bits of xyzt_units
_MARK = "SYNTHETIC"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """One file's voxels as stored, in the file's own axis order.

    Attributes:
        stored: (columns, rows, slices), unscaled numbers in the file's dtype and native byte order.
        affine: voxel to scanner millimetres, as nibabel reads it; only compared and copied, never used for spacing.
        pixel_mm: spacing along columns, rows and slices, from pixdim; the last is 0 where a single slice states none.
        slope, inter: displayed value = stored * slope + inter; (1, 0) where the header states none.
    """

    path: Path
    stored: Shaped[np.ndarray, "columns rows slices"]
    affine: Float[np.ndarray, "4 4"]
    pixel_mm: tuple[float, float, float]
    slope: float
    inter: float


def read_volume(path: Path) -> Volume:
    """Read a 2-D or 3-D NIfTI file after its header was found sane and small enough.

    Raises:
        InputError: missing, not NIfTI, truncated, 4-D, not real numbers, too large or too small, spacing not usable.
    """
    try:
        with _inflated(path) as stream:
            header = _read_header(path, stream)
            shape, dtype, pixel_mm = _checked(path, header)
            start, needed = int(header["vox_offset"]), math.prod(shape) * dtype.itemsize
            _exactly(path, stream, start - int(header["sizeof_hdr"]))
            voxels = _exactly(path, stream, needed)
            if len(stream.read(MAX_SLACK_BYTES + 1)) > MAX_SLACK_BYTES:
                raise InputError(f"{path}: holds far more than the {needed} bytes its header states; export it again")
            affine = np.asarray(_place(header, shape), dtype=np.float64)
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise InputError(f"{path}: the compressed file is truncated or damaged ({fault}); copy or export it again") from None
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror or fault}") from None
    except (HeaderDataError, ValueError, KeyError) as fault:
        raise InputError(f"{path}: its NIfTI header cannot be understood ({fault}); export it again") from None
    stored = np.frombuffer(voxels, dtype=dtype).reshape(shape, order="F")
    slope, inter = _scale(header)
    native = stored.astype(dtype.newbyteorder("="), copy=False)
    return Volume(path=path, stored=native, affine=affine, pixel_mm=pixel_mm, slope=slope, inter=inter)


def write_slice_like(
    out_path: Path,
    pixels: Shaped[np.ndarray, "rows cols"],
    like_path: Path,
    index: int,
    flip: tuple[bool, bool] = (False, False),
    dtype: np.dtype | type | str | None = None,
    descrip: str = _MARK,
) -> None:
    """Write one slice as (columns, rows, 1) so that it lies where slice `index` of the host file lies, marked synthetic.

    The bytes depend on the input alone: no time stamp, no file name in the gzip header. Header extensions of the host are
    dropped, since they may hold a patient's data.

    Args:
        pixels: (rows, cols), stored numbers (unscaled), in the view that `flip` made of the file; it is undone here.
        like_path: the host *image*, for a label too, so that image and label get one geometry.
        dtype: on disk; None keeps the host's dtype, slope and inter; with a dtype given, even the host's own, nothing is scaled.
        descrip: free text of the header, at most 79 ASCII characters; SYNTHETIC is put in front where it is missing.
    Raises:
        InputError: the host cannot be read, has no such slice or another size.
        RunError: the file cannot be written; nothing is left behind.
        ValueError: a pixel does not fit the dtype exactly, which is the caller's fault.
    """
    header, stored = _slice_of(out_path, pixels, like_path, index, flip, dtype)
    header["descrip"] = (descrip if descrip.startswith(_MARK) else f"{_MARK} {descrip}").encode("ascii", "replace")[:79]
    header["intent_name"], header["aux_file"] = _MARK.encode(), _MARK.encode()
    _write_slice(out_path, header, stored)


def write_copied_slice(
    out_path: Path,
    pixels: Shaped[np.ndarray, "rows cols"],
    like_path: Path,
    index: int,
    dtype: np.dtype | type | str | None = None,
) -> None:
    """Write slice `index` of a file, or labels of it, as (columns, rows, 1): a copy, so the words of the file's header stay as they are.

    Like `write_slice_like` in all else: nothing is called synthetic that was not, and what was stays so.

    Args:
        pixels: (rows, cols), stored numbers in the file's own view.
    Raises:
        InputError, RunError, ValueError: see `write_slice_like`.
    """
    _write_slice(out_path, *_slice_of(out_path, pixels, like_path, index, (False, False), dtype))


def _slice_of(
    out_path: Path,
    pixels: Shaped[np.ndarray, "rows cols"],
    like_path: Path,
    index: int,
    flip: tuple[bool, bool],
    dtype: np.dtype | type | str | None,
) -> tuple[nib.Nifti1Header, Shaped[np.ndarray, "columns rows"]]:
    """Header and voxels of one slice that lies where slice `index` of the host lies; see `write_slice_like`."""
    if [suffix.lower() for suffix in out_path.suffixes[-1:]] not in ([".gz"], [".nii"]):
        raise InputError(f"{out_path}: slices are written as .nii.gz or .nii")
    header, shape, disk = _host(like_path)
    columns, rows, slices = shape
    if not 0 <= index < slices or pixels.shape != (rows, columns):
        raise InputError(
            f"{like_path}: has {slices} slices of {rows} x {columns} (rows x columns); asked for slice {index} of {pixels.shape}"
        )
    if dtype is not None:
        header["scl_slope"], header["scl_inter"], header["cal_min"], header["cal_max"] = np.nan, np.nan, 0, 0
        header.set_data_dtype(np.dtype(dtype))
        disk = header.get_data_dtype()
    stored = _unflipped(pixels, flip).T.astype(disk)
    if not np.array_equal(stored.T, _unflipped(pixels, flip), equal_nan=pixels.dtype.kind == "f"):
        raise ValueError(
            f"{out_path.name}: pixels from {pixels.min()} to {pixels.max()} do not fit {disk} exactly; round and clip them first"
        )
    _place_slice(header, shape, index)
    return header, stored


def _write_slice(out_path: Path, header: nib.Nifti1Header, stored: Shaped[np.ndarray, "columns rows"]) -> None:
    start = 352 if int(header["sizeof_hdr"]) == 348 else 544
    header["vox_offset"] = start
    content = header.binaryblock.ljust(start, b"\0") + stored.tobytes(order="F")
    write_bytes(out_path, content if out_path.suffix.lower() == ".nii" else gzip_bytes(content))


def gzip_bytes(content: bytes) -> bytes:
    """Compress without time stamp or file name, so that the same content gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=6) as stream:
        stream.write(content)
    return buffer.getvalue()


@contextmanager
def _inflated(path: Path) -> Iterator[io.BufferedIOBase]:
    """The file's bytes, inflated on the way where its content (not its name) is gzip."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not compressed:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw, mode="rb") as stream:
            yield stream


def _exactly(path: Path, stream: io.BufferedIOBase, count: int) -> bytes:
    """`count` bytes, taken in pieces so that a lying header costs no memory before the file has shown its bytes."""
    pieces = bytearray()
    while len(pieces) < count:
        piece = stream.read(min(count - len(pieces), 2**24))
        if not piece:
            raise InputError(f"{path}: ends after {len(pieces)} of the {count} bytes that its header states; copy or export it again")
        pieces += piece
    return bytes(pieces)


def _read_header(path: Path, stream: io.BufferedIOBase) -> nib.Nifti1Header:
    """The header as written: nibabel's own repair would turn a spacing of 0 into 1 mm in silence."""
    first = stream.read(4)
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    lengths = [int.from_bytes(first, order) for order in orders]
    length = next((n for n in lengths if n in _HEADERS), None)
    if length is None:
        raise InputError(f"{path}: is not a NIfTI file; export the images as .nii.gz")
    block = first + _exactly(path, stream, length - 4)
    header = _HEADERS[length](block, endianness="<" if lengths[0] == length else ">", check=False)
    if bytes(header["magic"])[:3] not in _MAGIC:
        raise InputError(f"{path}: is an Analyze file or half of a header/image pair; export it as one .nii.gz")
    least = length + 4
    if float(header["vox_offset"]) == 0:  # some writers leave it out; the voxels then follow the header
        header["vox_offset"] = least
    if not least <= float(header["vox_offset"]) <= MAX_SLACK_BYTES:
        raise InputError(f"{path}: its header states that voxels start at byte {float(header['vox_offset']):g}; export it again")
    return header


def _checked(path: Path, header: nib.Nifti1Header) -> tuple[tuple[int, int, int], np.dtype, tuple[float, float, float]]:
    """Shape, dtype and spacing of a header that was found usable; no voxel has been read yet."""
    dims = [int(n) for n in header["dim"]]
    sides = tuple(dims[1 : 1 + min(max(dims[0], 0), 7)])
    if len(sides) < 2 or min(sides) < 1:
        raise InputError(f"{path}: its header states the shape {sides}; an image of rows and columns is needed")
    if any(n > 1 for n in sides[3:]):
        raise InputError(f"{path}: is {len(sides)}-D with shape {sides}; take one frame, e.g. nibabel.four_to_three, and give 3-D files")
    columns, rows, slices = (*sides, 1)[:3]
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise InputError(f"{path}: holds {dtype} voxels; store it as integers or as float of at most 64 bit")
    if columns * rows * slices * dtype.itemsize > MAX_BYTES:
        raise InputError(f"{path}: its header states {columns} x {rows} x {slices} voxels of {dtype}, over the limit of 1 GiB; crop it")
    if min(columns, rows) < MIN_SIDE or max(columns, rows) > MAX_SIDE:
        raise InputError(
            f"{path}: slices are {rows} x {columns} pixels, usable are {MIN_SIDE} to {MAX_SIDE}; axes must be (column, row, slice)"
        )
    scale = _TO_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    across, down, step = (float(mm) * scale for mm in header["pixdim"][1:4])
    for name, mm in (("columns", across), ("rows", down)):
        if not 0 < mm <= MAX_PIXEL_MM:
            raise InputError(
                f"{path}: pixel spacing along {name} is {mm:g} mm in pixdim, must lie in (0, {MAX_PIXEL_MM:g}]; mend the header"
            )
    if slices == 1 and not 0 < step <= MAX_STEP_MM:
        step = 0.0
    elif not 0 < step <= MAX_STEP_MM:
        raise InputError(f"{path}: slice spacing is {step:g} mm in pixdim, must lie in (0, {MAX_STEP_MM:g}]; mend the header")
    return (columns, rows, slices), dtype, (across, down, step)


def _scale(header: nib.Nifti1Header) -> tuple[float, float]:
    """NIfTI's rule: a slope of 0 or not a number means that the stored numbers are the values."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    return (slope, inter if math.isfinite(inter) else 0.0) if math.isfinite(slope) and slope != 0 else (1.0, 0.0)


def _place(header: nib.Nifti1Header, shape: tuple[int, int, int]) -> Float[np.ndarray, "4 4"]:
    seen = header.copy()
    seen.set_data_shape(shape)
    return np.asarray(seen.get_best_affine(), dtype=np.float64)


def _host(path: Path) -> tuple[nib.Nifti1Header, tuple[int, int, int], np.dtype]:
    """Header, shape and stored dtype of a host that was read before."""
    try:
        with _inflated(path) as stream:
            header = _read_header(path, stream)
            shape, dtype, _ = _checked(path, header)
    except (EOFError, zlib.error, OSError, HeaderDataError, ValueError, KeyError) as fault:
        raise InputError(f"{path}: the host can no longer be read ({fault}); has it moved since the run began?") from None
    return header, shape, dtype


def _place_slice(header: nib.Nifti1Header, shape: tuple[int, int, int], index: int) -> None:
    """Make the header that of one slice; only the origin moves, every other number of the geometry stays as it is."""
    affine = _place(header, shape)
    origin = affine @ (0.0, 0.0, float(index), 1.0)
    quaternion = header.get_qform() @ (0.0, 0.0, float(index), 1.0) if int(header["qform_code"]) > 0 else None
    header["dim"] = [3, shape[0], shape[1], 1, 1, 1, 1, 1]
    if quaternion is not None:
        for key, value in zip(("qoffset_x", "qoffset_y", "qoffset_z"), quaternion, strict=False):
            header[key] = value
    if int(header["sform_code"]) > 0 or quaternion is None:
        # A host without any code is placed by its shape, which has just changed: only an sform keeps it in place.
        header["sform_code"] = max(int(header["sform_code"]), 2 if quaternion is None else 0)
        for i, key in enumerate(("srow_x", "srow_y", "srow_z")):
            header[key] = [*affine[i, :3], origin[i]]


def _unflipped(pixels: Shaped[np.ndarray, "rows cols"], flip: tuple[bool, bool]) -> Shaped[np.ndarray, "rows cols"]:
    return pixels[:: -1 if flip[0] else 1, :: -1 if flip[1] else 1]
