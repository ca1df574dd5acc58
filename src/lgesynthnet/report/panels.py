"""Pictures of one sample for the report, cropped to the heart: host and result with the same grey scale, masks as contours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from PIL import Image as Picture
from scipy import ndimage

from lgesynthnet.data.dicom.reading import DicomImage, read_dicom_image
from lgesynthnet.data.dicom.scanning import DicomSource
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.view import view_of
from lgesynthnet.errors import InputError
from lgesynthnet.records import Image, Label, Labels, Mask, scar_of, wall_of
from lgesynthnet.report.html import data_uri
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_files import IMAGES, INTENDED, LABELS, READ
from lgesynthnet.run.sample_row import SampleRow

MARGIN_MM = 18.0  # margin round the epicardium; wide enough to show the RV and the edge of the hidden region
SIDE_PX = 216
HOST = "host"
WINDOW = (1.0, 99.8)  # percentiles of the heart in host and result that become black and white; fat may saturate
INTENDED_RGB, READ_RGB, NO_REFLOW_RGB = (255, 176, 0), (0, 229, 160), (255, 64, 160)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A picture with its title; `src` is a PNG as a `data:` address."""

    title: str
    src: str


@dataclass(frozen=True, kw_only=True)
class Window:
    """The part of an image that is shown, and its grey scale.

    Attributes:
        rows, cols: the part, in pixels.
        zoom: screen pixels for one image pixel, as (row, column).
        black, white: stored numbers that become black and white.
    """

    rows: slice
    cols: slice
    zoom: tuple[float, float]
    black: float
    white: float


def sample_panels(run: RunFolder, row: SampleRow) -> list[Panel]:
    """Host, intended mask, result, and the mask that the filter read, in this order. A picture whose file is missing is left out."""
    if not row.file:
        return []
    flip = run.plan.request.hosts.mirrored
    result, labels, mask, read = (_pixels(run.part(row, part), run.index_in_file(row), flip) for part in (IMAGES, LABELS, INTENDED, READ))
    if result is None or labels is None or mask is None or not result[0].shape == labels[0].shape == mask[0].shape:
        return []
    painted, spacing_mm = result
    heart, intended = labels[0].astype(np.uint8), mask[0].astype(np.uint8)
    files = run.host_files.get(row.host)
    host = _host_pixels(files, row.slice_index, flip, run.plan.request.hosts.series) if files is not None else None
    before = host[0] if host is not None and host[0].shape == painted.shape else None
    window = heart_window([painted] if before is None else [before, painted], heart, spacing_mm)
    return list(_draw_panels(window, before, painted, intended, None if read is None else read[0].astype(np.uint8)))


def _draw_panels(window: Window, before: Image | None, painted: Image, intended: Labels, read: Labels | None) -> Iterator[Panel]:
    if before is not None:
        yield Panel(title=HOST, src=_png(grey(before, window)))
    title = "intended mask" if before is not None else "intended mask, on the result"
    yield Panel(title=title, src=_png(_with_contours(painted if before is None else before, intended, window, INTENDED_RGB)))
    yield Panel(title="result", src=_png(grey(painted, window)))
    if read is not None and read.shape == painted.shape:
        yield Panel(title="mask read by the filter", src=_png(_with_contours(painted, read, window, READ_RGB)))


def grey(image: Image, window: Window) -> UInt8[np.ndarray, "height width"]:
    """The cropped image at the size of the picture, 0 to 255."""
    crop = np.nan_to_num(image[window.rows, window.cols].astype(np.float64), nan=window.black)
    unit = np.clip((crop - window.black) / (window.white - window.black), 0, 1)
    return np.asarray(ndimage.zoom(unit, window.zoom, order=1, mode="nearest", grid_mode=True) * 255).round().astype(np.uint8)


def _with_contours(image: Image, labels: Labels, window: Window, colour: tuple[int, int, int]) -> UInt8[np.ndarray, "height width 3"]:
    picture = np.repeat(grey(image, window)[:, :, None], 3, axis=2)
    for mask, rgb in ((scar_of(labels), colour), (labels == Label.NO_REFLOW, NO_REFLOW_RGB)):
        picture[outline(mask, window, width=2)] = rgb
    return picture


def enlarged(values: Shaped[np.ndarray, "rows cols"], window: Window) -> Shaped[np.ndarray, "height width"]:
    """A cropped mask or labels at the size of the picture. Nothing is smoothed: the pixel steps are those of the label."""
    return np.asarray(ndimage.zoom(values[window.rows, window.cols], window.zoom, order=0, mode="nearest", grid_mode=True))


