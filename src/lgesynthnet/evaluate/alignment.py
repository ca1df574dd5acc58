"""Alignment: does the image hold the scar that was prescribed? Judged by the auditor and by brightness, beside real slices.

In the published table one segmenter teaches the generator, selects its samples and judges them, and it passes 36 % of the real slices.
Here the auditor has neither taught nor selected, and beside every score stands the auditor's score of real slices with their experts'
masks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.enhancement import full_width_half_maximum, n_sd
from lgesynthnet.evaluate.intervals import Interval, correlation, mean
from lgesynthnet.evaluate.result_rows import Goal, ResultRow
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.strata import sort_strata, strata
from lgesynthnet.records import Mask
from lgesynthnet.segmenter.base import ScarSegmenter

DICE_ABOVE = 0.6  # the paper reports the share of samples above it
LESION_MM2 = 10.0  # smaller islands do not count as lesions
LESION_SHARE = 0.25  # share of a lesion that must be covered for it to count as detected, or as correct
STANDARD_DEVIATIONS = (2, 3, 5, 6)

DICE = "Dice"
HEARTS = "Dice of whole hearts"
ABOVE = f"share with Dice above {DICE_ABOVE:g}"
RECALL = "lesion recall"
PRECISION = "lesion precision"
SEGMENTS = "Jaccard index of AHA segments"
MAIN_SEGMENT = "main AHA segment correct"
HIGHER_IS_BETTER = frozenset({DICE, HEARTS, ABOVE, RECALL, PRECISION, SEGMENTS, MAIN_SEGMENT})


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of one case.

    Attributes:
        dice: of the prescribed scar and the scar that the auditor segments; 0 where it segments none.
        lesion_recall: share of the prescribed lesions (at least 10 mm²) that the auditor detects; None where there are none.
        lesion_precision: share of the auditor's lesions (at least 10 mm²) that were prescribed; None where there are none.
        segments: Jaccard index of the AHA segments of both scars.
        main_segment: whether the segment with most of the auditor's scar was prescribed.
        extent, burden: transmural extent and scar burden as prescribed, 0 to 1.
        extents, burdens: the same as measured, by method (see `scar_masks`); 0 where a method finds no scar.
        groups: the strata that the case belongs to.
        heart: see `Case`.
        shared_mm2, total_mm2: area of the two scars' overlap, and the sum of their areas.
    """

    patient: str
    dice: float
    lesion_recall: float | None
    lesion_precision: float | None
    segments: float
    main_segment: bool
    extent: float
    burden: float
    extents: Mapping[str, float]
    burdens: Mapping[str, float]
    groups: tuple[str, ...]
    heart: str | None = None
    shared_mm2: float = 0.0
    total_mm2: float = 0.0


def score(case: Case, auditor: ScarSegmenter) -> Scores:
    """Measure one case with the auditor and by brightness.

    Raises:
        ValueError: no scar was prescribed, so there is nothing to compare with.
    """
    if not case.scar.any():
        raise ValueError(f"{case.name}: no scar was prescribed")
    segmented = case.segment(auditor)
    prescribed, detected = measure_scar(case.scar, case.frame), measure_scar(segmented, case.frame)
    measured = {name: measure_scar(mask, case.frame) for name, mask in scar_masks(case, segmented).items()}
    either = prescribed.segments | detected.segments
    pixels_by_segment = {s: int((segmented & (case.frame.segments == s)).sum()) for s in np.unique(case.frame.segments[case.frame.wall])}
    main_segment = max(pixels_by_segment, key=pixels_by_segment.__getitem__)
    return Scores(
        patient=case.patient,
        dice=dice(case.scar, segmented) or 0.0,
        lesion_recall=_share_covered(case.scar, segmented, case.frame.pixel_mm2),
        lesion_precision=_share_covered(segmented, case.scar, case.frame.pixel_mm2),
        segments=len(prescribed.segments & detected.segments) / len(either) if either else 1.0,
        main_segment=bool(segmented.any() and main_segment in prescribed.segments),
        extent=prescribed.transmurality or 0.0,
        burden=prescribed.burden,
        extents={name: scar.transmurality or 0.0 for name, scar in measured.items()},
        burdens={name: scar.burden for name, scar in measured.items()},
        groups=strata(prescribed.transmurality or 0.0, prescribed.area_mm2, prescribed.segments),
        heart=case.heart,
        shared_mm2=float((case.scar & segmented).sum() * case.frame.pixel_mm2),
        total_mm2=float((int(case.scar.sum()) + int(segmented.sum())) * case.frame.pixel_mm2),
    )


