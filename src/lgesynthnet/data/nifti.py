"""Read NIfTI files: nibabel parses the header, and this module refuses what is too large, damaged or meaningless.

The files come from users, so nothing that a header states is believed before the file has shown it.
"""

from __future__ import annotations

import gzip
import io
import itertools
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float, Shaped
from nibabel.spatialimages import HeaderDataError

from lgesynthnet.data.conversion import CONVERTIBLE, convert, frame, with_one_position, without_position, without_skew
from lgesynthnet.data.view import anatomical_directions, base_first_of, view_of
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import open_regular

MAX_VOXELS = 2**25  # of one file: 32 slices of 1024 x 1024; short-axis stacks have a tenth of it
LIMIT_OPTION = "LGESYNTHNET_MAX_VOXELS"  # environment variable that replaces `MAX_VOXELS`
MAX_PADDING_BYTES = 2**20  # some programs pad the end of a file; a file that goes on after this is refused
PIECE_BYTES = 2**24
MAX_SIDE, MIN_SIDE, MAX_SLICES = 2048, 32, 512
MAX_PIXEL_MM, MAX_STEP_MM = 10.0, 50.0
MAX_FIELD_MM = 1000.0  # side of a slice; the bore of a scanner is narrower
MAX_STRETCH = 5.0  # longer by shorter side of a pixel
MAX_AFFINE = 1e6  # mm; what is larger comes from damage, and a sample's origin must fit float32
LEAST_STEP_RATIO = 2.0  # of the step between slices to the sides of a pixel, for slices that are not on the last axis
MAX_SKEW = 9e-5  # cosine between two axes; ITK, and with it most programs, refuses 1e-4
LEAST_LENGTH_MM = 1e-6  # of a voxel along each axis
LEAST_VOLUME = 0.1  # of a voxel with sides of 1; less is no skew, but an axis that is missing
MOST_APART_MM = 1.0  # of the two positions that a header may state
MAX_DIFFERENCE = 0.01  # of voxel sizes that are stated twice, as a share
MAX_QUATERNION = 1.02  # length of a unit quaternion after rounding by careless writers; what is longer is no rotation
# A header begins with its own length in bytes.
_HEADER_CLASSES: dict[int, type[nib.Nifti1Header]] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_QUATERNION = ("quatern_b", "quatern_c", "quatern_d")
_TO_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}  # low bits of xyzt_units: unknown, metre, millimetre, micrometre


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What a header states about its voxels, after it was checked.

    Attributes:
        axes: which axis of the file holds columns, rows and slices. The slices lie along the axis with the longest step, wherever it is.
        shape: (columns, rows, slices).
        dtype: type of the stored numbers, in the byte order of the file.
        pixel_mm: spacing along columns, rows and slices in mm, from pixdim; the last is 0 where a single slice states none.
    """

    axes: tuple[int, int, int]
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    pixel_mm: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Volume:
    """The voxels of one file as they are stored; the slices come last, also where the file has them on another axis.

    Attributes:
        stored: (columns, rows, slices), unscaled numbers in the data type of the file and in native byte order.
        affine: maps voxel indices to scanner millimetres (right, front, head). The spacing never comes from it.
        pixel_mm: spacing along columns, rows and slices in mm, from pixdim; the last is 0 where a single slice states none.
        slope, inter: displayed value = stored * slope + inter; (1, 0) where the header states none.
        notes: what is unusual about the header, one sentence each.
    """

    path: Path
    stored: Shaped[np.ndarray, "columns rows slices"]
    affine: Float[np.ndarray, "4 4"]
    pixel_mm: tuple[float, float, float]
    slope: float
    inter: float
    notes: tuple[str, ...] = ()


def read_volume(path: Path) -> Volume:
    """Read a 2-D or 3-D NIfTI file (.nii or gzipped). The header is checked before any memory is taken for voxels.

    Raises:
        InputError: the file is missing, is no regular file, is not NIfTI, is truncated or damaged, has four dimensions, does not
            hold real numbers, is too large or too small, or states a spacing or a position that cannot be used.
    """
    with _opened(path) as stream:
        header = _parse_header(path, stream)
        geometry = _checked(path, header)
        size = math.prod(geometry.shape) * geometry.dtype.itemsize
        _read_exactly(path, stream, int(header["vox_offset"]) - header.sizeof_hdr)
        voxels = _read_exactly(path, stream, size)
        # A file that goes on for long is not even unpacked; compression never makes a file twice as large.
        goes_on = path.stat().st_size > 2 * (size + MAX_PADDING_BYTES) or len(stream.read(MAX_PADDING_BYTES + 1)) > MAX_PADDING_BYTES
        if goes_on:
            raise InputError(f"{path}: holds far more than the {size} bytes that its header states; export it again")
        affine, notes = _position(path, header, geometry.shape, geometry.pixel_mm)
    in_file = np.frombuffer(voxels, dtype=geometry.dtype).reshape(_shape_in_file(geometry), order="F")
    stored = in_file.transpose(geometry.axes)
    native = stored.astype(geometry.dtype.newbyteorder("="), copy=False)
    slope, inter = _scale(header)
    return Volume(path=path, stored=native, affine=affine, pixel_mm=geometry.pixel_mm, slope=slope, inter=inter, notes=notes)


def read_header(path: Path) -> tuple[nib.Nifti1Header, Geometry]:
    """The header of a NIfTI file, without header extensions and with the slices on the last axis, and what it states about the voxels.

    Raises:
        InputError: see `read_volume`.
    """
    with _opened(path) as stream:
        header = _parse_header(path, stream)
        return header, _checked(path, header)


def read_header_as_stored(path: Path) -> nib.Nifti1Header:
    """The same header with the axes in the order of the file.

    Raises:
        InputError: see `read_volume`.
    """
    with _opened(path) as stream:
        header = _parse_header(path, stream)
        _checked(path, header.copy())
        return header


def affine_of(header: nib.Nifti1Header, shape: tuple[int, int, int]) -> Float[np.ndarray, "4 4"]:
    """Voxel indices to scanner millimetres: sform, else qform, else the position that follows from the shape."""
    three_dimensional = header.copy()
    three_dimensional.set_data_shape(shape)
    with np.errstate(all="ignore"):  # numbers that are not finite are refused by those who use the affine
        return np.asarray(three_dimensional.get_best_affine(), dtype=np.float64)


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    """The bytes of the file, decompressed where its content (not its name) is gzip. Faults become errors that name the file."""
    try:
        with open_regular(path) as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if compressed:
                with gzip.GzipFile(fileobj=raw) as stream:
                    yield stream
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise InputError(f"{path}: the compressed file is truncated or damaged ({fault}); copy or export it again") from None
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror or fault}; check that the file is there") from None
    except (HeaderDataError, ValueError, KeyError, OverflowError) as fault:
        raise InputError(f"{path}: its NIfTI header cannot be understood ({' '.join(str(fault).split())}); export it again") from None


def _read_exactly(path: Path, stream: io.BufferedIOBase, count: int) -> bytearray:
    """Read `count` bytes.

    nibabel would allocate the whole array first. Reading in pieces takes memory only for bytes that are really there, so
    that a header which states too much, or a gzip file that inflates without end, costs nothing.
    """
    content = bytearray()
    while len(content) < count:
        piece = stream.read(min(count - len(content), PIECE_BYTES))
        if not piece:
            raise InputError(f"{path}: ends after {len(content)} of the {count} bytes that its header states; copy or export it again")
        content += piece
    return content


def _parse_header(path: Path, stream: io.BufferedIOBase) -> nib.Nifti1Header:
    length = stream.read(4)
    header_class = _HEADER_CLASSES.get(int.from_bytes(length, "little")) or _HEADER_CLASSES.get(int.from_bytes(length, "big"))
    if header_class is None:
        raise InputError(f"{path}: is not a NIfTI file; {_as_nifti(path)}")
    # Without `check=False` nibabel would silently turn a spacing of 0 into 1 mm.
    header = header_class(length + bytes(_read_exactly(path, stream, header_class.sizeof_hdr - 4)), check=False)
    if not bytes(header["magic"]).startswith(header_class.single_magic):
        raise InputError(f"{path}: is an Analyze file or one half of a header/image pair; {_as_nifti(path)}")
    first = header_class.sizeof_hdr + 4
    if float(header["vox_offset"]) == 0:  # some programs leave it out; the voxels then follow the header
        header["vox_offset"] = first
    if not first <= float(header["vox_offset"]) <= MAX_PADDING_BYTES:
        raise InputError(f"{path}: its header states that voxels start at byte {float(header['vox_offset']):g}; export it again")
    _as_the_standard_reads_it(header)
    return header


def _as_nifti(path: Path) -> str:
    is_known = path.suffix.lower() in CONVERTIBLE
    return f"convert it, e.g. with SimpleITK: {convert(path)}" if is_known else "export the image as one .nii.gz"


def _as_the_standard_reads_it(header: nib.Nifti1Header) -> None:
    """Correct what nibabel refuses and other programs, which follow the reference implementation of NIfTI, read."""
    if float(header["pixdim"][0]) not in (-1.0, 1.0):  # the sign of the quaternion's third axis; only a negative number turns it
        header["pixdim"][0] = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    for code in ("qform_code", "sform_code"):
        header[code] = max(int(header[code]), 0)
    length = math.sqrt(sum(float(header[key]) ** 2 for key in _QUATERNION))
    if 1 < length <= MAX_QUATERNION:
        for key in _QUATERNION:
            header[key] = float(header[key]) / length


def _shape_in_file(geometry: Geometry) -> tuple[int, ...]:
    return tuple(geometry.shape[geometry.axes.index(axis)] for axis in range(3))


def _with_slices_last(header: nib.Nifti1Header, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Make this the header of the same voxels with the slices on the last axis, and return which axis of the file each of its axes is.

    Programs that turn an oblique stack to the axes of the patient may put its slices on any axis. A step that is much longer than the other
    two tells which one it is.
    """
    lengths = [float(length) for length in header["pixdim"][1:4]]
    across = int(np.argmax(lengths))
    others = [length for axis, length in enumerate(lengths) if axis != across]
    is_clear = min(lengths) > 0 and lengths[across] >= LEAST_STEP_RATIO * max(others) and max(others) <= LEAST_STEP_RATIO * min(others)
    if across == 2 or not is_clear or shape[across] > min(side for axis, side in enumerate(shape) if axis != across):
        return 0, 1, 2
    axes: tuple[int, int, int] = (1, 2, 0) if across == 0 else (0, 2, 1)
    affines = {name: affine[:, [*axes, 3]] for name, affine in _affines(header, shape).items()}
    header["dim"][1:4] = [shape[axis] for axis in axes]
    header["pixdim"][1:4] = [lengths[axis] for axis in axes]
    if "qform" in affines and np.isfinite(affines["qform"]).all():
        header.set_qform(affines["qform"], int(header["qform_code"]), strip_shears=False)
        header["pixdim"][1:4] = [lengths[axis] for axis in axes]
    if "qform" not in affines or "sform" in affines:
        # A file with neither code is placed by the order of its axes, which has just changed: only an sform keeps its voxels there.
        header["sform_code"] = int(header["sform_code"]) or 2
        for row, key in enumerate(("srow_x", "srow_y", "srow_z")):
            header[key] = affines["sform" if "sform" in affines else "affine"][row]
    return axes