def outline(mask: Mask, window: Window, *, width: int) -> Bool[np.ndarray, "height width"]:
    """A line along the inside of a mask, `width` screen pixels wide."""
    large = enlarged(mask.astype(np.uint8), window).astype(bool)
    return np.asarray(large & ~ndimage.binary_erosion(large, iterations=width, border_value=1))


def heart_window(
    images: list[Shaped[np.ndarray, "rows cols *slices"]],
    labels: UInt8[np.ndarray, "rows cols *slices"],
    spacing_mm: tuple[float, float],
    *,
    side_px: int = SIDE_PX,
    margin_mm: float = MARGIN_MM,
) -> Window:
    """A square in millimetres round the left ventricle; the whole image if the labels have no left ventricle.

    Of a whole stack, the square and the grey scale suit every slice.

    Args:
        spacing_mm: pixel size as (row, column).
        side_px: side of the square on the screen.
        margin_mm: by which the square reaches beyond the epicardium on its longer side.
    """
    heart = labels != Label.BACKGROUND
    ventricle = wall_of(labels) | (labels == Label.CAVITY)
    if not ventricle.any():
        heart = ventricle = np.ones_like(ventricle)
    seen = ventricle.any(axis=tuple(range(2, ventricle.ndim)))
    bounds = ndimage.find_objects(seen.astype(np.uint8))[0]
    sides_mm = [(b.stop - b.start) * mm for b, mm in zip(bounds, spacing_mm, strict=True)]
    half_mm = max(sides_mm) / 2 + margin_mm
    box = []
    for bound, mm, size in zip(bounds, spacing_mm, seen.shape, strict=True):
        middle, half = (bound.start + bound.stop) / 2, half_mm / mm
        box.append(slice(max(0, round(middle - half)), min(size, round(middle + half))))
    per_mm = side_px / (2 * half_mm)
    values = np.concatenate([image[heart].astype(np.float64) for image in images])
    values = values[np.isfinite(values)]
    black, white = (float(v) for v in np.percentile(values, WINDOW)) if values.size else (0.0, 1.0)
    zoom = (per_mm * spacing_mm[0], per_mm * spacing_mm[1])
    return Window(rows=box[0], cols=box[1], zoom=zoom, black=black, white=white if white > black else black + 1.0)


def png_bytes(picture: UInt8[np.ndarray, "height width *channels"], *, colours: int = 128) -> bytes:
    """A PNG file. A palette makes it a third as large, and the contours keep their colours."""
    image = Picture.fromarray(picture)
    if image.mode == "RGB":
        image = image.quantize(colours, method=Picture.Quantize.MAXCOVERAGE)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _png(picture: UInt8[np.ndarray, "height width *channels"]) -> str:
    return data_uri(png_bytes(picture), "png")


def _pixels(path: Path, index: int, flip: tuple[bool, bool] | None) -> tuple[Shaped[np.ndarray, "rows cols"], tuple[float, float]] | None:
    """One slice in the radiological view, and its pixel size in mm as (row, column); None if the file is missing or damaged."""
    try:
        stored, spacing_mm, affine = _stored(path, index, path.stat().st_mtime_ns)
    except (InputError, OSError):
        return None
    view = view_of(affine, flip)
    return (view.turn(stored), view.turn_lengths(spacing_mm)) if stored.size else None


def _host_pixels(
    files: CaseFiles, index: int, flip: tuple[bool, bool] | None, series: str | None
) -> tuple[Shaped[np.ndarray, "rows cols"], tuple[float, float]] | None:
    """The same for a slice of a host, which may be DICOM."""
    if files.dicom is None:
        return _pixels(files.image_path, index, flip)
    try:
        image = dicom_image(files.dicom, files.series or series)
    except InputError:
        return None
    if not 0 <= index < len(image.planes):
        return None
    view = view_of(image.planes[0].affine, flip)
    return view.turn(image.stored[:, :, index]), view.turn_lengths(image.planes[0].spacing_mm)


@lru_cache(maxsize=2)
def dicom_image(source: DicomSource, series: str | None) -> DicomImage:
    """`read_dicom_image`, which keeps the last images."""
    return read_dicom_image(source, series)


@lru_cache(maxsize=4)  # consecutive samples often share a host slice
def _stored(path: Path, index: int, stamp: int) -> tuple[Shaped[np.ndarray, "rows cols"], tuple[float, float], Float[np.ndarray, "4 4"]]:
    """One slice in the orientation of the file, its pixel size and the affine; an empty array if the file has no such slice.

    `stamp`, the modification time, keeps the cache from returning the content of a replaced file.
    """
    volume = read_volume(path)
    exists = 0 <= index < volume.stored.shape[2]
    pixels = volume.stored[:, :, index].T.copy() if exists else np.empty((0, 0), volume.stored.dtype)
    return pixels, (volume.pixel_mm[1], volume.pixel_mm[0]), volume.affine
