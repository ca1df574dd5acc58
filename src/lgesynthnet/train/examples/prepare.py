"""A cohort as training examples of generator and scar segmenters: every usable slice on the working grid, with its caption.

One safetensors file holds them; the stages of a work folder share it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.working_grid import SIZE, Roi
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.ring import usable_slices
from lgesynthnet.errors import InputError, LGESynthNetError
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.hosts.locate import locate_stack
from lgesynthnet.prescription.describing import describe_scar
from lgesynthnet.prescription.grammar.language import NO_ENHANCEMENT
from lgesynthnet.prescription.grammar.paraphrasing import paraphrase
from lgesynthnet.prescription.grammar.writing import write_caption
from lgesynthnet.records import Label, OnCase, ShortAxisSlice, Skipped, Stack
from lgesynthnet.train.examples.files import OnNote, PreparedFile, fingerprint_of, prepared_bytes, source_of
from lgesynthnet.train.examples.roi import WORDINGS, Examples
from lgesynthnet.train.request import Progress

_ARRAYS: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "image": (np.float16, (SIZE, SIZE)),
    "labels": (np.uint8, (SIZE, SIZE)),
    "nominal_deg": (np.float16, (SIZE, SIZE)),
    "brightness": (np.float32, ()),
    "scar_levels": (np.float32, ()),
}
QUANTILES = 21  # of the scars' mean intensity, from the darkest to the brightest scar


class _Words(BaseModel):
    captions: list[str]
    wordings: list[list[str]]
    levels: list[str]
    patients: list[str]


class ExampleFile(PreparedFile):
    """The file of a cohort's `Examples`."""

    def build(self, cohort: Cohort, *, patients: list[str] | None = None, on_case: OnCase | None = None) -> Examples:
        """Read the cohort, write the file and return its examples. Slices that cannot be used are left out.

        Args:
            patients: only these patients of the cohort (a split); None takes all.
            on_case: called after every patient with the patients done and the patients in all.
        Raises:
            InputError: the cohort has no usable slice.
        """
        fingerprint = fingerprint_of(cohort, patients)  # first: what changes while it is read is then seen the next time
        rows: list[_Row] = []
        for done, stack in enumerate(cohort.stacks(), start=1):
            if not isinstance(stack, Skipped) and (patients is None or stack.patient in patients):
                rows.extend(_rows(stack))
            if on_case is not None:
                on_case(done, len(cohort.cases))
        if not rows:
            raise InputError(f"{cohort.root}: no usable short-axis slice to train on; `lgesynthnet verify {cohort.root}` says why")
        image, labels, nominal, bright, captions, wordings, levels, names = zip(*rows, strict=True)
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
            "levels": json.dumps(levels),
            "patients": json.dumps(names),
            "source": source_of(cohort, patients),
            "fingerprint": fingerprint,
        }
        write_bytes(self.path, prepared_bytes(arrays, words))
        return self.read()

    def load_or_build(
        self, cohort: Cohort, patients: list[str] | None, on_progress: Progress | None = None, on_note: OnNote | None = None
    ) -> Examples:
        """The examples of the file where it was made of these patients as they are now; else build it.

        Raises:
            RunError: the file was made of other patients, or before their files changed, and a training depends on it.
            InputError: the cohort has no usable slice.
        """
        if self.is_of(cohort, patients, may_change=True, on_note=on_note):
            try:
                return self.read()
            except InputError as fault:
                if on_note is not None:
                    on_note(f"{fault}; it is prepared again")
        on_case = None if on_progress is None else (lambda done, total: on_progress("prepare", done, total, 0.0))
        return self.build(cohort, patients=patients, on_case=on_case)

    def read(self) -> Examples:
        """What `build` wrote.

        Raises:
            InputError: the file is damaged.
        """
        words, arrays = self.contents(_ARRAYS)
        count = len(arrays["image"])
        lists = self.lists(words, _Words, count)
        if any(len(array) != (QUANTILES if name == "scar_levels" else count) for name, array in arrays.items()):
            raise InputError(f"{self.path}: is damaged (its arrays have different lengths)")
        return Examples(
            captions=lists.captions,
            wordings=lists.wordings,
            levels=lists.levels,
            patients=lists.patients,
            source=words.get("source", "unknown"),
            fingerprint=words.get("fingerprint", ""),
            **arrays,
        )


# Image, labels, AHA angle, mean scar intensity in heart units, caption, other wordings of it, level, patient.
_Row = tuple[np.ndarray, np.ndarray, np.ndarray, float, str, list[str], str, str]


def _rows(stack: Stack) -> Iterator[_Row]:
    usable, _ = usable_slices(stack)
    hearts = locate_stack(stack)
    for index in usable:
        if not hearts.is_located(index):
            continue
        try:
            frame = hearts.frame(index)
            yield (*_row(stack[index], frame), frame.level.value, stack.patient)
        except LGESynthNetError:  # an open ring or a flat image; `lgesynthnet verify` reports it
            continue


def _row(slice_: ShortAxisSlice, frame: HeartFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, str, list[str]]:
    level = frame.level
    window = HeartWindow.from_slice(slice_)
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    unit = window.to_unit(slice_.image)
    no_reflow = slice_.labels == Label.NO_REFLOW
    prescription = describe_scar(slice_.scar, no_reflow, frame)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for label, mask in ((Label.CAVITY, slice_.cavity), (Label.WALL, slice_.wall), (Label.SCAR, slice_.scar), (Label.NO_REFLOW, no_reflow)):
        labels[roi.crop_mask(mask)] = label
    bright = slice_.labels == Label.SCAR
    rng = np.random.default_rng([slice_.index, int(slice_.scar.sum())])  # different from slice to slice, the same in every run
    return (
        roi.crop(unit).astype(np.float16),
        labels,
        roi.crop_angle(frame.nominal_deg).astype(np.float16),
        float(unit[bright].mean()) if bright.any() else float("nan"),
        write_caption(prescription, level) if prescription is not None else NO_ENHANCEMENT,
        [NO_ENHANCEMENT] * WORDINGS if prescription is None else [paraphrase(prescription, level, rng) for _ in range(WORDINGS)],
    )


def _ranks(intensity: Float32[np.ndarray, " n"]) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " quantiles"]]:
    """Rank of each scar's mean intensity among all scars, 0 to 1 (0.5 without scar), and the quantiles that the ranks stand for."""
    known = np.sort(intensity[np.isfinite(intensity)])
    if not known.size:
        return np.full(intensity.shape, 0.5, np.float32), np.zeros(QUANTILES, np.float32)
    rank = (np.searchsorted(known, intensity) + 0.5) / (known.size + 1)
    quantiles = np.quantile(known, np.linspace(0, 1, QUANTILES)).astype(np.float32)
    return np.where(np.isfinite(intensity), rank, 0.5).astype(np.float32), quantiles
