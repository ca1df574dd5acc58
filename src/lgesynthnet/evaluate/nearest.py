"""How near a painted region comes to another slice: duplicates among the painted ones, copies of what a model learnt from.

The wall is unrolled to 72 angles x 6 depths, so that hearts of any size compare. Two distances: root mean square difference in heart
units over the repainted part, and Euclidean distance of the auditor's last features, averaged over it and standardised. The yardstick
of both is real: how near a real scar comes to the nearest slice of another patient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.segmenter.features import slice_features
from lgesynthnet.segmenter.scar import TrainedScarSegmenter

ANGLES, DEPTHS = 72, 6
PERCENTILE = 1.0  # nearer than this share of the real ones is called close; by chance one in a hundred is


@dataclass(frozen=True, kw_only=True)
class UnrolledWall:
    """One slice as both distances see it.

    Attributes:
        wall: heart units of the unrolled wall.
        counts: which of its cells were repainted.
        features: the auditor's, of each cell; without channels where there is no auditor.
    """

    patient: str
    wall: Float[np.ndarray, "angles depths"]
    counts: Bool[np.ndarray, "angles depths"]
    features: Float[np.ndarray, "channels angles depths"]

    @property
    def pooled(self) -> Float[np.ndarray, " channels"]:
        """Features averaged over the repainted wall."""
        return self.features[:, self.counts].mean(axis=1)


Distance = Callable[[UnrolledWall, UnrolledWall], float]


def look(case: Case, auditor: TrainedScarSegmenter | None = None) -> UnrolledWall:
    """Unroll one case."""
    frame = case.frame
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    at = np.nonzero(roi.crop_mask(frame.wall))
    nominal, depth = roi.crop_angle(frame.nominal_deg)[at], roi.crop(np.nan_to_num(frame.depth, nan=0.5))[at]
    angle = (nominal / (360 / ANGLES)).astype(int) % ANGLES
    cell = angle * DEPTHS + np.clip(depth * DEPTHS, 0, DEPTHS - 1).astype(int)
    share = _unrolled(roi.crop_mask(case.hidden)[at].astype(float), cell)
    maps = slice_features(auditor, case.host, frame, case.image) if auditor is not None else np.zeros((0, 1, 1))
    return UnrolledWall(
        patient=case.patient,
        wall=_unrolled(roi.crop(case.unit)[at], cell),
        counts=share > min(0.5, 0.5 * float(share.max())),
        features=np.array([_unrolled(channel[at], cell) for channel in maps]).reshape(-1, ANGLES, DEPTHS),
    )


def _unrolled(values: Float[np.ndarray, " pixels"], cell: np.ndarray) -> Float[np.ndarray, "angles depths"]:
    pixels = np.bincount(cell, minlength=ANGLES * DEPTHS)
    sums = np.bincount(cell, weights=values, minlength=ANGLES * DEPTHS)
    mean = np.where(pixels > 0, sums / np.maximum(pixels, 1), np.nan).reshape(ANGLES, DEPTHS)
    # Cells that no pixel fell into take their neighbour's value.
    where = ndimage.distance_transform_edt(np.isnan(mean), return_distances=False, return_indices=True)
    return np.asarray(mean[tuple(where)], np.float64)


def in_wall(one: UnrolledWall, other: UnrolledWall) -> float:
    """Root mean square difference over what was repainted in `one`, heart units."""
    return float(np.sqrt(np.mean((one.wall - other.wall)[one.counts] ** 2)))


def in_features(spread: Float[np.ndarray, " channels"]) -> Distance:
    """Distance of the auditor's features, each divided by its spread among real slices."""

    def distance(one: UnrolledWall, other: UnrolledWall) -> float:
        return float(np.linalg.norm((one.pooled - other.features[:, one.counts].mean(axis=1)) / spread))

    return distance


def feature_spread(real: Sequence[UnrolledWall]) -> Float[np.ndarray, " channels"]:
    """Standard deviation of the whole wall's mean features among real slices."""
    return np.std([one.features.mean(axis=(1, 2)) for one in real], axis=0) + 1e-9


def nearest(one: UnrolledWall, others: Sequence[UnrolledWall], distance: Distance) -> float | None:
    """Distance to the nearest slice of another patient; None where there is none."""
    return min((distance(one, other) for other in others if other.patient != one.patient), default=None)


def reference_distance(real: Sequence[UnrolledWall], among: Sequence[UnrolledWall], distance: Distance) -> float | None:
    """The distance that 1 % of real scars fall below; None where nobody has a neighbour."""
    found = [value for one in real if (value := nearest(one, among, distance)) is not None]
    return float(np.percentile(found, PERCENTILE)) if found else None


def near_duplicates(painted: Sequence[UnrolledWall], limit: float) -> list[float]:
    """For each painted slice 1 where another painted one, of the same host or not, is nearer than `limit` in the wall, else 0."""
    walls = np.array([one.wall for one in painted]).reshape(len(painted), ANGLES, DEPTHS)
    close = []
    for i, one in enumerate(painted):
        apart = np.sqrt(((walls - one.wall)[:, one.counts] ** 2).mean(axis=1))
        apart[i] = np.inf
        close.append(float(apart.min(initial=np.inf) < limit))
    return close
