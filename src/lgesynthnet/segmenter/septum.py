"""RV insertions learned on the phantom: a segmenter's RV, in the same terms of evidence as the rules of `anatomy.insertions`."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from lgesynthnet.anatomy.septum_evidence import ANGLES_DEG, ARCS_DEG, STEP_DEG, Evidence, sample_surroundings, septum_evidence
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Label, ShortAxisSlice
from lgesynthnet.segmenter.heart import HeartSegmenter

BAND = slice(1, 6)  # 0.1 to 0.3 LV radii beyond the epicardium: past the septum's edge, short of the RV's free wall
CERTAIN = 3.0  # natural log-odds; a network is never as sure as it says
INDEPENDENCE = 0.05  # neighbouring directions, 3 degrees apart, say nearly the same thing


def read_septum(slice_: ShortAxisSlice) -> Evidence:
    """What the rules and the shipped segmenter, which has seen simulated hearts alone, say together of where the septum lies.

    Raises:
        AnatomyError: no cavity or no wall in the labels.
        InputError: the image is flat.
    """
    rules = septum_evidence(slice_)
    return rules + rv_evidence(_shipped().probabilities(slice_.image, slice_.spacing_mm)[Label.RV], slice_)


@lru_cache(maxsize=1)
def _shipped() -> HeartSegmenter:
    return HeartSegmenter.from_pretrained(weights_folder() / "phantom" / "segmenter")


def rv_evidence(chance: Float[np.ndarray, "rows cols"], slice_: ShortAxisSlice) -> Evidence:
    """Log-evidence for a septum that begins at each angle and runs over each arc; at most 0, flat if the network sees no RV.

    Args:
        chance: probability of RV cavity, on the slice's grid.
        slice_: gives the known LV; its image is not looked at.
    Raises:
        AnatomyError: no cavity or no wall in the labels.
    """
    # Exact zero is padding to `sample_surroundings`.
    around = sample_surroundings(replace(slice_, image=np.clip(chance, 1e-6, 1 - 1e-6)))[:, BAND]
    known = np.isfinite(around)
    beside = np.clip(np.where(known, around, 0.0).max(axis=1), 1e-6, 1 - 1e-6)
    odds = np.where(known.any(axis=1), np.clip(np.log(beside / (1 - beside)), -CERTAIN, CERTAIN), 0.0)
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([odds, odds]))])
    first = np.arange(ANGLES_DEG.size)[:, None]
    within = total[first + np.rint(ARCS_DEG / STEP_DEG).astype(int)[None, :]] - total[first]
    evidence = 2 * INDEPENDENCE * within  # inside the arc for the RV, outside it against: twice the inside, but for a constant
    return evidence - evidence.max()
