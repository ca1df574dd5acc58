"""Calibration of a scar segmenter: its threshold, set on validation patients, the scores at it, and the reliability curve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from lgesynthnet.overlap import dice

FALSE_SCAR_MM2 = 25.0  # a scar-free slice in which more scar is found counts as false positive
RATES = (0.10, 0.20)  # false-positive rates at which segmenters of scar are compared, and for which operating points are set
MOST_FALSE_SHARE = 1 / 7  # largest allowed share of false-positive slices among the scar-free ones
AGREES = 0.6  # a scar counts as found above this Dice
PIXEL_THRESHOLDS = tuple(round(0.1 + 0.05 * i, 2) for i in range(17))  # 0.1 to 0.9, of a pixel's scar probability
BINS = 10


@dataclass(frozen=True, kw_only=True)
class ReadSlice:
    """Probabilities and truth of the wall pixels of one slice.

    Attributes:
        patient: name of the patient.
        probability: probability of scar or no-reflow at every wall pixel, 0 to 1.
        truth: which of them are scar or no-reflow.
        pixel_mm2: area of one pixel.
    """

    patient: str
    probability: Float[np.ndarray, " pixels"]
    truth: Bool[np.ndarray, " pixels"]
    pixel_mm2: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Agreement of a scar segmenter with the truth at one threshold; None where there is no such slice or patient.

    Attributes:
        threshold: a pixel counts as scar from this probability on.
        dice: mean Dice over slices with scar.
        share_above_0_6: share of those slices with a Dice above 0.6.
        false_scar_mm2: mean scar area found in slices without scar.
        false_slices: share of those slices with more than 25 mm² of it.
        false_patients: share of the patients without any scar who have such a slice.
    """

    threshold: float
    dice: float | None
    share_above_0_6: float | None
    false_scar_mm2: float | None
    false_slices: float | None
    false_patients: float | None


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One point of the reliability curve: wall pixels of similar probability, and the share of them that is scar."""

    mean_chance: float
    observed: float
    pixels: int


def score(slices: Sequence[ReadSlice], threshold: float) -> Scores:
    """Agreement with the truth when pixels with a probability of `threshold` or more count as scar."""
    overlap, false_mm2 = [], []
    worst_mm2: dict[str, float] = defaultdict(float)
    diseased = {s.patient for s in slices if s.truth.any()}
    for slice_ in slices:
        read = slice_.probability >= threshold
        if slice_.truth.any():
            overlap.append(dice(read, slice_.truth) or 0.0)
            continue
        false_mm2.append(float(read.sum()) * slice_.pixel_mm2)
        if slice_.patient not in diseased:
            worst_mm2[slice_.patient] = max(worst_mm2[slice_.patient], false_mm2[-1])
    return Scores(
        threshold=threshold,
        dice=_mean(overlap),
        share_above_0_6=_mean([d > AGREES for d in overlap]),
        false_scar_mm2=_mean(false_mm2),
        false_slices=_mean([area > FALSE_SCAR_MM2 for area in false_mm2]),
        false_patients=_mean([area > FALSE_SCAR_MM2 for area in worst_mm2.values()]),
    )


def best_threshold(slices: Sequence[ReadSlice]) -> Scores:
    """The scores at the threshold with the best Dice, among thresholds with at most one false-positive slice in seven scar-free ones.

    Where no threshold is that good, the choice is among those with the fewest false-positive slices. Of equal thresholds the lowest wins.
    """
    tried = [score(slices, threshold) for threshold in PIXEL_THRESHOLDS]
    fewest = min(s.false_slices or 0.0 for s in tried)
    allowed = [s for s in tried if (s.false_slices or 0.0) <= max(MOST_FALSE_SHARE, fewest)]
    return max(allowed, key=lambda s: s.dice or 0.0)


def reliability(slices: Sequence[ReadSlice]) -> tuple[list[Bin], float]:
    """Reliability curve in ten bins of probability (empty ones left out), and the expected calibration error, 0 to 1, of all wall pixels.

    Source: Naeini et al. (2015); here over pixels and for one class.
    """
    probability = np.concatenate([s.probability for s in slices]).astype(np.float64)
    truth = np.concatenate([s.truth for s in slices])
    bin_of = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for i in range(BINS):
        inside = bin_of == i
        if not inside.any():
            continue
        mean_chance, observed = float(probability[inside].mean()), float(truth[inside].mean())
        bins.append(Bin(mean_chance=mean_chance, observed=observed, pixels=int(inside.sum())))
        error += abs(mean_chance - observed) * float(inside.mean())
    return bins, error


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
