"""A trained segmenter on validation and test patients: its detection cut-offs from the first, slice by slice figures of the second."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance

from lgesynthnet.errors import InputError
from lgesynthnet.evaluate.utility.detection import youden_threshold
from lgesynthnet.evaluate.utility.scores import THRESHOLDS, RunScores, SliceScore, expected_scar_ml, per_patient
from lgesynthnet.records import Label, Mask, Stack, scar_of, wall_of
from lgesynthnet.segmenter.heart import HeartSegmenter, decide_labels


def read_patients(segmenter: HeartSegmenter, validation: Sequence[Stack], tested: Sequence[Stack]) -> RunScores:
    """Set the detection cut-offs on `validation`, then read `tested`.

    Scar is where its probability is half of the wall's or more, in every arm: a few validation patients would place a threshold of their
    own so badly that it would be the largest difference between arms.

    Raises:
        InputError: validation lacks slices or patients of one class.
    """
    seen = [row for stack in validation for row in score_stack(segmenter, stack)]
    patients = list(per_patient(seen).values())
    try:
        slice_cut = youden_threshold([row.expected_scar_mm2 for row in seen], [row.truth_mm2 > 0 for row in seen])
        patient_cut = youden_threshold(
            [expected_scar_ml(rows) for rows in patients], [any(row.truth_mm2 > 0 for row in rows) for rows in patients]
        )
    except ValueError as fault:
        raise InputError(f"validation patients {', '.join(stack.patient for stack in validation)}: {fault}") from None
    rows = [row for stack in tested for row in score_stack(segmenter, stack)]
    return RunScores(slices=rows, slice_cut_mm2=slice_cut, patient_cut_ml=patient_cut)


def score_stack(segmenter: HeartSegmenter, stack: Stack) -> list[SliceScore]:
    """Every slice whose heart is labelled."""
    chance = segmenter.stack_probabilities(stack.image, stack.spacing_mm)
    labels = decide_labels(chance, stack.spacing_mm, segmenter.threshold)
    wall, pixel_mm2 = wall_of(labels), float(np.prod(stack.spacing_mm))
    scar = (chance[Label.SCAR] + chance[Label.NO_REFLOW]) * wall
    called = [wall & (scar >= threshold * (scar + chance[Label.WALL])) for threshold in THRESHOLDS]
    found = []
    for k in range(len(stack)):
        truth, read = scar_of(stack.labels[:, :, k]), scar_of(labels[:, :, k])
        if not wall_of(stack.labels[:, :, k]).any():
            continue
        found.append(
            SliceScore(
                patient=stack.patient,
                index=k,
                truth_mm2=round(float(truth.sum()) * pixel_mm2, 3),
                found_mm2=round(float(read.sum()) * pixel_mm2, 3),
                overlap_mm2=round(float((truth & read).sum()) * pixel_mm2, 3),
                hd95_mm=hausdorff_95(read, truth, stack.spacing_mm),
                expected_scar_mm2=round(float(scar[:, :, k].sum()) * pixel_mm2, 3),
                step_mm=stack.slice_step_mm,
                found_at_mm2=tuple(round(float(some[:, :, k].sum()) * pixel_mm2, 3) for some in called),
                overlap_at_mm2=tuple(round(float((truth & some[:, :, k]).sum()) * pixel_mm2, 3) for some in called),
            )
        )
    return found


def hausdorff_95(one: Mask, other: Mask, spacing_mm: tuple[float, float]) -> float | None:
    """95th percentile of the distances between two outlines, mm; None where one is empty."""
    if not one.any() or not other.any():
        return None
    # The metric itself passes an argument that MONAI has deprecated.
    a, b = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (one, other))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return round(float(compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=list(spacing_mm))), 3)
