"""Scores of a heart segmenter, by patient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lgesynthnet.overlap import dice
from lgesynthnet.records import Label, Stack, scar_of, wall_of
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2
from lgesynthnet.segmenter.heart import HeartSegmenter, decided

THRESHOLDS = tuple(round(0.2 + 0.1 * i, 1) for i in range(7))


@dataclass(frozen=True, kw_only=True)
class PatientScore:
    """How a patient was segmented against the labels.

    Attributes:
        cavity, wall: Dice over all slices together; None where neither side has any.
        scar: Dice of each slice that holds scar (with no-reflow).
        false_scar_mm2: scar found on each slice of a labelled wall without scar.
    """

    patient: str
    cavity: float | None
    wall: float | None
    scar: list[float]
    false_scar_mm2: list[float]


def score(segmenter: HeartSegmenter, stack: Stack) -> PatientScore:
    """Segment a patient and compare; slices without a labelled heart count for cavity and wall only."""
    return compared(segmenter.read_stack(stack.image, stack.spacing_mm), stack)


def compared(found: np.ndarray, stack: Stack) -> PatientScore:
    truth = stack.labels
    scar: list[float] = []
    false_mm2: list[float] = []
    for k in range(len(stack)):
        read, real = scar_of(found[:, :, k]), scar_of(truth[:, :, k])
        if real.any():
            scar.append(dice(read, real) or 0.0)
        elif wall_of(truth[:, :, k]).any():
            false_mm2.append(float(read.sum()) * stack.spacing_mm[0] * stack.spacing_mm[1])
    return PatientScore(
        patient=stack.patient,
        cavity=dice(found == Label.CAVITY, truth == Label.CAVITY),
        wall=dice(wall_of(found), wall_of(truth)),
        scar=scar,
        false_scar_mm2=false_mm2,
    )


def summary(scores: Iterable[PatientScore]) -> dict[str, float | None]:
    """Means: cavity and wall over patients, scar over slices that hold it, share of the others with more than 25 mm² of false scar."""
    rows = list(scores)
    found = {
        "dice_cavity": [s.cavity for s in rows if s.cavity is not None],
        "dice_wall": [s.wall for s in rows if s.wall is not None],
        "dice_scar": [d for s in rows for d in s.scar],
        "false_scar": [float(a > FALSE_SCAR_MM2) for s in rows for a in s.false_scar_mm2],
    }
    return {name: round(float(np.mean(values)), 4) if values else None for name, values in found.items()}


def best_threshold(segmenter: HeartSegmenter, stacks: Iterable[Stack]) -> float:
    """The scar threshold with the best mean scar Dice less half the share of slices with false scar."""
    by_threshold: dict[float, list[PatientScore]] = {t: [] for t in THRESHOLDS}
    for stack in stacks:
        chance = segmenter.stack_probabilities(stack.image, stack.spacing_mm)
        for threshold, rows in by_threshold.items():
            rows.append(compared(decided(chance, stack.spacing_mm, threshold), stack))

    def merit(threshold: float) -> float:
        found = summary(by_threshold[threshold])
        return (found["dice_scar"] or 0.0) - 0.5 * (found["false_scar"] or 0.0)

    return max(THRESHOLDS, key=merit)
