"""Scores a trained segmenter on the slices of a stack."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from jaxtyping import Float, UInt8
from monai.metrics import compute_hausdorff_distance
from scipy import ndimage

from lgesynthnet.evaluate.utility.scores import SliceScore
from lgesynthnet.files.manifest import digest
from lgesynthnet.records import Label, Mask, Stack, scar_of, wall_of
from lgesynthnet.segmenter.downstream import DownstreamSegmenter, expected_scar_mm2
from lgesynthnet.segmenter.heart import HeartSegmenter, decide_labels
from lgesynthnet.segmenter.operating_points import require_nothing_erased

Segmenter = DownstreamSegmenter | HeartSegmenter
_FOUND: dict[tuple[str, str], UInt8[np.ndarray, "rows cols slices"]] = {}
"""Finder and image -> the heart that the finder draws. It is the same for all runs, and a process tests many."""


def score_stack(segmenter: Segmenter, stack: Stack) -> list[SliceScore]:
    """Score every slice that has a labelled heart.

    Raises:
        ValueError: the segmenter erases the scar of some slices, so that no false-positive rate could be matched.
    """
    if isinstance(segmenter, DownstreamSegmenter):
        require_nothing_erased(segmenter)
    probability, labels = _segmented(segmenter, stack)
    wall, pixel_mm2 = wall_of(labels), float(np.prod(stack.spacing_mm))
    expected = expected_scar_mm2(probability, labels, stack.spacing_mm)

    def area_mm2(mask: Mask) -> float:
        return round(float(mask.sum()) * pixel_mm2, 1)

    scores = []
    for k in range(len(stack)):
        true_wall, truth, predicted = (mask[:, :, k] for mask in (wall_of(stack.labels), scar_of(stack.labels), scar_of(labels)))
        if not true_wall.any():
            continue
        core, predicted_core = (part[:, :, k] == Label.NO_REFLOW for part in (stack.labels, labels))
        lesions, found = _lesions(truth, predicted)
        calls, right = _lesions(predicted, truth)
        scores.append(
            SliceScore(
                patient=stack.patient,
                index=k,
                truth_mm2=area_mm2(truth),
                predicted_mm2=area_mm2(predicted),
                overlap_mm2=area_mm2(truth & predicted),
                hd95_mm=hausdorff_95(predicted, truth, stack.spacing_mm),
                expected_scar_mm2=round(float(expected[k]), 2),
                step_mm=stack.slice_step_mm,
                wall_mm2=area_mm2(true_wall),
                predicted_wall_mm2=area_mm2(wall[:, :, k]),
                overlap_wall_mm2=area_mm2(true_wall & wall[:, :, k]),
                lesions=lesions,
                found_lesions=found,
                called_lesions=calls,
                right_lesions=right,
                no_reflow_mm2=area_mm2(core),
                predicted_no_reflow_mm2=area_mm2(predicted_core),
                overlap_no_reflow_mm2=area_mm2(core & predicted_core),
            )
        )
    return scores


def _segmented(
    segmenter: Segmenter, stack: Stack
) -> tuple[Float[np.ndarray, "classes rows cols slices"], UInt8[np.ndarray, "rows cols slices"]]:
    """Probabilities and labels. Only a segmenter for a known wall is shown the labels, and of these only cavity and wall."""
    if isinstance(segmenter, HeartSegmenter):
        probability = segmenter.stack_probabilities(stack.image, stack.spacing_mm)
        return probability, decide_labels(probability, stack.spacing_mm, segmenter.threshold)
    key = (segmenter.finder.fingerprint, digest(np.ascontiguousarray(stack.image).tobytes()))
    if key not in _FOUND:
        _FOUND[key] = segmenter.finder.read_filled(stack.image, stack.spacing_mm)
    probability = segmenter.stack_probabilities(stack.image, stack.spacing_mm, stack.labels, found=_FOUND[key])
    return probability, segmenter.decide(probability, stack.spacing_mm, stack.labels)


def _lesions(mask: Mask, other: Mask) -> tuple[int, int]:
    """Number of connected lesions of a slice, and how many of them the other mask touches."""
    numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
    return int(count), len(set(np.unique(numbered[other]).tolist()) - {0})


def hausdorff_95(predicted: Mask, truth: Mask, spacing_mm: tuple[float, float]) -> float | None:
    """95th percentile of the distances between the outlines of two masks, in mm. None if a mask is empty."""
    if not predicted.any() or not truth.any():
        return None
    first, second = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (predicted, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI passes an argument to itself that it has deprecated
        distance = compute_hausdorff_distance(first, second, include_background=True, percentile=95, spacing=list(spacing_mm))
    return round(float(distance), 3)