def _checked(path: Path, header: nib.Nifti1Header) -> Geometry:
    """Shape, data type, spacing and position of a header, after each was found usable."""
    sides = tuple(int(side) for side in header.get_data_shape())
    if len(sides) < 2 or min(sides) < 1:
        raise InputError(f"{path}: its header states the shape {sides}, but an image has rows and columns; export it again")
    if any(side > 1 for side in sides[3:]):
        raise InputError(f"{path}: is {len(sides)}-D with shape {sides}; take one frame, e.g. {frame(path)}")
    in_file = (*sides, 1)[0], (*sides, 1)[1], (*sides, 1)[2]
    axes = _with_slices_last(header, in_file)
    columns, rows, slices = (in_file[axis] for axis in axes)
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise InputError(f"{path}: holds {dtype} voxels; store it as integers or as float of at most 64 bit")
    if columns * rows * slices > (limit := most_voxels()):
        raise InputError(
            f"{path}: its header states {columns} x {rows} x {slices} voxels, over the limit of {limit}; crop it, "
            f"or raise the limit with the environment variable {LIMIT_OPTION}"
        )
    if slices > MAX_SLICES:
        raise InputError(
            f"{path}: its header states {slices} slices, at most {MAX_SLICES} are read; store the axes in the order (column, row, slice)"
        )
    if min(columns, rows) < MIN_SIDE or max(columns, rows) > MAX_SIDE:
        raise InputError(
            f"{path}: its slices are {rows} x {columns} pixels, usable are {MIN_SIDE} to {MAX_SIDE}; "
            "store the axes in the order (column, row, slice)"
        )
    shape = (columns, rows, slices)
    _require_position(path, header, shape)
    return Geometry(axes=axes, shape=shape, dtype=dtype, pixel_mm=_spacing(path, header, shape))


