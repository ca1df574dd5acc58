"""Scores a trained segmenter: detection thresholds from the validation patients, then the scores of every tested slice."""

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


def score_segmenter(segmenter: HeartSegmenter, validation: Sequence[Stack], tested: Sequence[Stack]) -> RunScores:
    """Set the detection thresholds on `validation`, then score `tested`.

    A pixel is scar if scar has at least half of the probability of the wall, in every arm. A threshold of each arm's own would be set on
    few validation patients, and would differ more between arms than what is compared.

    Raises:
        InputError: the validation patients lack slices or patients with scar, or without.
    """
    rows = [row for stack in validation for row in score_stack(segmenter, stack)]
    patients = list(per_patient(rows).values())
    try:
        slice_cut = youden_threshold([row.expected_scar_mm2 for row in rows], [row.truth_mm2 > 0 for row in rows])
        patient_cut = youden_threshold(
            [expected_scar_ml(slices) for slices in patients], [any(row.truth_mm2 > 0 for row in slices) for slices in patients]
        )
    except ValueError as fault:
        raise InputError(f"validation patients {', '.join(stack.patient for stack in validation)}: {fault}") from None
    tested_rows = [row for stack in tested for row in score_stack(segmenter, stack)]
    return RunScores(slices=tested_rows, slice_cut_mm2=slice_cut, patient_cut_ml=patient_cut)


def score_stack(segmenter: HeartSegmenter, stack: Stack) -> list[SliceScore]:
    """Score every slice that has a labelled heart."""
    probabilities = segmenter.stack_probabilities(stack.image, stack.spacing_mm)
    labels = decide_labels(probabilities, stack.spacing_mm, segmenter.threshold)
    wall, pixel_mm2 = wall_of(labels), float(np.prod(stack.spacing_mm))
    scar = (probabilities[Label.SCAR] + probabilities[Label.NO_REFLOW]) * wall
    at_threshold = [wall & (scar >= threshold * (scar + probabilities[Label.WALL])) for threshold in THRESHOLDS]

    def area_mm2(mask: Mask) -> float:
        return round(float(mask.sum()) * pixel_mm2, 3)

    scores = []
    for k in range(len(stack)):
        truth, predicted = scar_of(stack.labels[:, :, k]), scar_of(labels[:, :, k])
        if not wall_of(stack.labels[:, :, k]).any():
            continue
        scores.append(
            SliceScore(
                patient=stack.patient,
                index=k,
                truth_mm2=area_mm2(truth),
                predicted_mm2=area_mm2(predicted),
                overlap_mm2=area_mm2(truth & predicted),
                hd95_mm=hausdorff_95(predicted, truth, stack.spacing_mm),
                expected_scar_mm2=round(float(scar[:, :, k].sum()) * pixel_mm2, 3),
                step_mm=stack.slice_step_mm,
                predicted_at_mm2=tuple(area_mm2(masks[:, :, k]) for masks in at_threshold),
                overlap_at_mm2=tuple(area_mm2(truth & masks[:, :, k]) for masks in at_threshold),
            )
        )
    return scores


def hausdorff_95(predicted: Mask, truth: Mask, spacing_mm: tuple[float, float]) -> float | None:
    """95th percentile of the distances between the outlines of two masks, in mm. None if a mask is empty."""
    if not predicted.any() or not truth.any():
        return None
    first, second = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (predicted, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI passes an argument to itself that it has deprecated
        distance = compute_hausdorff_distance(first, second, include_background=True, percentile=95, spacing=list(spacing_mm))
    return round(float(distance), 3)
