"""A cohort as training examples: every usable slice on the working grid, described in words, kept in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float16, Float32, UInt8
from safetensors import safe_open
from safetensors.numpy import save

from lgesynthnet.anatomy.frame import locate
from lgesynthnet.anatomy.orientation import levels, locate_all_insertions, order_stack
from lgesynthnet.conditioning.condition import Condition, Template
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import random_hidden
from lgesynthnet.conditioning.working_grid import SIZE, Roi
from lgesynthnet.data import usable_slices
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.errors import InputError, LGESynthNetError, RunError
from lgesynthnet.files import write_bytes
from lgesynthnet.prescription.describing import describe
from lgesynthnet.prescription.grammar.language import NO_ENHANCEMENT, caption
from lgesynthnet.prescription.grammar.paraphrasing import paraphrase
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Skipped, Stack
from lgesynthnet.segmenter.septum import read_septum

Progress = Callable[[str, int, int, float], None]  # stage, done, total, loss


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Chances to hide a condition in training, so that each one learns to carry the scar and guidance has something to guide away from.

    Attributes:
        edges: no edge maps; the whole wall is then mostly hidden, or its hidden part would give the scar away.
        caption: no caption, where edges are shown (the paper drops half).
        caption_alone: no caption where edges are dropped too.
        anatomy: no wall, cavity and angle, where edges are shown.
        filled: not a chance; masks stand in place of edges wherever these are shown.
        template: not a chance; each comes with a scarred slice of another patient as its reference.
    """

    edges: float = 0.0
    caption: float = 0.0
    caption_alone: float = 0.0
    anatomy: float = 0.0
    filled: bool = False
    template: bool = False


WHOLE_WALL_WITHOUT_EDGES = 0.8
OTHER_WORDS = 0.4  # of captions; the rest is as `caption` writes it
WORDINGS = 4  # kept for each slice

