"""The orientation of a cohort, kept beside a run, so that continuing or reading the run does not estimate it again.

An entry is keyed by everything that decides it: pixels, labels, spacing and what the user said about the stack. A stack that changed in any
of these is simply not found, and its orientation is estimated anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lgesynthnet import __version__
from lgesynthnet.anatomy.orientation import OrderSource, StackOrder, assign_levels
from lgesynthnet.files.writing import write_json
from lgesynthnet.hosts.locate import LocatedStack, locate_stack
from lgesynthnet.records import Insertions, Source, Stack

SIZE_LIMIT = 64 * 2**20  # bytes; 10,000 patients need less than a tenth of it


class OrientationCache:
    """Orientation of stacks by their content. A file that cannot be read is an empty cache: it only saves time."""

    def __init__(self, path: Path | None = None) -> None:
        self._entries: dict[str, Any] = _read(path) if path is not None else {}
        self._used: dict[str, Any] = {}

    def locate(self, stack: Stack) -> LocatedStack:
        """The same as `locate_stack`, from the cache where the stack is known."""
        key = _key(stack)
        located = _restored(stack, self._entries.get(key))
        if located is None:
            located = locate_stack(stack)
        self._used[key] = _record(located)
        return located

    def save(self, path: Path) -> None:
        """Write the entries that were used.

        Raises:
            RunError: the file cannot be written.
        """
        write_json(path, {"version": __version__, "stacks": self._used})


def _key(stack: Stack) -> str:
    content = hashlib.sha256()
    about = (stack.image.dtype.str, stack.image.shape, stack.spacing_mm, stack.slice_step_mm, stack.base_first)
    content.update(repr((*about, sorted(stack.insertions_deg.items()))).encode())
    for voxels in (stack.image, stack.labels):
        content.update(voxels.tobytes())
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


def _restored(stack: Stack, entry: Any) -> LocatedStack | None:
    try:
        base_first, confidence, source = entry["order"]
        order = StackOrder(base_first=bool(base_first), confidence=float(confidence), source=OrderSource(source))
        insertions = [
            None
            if place is None
            else Insertions(anterior_deg=float(place[0]), inferior_deg=float(place[1]), source=Source(place[2]), confidence=float(place[3]))
            for place in entry["insertions"]
        ]
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    if len(insertions) != len(stack):
        return None
    return LocatedStack(stack=stack, order=order, levels=assign_levels(stack, order), insertions=insertions)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or content.get("version") != __version__ or not isinstance(content.get("stacks"), dict):
        return {}
    return dict(content["stacks"])