def most_voxels() -> int:
    stated = os.environ.get(LIMIT_OPTION)
    if stated is None:
        return MAX_VOXELS
    if not (stated.isdecimal() and 0 < len(stated) <= 12):
        raise InputError(f"{LIMIT_OPTION}={stated[:40]!r}: must be a whole number of voxels; correct or unset it")
    return int(stated)


def _require_position(path: Path, header: nib.Nifti1Header, shape: tuple[int, int, int]) -> None:
    """Both ways in which a header can state a position must be usable: a sample inherits both, and other programs must open it."""
    for name, affine in _affines(header, shape).items():
        if not (np.isfinite(affine).all() and np.abs(affine).max() < MAX_AFFINE):
            raise InputError(f"{path}: its {name} holds NaN, Inf or numbers above {MAX_AFFINE:g}; correct the header or export it again")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if not lengths.min() > LEAST_LENGTH_MM or not abs(np.linalg.det(affine[:3, :3] / lengths)) > LEAST_VOLUME:
            raise InputError(
                f"{path}: its {name} is singular: the axes of the image have no three directions in the patient; "
                f"export it again, or leave the position out: {without_position(path)}"
            )
        cosines = (affine[:3, :3] / lengths).T @ (affine[:3, :3] / lengths)
        skew = float(np.abs(cosines - np.eye(3)).max())
        if skew > MAX_SKEW:
            raise InputError(
                f"{path}: the axes of its {name} are not at right angles (cosine {skew:.2g}), and other programs cannot open such a file; "
                f"export it again, or, if the header is wrong, leave out the skew: {without_skew(path)}"
            )


