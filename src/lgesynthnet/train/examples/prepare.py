"""A cohort as training examples: every usable slice on the working grid, described in words, kept in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from safetensors.numpy import save

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.working_grid import SIZE, Roi
from lgesynthnet.data.cohort import Cohort
from lgesynthnet.data.ring import usable_slices
from lgesynthnet.errors import InputError, LGESynthNetError
from lgesynthnet.files import write_bytes
from lgesynthnet.hosts.locate import locate_stack
from lgesynthnet.prescription.describing import describe_scar
from lgesynthnet.prescription.grammar.language import NO_ENHANCEMENT, write_caption
from lgesynthnet.prescription.grammar.paraphrasing import paraphrase
from lgesynthnet.records import Label, ShortAxisSlice, Skipped, Stack
from lgesynthnet.train.examples.files import read_prepared, refuse_other_data, source_of
from lgesynthnet.train.examples.roi import WORDINGS, Examples

Progress = Callable[[str, int, int, float], None]  # stage, done, total, loss


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


# Image, labels, nominal angle, mean scar intensity, caption, wordings, level, patient.
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
        except LGESynthNetError:  # an open ring or a flat image: not an example, and `verify` says so
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
    words = np.random.default_rng([slice_.index, int(slice_.scar.sum())])  # different from slice to slice, the same in every run
    return (
        roi.crop(unit).astype(np.float16),
        labels,
        roi.crop_angle(frame.nominal_deg).astype(np.float16),
        float(unit[bright].mean()) if bright.any() else float("nan"),
        write_caption(prescription, level) if prescription is not None else NO_ENHANCEMENT,
        [NO_ENHANCEMENT] * WORDINGS if prescription is None else [paraphrase(prescription, level, words) for _ in range(WORDINGS)],
    )


def _ranks(level: Float32[np.ndarray, " n"]) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " quantiles"]]:
    known = np.sort(level[np.isfinite(level)])
    if not known.size:
        return np.full(level.shape, 0.5, np.float32), np.zeros(21, np.float32)
    rank = (np.searchsorted(known, level) + 0.5) / (known.size + 1)
    return np.where(np.isfinite(level), rank, 0.5).astype(np.float32), np.quantile(known, np.linspace(0, 1, 21)).astype(np.float32)
