"""Write NIfTI files: one slice that lies where a slice of its host lies, or a whole stack. The same input gives the same bytes."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float, Shaped

from lgesynthnet.data.dicom.files import is_dicom
from lgesynthnet.data.dicom.headers import Frame, frames_of
from lgesynthnet.data.dicom.labels import ON_GRID
from lgesynthnet.data.nifti import MAX_SLICES, Geometry, affine_of, read_header, read_header_as_stored
from lgesynthnet.errors import InputError
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.records import Place, Stack

DType = np.dtype[Any] | type | str
_MARK = "SYNTHETIC"
_TEXTS = ("descrip", "aux_file", "intent_name")
_OLD_TEXTS = ("db_name", "data_type", "unused_str")  # of NIfTI-1 and NIfTI-2; no program needs them, and some write a name into them


def write_slice_like(
    out_path: Path,
    pixels: Shaped[np.ndarray, "rows cols"],
    like: Place,
    dtype: DType | None = None,
    descrip: str = _MARK,
) -> None:
    """Write one synthetic slice, see `slice_like`; a name that ends in .gz is compressed.

    Raises:
        InputError: see `slice_like`; or `out_path` is no .nii or .nii.gz.
        RunError: the file cannot be written. Nothing is left behind.
        ValueError: see `slice_like`.
    """
    ending = out_path.suffix.lower()
    if ending not in (".gz", ".nii"):
        raise InputError(f"{out_path}: slices are written as .nii.gz or .nii; change the ending of the file name")
    content = slice_like(pixels, like, dtype, descrip)
    write_bytes(out_path, content if ending == ".nii" else gzip_bytes(content))


def slice_like(
    pixels: Shaped[np.ndarray, "rows cols"],
    like: Place,
    dtype: DType | None = None,
    descrip: str = _MARK,
) -> bytes:
    """A NIfTI file of one synthetic slice of shape (columns, rows, 1) that lies where its host slice lies.

    The header says that the slice is synthetic. The bytes depend only on the input. Header extensions of the host are dropped, because
    they may hold a patient's data; so are its texts.

    Args:
        pixels: (rows, cols), stored numbers (unscaled), in the view of `like`; they are turned back here.
        like: place of the host *image*, also when a label is written, so that image and label get the same geometry. Of a DICOM host the
            header is made from its plane.
        dtype: data type on disk. None keeps the data type, slope and intercept of the host. With any data type given, even
            the host's own, nothing is scaled.
        descrip: free text of the header, at most 79 ASCII characters; SYNTHETIC is put in front where it is missing.
    Raises:
        InputError: the host cannot be read, has no such slice, or has another size.
        ValueError: a pixel does not fit the data type exactly; the caller has to round and clip.
    """
    header, stored = _slice_of(pixels, like, dtype)
    header["descrip"] = (descrip if descrip.startswith(_MARK) else f"{_MARK} {descrip}").encode("ascii", "replace")[:79]
    header["intent_name"], header["aux_file"] = _MARK.encode(), _MARK.encode()
    _empty(header, _OLD_TEXTS)
    return _slice_bytes(header, stored)


def copied_slice(pixels: Shaped[np.ndarray, "rows cols"], like: Place, dtype: DType | None = None, *, keep_texts: bool = True) -> bytes:
    """A NIfTI file with a copy of a slice, or with labels for it, of shape (columns, rows, 1).

    Unlike `slice_like` this does not call a real slice synthetic.

    Args:
        pixels: (rows, cols), stored numbers in the view of `like`.
        keep_texts: whether the texts of the header stay as they are; they may hold a patient's name or a path.
    Raises:
        InputError, ValueError: see `slice_like`.
    """
    header, stored = _slice_of(pixels, like, dtype)
    if not keep_texts:
        _empty(header, (*_TEXTS, *_OLD_TEXTS))
    return _slice_bytes(header, stored)


def zeros_like(path: Path) -> bytes:
    """A .nii.gz file of zeros (uint8) with the shape and the geometry of an image, and without the texts of its header.

    Raises:
        InputError: the image cannot be read.
    """
    header = read_header_as_stored(path)
    _store_unscaled(header, np.uint8)
    _empty(header, (*_TEXTS, *_OLD_TEXTS))
    return gzip_bytes(_slice_bytes(header, np.zeros(header.get_data_shape(), dtype=np.uint8)))


def volume_like(
    stack: Stack,
    voxels: Shaped[np.ndarray, "rows cols slices"],
    dtype: DType | None = None,
    descrip: str = _MARK,
    *,
    kept: range | None = None,
) -> bytes:
    """A .nii.gz file of a synthetic volume that lies where a stack lies, slice for slice. The header says that it is synthetic.

    Args:
        voxels: stored numbers (unscaled) of the whole stack, in its view.
        dtype: data type on disk. None keeps the data type, slope and intercept of the stack's files.
        descrip: free text of the header, at most 79 ASCII characters; SYNTHETIC is put in front where it is missing.
        kept: neighbouring slices of the stack that the file shall hold, at their place; None takes all.
    Raises:
        InputError: the files cannot be read, or have another size; or DICOM slices do not lie on one grid, evenly and without a gap.
        ValueError: the stack was made in memory, or a voxel does not fit the data type exactly.
    """
    header, stored = _cut(*_volume_like(stack, voxels, dtype, without_gaps=True), kept)
    header["descrip"] = (descrip if descrip.startswith(_MARK) else f"{_MARK} {descrip}").encode("ascii", "replace")[:79]
    header["intent_name"], header["aux_file"] = _MARK.encode(), _MARK.encode()
    _empty(header, _OLD_TEXTS)
    return gzip_bytes(_slice_bytes(header, stored))


def volume_fault(stack: Stack) -> str | None:
    """Why one NIfTI file cannot hold a stack that lies where its files lie; None where it can."""
    try:
        _volume_like(stack, stack.labels, np.uint8, without_gaps=True)
    except InputError as fault:
        return str(fault)
    return None


def copied_volume(
    stack: Stack,
    voxels: Shaped[np.ndarray, "rows cols slices"],
    dtype: DType | None = None,
    *,
    kept: range | None = None,
    keep_texts: bool = True,
) -> bytes:
    """A .nii.gz file with a copy of the image of a stack, or with labels for it. Unlike `volume_like` this does not call it synthetic.

    Args:
        kept: see `volume_like`.
        keep_texts: whether the texts of the header stay as they are; they may hold a patient's name or a path.
    Raises:
        InputError, ValueError: see `volume_like`.
    """
    header, stored = _cut(*_volume_like(stack, voxels, dtype, without_gaps=True), kept)
    if not keep_texts:
        _empty(header, (*_TEXTS, *_OLD_TEXTS))
    return gzip_bytes(_slice_bytes(header, stored))


def labels_like(stack: Stack, descrip: str = _MARK) -> bytes:
    """A .nii.gz file of the labels of a stack (uint8), on the grid and at the place of its image file, or of its DICOM slices.

    Where DICOM slices lack, those of the file are empty.

    Raises:
        InputError: the image file cannot be read, or has another size; or DICOM slices do not lie on one grid.
        ValueError: the stack was made in memory.
    """
    header, stored = _volume_like(stack, stack.labels, np.uint8, without_gaps=False)
    header["descrip"] = descrip.encode("ascii", "replace")[:79]
    header["intent_name"], header["aux_file"] = b"", b""
    return gzip_bytes(_slice_bytes(header, stored))


def _volume_like(
    stack: Stack, voxels: Shaped[np.ndarray, "rows cols slices"], dtype: DType | None, *, without_gaps: bool
) -> tuple[nib.Nifti1Header, Shaped[np.ndarray, "columns rows all"]]:
    """Header and voxels of a file that lies where a stack lies; see `volume_like`."""
    if not stack.places:
        raise ValueError(f"{stack.patient}: was made in memory, so no file tells where it lies")
    path = stack.places[0].path
    stored = stack.view.turn_back(voxels).transpose(1, 0, 2)
    if is_dicom(path):
        header, geometry, stored = _on_one_grid(stack, stored, without_gaps=without_gaps)
    else:
        header, geometry = read_header(path)
    if stored.shape != geometry.shape:
        raise InputError(f"{path}: is no longer the image that was read; give the command again")
    disk = geometry.dtype
    if dtype is not None:
        _store_unscaled(header, dtype)
        disk = header.get_data_dtype()
    exact = stored.astype(disk)
    if not np.array_equal(exact, stored, equal_nan=stored.dtype.kind == "f"):
        raise ValueError(f"{path.name}: new voxels from {voxels.min()} to {voxels.max()} do not fit {disk} exactly; round and clip them")
    header["dim"] = [3, *geometry.shape, 1, 1, 1, 1]
    return header, exact


def _on_one_grid(
    stack: Stack, stored: Shaped[np.ndarray, "columns rows slices"], *, without_gaps: bool
) -> tuple[nib.Nifti1Header, Geometry, Shaped[np.ndarray, "columns rows all"]]:
    """Header and voxels of a grid that holds every DICOM slice at its place."""
    frames = [_frame(place) for place in stack.places]
    first, last = frames[0].plane, frames[-1].plane
    step_mm = stack.slice_step_mm or 1.0
    affine = first.affine
    affine[:3, 2] *= step_mm
    count = round(float(np.linalg.norm(np.subtract(last.origin_mm, first.origin_mm))) / step_mm) + 1
    header, geometry = _header_of_frame(frames[0], affine, step_mm, min(count, MAX_SLICES))
    to_voxel = np.linalg.inv(header.get_sform())
    if without_gaps and (geometry.shape[2] != len(frames) or len({(frame.slope, frame.intercept) for frame in frames}) > 1):
        raise InputError(
            f"{first.path}: the slices of {stack.patient} lie apart unevenly, or have slopes of their own, so one NIfTI file cannot "
            "hold the stack; paint its slices one by one, without --stacks"
        )
    whole = np.zeros(geometry.shape, dtype=stored.dtype)
    for index, frame in enumerate(frames):
        rows, columns = frame.plane.shape
        corners = np.array([[0, columns - 1, 0, columns - 1], [0, 0, rows - 1, rows - 1], [0] * 4, [1] * 4], dtype=np.float64)
        away = (to_voxel @ frame.plane.affine @ corners)[:3] - corners[:3]
        number = round(float(away[2].mean()))
        if np.abs(away - [[0], [0], [number]]).max() > ON_GRID or not 0 <= number < geometry.shape[2]:
            raise InputError(
                f"{frame.plane.path}: slice {index} of {stack.patient} is tilted or moved against the others, so one NIfTI file cannot "
                "hold the labels; draw them with a program that writes contours"
            )
        whole[:, :, number] = stored[:, :, index]
    return header, geometry, whole


def stack_files(stack: Stack, *, descrip: str) -> tuple[bytes, bytes]:
    """The two .nii.gz files of a stack made here: the image in its own data type, and the labels (uint8), with one geometry.

    The file axes are (column, row, slice); pixdim and the affine both hold the spacing.

    Args:
        descrip: free text of the header, at most 79 ASCII characters.
    """
    affine = np.diag([stack.spacing_mm[1], stack.spacing_mm[0], stack.slice_step_mm, 1.0])
    image, labels = (gzip_bytes(_nifti_bytes(pixels, affine, descrip)) for pixels in (stack.image, stack.labels.astype(np.uint8)))
    return image, labels


def gzip_bytes(content: bytes) -> bytes:
    """Compress without time stamp or file name, so that the same content gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=6) as stream:
        stream.write(content)
    return buffer.getvalue()


