"""Read contour and mask files of one patient into labels on given slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lgesynthnet.data.contours.names import ContourNames
from lgesynthnet.data.planes import SlicePlane


@dataclass(frozen=True, kw_only=True)
class ContourLabels:
    """Labels of a stack of slices as contours and masks draw them.

    Attributes:
        labels: (rows, columns, slices), values of `Label`, in the orientation of the stored slices and in their order.
        notes: what was done or noticed, one sentence each.
    """

    labels: UInt8[np.ndarray, "rows columns slices"]
    notes: tuple[str, ...]


def read_contour_labels(paths: Sequence[Path], planes: Sequence[SlicePlane], names: ContourNames | None = None) -> ContourLabels:
    """Read contours and masks in any of the five formats, each found by the content of the file, into one label array.

    Args:
        paths: files of one patient; each may hold other contours of it.
        planes: the stored slices, in the order that the labels will have; all have one shape.
        names: what the names in the files mean; None takes the usual names.
    Raises:
        InputError: a file cannot be used, nothing in the files belongs to these slices, or no cavity or no wall is drawn.
    """
    raise NotImplementedError
