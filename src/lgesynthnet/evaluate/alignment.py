"""Alignment: does the picture hold the scar that was asked for? Judged by the auditor and by brightness, beside real slices.

The published table asks one segmenter that also taught the generator and chose its samples, and passes 36 % of the real slices. Here
the judge has done neither, and every score stands beside what the judge gives real slices with their experts' masks.
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
from lgesynthnet.evaluate.lines import Goal, ResultRow
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.strata import sort_strata, strata
from lgesynthnet.records import Mask
from lgesynthnet.segmenter.base import ScarSegmenter

ABOVE = 0.6  # the paper's share of samples that pass
LESION_MM2 = 10.0  # smaller islands are no lesions
LESION_SHARE = 0.25  # of a lesion that must be met for it to be found, or right
SDS = (2, 3, 5, 6)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One case.

    Attributes:
        dice: of the wished and the auditor's scar; 0 where none was read.
        found: share of wished lesions that the auditor found; None where none is as large as a lesion.
        right: share of the auditor's lesions that were wished; None where it read none.
        segments: Jaccard of the wished and the read AHA set.
        main_segment: the segment with most read scar is a wished one.
        extent, burden: asked; and by reading what was measured, 0 where it saw nothing.
        groups: strata that the case belongs to.
    """

    patient: str
    dice: float
    found: float | None
    right: float | None
    segments: float
    main_segment: bool
    extent: float
    burden: float
    extents: Mapping[str, float]
    burdens: Mapping[str, float]
    groups: tuple[str, ...]


def score(case: Case, auditor: ScarSegmenter) -> Scores:
    """Read one case in every way.

    Raises:
        ValueError: the case holds no scar, so there is nothing to align with.
    """
    if not case.scar.any():
        raise ValueError(f"{case.name}: no scar was asked for")
    read = case.read(auditor)
    wished, seen = measure_scar(case.scar, case.frame), measure_scar(read, case.frame)
    measured = {name: measure_scar(mask, case.frame) for name, mask in readings(case, read).items()}
    both = wished.segments | seen.segments
    by_segment = {s: int((read & (case.frame.segments == s)).sum()) for s in np.unique(case.frame.segments[case.frame.wall])}
    return Scores(
        patient=case.patient,
        dice=dice(case.scar, read) or 0.0,
        found=_met(case.scar, read, case.frame.pixel_mm2),
        right=_met(read, case.scar, case.frame.pixel_mm2),
        segments=len(wished.segments & seen.segments) / len(both) if both else 1.0,
        main_segment=bool(read.any() and max(by_segment, key=by_segment.__getitem__) in wished.segments),
        extent=wished.transmurality or 0.0,
        burden=wished.burden,
        extents={name: found.transmurality or 0.0 for name, found in measured.items()},
        burdens={name: found.burden for name, found in measured.items()},
        groups=strata(wished.transmurality or 0.0, wished.area_mm2, wished.segments),
    )


def readings(case: Case, read: Mask) -> dict[str, Mask]:
    """The auditor's scar, which is `read`, and what brightness alone calls scar."""
    wall, remote, free = case.frame.wall, case.remote(read), ~case.existing
    found = {"auditor": read} | {f"{n} SD": n_sd(case.image, wall, remote, n=n) & free for n in SDS}
    return found | {"half maximum": full_width_half_maximum(case.image, wall, remote, within=case.hidden) & free}


Value = Callable[[Scores], float | None]


def by_patient(scores: Iterable[Scores], of: Value) -> dict[str, list[float]]:
    """One value a case, as `intervals` takes them; a case without it is left out."""
    rows: dict[str, list[float]] = defaultdict(list)
    for one in scores:
        value = of(one)
        if value is not None:
            rows[one.patient].append(float(value))
    return rows


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of one group; None where it is not defined."""

    group: str
    figure: str
    value: Interval | None


def table(scores: Iterable[Scores]) -> list[Row]:
    """Every figure of every stratum, strata in their own order, `all` first."""
    groups: dict[str, list[Scores]] = defaultdict(list)
    for one in scores:
        for group in one.groups:
            groups[group].append(one)
    return [
        Row(group=group, figure=figure, value=value) for group in sort_strata(groups) for figure, value in figures(groups[group]).items()
    ]


AIMS = dict.fromkeys(("Dice", "above 0.6", "lesions found", "lesions right", "segments, Jaccard", "main segment right"), Goal.HIGH)


def compared(painted: Iterable[Scores], real: Iterable[Scores]) -> list[ResultRow]:
    """The table of painted slices, the same group and figure of real slices beside it; a group that no real slice falls into has none."""
    beside = {(row.group, row.figure): row.value for row in table(real)}
    return [
        ResultRow(
            group=row.group,
            figure=row.figure,
            value=row.value,
            real=beside.get((row.group, row.figure)),
            aim=AIMS.get(row.figure, Goal.AS_REAL),
        )
        for row in table(painted)
    ]


def figures(scores: list[Scores]) -> dict[str, Interval | None]:
    """Means over cases with intervals over patients; errors are absolute."""
    over = partial(by_patient, scores)
    found = {
        "Dice": mean(over(lambda s: s.dice)),
        "above 0.6": mean(over(lambda s: s.dice > ABOVE)),
        "lesions found": mean(over(lambda s: s.found)),
        "lesions right": mean(over(lambda s: s.right)),
        "segments, Jaccard": mean(over(lambda s: s.segments)),
        "main segment right": mean(over(lambda s: s.main_segment)),
    }
    for name in scores[0].extents if scores else ():
        found |= _reading(name, over)
    return found


def _reading(name: str, over: Callable[[Value], dict[str, list[float]]]) -> dict[str, Interval | None]:
    """What one way of reading makes of extent and burden."""
    return {
        f"extent error, {name}": mean(over(lambda s: abs(s.extents[name] - s.extent))),
        f"extent correlation, {name}": correlation(over(lambda s: s.extent), over(lambda s: s.extents[name])),
        f"burden error, {name}": mean(over(lambda s: abs(s.burdens[name] - s.burden))),
    }


def _met(lesions: Mask, by: Mask, pixel_mm2: float) -> float | None:
    """Share of lesions of which `by` covers a quarter or more; neighbours over corners hang together."""
    numbered, count = ndimage.label(lesions, structure=np.ones((3, 3)))
    area = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    covered = np.bincount(numbered[by], minlength=count + 1)[1:]
    counts = area * pixel_mm2 >= LESION_MM2
    return float((covered[counts] >= LESION_SHARE * area[counts]).mean()) if counts.any() else None