def _slice_of(
    pixels: Shaped[np.ndarray, "rows cols"], like: Place, dtype: DType | None
) -> tuple[nib.Nifti1Header, Shaped[np.ndarray, "file_columns file_rows"]]:
    """Header and voxels of a slice that lies where its host slice lies; see `slice_like`."""
    header, geometry, index = _header_like(like)
    columns, rows, slices = geometry.shape
    in_file_view = like.view.turn_back(pixels)
    if not 0 <= index < slices or in_file_view.shape != (rows, columns):
        raise InputError(
            f"{like.path}: has {slices} slices of {rows} x {columns} (rows x columns), but slice {like.index} of {in_file_view.shape} was "
            "asked for; give the host that the slice was made from"
        )
    disk = geometry.dtype
    if dtype is not None:
        _store_unscaled(header, dtype)
        disk = header.get_data_dtype()
    stored = in_file_view.T.astype(disk)
    if not np.array_equal(stored.T, in_file_view, equal_nan=pixels.dtype.kind == "f"):
        raise ValueError(
            f"{like.path.name}: new pixels from {pixels.min()} to {pixels.max()} do not fit {disk} exactly; round and clip them first"
        )
    _keep_slices(header, geometry.shape, range(index, index + 1))
    return header, stored


def _store_unscaled(header: nib.Nifti1Header, dtype: DType) -> None:
    """Make this the header of numbers of another type, which are the values themselves."""
    header["scl_slope"], header["scl_inter"], header["cal_min"], header["cal_max"] = np.nan, np.nan, 0, 0
    header.set_data_dtype(np.dtype(dtype))