def scar_masks(case: Case, segmented: Mask) -> dict[str, Mask]:
    """The scar by every method: the auditor's, which is `segmented`, and what brightness alone calls scar."""
    wall, remote, own_scar = case.frame.wall, case.remote(segmented), case.existing
    by_deviations = {f"{n} SD": n_sd(case.image, wall, remote, n=n) & ~own_scar for n in STANDARD_DEVIATIONS}
    half_maximum = full_width_half_maximum(case.image, wall, remote, within=case.hidden) & ~own_scar
    return {"auditor": segmented} | by_deviations | {"FWHM": half_maximum}


def _share_covered(lesions: Mask, cover: Mask, pixel_mm2: float) -> float | None:
    """Share of the lesions of at least 10 mm² of which `cover` holds a quarter or more; None where there are none.

    Pixels that touch at a corner belong to one lesion.
    """
    numbered, count = ndimage.label(lesions, structure=np.ones((3, 3)))
    area = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    covered = np.bincount(numbered[cover], minlength=count + 1)[1:]
    large = area * pixel_mm2 >= LESION_MM2
    return float((covered[large] >= LESION_SHARE * area[large]).mean()) if large.any() else None


Value = Callable[[Scores], float | None]


def by_patient(scores: Iterable[Scores], value: Value) -> dict[str, list[float]]:
    """One value a case, grouped as `intervals` takes them; a case without the value is left out."""
    values: dict[str, list[float]] = defaultdict(list)
    for case in scores:
        number = value(case)
        if number is not None:
            values[case.patient].append(float(number))
    return values


def alignment_metrics(scores: list[Scores]) -> dict[str, Interval | None]:
    """Every metric by name: means over cases with intervals over patients. Errors are absolute."""
    values = partial(by_patient, scores)
    metrics = {
        DICE: mean(values(lambda s: s.dice)),
        ABOVE: mean(values(lambda s: s.dice > DICE_ABOVE)),
        RECALL: mean(values(lambda s: s.lesion_recall)),
        PRECISION: mean(values(lambda s: s.lesion_precision)),
        SEGMENTS: mean(values(lambda s: s.segments)),
        MAIN_SEGMENT: mean(values(lambda s: s.main_segment)),
    }
    for method in scores[0].extents if scores else ():
        metrics |= _size_metrics(method, values)
    return metrics


def _size_metrics(method: str, values: Callable[[Value], dict[str, list[float]]]) -> dict[str, Interval | None]:
    """How far extent and burden, measured by one method, are from what was prescribed."""
    return {
        f"transmural extent error, {method}": mean(values(lambda s: abs(s.extents[method] - s.extent))),
        f"transmural extent correlation, {method}": correlation(values(lambda s: s.extent), values(lambda s: s.extents[method])),
        f"scar burden error, {method}": mean(values(lambda s: abs(s.burdens[method] - s.burden))),
    }


def metrics_by_group(scores: Iterable[Scores]) -> dict[tuple[str, str], Interval | None]:
    """Every metric of every stratum, by (group, metric); the group `all` first, then the strata in their own order."""
    groups: dict[str, list[Scores]] = defaultdict(list)
    for case in scores:
        for group in case.groups:
            groups[group].append(case)
    return {(group, metric): value for group in sort_strata(groups) for metric, value in alignment_metrics(groups[group]).items()}


def compared(painted: Iterable[Scores], real: Iterable[Scores]) -> list[ResultRow]:
    """The table of synthetic slices, with the same metric and group of real slices beside it; and of whole hearts, where some were painted.

    `real` is None in a group that holds no real slice.
    """
    painted, real = list(painted), list(real)
    of_real = metrics_by_group(real)
    return [
        *_hearts_compared(painted, real),
        *(
            ResultRow(
                group=group,
                metric=metric,
                value=value,
                real=of_real.get((group, metric)),
                goal=Goal.HIGH if metric in HIGHER_IS_BETTER else Goal.AS_REAL,
            )
            for (group, metric), value in metrics_by_group(painted).items()
        ),
    ]


def _hearts_compared(painted: list[Scores], real: list[Scores]) -> list[ResultRow]:
    """The row of whole hearts; none where single slices were painted."""
    value = mean(dice_of_hearts(painted))
    return [] if value is None else [ResultRow(group="all", metric=HEARTS, value=value, real=mean(dice_of_hearts(real)), goal=Goal.HIGH)]


def dice_of_hearts(scores: Iterable[Scores]) -> dict[str, list[float]]:
    """Dice of all scarred slices of each heart together, by patient; slices that stand alone are left out."""
    hearts: dict[tuple[str, str], list[Scores]] = defaultdict(list)
    for case in scores:
        if case.heart is not None:
            hearts[case.patient, case.heart].append(case)
    values: dict[str, list[float]] = defaultdict(list)
    for (patient, _), slices in hearts.items():
        values[patient].append(2 * sum(s.shared_mm2 for s in slices) / sum(s.total_mm2 for s in slices))
    return values
