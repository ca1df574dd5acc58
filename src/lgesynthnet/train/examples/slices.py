"""A cohort as training examples of the segmenter: whole slices on the 1.5 mm grid, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8
from safetensors.numpy import save

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError
from lgesynthnet.files import write_bytes
from lgesynthnet.records import Label, Labels, Skipped, Stack, scar_of
from lgesynthnet.segmenter.heart import CLASSES, grey, to_grid
from lgesynthnet.train.examples.files import read_prepared, refuse_other_data, source_of

CANVAS = 224  # 336 mm; larger images lose their margin, smaller ones are padded


@dataclass(frozen=True, kw_only=True)
class SliceDataset:
    """Whole slices on a canvas of 224 x 224 pixels of 1.5 mm.

    Attributes:
        image: (n, 224, 224) grey values 1 to 255 between two percentiles, 0 is padding.
        labels: (n, 224, 224) of `Label`.
        centre: (n, 2) row and column of the LV, of the image where there is none.
        has_rv: (n,) whether the patient's RV is labelled; where it is not, background may be RV.
        patients: n names.
        source: the cohort's folder, and which patients of it.
    """

    image: UInt8[np.ndarray, "n 224 224"]
    labels: UInt8[np.ndarray, "n 224 224"]
    centre: Float32[np.ndarray, "n 2"]
    has_rv: Bool[np.ndarray, " n"]
    patients: list[str]
    source: str

    def __len__(self) -> int:
        return len(self.patients)

    def taken(self, index: Int[np.ndarray, " m"]) -> SliceDataset:
        """Some of the slices, in the order given; one may be taken more than once."""
        return SliceDataset(
            image=self.image[index],
            labels=self.labels[index],
            centre=self.centre[index],
            has_rv=self.has_rv[index],
            patients=[self.patients[int(i)] for i in index],
            source=self.source,
        )

    @property
    def scarred(self) -> Bool[np.ndarray, " n"]:
        """Which slices hold scar."""
        return np.asarray(scar_of(self.labels).any(axis=(1, 2)))


def slice_dataset(
    cohort: Cohort, path: Path, *, patients: list[str] | None = None, progress: Callable[[int, int], None] | None = None
) -> SliceDataset:
    """Read a cohort once into `path`, or `path` where it is there already; a flat slice is left out.

    Args:
        patients: only these (a split); None takes all.
    Raises:
        InputError: no usable slice.
        RunError: `path` was made of other data.
    """
    if not path.exists():
        chosen = (stack for stack in _told(cohort, progress) if patients is None or stack.patient in patients)
        write_slice_dataset(chosen, path, source=source_of(cohort, patients), place=str(cohort.root))
    refuse_other_data(path, cohort, patients)
    return read_slice_dataset(path)


def _told(cohort: Cohort, progress: Callable[[int, int], None] | None) -> Iterator[Stack]:
    for done, stack in enumerate(cohort.stacks(), start=1):
        if not isinstance(stack, Skipped):
            yield stack
        if progress is not None:
            progress(done, len(cohort.cases))


def read_slice_dataset(path: Path) -> SliceDataset:
    """What `write_slice_dataset` wrote."""
    words, arrays = read_prepared(path)
    return SliceDataset(patients=json.loads(words["patients"]), source=words["source"], **arrays)


def write_slice_dataset(stacks: Iterable[Stack], path: Path, *, source: str, place: str) -> None:
    """Put stacks on the canvas and write them.

    Args:
        source: what they are, in words.
        place: begins an error's message.
    Raises:
        InputError: no usable slice.
    """
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    names: list[str] = []
    has_rv: list[bool] = []
    for stack in stacks:
        made = list(_rows(stack))
        rows += made
        names += [stack.patient] * len(made)
        has_rv += [bool((stack.labels == Label.RV).any())] * len(made)
    if not rows:
        raise InputError(f"{place}: no usable slice to train on; `lgesynthnet verify {place}` says why")
    image, labels, centre = (np.stack(part) for part in zip(*rows, strict=True))
    arrays = {"image": image, "labels": labels, "centre": centre, "has_rv": np.asarray(has_rv)}
    write_bytes(path, save(arrays, metadata={"patients": json.dumps(names), "source": source}))


def _rows(stack: Stack) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for slice_ in stack:
        try:
            grid = to_grid(grey(slice_.image), slice_.spacing_mm)
        except InputError:  # flat: `verify` says so
            continue
        image = _on_canvas(np.rint(grid.numpy() * 255).astype(np.uint8))
        labels = _on_canvas(_labels_on_grid(slice_.labels, slice_.spacing_mm))
        heart = (labels != Label.BACKGROUND) & (labels != Label.RV)
        where = np.nonzero(heart if heart.any() else image > 0)
        yield image, labels, np.asarray([where[0].mean(), where[1].mean()], np.float32)


def _labels_on_grid(labels: Labels, spacing_mm: tuple[float, float]) -> UInt8[np.ndarray, "gridrows gridcols"]:
    """The most likely label after averaging, as the network's own output is averaged back: nearest would fray thin walls.

    First which tissue, the wall with its scar as one, then what of the wall: a pixel half wall is not lost to blood because its wall is
    part healthy and part scar.
    """
    each = np.stack([to_grid((labels == label).astype(np.float32), spacing_mm).numpy() for label in range(CLASSES)])
    parts = [Label.WALL, Label.SCAR, Label.NO_REFLOW]
    tissue = each.copy()
    tissue[Label.WALL], tissue[Label.SCAR], tissue[Label.NO_REFLOW] = each[parts].sum(axis=0), 0, 0
    found = tissue.argmax(axis=0).astype(np.uint8)
    return np.where(found == Label.WALL, np.asarray(parts, np.uint8)[each[parts].argmax(axis=0)], found).astype(np.uint8)


def _on_canvas(grid: np.ndarray) -> np.ndarray:
    """Centred on the canvas: padded with 0, or cut where larger."""
    out = np.zeros((CANVAS, CANVAS), np.uint8)
    take, put = zip(*(_overlap(n) for n in grid.shape), strict=True)
    out[put] = grid[take]
    return out


def _overlap(length: int) -> tuple[slice, slice]:
    size = min(length, CANVAS)
    source, target = (length - size) // 2, (CANVAS - size) // 2
    return slice(source, source + size), slice(target, target + size)
