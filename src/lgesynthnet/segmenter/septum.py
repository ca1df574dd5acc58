"""RV insertions by a heart segmenter that was trained on the phantom, as the same kind of evidence as the rules of `anatomy.insertions`."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from lgesynthnet.anatomy.septum_evidence import ANGLES_DEG, ARCS_DEG, STEP_DEG, Evidence, sample_surroundings, septum_evidence
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Label, ShortAxisSlice
from lgesynthnet.segmenter.heart import HeartSegmenter

BAND = slice(1, 6)  # 0.1 to 0.3 LV radii beyond the epicardium: outside the septum and inside the RV's free wall
CERTAIN = 3.0  # largest natural log-odds that is believed; networks are over-confident
INDEPENDENCE = 0.05  # weight of one direction: neighbours, 3 degrees apart, are strongly correlated


def read_septum(slice_: ShortAxisSlice) -> Evidence:
    """Where the septum lies, by the rules and by the shipped segmenter together; the segmenter was trained on simulated hearts alone.

    Raises:
        AnatomyError: the labels have no cavity or no wall.
        InputError: the image is flat.
    """
    rules = septum_evidence(slice_)
    return np.asarray(rules + rv_evidence(_shipped().probabilities(slice_.image, slice_.spacing_mm)[Label.RV], slice_))


@lru_cache(maxsize=1)
def _shipped() -> HeartSegmenter:
    return HeartSegmenter.from_pretrained(weights_folder() / "phantom" / "heart-segmenter")


def rv_evidence(probability: Float[np.ndarray, "rows cols"], slice_: ShortAxisSlice) -> Evidence:
    """Log-evidence for a septum that begins at each angle and spans each arc. Its maximum is 0; without an RV it is flat.

    Args:
        probability: of the RV cavity, on the slice's grid.
        slice_: gives the known LV; its image is not used.
    Raises:
        AnatomyError: the labels have no cavity or no wall.
    """
    # `sample_around` takes exact zero for padding.
    around = sample_surroundings(replace(slice_, image=np.clip(probability, 1e-6, 1 - 1e-6)))[:, BAND]
    known = np.isfinite(around)
    beside = np.clip(np.where(known, around, 0.0).max(axis=1), 1e-6, 1 - 1e-6)
    odds = np.where(known.any(axis=1), np.clip(np.log(beside / (1 - beside)), -CERTAIN, CERTAIN), 0.0)
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([odds, odds]))])
    first = np.arange(ANGLES_DEG.size)[:, None]
    within = total[first + np.rint(ARCS_DEG / STEP_DEG).astype(int)[None, :]] - total[first]
    evidence = 2 * INDEPENDENCE * within  # odds inside the arc count for it, odds outside against it: twice the inside, up to a constant
    return np.asarray(evidence - evidence.max())