def _affines(header: nib.Nifti1Header, shape: tuple[int, int, int]) -> dict[str, Float[np.ndarray, "4 4"]]:
    """What the header states about the position, by name, the one that is used first."""
    affines = {"sform" if int(header["sform_code"]) > 0 else "affine": affine_of(header, shape)}
    if int(header["qform_code"]) > 0:
        with np.errstate(all="ignore"):
            affines["qform"] = header.get_qform()
    return affines


def _position(
    path: Path, header: nib.Nifti1Header, shape: tuple[int, int, int], pixel_mm: tuple[float, float, float]
) -> tuple[Float[np.ndarray, "4 4"], tuple[str, ...]]:
    """The affine that says where the image lies in the patient, and what is unusual about it.

    Raises:
        InputError: qform and sform show two views of the patient, so that left and right, or front and back, are not known.
    """
    affines = _affines(header, shape)
    real = {name: affine for name, affine in affines.items() if anatomical_directions(affine) is not None}
    if len({(view_of(affine), base_first_of(affine)) for affine in real.values()}) > 1:
        raise InputError(
            f"{path}: its qform and its sform place the image differently in the patient; "
            f"export it again, or, if the sform is right: {with_one_position(path)}"
        )
    affine = next(iter((real or affines).values()))
    notes = []
    lengths = {name: tuple(np.linalg.norm(each[:3, :3], axis=0).tolist()) for name, each in affines.items()}
    for stated, length in lengths.items():
        empty = stated not in real and np.allclose(length, 1.0)  # as in the files of EMIDEC, where only pixdim is right
        known = [(a, b) for a, b in zip(length, pixel_mm, strict=True) if b > 0]
        if not empty and stated != "affine" and any(abs(a - b) > MAX_DIFFERENCE * b for a, b in known):
            notes.append(
                f"{path}: its {stated} has voxels of {_mm(length)} mm, and pixdim{' and qform' if 'qform' in affines else ''} "
                f"{_mm(pixel_mm)} mm; {_mm(pixel_mm)} mm is used: correct the header if that is wrong"
            )
    if not notes and len(real) > 1 and (apart := _apart_mm(affines, shape)) > MOST_APART_MM:
        notes.append(
            f"{path}: its qform and its sform place the image up to {apart:.3g} mm apart; the sform is used: correct the wrong one"
        )
    return affine, tuple(notes)