def _header_like(like: Place) -> tuple[nib.Nifti1Header, Geometry, int]:
    """Header, shape and data type of the host's file, and the position of the slice in it; of DICOM, a file of that slice alone."""
    if not is_dicom(like.path):
        return *read_header(like.path), like.index
    frame = _frame(like)
    return *_header_of_frame(frame, frame.plane.affine, frame.step_mm or frame.thickness_mm or 1.0, 1), 0


def _frame(place: Place) -> Frame:
    frames = frames_of(place.path)
    if not 0 <= place.index < len(frames):
        raise InputError(f"{place.path}: has {len(frames)} frames, but frame {place.index} was asked for; give the host of the slice")
    return frames[place.index]


def _header_of_frame(frame: Frame, affine: Float[np.ndarray, "4 4"], step_mm: float, slices: int) -> tuple[nib.Nifti1Header, Geometry]:
    """A NIfTI header that places slices where a DICOM frame lies, and beyond it along the third axis of `affine`.

    The directions are made exactly perpendicular: DICOM states them with few digits, and NIfTI programs refuse what is not.
    """
    dtype = frame.storage.dtype
    (rows, columns), (down, across) = frame.plane.shape, frame.plane.spacing_mm
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    placed = affine.copy()
    placed[:3, :3] = left @ right * (across, down, step_mm)
    header = nib.Nifti1Header()
    header.set_data_shape((columns, rows, slices))
    header.set_data_dtype(dtype)
    header.set_xyzt_units("mm")
    header.set_zooms((across, down, step_mm))
    header.set_qform(placed, code=1)
    header.set_sform(placed, code=1)
    header["scl_slope"], header["scl_inter"] = frame.slope, frame.intercept
    geometry = Geometry(axes=(0, 1, 2), shape=(columns, rows, slices), dtype=dtype, pixel_mm=(across, down, step_mm))
    return header, geometry


