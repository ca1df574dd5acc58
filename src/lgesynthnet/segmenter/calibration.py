"""How far a reader can be believed: the threshold that validation patients set, the scores at it, and its reliability curve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from lgesynthnet.overlap import dice

FALSE_SCAR_MM2 = 25.0  # a scar-free slice with more than this was misread
MOST_FALSE_SHARE = 1 / 7  # of the scar-free slices may be misread at the threshold
AGREES = 0.6  # the Dice from which a scar counts as found
THRESHOLDS = tuple(round(0.1 + 0.05 * i, 2) for i in range(17))  # 0.1 to 0.9
BINS = 10


@dataclass(frozen=True, kw_only=True)
class ReadSlice:
    """What a reader saw in one slice's wall, beside the truth.

    Attributes:
        patient: whose slice.
        chance: probability of scar or no-reflow at every wall pixel, 0 to 1.
        truth: which of them are scar or no-reflow.
        pixel_mm2: area of one pixel.
    """

    patient: str
    chance: Float[np.ndarray, " pixels"]
    truth: Bool[np.ndarray, " pixels"]
    pixel_mm2: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A reader's agreement at one threshold; None where there is no such slice or patient.

    Attributes:
        threshold: probability from which a pixel counts.
        dice: mean over slices with scar.
        share_above_0_6: share of those slices above it.
        false_scar_mm2: mean area read in slices without scar.
        false_slices: share of those with more than 25 mm2.
        false_patients: share of the patients without any scar in whom a slice holds more than 25 mm2.
    """

    threshold: float
    dice: float | None
    share_above_0_6: float | None
    false_scar_mm2: float | None
    false_slices: float | None
    false_patients: float | None


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Wall pixels of similar probability; the curve's point is (mean_chance, observed)."""

    mean_chance: float
    observed: float
    pixels: int


def score(slices: Sequence[ReadSlice], threshold: float) -> Scores:
    """Agreement with the truth when pixels from `threshold` on count as scar."""
    overlap, false_mm2 = [], []
    worst_mm2: dict[str, float] = defaultdict(float)
    diseased = {s.patient for s in slices if s.truth.any()}
    for slice_ in slices:
        read = slice_.chance >= threshold
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
    """The scores at the threshold with the best Dice on scarred slices among those that misread at most one scar-free slice in seven.

    Where none does, the one that misreads fewest; of equals, the one with the better Dice, then the lower one.
    """
    tried = [score(slices, threshold) for threshold in THRESHOLDS]
    fewest = min(s.false_slices or 0.0 for s in tried)
    allowed = [s for s in tried if (s.false_slices or 0.0) <= max(MOST_FALSE_SHARE, fewest)]
    return max(allowed, key=lambda s: s.dice or 0.0)


def reliability(slices: Sequence[ReadSlice]) -> tuple[list[Bin], float]:
    """Ten bins of probability, empty ones left out, and the expected calibration error (0 to 1) over all wall pixels.

    Source: Naeini et al. (2015), here over pixels of one class.
    """
    chance = np.concatenate([s.chance for s in slices]).astype(np.float64)
    truth = np.concatenate([s.truth for s in slices])
    bin_of = np.minimum((chance * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for i in range(BINS):
        inside = bin_of == i
        if not inside.any():
            continue
        mean_chance, observed = float(chance[inside].mean()), float(truth[inside].mean())
        bins.append(Bin(mean_chance=mean_chance, observed=observed, pixels=int(inside.sum())))
        error += abs(mean_chance - observed) * float(inside.mean())
    return bins, error


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
