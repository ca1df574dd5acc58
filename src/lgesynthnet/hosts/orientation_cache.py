"""The orientation of a cohort, kept beside a run, so that continuing or reading the run does not estimate it again.

An entry is keyed by everything that decides it: pixels, labels, spacing and what the user said about the stack. A stack that changed in any
of these is simply not found, and its orientation is estimated anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from lgesynthnet import __version__
from lgesynthnet.anatomy.orientation import OrderSource, StackOrder, assign_levels
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import checked, read_json
from lgesynthnet.files.writing import write_json
from lgesynthnet.hosts.locate import LocatedStack, locate_stack
from lgesynthnet.records import Insertions, Source, Stack

_Degrees = Annotated[float, Field(ge=-720, le=720)]
_Confidence = Annotated[float, Field(ge=0, le=1)]


class _Entry(BaseModel):
    """One stack: (base first, confidence, source), and for each slice (anterior, inferior, source, confidence)."""

    order: tuple[bool, _Confidence, OrderSource]
    insertions: list[tuple[_Degrees, _Degrees, Source, _Confidence] | None]


class _File(BaseModel):
    version: str
    stacks: dict[str, _Entry]


class OrientationCache:
    """Orientation of stacks by their content. A file that cannot be read is an empty cache: it only saves time."""

    def __init__(self, path: Path | None = None) -> None:
        self._entries = _read(path) if path is not None else {}
        self._used: dict[str, Any] = {}

    def locate(self, stack: Stack, content: str) -> LocatedStack:
        """The same as `locate_stack`, from the cache where the stack is known.

        Args:
            content: hash of the stack, see `content_of`.
        """
        located = _restored(stack, self._entries.get(content))
        if located is None:
            located = locate_stack(stack)
        self._used[content] = _record(located)
        return located

    def save(self, path: Path) -> None:
        """Write the entries that were used.

        Raises:
            RunError: the file cannot be written.
        """
        write_json(path, {"version": __version__, "stacks": self._used})


def content_of(stack: Stack) -> str:
    """Hash of everything that was read of a stack. Nothing in it is computed, so it is the same on every processor."""
    content = hashlib.sha256()
    view = stack.view
    about = (stack.image.dtype.str, stack.image.shape, stack.spacing_mm, stack.slice_step_mm, stack.base_first)
    turned = (view.flip_rows, view.flip_columns)
    content.update(repr((*about, turned, sorted(stack.insertions_deg.items()))).encode())
    if view.transpose or stack.base_first_by_affine is not None:  # not for files without a position, whose hashes stand in older runs
        content.update(repr((view.transpose, stack.base_first_by_affine)).encode())
    for voxels in (stack.image, stack.labels):
        content.update(np.ascontiguousarray(voxels).data)
    return content.hexdigest()


def _record(located: LocatedStack) -> dict[str, Any]:
    order = located.order
    return {
        "order": [order.base_first, order.confidence, order.source.value],
        "insertions": [
            None if place is None else [place.anterior_deg, place.inferior_deg, place.source.value, place.confidence]
            for place in located.insertions
        ],
    }


def _restored(stack: Stack, entry: _Entry | None) -> LocatedStack | None:
    if entry is None or len(entry.insertions) != len(stack):
        return None
    base_first, confidence, source = entry.order
    order = StackOrder(base_first=base_first, confidence=confidence, source=source)
    insertions = [
        None if place is None else Insertions(anterior_deg=place[0], inferior_deg=place[1], source=place[2], confidence=place[3])
        for place in entry.insertions
    ]
    return LocatedStack(stack=stack, order=order, levels=assign_levels(stack, order), insertions=insertions)


def _read(path: Path) -> dict[str, _Entry]:
    try:
        file = checked(_File, read_json(path), str(path))
    except InputError:
        return {}
    return file.stacks if file.version == __version__ else {}
