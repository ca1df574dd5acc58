"""Realism: would the painted region pass for one that the scanner made? Each figure beside what real slices give.

No figure here says whether the scar is where it was asked for; that is alignment. None says whether it helps; that is utility.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from lgesynthnet.evaluate.cases import Case, in_order
from lgesynthnet.evaluate.distances import FeatureSet, frechet_distances, kernel_distances
from lgesynthnet.evaluate.intervals import ByPatient, Interval, geometric_mean, mean
from lgesynthnet.evaluate.lines import Goal, ResultRow
from lgesynthnet.evaluate.nearest import (
    Distance,
    UnrolledWall,
    feature_spread,
    in_features,
    in_wall,
    look,
    near_duplicates,
    nearest,
    reference_distance,
)
from lgesynthnet.evaluate.shift_tolerant import ABSENT, ShiftTolerantDistance
from lgesynthnet.evaluate.similarity import similarity
from lgesynthnet.evaluate.texture import border_gradient, edge_sharpness, noise_ratio, seam
from lgesynthnet.evaluate.tissues import Tissue, brightness, wasserstein, wasserstein_of_halves
from lgesynthnet.evaluate.twosample import classifier_two_sample_test, statistics
from lgesynthnet.segmenter.scar import TrainedScarSegmenter

OfCase = Callable[[Case], float | None]
Average = Callable[[ByPatient], Interval | None]
NO_REAL = "needs real slices with scar"
FEW = "too few slices or patients"


def realism(
    painted: Sequence[Case],
    real: Sequence[Case],
    *,
    auditor: TrainedScarSegmenter | None = None,
    training: Sequence[Case] = (),
    on_case: Callable[[int, int], None] | None = None,
) -> list[ResultRow]:
    """Every figure of painted slices, in a fixed order; the same cases give the same numbers in whatever order they come.

    Args:
        painted: `Case.of_sample` of what a generator made.
        real: `Case.of_real` of slices with scar, best of patients that the generator has not seen.
        auditor: lends its features; without it those distances are None.
        training: what the generator learnt from; asks for copies of it.
        on_case: told (done, all) while cases are looked at.
    Raises:
        ValueError: nothing was painted.
    """
    if not painted:
        raise ValueError("no painted slices to judge")
    painted, real, training = in_order(painted), in_order(real), in_order(training)
    tell, total = on_case or (lambda done, of: None), len(painted) + len(real) + len(training)
    seen: list[UnrolledWall] = []
    for done, case in enumerate([*painted, *real, *training], start=1):
        seen.append(look(case, auditor))
        tell(done, total)
    ours, theirs, learnt = seen[: len(painted)], seen[len(painted) : len(painted) + len(real)], seen[len(painted) + len(real) :]
    lines = [*_to_host(painted), *_texture(painted, real), *_brightness(painted, real)]
    sets = feature_sets(painted, real, ours, theirs, auditor)
    for features in sets:
        lines += _apart(features)
    return [*lines, _judged(sets[0]), *_copies(ours, theirs, learnt)]


def _over(cases: Sequence[Case], of: OfCase) -> ByPatient:
    rows: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        value = of(case)
        if value is not None:
            rows[case.patient].append(value)
    return rows


def _to_host(painted: Sequence[Case]) -> list[ResultRow]:
    """Nothing real stands beside these: a real slice is its own host."""
    note = "rewards not painting"
    found: dict[str, dict[str, list[float]]] = {}
    for case in painted:
        for name, value in similarity(case).items():
            rows = found.setdefault(name, defaultdict(list))
            if value is not None:
                rows[case.patient].append(value)
    lines = [ResultRow(figure=name, value=mean(rows), aim=Goal.NONE, note=note) for name, rows in found.items()]
    distance = ShiftTolerantDistance.from_installed()
    apart = None if distance is None else mean(_over(painted, distance.to_host))
    return [*lines, ResultRow(figure="ST-LPIPS to host, heart", value=apart, aim=Goal.NONE, note=ABSENT if distance is None else note)]


def _texture(painted: Sequence[Case], real: Sequence[Case]) -> list[ResultRow]:
    rows: tuple[tuple[str, OfCase, Average, Goal], ...] = (
        ("noise, repainted / untouched wall", noise_ratio, geometric_mean, Goal.AS_REAL),
        ("gradient on the border / beside it", border_gradient, geometric_mean, Goal.AS_REAL),
        ("gradient at the scar's edge, units / mm", edge_sharpness, mean, Goal.AS_REAL),
    )
    lines = [
        ResultRow(figure=name, value=average(_over(painted, of)), real=average(_over(real, of)), aim=aim) for name, of, average, aim in rows
    ]
    return [*lines, ResultRow(figure="seam, heart units", value=mean(_over(painted, seam)), aim=Goal.ZERO)]


def _brightness(painted: Sequence[Case], real: Sequence[Case]) -> list[ResultRow]:
    lines = []
    for which in Tissue:
        of = brightness(which)
        value, beside = mean(_over(painted, of)), mean(_over(real, of))
        lines.append(ResultRow(figure=f"brightness of {which}, heart units", value=value, real=beside))
    for which in Tissue:
        value, beside = wasserstein(painted, real, which), wasserstein_of_halves(real, which)
        note = FEW if value is None else ""
        lines.append(ResultRow(figure=f"Wasserstein distance of {which}, heart units", value=value, real=beside, note=note))
    return lines


def feature_sets(
    painted: Sequence[Case],
    real: Sequence[Case],
    ours: Sequence[UnrolledWall],
    theirs: Sequence[UnrolledWall],
    auditor: TrainedScarSegmenter | None,
) -> list[FeatureSet]:
    """Each with its name: the statistics that the two-sample judge reads, and the auditor's last features where there is an auditor."""
    tables: list[tuple[str, list[np.ndarray], list[np.ndarray]]] = [
        ("statistics of the repainted region", [statistics(c) for c in painted], [statistics(c) for c in real])
    ]
    if auditor is not None:
        name = f"last features of {auditor.fingerprint}"
        whole, whole_real = ([one.features.mean(axis=(1, 2)) for one in side] for side in (ours, theirs))
        tables.append((f"{name}, mean over the wall", whole, whole_real))
        tables.append((f"{name}, mean over the repainted wall", [one.pooled for one in ours], [one.pooled for one in theirs]))
    patients = [case.patient for case in painted], [case.patient for case in real]
    return [
        FeatureSet(
            name=name,
            painted=np.array(one),
            real=np.array(other).reshape(len(other), len(one[0])),
            painted_patients=patients[0],
            real_patients=patients[1],
        )
        for name, one, other in tables
    ]


