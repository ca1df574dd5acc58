"""Scores of a heart segmenter, patient by patient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lgesynthnet.overlap import dice
from lgesynthnet.records import Label, Stack, scar_of, wall_of
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2
from lgesynthnet.segmenter.heart import HeartSegmenter, decide_labels

WALL_SHARE_THRESHOLDS = tuple(round(0.2 + 0.1 * i, 1) for i in range(7))  # 0.2 to 0.8, of the scar's share of the wall's probability


@dataclass(frozen=True, kw_only=True)
class PatientScore:
    """Agreement of a segmentation with the labels of one patient.

    Attributes:
        cavity, wall: Dice over all slices together; None where neither segmentation nor labels have any.
        scar: Dice of each slice that holds scar (with no-reflow).
        false_scar_mm2: scar area found in each slice that has a labelled wall and no scar.
    """

    patient: str
    cavity: float | None
    wall: float | None
    scar: list[float]
    false_scar_mm2: list[float]


def score(segmenter: HeartSegmenter, stack: Stack) -> PatientScore:
    """Segment a patient and compare with the labels; slices without a labelled heart count for cavity and wall only."""
    return compare_labels(segmenter.read_stack(stack.image, stack.spacing_mm), stack)


def compare_labels(segmented: np.ndarray, stack: Stack) -> PatientScore:
    """Compare labels (rows, cols, slices) with those of the stack."""
    truth = stack.labels
    scar: list[float] = []
    false_mm2: list[float] = []
    for k in range(len(stack)):
        read, real = scar_of(segmented[:, :, k]), scar_of(truth[:, :, k])
        if real.any():
            scar.append(dice(read, real) or 0.0)
        elif wall_of(truth[:, :, k]).any():
            false_mm2.append(float(read.sum()) * stack.spacing_mm[0] * stack.spacing_mm[1])
    return PatientScore(
        patient=stack.patient,
        cavity=dice(segmented == Label.CAVITY, truth == Label.CAVITY),
        wall=dice(wall_of(segmented), wall_of(truth)),
        scar=scar,
        false_scar_mm2=false_mm2,
    )


def summary(scores: Iterable[PatientScore]) -> dict[str, float | None]:
    """Mean Dice of cavity and wall over patients and of scar over slices with scar; share of the other slices with > 25 mm² of scar."""
    rows = list(scores)
    values_of = {
        "dice_cavity": [s.cavity for s in rows if s.cavity is not None],
        "dice_wall": [s.wall for s in rows if s.wall is not None],
        "dice_scar": [d for s in rows for d in s.scar],
        "false_scar": [float(a > FALSE_SCAR_MM2) for s in rows for a in s.false_scar_mm2],
    }
    return {name: round(float(np.mean(values)), 4) if values else None for name, values in values_of.items()}


def best_threshold(segmenter: HeartSegmenter, stacks: Iterable[Stack]) -> float:
    """The scar threshold with the largest mean scar Dice minus half of the share of slices with false scar."""
    by_threshold: dict[float, list[PatientScore]] = {t: [] for t in WALL_SHARE_THRESHOLDS}
    for stack in stacks:
        probability = segmenter.stack_probabilities(stack.image, stack.spacing_mm)
        for threshold, rows in by_threshold.items():
            rows.append(compare_labels(decide_labels(probability, stack.spacing_mm, threshold), stack))

    def merit(threshold: float) -> float:
        means = summary(by_threshold[threshold])
        return (means["dice_scar"] or 0.0) - 0.5 * (means["false_scar"] or 0.0)

    return max(WALL_SHARE_THRESHOLDS, key=merit)
