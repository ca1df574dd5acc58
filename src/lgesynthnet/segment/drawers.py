"""What draws into an image: the shipped heart segmenter (cavity and wall), or a segmenter of the user's own (scar, too)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.layouts.content import CaseFiles
from lgesynthnet.errors import InputError
from lgesynthnet.model_store import notice_licence, part_folder, require_complete, shipped_or_path
from lgesynthnet.records import Label, Stack, without_scar
from lgesynthnet.segment.request import SegmentRequest
from lgesynthnet.segment.walls import KnownWalls, open_walls
from lgesynthnet.segmenter.downstream import ROLE, DownstreamSegmenter, shipped_finder
from lgesynthnet.segmenter.heart import HeartSegmenter
from lgesynthnet.segmenter.operating_points import require_point
from lgesynthnet.terms import WallFrom

RESEARCH_ONLY = "research software, not for diagnosis"


@runtime_checkable
class Drawer(Protocol):
    """Draws labels into the images of a cohort.

    Attributes:
        fingerprint: of the network that draws.
        draws_scar: whether scar is drawn.
        title: of the page of pictures.
        least_area_mm2: from which expected area of scar on it draws scar in a slice; None where it draws none.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def draws_scar(self) -> bool: ...

    @property
    def title(self) -> str: ...

    @property
    def least_area_mm2(self) -> float | None: ...

    def draw(self, images: Cohort, files: CaseFiles) -> Stack:
        """The stack of one patient with the drawn labels.

        Raises:
            InputError: the image cannot be read, or nothing can be drawn.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class HeartDrawer:
    """Cavity and wall; a scar is drawn as wall."""

    segmenter: HeartSegmenter
    draws_scar: bool = False
    title: str = "Cavity and wall as a network drew them"
    least_area_mm2: float | None = None

    @property
    def fingerprint(self) -> str:
        return self.segmenter.fingerprint

    def draw(self, images: Cohort, files: CaseFiles) -> Stack:
        return draw_heart(images.read_image(files), self.segmenter)


@dataclass(frozen=True, kw_only=True)
class ScarDrawer:
    """Cavity, wall, scar and no-reflow; with known walls, cavity and wall are the given ones."""

    segmenter: DownstreamSegmenter
    walls: KnownWalls | None
    draws_scar: bool = True
    title: str = f"Cavity, wall and scar as a network drew them; {RESEARCH_ONLY}"

    @property
    def fingerprint(self) -> str:
        return self.segmenter.fingerprint

    @property
    def least_area_mm2(self) -> float | None:
        return self.segmenter.least_area_mm2

    def draw(self, images: Cohort, files: CaseFiles) -> Stack:
        stack = images.read_image(files) if self.walls is None else self.walls.read(files)
        known = None if self.walls is None else stack.labels
        try:
            drawn = self.segmenter.read_stack(stack.image, stack.spacing_mm, known)
        except InputError as fault:
            raise InputError(f"{files.image_path}: {fault}") from None
        # The crop cuts the RV off, so it is no label that anybody could use.
        return replace(stack, labels=np.where(drawn == Label.RV, Label.BACKGROUND, drawn).astype(np.uint8))


def open_drawer(request: SegmentRequest, images: Cohort) -> Drawer:
    """What the request draws with.

    Raises:
        ModelError: the model is missing, unfinished, damaged, or of another kind.
        InputError: the model has no such operating point; it needs a wall that is not given, or the reverse; or the wall is unusable.
    """
    if request.model is None:
        return HeartDrawer(segmenter=shipped_finder())
    kind = WallFrom.CROP if request.wall is None else WallFrom.KNOWN_WALL
    require_complete(shipped_or_path(request.model))
    folder = part_folder(request.model, f"{ROLE}-{kind}")
    segmenter = DownstreamSegmenter.from_pretrained(folder)
    if (segmenter.wall_from is WallFrom.KNOWN_WALL) is not (kind is WallFrom.KNOWN_WALL):
        raise _wrong_wall(request, segmenter.wall_from)
    notice_licence(folder)
    if request.false_positive_rate is not None:
        segmenter.least_area_mm2 = require_point(segmenter, request.false_positive_rate, place=str(request.model)).least_area_mm2
    return ScarDrawer(segmenter=segmenter, walls=None if request.wall is None else open_walls(request, images))


def draw_heart(stack: Stack, segmenter: HeartSegmenter) -> Stack:
    """The stack with the cavity and the wall that the network draws; slices without any signal stay empty.

    Raises:
        InputError: every slice is flat.
    """
    if not np.ptp(stack.image, axis=(0, 1)).any():
        raise InputError(f"{stack.patient}: every slice of its image is flat; leave the patient out")
    return replace(stack, labels=without_scar(segmenter.read_filled(stack.image, stack.spacing_mm)))


def _wrong_wall(request: SegmentRequest, kind: WallFrom) -> InputError:
    if kind is WallFrom.KNOWN_WALL:
        return InputError(
            f"--model {request.model}: was trained with --wall-from {kind}, so it must be given cavity and wall; add --wall with their "
            f"labels or contours, or train one with --wall-from {WallFrom.CROP}"
        )
    return InputError(
        f"--wall {request.wall}: {request.model} was trained with --wall-from {kind} and finds the wall itself; leave --wall out, or train "
        f"one with --wall-from {WallFrom.KNOWN_WALL}"
    )