def _apart(features: FeatureSet) -> list[ResultRow]:
    if not len(features.real):
        return [ResultRow(figure=f"{kind} distance, {features.name}", value=None, note=NO_REAL) for kind in ("Fréchet", "kernel")]
    one, other, directions = frechet_distances(features)
    size = f"{len(features.painted)} painted, {len(features.real)} real"
    note = f"{directions} directions; {size}" if one is not None else FEW
    value, floor = kernel_distances(features)
    return [
        ResultRow(figure=f"Fréchet distance, {features.name}", value=one, real=other, note=note),
        ResultRow(
            figure=f"kernel distance, {features.name}", value=value, real=floor, aim=Goal.ZERO, note=size if value is not None else FEW
        ),
    ]


def _judged(features: FeatureSet) -> ResultRow:
    value, floor = classifier_two_sample_test(features)
    note = features.name if value is not None else FEW
    return ResultRow(figure="painted told from real, AUC", value=value, real=floor, aim=Goal.HALF, note=note)


def _copies(ours: Sequence[UnrolledWall], theirs: Sequence[UnrolledWall], learnt: Sequence[UnrolledWall]) -> list[ResultRow]:
    limit = reference_distance(theirs, theirs, in_wall) if theirs else None
    double = "near another painted slice, share"
    if limit is None:
        lines = [ResultRow(figure=double, value=None, aim=Goal.LOW, note=NO_REAL)]
    else:
        sides = [mean(_by_patient(side, near_duplicates(side, limit))) for side in (ours, theirs)]
        lines = [ResultRow(figure=double, value=sides[0], real=sides[1], aim=Goal.LOW, note=f"nearer than {limit:.3f} in the wall")]
    if learnt:
        distances: dict[str, Distance] = {"wall": in_wall}
        if learnt[0].features.size:
            distances["auditor's features"] = in_features(feature_spread(learnt))
        lines += [_memorised(ours, learnt, name, distance) for name, distance in distances.items()]
    return lines


def _memorised(ours: Sequence[UnrolledWall], learnt: Sequence[UnrolledWall], name: str, distance: Distance) -> ResultRow:
    """Share of painted slices nearer to a training slice of another patient than 1 % of training slices are to each other."""
    figure, limit = f"near a training slice, {name}, share", reference_distance(learnt, learnt, distance)
    near = [nearest(one, learnt, distance) for one in ours]
    if limit is None or None in near:
        return ResultRow(figure=figure, value=None, aim=Goal.LOW, note=FEW)
    share = mean(_by_patient(ours, [float(value < limit) for value in near if value is not None]))
    return ResultRow(figure=figure, value=share, aim=Goal.LOW, note=f"nearer than {limit:.3f}; by chance 0.01")


def _by_patient(seen: Sequence[UnrolledWall], values: Sequence[float]) -> ByPatient:
    rows: dict[str, list[float]] = defaultdict(list)
    for one, value in zip(seen, values, strict=True):
        rows[one.patient].append(value)
    return rows
