"""A cohort as training examples of heart segmenters: whole slices on the 1.5 mm grid, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8
from pydantic import BaseModel

from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.records import Label, Labels, OnCase, Skipped, Stack, scar_of, wall_of
from lgesynthnet.segmenter.heart import CLASSES, grey, to_grid
from lgesynthnet.train.examples.files import OnNote, PreparedFile, content_of, fingerprint_of, prepared_bytes, source_of

_ARRAYS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "image": (np.uint8, (224, 224)),
    "labels": (np.uint8, (224, 224)),
    "centre": (np.float32, (2,)),
    "has_rv": (np.bool_, ()),
}
CANVAS = 224  # 336 mm; larger images lose their margin, smaller ones are padded


@dataclass(frozen=True, kw_only=True)
class SliceDataset:
    """Whole slices on a canvas of 224 x 224 pixels of 1.5 mm.

    Attributes:
        image: (n, 224, 224) grey values 1 to 255 between two percentiles, 0 is padding.
        labels: (n, 224, 224) of `Label`.
        centre: (n, 2) row and column of the LV's centre, or of the image's centre where no LV is labelled.
        has_rv: (n,) whether the patient's RV is labelled; where it is not, background may be RV.
        patients: n names.
        source: the cohort's folder, and which of its patients were used.
        fingerprint: of what the file was made of.
    """

    image: UInt8[np.ndarray, "n 224 224"]
    labels: UInt8[np.ndarray, "n 224 224"]
    centre: Float32[np.ndarray, "n 2"]
    has_rv: Bool[np.ndarray, " n"]
    patients: list[str]
    source: str
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.patients)

    @classmethod
    def joined(cls, parts: Sequence[SliceDataset]) -> SliceDataset:
        """The slices of several data sets, one after the other; at least one data set."""
        return cls(
            image=np.concatenate([part.image for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            centre=np.concatenate([part.centre for part in parts]),
            has_rv=np.concatenate([part.has_rv for part in parts]),
            patients=[name for part in parts for name in part.patients],
            source="; ".join(part.source for part in parts),
        )

    def taken(self, index: Int[np.ndarray, " m"]) -> SliceDataset:
        """The slices of these indices, in the order given; an index may occur more than once."""
        return SliceDataset(
            image=self.image[index],
            labels=self.labels[index],
            centre=self.centre[index],
            has_rv=self.has_rv[index],
            patients=[self.patients[int(i)] for i in index],
            source=self.source,
            fingerprint=self.fingerprint,
        )

    def of(self, patients: Collection[str]) -> SliceDataset:
        """The slices of these patients; there may be none."""
        return self.taken(np.flatnonzero([name in patients for name in self.patients]))

    @property
    def content(self) -> str:
        """Fingerprint of the slices themselves."""
        return content_of({"image": self.image, "labels": self.labels, "centre": self.centre, "has_rv": self.has_rv})

    @property
    def scarred(self) -> Bool[np.ndarray, " n"]:
        """Which slices hold scar."""
        return np.asarray(scar_of(self.labels).any(axis=(1, 2)))

    @property
    def free_of_scar(self) -> Bool[np.ndarray, " n"]:
        """Which slices have a labelled wall and no scar."""
        return np.asarray(wall_of(self.labels).any(axis=(1, 2)) & ~self.scarred)

    @property
    def has_scar(self) -> dict[str, bool]:
        """Each patient -> whether any slice holds scar."""
        diseased = {name for name, scarred in zip(self.patients, self.scarred, strict=True) if scarred}
        return {name: name in diseased for name in self.patients}


class _Words(BaseModel):
    patients: list[str]


def slice_dataset(
    cohort: Cohort,
    path: Path,
    *,
    patients: list[str] | None = None,
    on_case: OnCase | None = None,
    may_change: bool = False,
    on_note: OnNote | None = None,
) -> SliceDataset:
    """The slices in `path`; where it does not exist yet or is damaged, the cohort is read and written there. Flat slices are left out.

    Args:
        patients: only these patients of the cohort (a split); None takes all.
        on_case: called after every patient with the patients done and the patients in all.
        may_change: whether a file of other patients is made anew where no checkpoint in its folder depends on it.
        on_note: told why the file is made anew.
    Raises:
        InputError: no usable slice.
        RunError: `path` was made of other patients, or before their files changed.
    """
    if PreparedFile(path).is_of(cohort, patients, may_change=may_change, on_note=on_note):
        try:
            return read_slice_dataset(path)
        except InputError as fault:
            if on_note is not None:
                on_note(f"{fault}; it is prepared again")
    fingerprint = fingerprint_of(cohort, patients)  # first: what changes while it is read is then seen the next time
    chosen = (stack for stack in _read(cohort, on_case) if patients is None or stack.patient in patients)
    write_slice_dataset(chosen, path, source=source_of(cohort, patients), place=str(cohort.root), fingerprint=fingerprint)
    return read_slice_dataset(path)


def _read(cohort: Cohort, on_case: OnCase | None) -> Iterator[Stack]:
    for done, stack in enumerate(cohort.stacks(), start=1):
        if not isinstance(stack, Skipped):
            yield stack
        if on_case is not None:
            on_case(done, len(cohort.cases))


def read_slice_dataset(path: Path) -> SliceDataset:
    """What `write_slice_dataset` wrote.

    Raises:
        InputError: the file is damaged.
    """
    file = PreparedFile(path)
    words, arrays = file.contents(_ARRAYS)
    count = len(arrays["image"])
    if any(len(array) != count for array in arrays.values()):
        raise InputError(f"{path}: is damaged (its arrays have different lengths)")
    lists = file.lists(words, _Words, count)
    return SliceDataset(patients=lists.patients, source=words.get("source", "unknown"), fingerprint=words.get("fingerprint", ""), **arrays)


def write_slice_dataset(stacks: Iterable[Stack], path: Path, *, source: str, place: str, fingerprint: str = "") -> None:
    """Put stacks on the canvas and write them.

    Args:
        source: what they are, in words; recorded in the file, as `fingerprint` is.
        place: where they come from, for the error message.
    Raises:
        InputError: no usable slice.
    """
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    names: list[str] = []
    has_rv: list[bool] = []
    for stack in stacks:
        added = list(_rows(stack))
        rows += added
        names += [stack.patient] * len(added)
        has_rv += [bool((stack.labels == Label.RV).any())] * len(added)
    if not rows:
        raise InputError(f"{place}: no usable slice to train on; `lgesynthnet verify {place}` says why")
    image, labels, centre = (np.stack(part) for part in zip(*rows, strict=True))
    arrays = {"image": image, "labels": labels, "centre": centre, "has_rv": np.asarray(has_rv)}
    write_bytes(path, prepared_bytes(arrays, {"patients": json.dumps(names), "source": source, "fingerprint": fingerprint}))


def _rows(stack: Stack) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for slice_ in stack:
        try:
            grid = to_grid(grey(slice_.image), slice_.spacing_mm)
        except InputError:  # a flat slice; `lgesynthnet verify` reports it
            continue
        image = _on_canvas(np.rint(grid.numpy() * 255).astype(np.uint8))
        labels = _on_canvas(_labels_on_grid(slice_.labels, slice_.spacing_mm))
        heart = (labels != Label.BACKGROUND) & (labels != Label.RV)
        where = np.nonzero(heart if heart.any() else image > 0)
        yield image, labels, np.asarray([where[0].mean(), where[1].mean()], np.float32)


def _labels_on_grid(labels: Labels, spacing_mm: tuple[float, float]) -> UInt8[np.ndarray, "gridrows gridcols"]:
    """The most likely label of each grid pixel after averaging, as the network's own output is averaged back.

    Nearest-neighbour sampling would fray thin walls. The tissue is decided first, with the wall and its scar as one; then the kind of
    wall. Else a pixel that is half wall could become blood only because its wall is part healthy and part scar.
    """
    shares = np.stack([to_grid((labels == label).astype(np.float32), spacing_mm).numpy() for label in range(CLASSES)])
    wall_labels = [Label.WALL, Label.SCAR, Label.NO_REFLOW]
    by_tissue = shares.copy()
    by_tissue[Label.WALL], by_tissue[Label.SCAR], by_tissue[Label.NO_REFLOW] = shares[wall_labels].sum(axis=0), 0, 0
    tissue = by_tissue.argmax(axis=0).astype(np.uint8)
    kind_of_wall = np.asarray(wall_labels, np.uint8)[shares[wall_labels].argmax(axis=0)]
    return np.asarray(np.where(tissue == Label.WALL, kind_of_wall, tissue).astype(np.uint8))


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
