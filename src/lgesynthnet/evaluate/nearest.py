"""Copies: how near a repainted region comes to another slice, be it another synthetic one or one that the generator was trained on.

The wall is unrolled to 72 angles x 6 depths, so that hearts of any size can be compared. There are two distances: the root mean square
difference in heart units over the repainted part, and the Euclidean distance between the auditor's last-layer features, averaged over
it and standardised. The reference for both is real: how near a real scar comes to the nearest slice of another patient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.evaluate.cases import Case

if TYPE_CHECKING:
    from lgesynthnet.segmenter.scar import TrainedScarSegmenter

ANGLES, DEPTHS = 72, 6
PERCENTILE = 1.0  # a slice is "near" if it is nearer than this percentile of the real ones; one in a hundred is so by chance


@dataclass(frozen=True, kw_only=True)
class UnrolledWall:
    """One slice with its wall unrolled.

    Attributes:
        wall: brightness of the wall, heart units.
        repainted: which cells of the wall were repainted.
        features: the auditor's last-layer features of each cell; without channels where there is no auditor.
    """

    patient: str
    wall: Float[np.ndarray, "angles depths"]
    repainted: Bool[np.ndarray, "angles depths"]
    features: Float[np.ndarray, "channels angles depths"]

    @property
    def whole_wall_features(self) -> Float[np.ndarray, " channels"]:
        """Features averaged over the whole wall."""
        return np.asarray(self.features.mean(axis=(1, 2)))

    def features_over(self, cells: Bool[np.ndarray, "angles depths"]) -> Float[np.ndarray, " channels"]:
        """Features averaged over some cells."""
        return np.asarray(self.features[:, cells].mean(axis=1))


Distance = Callable[[UnrolledWall, UnrolledWall], float]


def unroll_wall(case: Case, auditor: TrainedScarSegmenter | None = None) -> UnrolledWall:
    """Unroll the wall of one case, with the auditor's features where there is an auditor."""
    frame = case.frame
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    pixels = np.nonzero(roi.crop_mask(frame.wall))
    nominal_deg = roi.crop_angle(frame.nominal_deg)[pixels]
    depth = roi.crop(np.nan_to_num(frame.depth, nan=0.5))[pixels]
    angle = (nominal_deg / (360 / ANGLES)).astype(int) % ANGLES
    cell = angle * DEPTHS + np.clip(depth * DEPTHS, 0, DEPTHS - 1).astype(int)
    hidden_share = _mean_by_cell(roi.crop_mask(case.hidden)[pixels].astype(float), cell)
    if auditor is None:
        maps = np.zeros((0, 1, 1))
    else:
        from lgesynthnet.segmenter.features import slice_features  # loads torch

        maps = slice_features(auditor, case.host, frame, case.image)
    return UnrolledWall(
        patient=case.patient,
        wall=_mean_by_cell(roi.crop(case.unit)[pixels], cell),
        repainted=hidden_share > min(0.5, 0.5 * float(hidden_share.max())),
        features=np.array([_mean_by_cell(channel[pixels], cell) for channel in maps]).reshape(-1, ANGLES, DEPTHS),
    )


def _mean_by_cell(values: Float[np.ndarray, " pixels"], cell: Int[np.ndarray, " pixels"]) -> Float[np.ndarray, "angles depths"]:
    """Mean of the pixels in each cell; a cell without pixels takes the value of its nearest neighbour."""
    pixels = np.bincount(cell, minlength=ANGLES * DEPTHS)
    sums = np.bincount(cell, weights=values, minlength=ANGLES * DEPTHS)
    mean = np.where(pixels > 0, sums / np.maximum(pixels, 1), np.nan).reshape(ANGLES, DEPTHS)
    neighbour = ndimage.distance_transform_edt(np.isnan(mean), return_distances=False, return_indices=True)
    return np.asarray(mean[tuple(neighbour)], np.float64)


def wall_distance(case: UnrolledWall, candidate: UnrolledWall) -> float:
    """Root mean square difference over what was repainted in `case`, heart units."""
    return float(np.sqrt(np.mean((case.wall - candidate.wall)[case.repainted] ** 2)))


def feature_distance(deviation: Float[np.ndarray, " channels"]) -> Distance:
    """The distance in the auditor's features over what was repainted in the first slice, each feature divided by its deviation.

    Args:
        deviation: see `feature_deviation`.
    """

    def distance(case: UnrolledWall, candidate: UnrolledWall) -> float:
        change = case.features_over(case.repainted) - candidate.features_over(case.repainted)
        return float(np.linalg.norm(change / deviation))

    return distance


def feature_deviation(real: Sequence[UnrolledWall]) -> Float[np.ndarray, " channels"]:
    """Standard deviation among real slices of the features averaged over the whole wall."""
    return np.asarray(np.std([wall.whole_wall_features for wall in real], axis=0) + 1e-9)


def nearest(case: UnrolledWall, candidates: Sequence[UnrolledWall], distance: Distance) -> float | None:
    """Distance to the nearest slice of another patient; None where there is none."""
    return min((distance(case, candidate) for candidate in candidates if candidate.patient != case.patient), default=None)


def reference_distance(real: Sequence[UnrolledWall], candidates: Sequence[UnrolledWall], distance: Distance) -> float | None:
    """The first percentile of the distances of real slices to their nearest candidate; None where no slice has a candidate."""
    distances = [value for case in real if (value := nearest(case, candidates, distance)) is not None]
    return float(np.percentile(distances, PERCENTILE)) if distances else None


def near_duplicates(painted: Sequence[UnrolledWall], limit: float) -> list[float]:
    """For each slice 1 where another slice of the set is nearer than `limit` in heart units of the wall, else 0.

    Slices of the same host count too.
    """
    walls = np.array([case.wall for case in painted]).reshape(len(painted), ANGLES, DEPTHS)
    duplicates = []
    for i, case in enumerate(painted):
        distances = np.sqrt(((walls - case.wall)[:, case.repainted] ** 2).mean(axis=1))
        distances[i] = np.inf
        duplicates.append(float(distances.min(initial=np.inf) < limit))
    return duplicates