def _apart_mm(affines: dict[str, Float[np.ndarray, "4 4"]], shape: tuple[int, int, int]) -> float:
    """The largest distance between the places that two affines give to a corner of the image."""
    corners = np.array([*itertools.product(*((0, side - 1) for side in shape))])
    first, second = (corners @ affine[:3, :3].T + affine[:3, 3] for affine in affines.values())
    return float(np.linalg.norm(first - second, axis=1).max())


def _mm(lengths: tuple[float, ...]) -> str:
    return " x ".join(f"{length:.3g}" for length in lengths)


def _spacing(path: Path, header: nib.Nifti1Header, shape: tuple[int, int, int]) -> tuple[float, float, float]:
    scale = _TO_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    across, down, step = (float(length) * scale for length in header["pixdim"][1:4])
    for name, pixel in (("columns", across), ("rows", down)):
        if not 0 < pixel <= MAX_PIXEL_MM:
            raise InputError(
                f"{path}: the pixel spacing along {name} is {pixel:g} mm in pixdim, must lie in (0, {MAX_PIXEL_MM:g}]; correct the header"
            )
    if max(across, down) > MAX_STRETCH * min(across, down):
        raise InputError(
            f"{path}: its pixels are {down:g} x {across:g} mm (row, column) in pixdim; store the axes in the order (column, row, slice)"
        )
    if max(across * shape[0], down * shape[1]) > MAX_FIELD_MM:
        raise InputError(
            f"{path}: its slices are {down * shape[1]:g} x {across * shape[0]:g} mm by pixdim, more than any scanner sees; "
            "correct the header"
        )
    if not 0 < step <= MAX_STEP_MM:
        if shape[2] > 1:
            raise InputError(f"{path}: the slice spacing is {step:g} mm in pixdim, must lie in (0, {MAX_STEP_MM:g}]; correct the header")
        step = 0.0
    return across, down, step


def _scale(header: nib.Nifti1Header) -> tuple[float, float]:
    """Slope and intercept. By the NIfTI standard a slope of 0 means that the stored numbers are the values."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    return slope, inter if math.isfinite(inter) else 0.0