BASE_DROPOUT = Dropout(edges=1.0, caption_alone=0.15, anatomy=0.05)
CONTROL_DROPOUT = Dropout(edges=0.3, caption=0.5, caption_alone=0.15, anatomy=0.05)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Slices on the 128 x 128 grid of 1 mm.

    Attributes:
        image: (n, 128, 128) heart units.
        labels: (n, 128, 128) of `Label`.
        nominal_deg: (n, 128, 128) AHA angle.
        brightness: (n,) rank of the scar's mean intensity among the cohort's scars, 0 to 1; 0.5 without scar.
        captions, patients: n strings each.
        wordings: n times the caption in other words.
        levels: n of `Level`.
        scar_levels: 21 quantiles of the scars' mean intensity in heart units; what the ranks mean.
        source: the cohort's folder, and which patients of it.
    """

    image: Float16[np.ndarray, "n 128 128"]
    labels: UInt8[np.ndarray, "n 128 128"]
    nominal_deg: Float16[np.ndarray, "n 128 128"]
    brightness: Float32[np.ndarray, " n"]
    captions: list[str]
    wordings: list[list[str]]
    levels: list[str]
    patients: list[str]
    scar_levels: Float32[np.ndarray, " quantiles"]
    source: str

    @cached_property
    def scarred(self) -> Bool[np.ndarray, " n"]:
        """Which examples hold scar."""
        return np.asarray((self.labels >= Label.SCAR).any(axis=(1, 2)))

    def __len__(self) -> int:
        return len(self.captions)

    def turned(self) -> Examples:
        """These examples in all eight symmetries of the square; the AHA angle travels with its pixel, so every caption stays true.

        A few dozen patients are few pictures; eight views of each keep a fine-tuned model from learning them by heart.
        """

        def all_views(pictures: np.ndarray) -> np.ndarray:
            turns = [np.rot90(pictures, k, axes=(1, 2)) for k in range(4)]
            return np.ascontiguousarray(np.concatenate([*turns, *(turn[:, :, ::-1] for turn in turns)]))

        return replace(
            self,
            image=all_views(self.image),
            labels=all_views(self.labels),
            nominal_deg=all_views(self.nominal_deg),
            brightness=np.tile(self.brightness, 8),
            captions=self.captions * 8,
            wordings=self.wordings * 8,
            levels=self.levels * 8,
            patients=self.patients * 8,
        )

    def condition(self, i: int, rng: np.random.Generator, drop: Dropout | None = None) -> Condition:
        """Example `i` with a freshly drawn hidden region, wording and choice of what is shown."""
        drop = drop or Dropout()
        labels = self.labels[i]
        scar = (labels == Label.SCAR) | (labels == Label.NO_REFLOW)
        wall = scar | (labels == Label.WALL)
        nominal = self.nominal_deg[i].astype(np.float32)
        show_edges = rng.random() >= drop.edges
        silent = rng.random() < (drop.caption if show_edges else drop.caption_alone)
        words = self.wordings[i][int(rng.integers(WORDINGS))] if rng.random() < OTHER_WORDS else self.captions[i]
        return Condition(
            image=self.image[i].astype(np.float32),
            hidden=random_hidden(scar, wall, nominal, rng, **({} if show_edges else {"whole_wall": WHOLE_WALL_WITHOUT_EDGES})),
            scar=scar,
            no_reflow=labels == Label.NO_REFLOW,
            wall=wall,
            cavity=labels == Label.CAVITY,
            nominal_deg=nominal,
            brightness=float(self.brightness[i]),
            caption="" if silent else words,
            show_edges=show_edges,
            show_anatomy=not show_edges or rng.random() >= drop.anatomy,
            filled=drop.filled,
            template=self.template(i, rng) if drop.template else None,
        )

    def template(self, i: int, rng: np.random.Generator) -> Template:
        """A scarred example of another patient than example `i`.

        Raises:
            InputError: no other patient has scar.
        """
        others = np.flatnonzero(self.scarred & (np.asarray(self.patients) != self.patients[i]))
        if not others.size:
            raise InputError(f"{self.patients[i]}: no other patient has scar to serve as a template; train on more patients")
        j = int(rng.choice(others))
        labels = self.labels[j]
        heart = (labels >= Label.CAVITY) & (labels <= Label.NO_REFLOW)
        scar = (labels == Label.SCAR) | (labels == Label.NO_REFLOW)
        return Template.cut(self.patients[j], self.image[j].astype(np.float32), heart, scar)


def prepare(
    cohort: Cohort, out: Path, *, patients: list[str] | None = None, progress: Callable[[int, int], None] | None = None
) -> Examples:
    """Read a cohort once and write `OUT`; a slice that cannot be used is left out, a cohort without any is an error.

    Args:
        patients: only these (a split); None takes all.
    Raises:
        InputError: the folder holds no usable slice.
    """
    rows: list[_Row] = []
    for done, stack in enumerate(cohort.stacks(), start=1):
        if not isinstance(stack, Skipped) and (patients is None or stack.patient in patients):
            rows.extend(_rows(stack))
        if progress is not None:
            progress(done, len(cohort.cases))
    if not rows:
        raise InputError(f"{cohort.root}: no usable short-axis slice to train on; `lgesynthnet verify {cohort.root}` says why")
    image, labels, nominal, bright, captions, wordings, levels_, names = zip(*rows, strict=True)
    brightness, quantiles = _ranks(np.asarray(bright, np.float32))
    arrays = {
        "image": np.stack(image),
        "labels": np.stack(labels),
        "nominal_deg": np.stack(nominal),
        "brightness": brightness,
        "scar_levels": quantiles,
    }
    words = {
        "captions": json.dumps(captions),
        "wordings": json.dumps(wordings),
        "levels": json.dumps(levels_),
        "patients": json.dumps(names),
        "source": source_of(cohort, patients),
    }
    write_bytes(out, save(arrays, metadata=words))
    return load_examples(out)


def prepared(data: Cohort, out: Path, patients: list[str] | None, progress: Progress | None = None) -> Examples:
    """What lies in `OUT`, or else `prepare` makes.

    Raises:
        RunError: `OUT` was made of other patients.
        InputError: the folder holds no usable slice.
    """
    if out.exists():
        refuse_other_data(out, data, patients)
        return load_examples(out)
    return prepare(data, out, patients=patients, progress=(lambda a, b: progress("prepare", a, b, 0.0)) if progress else None)


def load_examples(path: Path) -> Examples:
    """Read what `prepare` wrote."""
    words, arrays = read_prepared(path)
    captions, wordings, levels_, patients = (json.loads(words[name]) for name in ("captions", "wordings", "levels", "patients"))
    return Examples(
        captions=captions, wordings=wordings, levels=levels_, patients=patients, source=words.get("source", "unknown"), **arrays
    )


def read_prepared(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Words and arrays of a prepared file."""
    with safe_open(path, "np") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # safe_open is no mapping


