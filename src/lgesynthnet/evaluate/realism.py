"""Realism: do the repainted regions look like what a scanner produces? Each metric stands beside its value for real slices.

No metric here says whether the scar is where it was prescribed (that is alignment), or whether the samples help a segmenter (utility).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lgesynthnet.evaluate.cases import Case, in_order
from lgesynthnet.evaluate.distances import FeatureSet, frechet_distances, kernel_distances
from lgesynthnet.evaluate.intervals import ByPatient, Interval, geometric_mean, mean
from lgesynthnet.evaluate.nearest import (
    Distance,
    UnrolledWall,
    feature_deviation,
    feature_distance,
    near_duplicates,
    nearest,
    reference_distance,
    unroll_wall,
    wall_distance,
)
from lgesynthnet.evaluate.result_rows import Goal, ResultRow
from lgesynthnet.evaluate.similarity import similarity
from lgesynthnet.evaluate.texture import border_gradient, edge_sharpness, noise_ratio, seam
from lgesynthnet.evaluate.tissues import Tissue, mean_brightness, wasserstein, wasserstein_of_halves
from lgesynthnet.evaluate.two_sample_test import classifier_two_sample_test, statistics

if TYPE_CHECKING:
    from lgesynthnet.segmenter.scar import TrainedScarSegmenter

CaseMetric = Callable[[Case], float | None]
Average = Callable[[ByPatient], Interval | None]
NO_REAL_SLICES = "needs real slices with scar"
TOO_FEW = "too few slices or patients"
C2ST = "C2ST AUC, synthetic against real"
NEAR_DUPLICATES = "near duplicates, share of synthetic slices"


def realism(
    painted: Sequence[Case],
    real: Sequence[Case],
    *,
    auditor: TrainedScarSegmenter | None = None,
    training: Sequence[Case] = (),
    on_case: Callable[[int, int], None] | None = None,
) -> list[ResultRow]:
    """Every realism metric of the synthetic slices, in a fixed order. The order of the cases does not change a number.

    Args:
        painted: the synthetic slices, from `Case.of_sample`.
        real: slices with scar, from `Case.of_real`; best of patients on whom the generator was not trained.
        auditor: provides features for the distances; without it those distances are left out.
        training: slices on which the generator was trained; copies of them are looked for.
        on_case: called with (done, total) after each case.
    Raises:
        ValueError: there are no synthetic slices.
    """
    if not painted:
        raise ValueError("no synthetic slices to judge")
    painted, real, training = in_order(painted), in_order(real), in_order(training)
    cases = [*painted, *real, *training]
    walls: list[UnrolledWall] = []
    for done, case in enumerate(cases, start=1):
        walls.append(unroll_wall(case, auditor))
        if on_case is not None:
            on_case(done, len(cases))
    painted_walls, real_walls = walls[: len(painted)], walls[len(painted) : len(painted) + len(real)]
    feature_sets = _feature_sets((painted, real), (painted_walls, real_walls), auditor)
    return [
        *_similarity_rows(painted),
        *_texture_rows(painted, real),
        *_brightness_rows(painted, real),
        *(row for features in feature_sets for row in _distance_rows(features)),
        _two_sample_row(feature_sets[0]),
        _duplicates_row(painted_walls, real_walls),
        *_memorisation_rows(painted_walls, walls[len(painted) + len(real) :]),
    ]


def _by_patient(cases: Sequence[Case], metric: CaseMetric) -> ByPatient:
    values: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        value = metric(case)
        if value is not None:
            values[case.patient].append(value)
    return values


def _similarity_rows(painted: Sequence[Case]) -> list[ResultRow]:
    """Similarity to the host. There is no real value to compare with: a real slice is its own host."""
    values: dict[str, dict[str, list[float]]] = {}
    for case in painted:
        for name, value in similarity(case).items():
            by_patient = values.setdefault(name, defaultdict(list))
            if value is not None:
                by_patient[case.patient].append(value)
    note = "rewards a generator that paints nothing"
    return [ResultRow(metric=name, value=mean(by_patient), goal=Goal.NONE, note=note) for name, by_patient in values.items()]


def _texture_rows(painted: Sequence[Case], real: Sequence[Case]) -> list[ResultRow]:
    metrics: tuple[tuple[str, CaseMetric, Average], ...] = (
        ("noise power ratio, hidden region / rest of the wall", noise_ratio, geometric_mean),
        ("gradient ratio, border of the hidden region / beside it", border_gradient, geometric_mean),
        ("gradient at the scar border, heart units / mm", edge_sharpness, mean),
    )
    rows = [
        ResultRow(metric=name, value=average(_by_patient(painted, metric)), real=average(_by_patient(real, metric)))
        for name, metric, average in metrics
    ]
    return [*rows, ResultRow(metric="seam, heart units", value=mean(_by_patient(painted, seam)), goal=Goal.ZERO)]


def _brightness_rows(painted: Sequence[Case], real: Sequence[Case]) -> list[ResultRow]:
    rows = []
    for which in Tissue:
        metric = mean_brightness(which)
        value, of_real = mean(_by_patient(painted, metric)), mean(_by_patient(real, metric))
        rows.append(ResultRow(metric=f"mean brightness of {which}, heart units", value=value, real=of_real))
    for which in Tissue:
        value, of_halves = wasserstein(painted, real, which), wasserstein_of_halves(real, which)
        note = TOO_FEW if value is None else ""
        rows.append(ResultRow(metric=f"Wasserstein distance of brightness, {which}, heart units", value=value, real=of_halves, note=note))
    return rows


def _feature_sets(
    cases: tuple[Sequence[Case], Sequence[Case]],
    walls: tuple[Sequence[UnrolledWall], Sequence[UnrolledWall]],
    auditor: TrainedScarSegmenter | None,
) -> list[FeatureSet]:
    """The statistics of the two-sample test, and the auditor's last-layer features where there is an auditor.

    Args:
        cases, walls: of the synthetic and of the real slices.
    """
    tables: list[tuple[str, list[list[np.ndarray]]]] = [
        ("statistics of the hidden region", [[statistics(case) for case in side] for side in cases])
    ]
    if auditor is not None:
        name = f"last-layer features of {auditor.fingerprint}"
        tables += [
            (f"{name}, mean over the wall", [[wall.whole_wall_features for wall in side] for side in walls]),
            (f"{name}, mean over the repainted wall", [[wall.features_over(wall.repainted) for wall in side] for side in walls]),
        ]
    painted_patients, real_patients = ([case.patient for case in side] for side in cases)
    return [
        FeatureSet(
            name=name,
            painted=np.array(painted),
            real=np.array(real).reshape(len(real), len(painted[0])),
            painted_patients=painted_patients,
            real_patients=real_patients,
        )
        for name, (painted, real) in tables
    ]


def _distance_rows(features: FeatureSet) -> list[ResultRow]:
    frechet_name, kernel_name = f"Fréchet distance, {features.name}", f"kernel distance (squared MMD), {features.name}"
    if not len(features.real):
        return [ResultRow(metric=name, value=None, note=NO_REAL_SLICES) for name in (frechet_name, kernel_name)]
    size = f"{len(features.painted)} synthetic, {len(features.real)} real"
    frechet, frechet_of_halves, directions = frechet_distances(features)
    kernel, kernel_of_halves = kernel_distances(features)
    return [
        ResultRow(
            metric=frechet_name,
            value=frechet,
            real=frechet_of_halves,
            note=TOO_FEW if frechet is None else f"directions: {directions}; {size}",
        ),
        ResultRow(metric=kernel_name, value=kernel, real=kernel_of_halves, goal=Goal.ZERO, note=TOO_FEW if kernel is None else size),
    ]


def _two_sample_row(features: FeatureSet) -> ResultRow:
    value, of_halves = classifier_two_sample_test(features)
    return ResultRow(metric=C2ST, value=value, real=of_halves, goal=Goal.HALF, note=TOO_FEW if value is None else features.name)


def _duplicates_row(painted: Sequence[UnrolledWall], real: Sequence[UnrolledWall]) -> ResultRow:
    limit = reference_distance(real, real, wall_distance) if real else None
    if limit is None:
        return ResultRow(metric=NEAR_DUPLICATES, value=None, goal=Goal.LOW, note=NO_REAL_SLICES)
    value, of_real = (mean(_walls_by_patient(side, near_duplicates(side, limit))) for side in (painted, real))
    note = f"nearer than {limit:.3f} heart units in the wall"
    return ResultRow(metric=NEAR_DUPLICATES, value=value, real=of_real, goal=Goal.LOW, note=note)


def _memorisation_rows(painted: Sequence[UnrolledWall], training: Sequence[UnrolledWall]) -> list[ResultRow]:
    if not training:
        return []
    distances: dict[str, Distance] = {"wall brightness": wall_distance}
    if training[0].features.size:
        distances["auditor features"] = feature_distance(feature_deviation(training))
    return [_memorisation_row(painted, training, name, distance) for name, distance in distances.items()]


def _memorisation_row(painted: Sequence[UnrolledWall], training: Sequence[UnrolledWall], name: str, distance: Distance) -> ResultRow:
    """Share of synthetic slices that are nearer to a training slice of another patient than 1 % of training slices are to each other."""
    metric, limit = f"near a training slice by {name}, share of synthetic slices", reference_distance(training, training, distance)
    distances = [nearest(wall, training, distance) for wall in painted]
    if limit is None or None in distances:
        return ResultRow(metric=metric, value=None, goal=Goal.LOW, note=TOO_FEW)
    share = mean(_walls_by_patient(painted, [float(value < limit) for value in distances if value is not None]))
    return ResultRow(metric=metric, value=share, goal=Goal.LOW, note=f"nearer than {limit:.3f}; 0.01 is chance")


def _walls_by_patient(walls: Sequence[UnrolledWall], values: Sequence[float]) -> ByPatient:
    by_patient: dict[str, list[float]] = defaultdict(list)
    for wall, value in zip(walls, values, strict=True):
        by_patient[wall.patient].append(value)
    return by_patient
