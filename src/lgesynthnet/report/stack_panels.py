"""Pictures of a painted stack for the report: its slices from base to apex, each as host, as result, and with the masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from lgesynthnet.anatomy.aha import level_at
from lgesynthnet.anatomy.orientation import OrderSource, StackOrder, assign_levels, find_positions, order_stack
from lgesynthnet.data.declaration import read_declaration
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.stack import read_stack
from lgesynthnet.data.view import view_of
from lgesynthnet.errors import InputError
from lgesynthnet.records import Image, Label, Labels, Level, Stack, scar_of
from lgesynthnet.report.html import data_uri
from lgesynthnet.report.panels import (
    HOST,
    INTENDED_RGB,
    NO_REFLOW_RGB,
    READ_RGB,
    Panel,
    Window,
    dicom_image,
    enlarged,
    grey,
    heart_window,
    outline,
    png_bytes,
)
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.sample_files import INTENDED, LABELS, READ, REMOVED
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.stack_row import StackRow

SIDE_PX, MARGIN_MM = 144, 9.0  # some ten slices stand side by side, so that there is less room than for one
REMOVED_RGB = (96, 165, 250)
READ_OPACITY = 0.45
RESULT, MASKS = "result", "masks"
ORDERS = tuple(StackOrder(base_first=base_first, confidence=1.0, source=OrderSource.GIVEN) for base_first in (True, False))

Voxels = Shaped[np.ndarray, "rows cols slices"]


@dataclass(frozen=True, kw_only=True)
class SlicePanels:
    """The pictures of one slice of the heart, one above the other.

    Attributes:
        index: of the slice in the file.
        row: what was painted; None where the slice was left as it is.
        panels: host, result, and the result with the masks where something was painted. The host is missing where its file is.
    """

    index: int
    level: Level
    row: SampleRow | None
    panels: list[Panel]


def stack_panels(run: RunFolder, row: StackRow) -> list[SlicePanels]:
    """The slices of a painted heart from base to apex, whichever end its file begins with; none where its files cannot be read.

    All pictures share one grey scale and one square in millimetres.
    """
    if not row.file:
        return []
    flip = run.plan.request.hosts.mirrored
    of_host = [slice_row for slice_row in run.rows if slice_row.host == row.host]
    painted = {slice_row.slice_index: slice_row for slice_row in of_host if slice_row.stack == row.id}
    try:
        stack = read_stack(
            run.image(row), run.part(row, LABELS), row.host, LABEL_MAPS["lgesynthnet"], base_first=_stated_order(run), flip=flip
        )
        masks = {part: _volume(run.part(row, part), flip).astype(np.uint8) for part in (INTENDED, READ, REMOVED) if part in run.parts}
    except InputError:
        return []
    if any(mask.shape != stack.labels.shape for mask in masks.values()):
        return []
    host = _host_volume(run.host_files.get(row.host), flip, run.plan.request.hosts.series)
    host = host if host is not None and host.shape == stack.image.shape else None
    shown = [stack.image] if host is None else [host, stack.image]
    window = heart_window(shown, stack.labels, stack.spacing_mm, side_px=SIDE_PX, margin_mm=MARGIN_MM)
    positions = find_positions(stack, find_order(stack, of_host))
    from_base = sorted((position, index) for index, position in enumerate(positions) if position is not None)
    return [
        SlicePanels(
            index=index,
            level=level_at(position),
            row=painted.get(index),
            panels=_draw(
                window,
                None if host is None else host[:, :, index],
                stack.image[:, :, index],
                {part: mask[:, :, index] for part, mask in masks.items()} if index in painted else {},
            ),
        )
        for position, index in from_base
    ]


def find_order(stack: Stack, rows: Iterable[SampleRow]) -> StackOrder:
    """Which end of a host is the base: the order that gives its painted slices the levels that the run found.

    Where these slices all lie at mid level, either order does. Then what the user stated decides, or the affine, or the areas of the heart,
    as in the run.
    """
    seen = [(row.slice_index, row.level) for row in rows if row.slice_index < len(stack)]
    fitting = []
    for order in ORDERS:
        levels = assign_levels(stack, order)
        if all(levels[index] is level for index, level in seen):
            fitting.append(order)
    return fitting[0] if len(fitting) == 1 else order_stack(stack)


def _stated_order(run: RunFolder) -> bool | None:
    """Whether slice 0 of the hosts is the base, as the command or the folder of the hosts says; None where neither does."""
    hosts = run.plan.request.hosts
    if hosts.base_first is not None:
        return hosts.base_first
    try:
        return read_declaration(hosts.root if hosts.root.is_dir() else hosts.root.parent).base_first
    except InputError:
        return None


def _draw(window: Window, before: Image | None, after: Image, masks: Mapping[str, Labels]) -> list[Panel]:
    pictures = {} if before is None else {HOST: grey(before, window)}
    pictures[RESULT] = grey(after, window)
    if masks:
        pictures[MASKS] = _with_masks(after, masks, window)
    return [Panel(title=title, src=data_uri(png_bytes(picture), "png")) for title, picture in pictures.items()]


def _with_masks(image: Image, masks: Mapping[str, Labels], window: Window) -> UInt8[np.ndarray, "height width 3"]:
    """The scar that the filter read as a tint, so that an intended scar of the same shape does not hide it; all else as lines."""
    picture = np.repeat(grey(image, window)[:, :, None], 3, axis=2)
    read = enlarged((masks[READ] > 0).astype(np.uint8), window) > 0
    picture[read] = np.round((1 - READ_OPACITY) * picture[read] + READ_OPACITY * np.array(READ_RGB)).astype(np.uint8)
    lines = [(scar_of(masks[INTENDED]), INTENDED_RGB), (masks[INTENDED] == Label.NO_REFLOW, NO_REFLOW_RGB)]
    if REMOVED in masks:
        lines.insert(0, (masks[REMOVED] > 0, REMOVED_RGB))
    for mask, colour in lines:
        picture[outline(mask, window, width=2)] = colour
    return picture


def _volume(path: Path, flip: tuple[bool, bool] | None) -> Voxels:
    """The voxels of a file in the radiological view.

    Raises:
        InputError: the file is missing or damaged.
    """
    volume = read_volume(path)
    return np.asarray(view_of(volume.affine, flip).turn(volume.stored.transpose(1, 0, 2)))


def _host_volume(files: CaseFiles | None, flip: tuple[bool, bool] | None, series: str | None) -> Voxels | None:
    """The same for a host, which may be DICOM; None where its files are missing or damaged."""
    if files is None:
        return None
    try:
        if files.dicom is None:
            return _volume(files.image_path, flip)
        image = dicom_image(files.dicom, files.series or series)
    except InputError:
        return None
    return np.asarray(view_of(image.planes[0].affine, flip).turn(image.stored))