def refuse_other_data(path: Path, cohort: Cohort, patients: list[str] | None) -> None:
    """A work folder goes on with the data that it was begun with.

    Raises:
        RunError: the prepared file was made of other patients.
    """
    if prepared_of(path) != source_of(cohort, patients):
        raise RunError(f"{path}: was made of {prepared_of(path)}; choose another --work for {source_of(cohort, patients)}")


def prepared_of(path: Path) -> str:
    """What a prepared file says that it was made of, without reading its images."""
    with safe_open(path, "np") as file:
        return str(file.metadata().get("source", "unknown"))


def source_of(cohort: Cohort, patients: list[str] | None) -> str:
    """What a prepared file was made of, in words."""
    return f"{cohort.root.absolute()}: {'all patients' if patients is None else ' '.join(sorted(patients))}"


# Image, labels, nominal angle, mean scar intensity, caption, wordings, level, patient.
_Row = tuple[np.ndarray, np.ndarray, np.ndarray, float, str, list[str], str, str]


def _rows(stack: Stack) -> Iterator[_Row]:
    usable, _ = usable_slices(stack)
    level_of = levels(stack, order_stack(stack))
    insertions = locate_all_insertions(stack, read=read_septum)
    for index in usable:
        level, found = level_of[index], insertions[index]
        if level is None or found is None:
            continue
        try:
            yield (*_row(stack[index], level, found), level.value, stack.patient)
        except LGESynthNetError:  # an open ring or a flat image: not an example, and `verify` says so
            continue


def _row(slice_: ShortAxisSlice, level: Level, insertions: Insertions) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, str, list[str]]:
    frame = locate(slice_, level, insertions)
    window = HeartWindow.of(slice_)
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    unit = window.to_unit(slice_.image)
    no_reflow = slice_.labels == Label.NO_REFLOW
    prescription = describe(slice_.scar, no_reflow, frame)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for label, mask in ((Label.CAVITY, slice_.cavity), (Label.WALL, slice_.wall), (Label.SCAR, slice_.scar), (Label.NO_REFLOW, no_reflow)):
        labels[roi.crop_mask(mask)] = label
    bright = slice_.labels == Label.SCAR
    words = np.random.default_rng([slice_.index, int(slice_.scar.sum())])  # different from slice to slice, the same in every run
    return (
        roi.crop(unit).astype(np.float16),
        labels,
        roi.crop_angle(frame.nominal_deg).astype(np.float16),
        float(unit[bright].mean()) if bright.any() else float("nan"),
        caption(prescription, level) if prescription is not None else NO_ENHANCEMENT,
        [NO_ENHANCEMENT] * WORDINGS if prescription is None else [paraphrase(prescription, level, words) for _ in range(WORDINGS)],
    )


def _ranks(level: Float32[np.ndarray, " n"]) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " quantiles"]]:
    known = np.sort(level[np.isfinite(level)])
    if not known.size:
        return np.full(level.shape, 0.5, np.float32), np.zeros(21, np.float32)
    rank = (np.searchsorted(known, level) + 0.5) / (known.size + 1)
    return np.where(np.isfinite(level), rank, 0.5).astype(np.float32), np.quantile(known, np.linspace(0, 1, 21)).astype(np.float32)