def _cut(
    header: nib.Nifti1Header, stored: Shaped[np.ndarray, "columns rows all"], kept: range | None
) -> tuple[nib.Nifti1Header, Shaped[np.ndarray, "columns rows slices"]]:
    """Header and voxels of some neighbouring slices, or of all."""
    if kept is None:
        return header, stored
    columns, rows, slices = stored.shape
    if not (kept.step == 1 and 0 <= kept.start < kept.stop <= slices):
        raise ValueError(f"{kept} are no neighbouring slices of {slices}")
    _keep_slices(header, (columns, rows, slices), kept)
    return header, stored[:, :, kept.start : kept.stop]


def _keep_slices(header: nib.Nifti1Header, shape: tuple[int, int, int], kept: range) -> None:
    """Make this the header of some slices: only the origin moves, every other number of the geometry stays."""
    affine = affine_of(header, shape)
    origin = affine @ (0.0, 0.0, float(kept.start), 1.0)
    quaternion_origin = header.get_qform() @ (0.0, 0.0, float(kept.start), 1.0) if int(header["qform_code"]) > 0 else None
    header["dim"] = [3, shape[0], shape[1], len(kept), 1, 1, 1, 1]
    if quaternion_origin is not None:
        for key, value in zip(("qoffset_x", "qoffset_y", "qoffset_z"), quaternion_origin, strict=False):
            header[key] = value
    if int(header["sform_code"]) > 0 or quaternion_origin is None:
        # A host with neither code is placed by its shape, which has just changed: only an sform keeps the slices in their place.
        header["sform_code"] = int(header["sform_code"]) or 2
        for i, key in enumerate(("srow_x", "srow_y", "srow_z")):
            header[key] = [*affine[i, :3], origin[i]]


def _empty(header: nib.Nifti1Header, names: tuple[str, ...]) -> None:
    for name in names:
        if name in header:
            header[name] = b""


def _slice_bytes(header: nib.Nifti1Header, stored: Shaped[np.ndarray, "columns rows *slices"]) -> bytes:
    start = header.sizeof_hdr + 4
    header["vox_offset"] = start
    return bytes(header.binaryblock.ljust(start, b"\0") + stored.tobytes(order="F"))


def _nifti_bytes(pixels: Shaped[np.ndarray, "rows cols slices"], affine: Float[np.ndarray, "4 4"], descrip: str) -> bytes:
    image = nib.Nifti1Image(np.ascontiguousarray(pixels.transpose(1, 0, 2)), affine, dtype=pixels.dtype)
    image.header["descrip"] = descrip.encode("ascii", "replace")[:79]
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    return bytes(image.to_bytes())
