"""Outlines with sub-pixel coordinates to masks: a pixel is covered if at least half of its area is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from lgesynthnet.data.contours.drawings import Outline
from lgesynthnet.errors import InputError
from lgesynthnet.records import Mask

FINE = 8  # sub-pixels along each side of a pixel; their centres never lie on whole, half or quarter pixels, where programs put points
MAX_CROSSINGS = 2**22  # of an outline with the rows of sub-pixels; the outline of a heart has some thousands
BAND_ROWS = 64  # rows of pixels that are filled at a time


def fill(outlines: Sequence[Outline], shape: tuple[int, int], place: str) -> Mask:
    """(rows, columns) the pixels of which at least half the area lies inside an odd number of the outlines.

    Even-odd filling along rows of sub-pixels, 8 x 8 to a pixel, so areas are right to within some hundredths of a pixel.

    Args:
        outlines: each (points, 2), (row, column), pixel centres at whole numbers; the last point is joined to the first.
        place: file and name, which begin the error message.
    Raises:
        InputError: an outline crosses the image so often that it is no contour.
    """
    rows, columns = shape
    mask = np.zeros(shape, dtype=bool)
    fine = [(np.asarray(points, dtype=np.float64) + 0.5) * FINE - 0.5 for points in outlines if len(points) >= 3]  # in sub-pixels
    if not fine:
        return mask
    first_crossings, counts = zip(*(_rows_crossed(points, rows * FINE) for points in fine), strict=True)
    if sum(int(count.sum()) for count in counts) > MAX_CROSSINGS:
        raise InputError(f"{place}: an outline runs to and fro across the image too often for a contour; draw it again")
    crossings = [_crossings(points, first, count) for points, first, count in zip(fine, first_crossings, counts, strict=True)]
    at_rows, at_columns = (np.concatenate(parts) for parts in zip(*crossings, strict=True))
    if at_rows.size == 0:
        return mask
    first_column = max(0, math.floor(at_columns.min()) // FINE)
    last_column = min(columns, math.ceil(at_columns.max()) // FINE + 1)
    if first_column >= last_column:
        return mask
    width = (last_column - first_column) * FINE
    starts = np.clip(np.ceil(at_columns) - first_column * FINE, 0, width).astype(np.int64)  # the first sub-pixel right of each crossing
    for top in range(int(at_rows.min()) // FINE, int(at_rows.max()) // FINE + 1, BAND_ROWS):
        height = min(BAND_ROWS, rows - top)
        toggles: UInt8[np.ndarray, "fine_rows fine_columns"] = np.zeros((height * FINE, width + 1), dtype=np.uint8)
        here = (at_rows >= top * FINE) & (at_rows < (top + height) * FINE)
        np.add.at(toggles, (at_rows[here] - top * FINE, starts[here]), 1)  # only the parity counts, so wrapping at 256 does not matter
        inside = np.bitwise_and(np.cumsum(toggles, axis=1, dtype=np.uint8)[:, :width], 1)
        share = inside.reshape(height, FINE, -1, FINE).sum(axis=(1, 3), dtype=np.int64)
        mask[top : top + height, first_column:last_column] = 2 * share >= FINE * FINE
    return mask


def _rows_crossed(points: Float[np.ndarray, "points 2"], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """For each edge, the first row of sub-pixels that it crosses, and the number of them."""
    start, end = points[:, 0], np.roll(points[:, 0], -1)
    low, high = np.minimum(start, end), np.maximum(start, end)
    first = np.clip(np.ceil(low), 0, rows).astype(np.int64)  # an edge crosses the rows in [low, high)
    stop = np.clip(np.ceil(high), 0, rows).astype(np.int64)
    return first, stop - first


def _crossings(points: Float[np.ndarray, "points 2"], first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row, and position along the row, of each crossing of an edge with a row of sub-pixels."""
    edge = np.repeat(np.arange(len(points)), count)
    rows = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    start, end = points, np.roll(points, -1, axis=0)
    along = (rows - start[edge, 0]) / (end[edge, 0] - start[edge, 0])
    return rows, start[edge, 1] + along * (end[edge, 1] - start[edge, 1])
