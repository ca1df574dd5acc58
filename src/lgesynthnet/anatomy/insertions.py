"""The RV insertions of one slice: from an RV label, or from the image and the LV labels alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.anatomy.septum_evidence import ANGLES_DEG, ARCS_DEG, STEP_DEG, Evidence, lv_centre, septum_evidence
from lgesynthnet.records import Insertions, Label, ShortAxisSlice, Source

# Prior of the direction of the septum: most are centred near 195 degrees, and about one in six near 128 degrees.
# The flat share keeps every other direction possible.
HUMPS_DEG, HUMP_SHARES, HUMP_SPREAD_DEG, FLAT_SHARE = (195.0, 128.0), (0.48, 0.12), 18.0, 0.4
ARC_MEAN_DEG, ARC_SPREAD_DEG = 117.0, 12.0
NEAR_DEG = 25.0  # the confidence is the share of the evidence that lies this near to the answer

LABEL_SLACK_MM = 1.5  # an RV pixel still touches the wall if it is at most this much farther away than the nearest one
LABEL_ARC_DEG = (30.0, 220.0)  # range of contact arcs that can be a septum


def insertions_from_rv_label(slice_: ShortAxisSlice) -> Insertions | None:
    """RV insertions at the ends of the arc over which the labelled RV touches the wall.

    Returns None where RV, cavity or wall is not labelled, or where the arc is shorter than 30 or longer than 220 degrees and
    therefore cannot be the septum.
    """
    rv = slice_.labels == Label.RV
    if not rv.any() or not slice_.cavity.any() or not slice_.wall.any():
        return None
    blobs, _ = ndimage.label(rv)
    rv = blobs == 1 + int(np.argmax(np.bincount(blobs.ravel())[1:]))  # stray pixels must not add a second contact
    row0, col0 = lv_centre(slice_)
    beyond_mm = ndimage.distance_transform_edt(~(slice_.wall | slice_.cavity), sampling=slice_.spacing_mm)[rv]
    rows, cols = np.nonzero(rv)
    touches = beyond_mm <= beyond_mm.min() + max(LABEL_SLACK_MM, 0.5 * max(slice_.spacing_mm))
    up_mm, right_mm = (row0 - rows[touches]) * slice_.spacing_mm[0], (cols[touches] - col0) * slice_.spacing_mm[1]
    angles = np.sort(np.degrees(np.arctan2(up_mm, right_mm)) % 360.0)
    gaps = np.diff(np.append(angles, angles[0] + 360.0))
    widest = int(np.argmax(gaps))  # the widest gap is the free wall; the septum begins where it ends
    anterior, inferior = float(angles[(widest + 1) % angles.size]), float(angles[widest])
    if not LABEL_ARC_DEG[0] <= (inferior - anterior) % 360.0 <= LABEL_ARC_DEG[1]:
        return None
    return Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.RV_LABEL, confidence=1.0)


def insertions_from_image(slice_: ShortAxisSlice) -> Insertions:
    """The most likely insertions from the image and the LV labels of this slice alone. Their confidence tells how good they are.

    Raises:
        AnatomyError: the labels have no cavity or no wall.
    """
    return most_likely_insertions(septum_evidence(slice_))


def most_likely_insertions(evidence: Evidence) -> Insertions:
    """One pair of angles from the evidence and the prior: the mean of the most likely group of pairs.

    The confidence leaves out the prior of the direction: an image without evidence gets 0.14 (50 of 360 degrees).
    """
    centre = (ANGLES_DEG[:, None] + ARCS_DEG[None, :] / 2 - STEP_DEG / 2) % 360.0
    arc = -0.5 * ((ARCS_DEG - ARC_MEAN_DEG) / ARC_SPREAD_DEG) ** 2
    posterior = _shares(evidence + np.log(_direction_prior(centre)) + arc)
    group = [posterior[np.abs(_signed_difference(centre - angle)) <= NEAR_DEG].sum() for angle in ANGLES_DEG]
    near = np.abs(_signed_difference(centre - ANGLES_DEG[int(np.argmax(group))])) <= NEAR_DEG + STEP_DEG
    weights = np.where(near, posterior, 0.0)
    anterior = _mean_angle(np.broadcast_to(ANGLES_DEG[:, None] - STEP_DEG / 2, posterior.shape), weights)
    inferior = _mean_angle(ANGLES_DEG[:, None] + ARCS_DEG[None, :] - STEP_DEG / 2, weights)
    middle = anterior + ((inferior - anterior) % 360.0) / 2
    confidence = float(_shares(evidence + arc)[np.abs(_signed_difference(centre - middle)) <= NEAR_DEG].sum())
    return Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.IMAGE, confidence=min(confidence, 1.0))


def _direction_prior(centre_deg: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    density = np.full(centre_deg.shape, FLAT_SHARE / 360.0)
    for hump, share in zip(HUMPS_DEG, HUMP_SHARES, strict=True):
        bell = np.exp(-0.5 * (_signed_difference(centre_deg - hump) / HUMP_SPREAD_DEG) ** 2) / (HUMP_SPREAD_DEG * np.sqrt(2 * np.pi))
        density = density + share * bell
    return density


def _shares(log_weights: Evidence) -> Evidence:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def _signed_difference(degrees: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Map differences of directions in degrees to [-180, 180)."""
    return (degrees + 180.0) % 360.0 - 180.0


def _mean_angle(degrees: Evidence, weights: Evidence) -> float:
    return float(np.degrees(np.angle(np.sum(weights * np.exp(1j * np.radians(degrees))))) % 360.0)
