"""From labelled patients to a prior: measure every scar, pool what is too small a group, and keep rounded shares and quantiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy import stats

from lgesynthnet import __version__
from lgesynthnet.anatomy.aha import WALL_OF, segment_at
from lgesynthnet.conditioning.intensity import HIGHEST, LOWEST
from lgesynthnet.data.splits import part_of
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.hosts.hearts import list_hearts
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.model.settings import scar_levels
from lgesynthnet.prescription.fitted_prior import (
    IRREGULARITIES,
    LEAST_HEARTS,
    LEAST_PATIENTS,
    LEAST_SLICES,
    PATTERNS,
    QUANTILES,
    TRAITS,
    FittedPrior,
    HeartTable,
    LevelTable,
    ScarTable,
    walls_of,
)
from lgesynthnet.prior.request import PriorRequest
from lgesynthnet.prior.scars import RealScar, measure_real_scars
from lgesynthnet.records import Level, OnCase
from lgesynthnet.terms import Prior

WIDTH_STEP_DEG, STEP, SHARE_STEP = 5.0, 0.05, 0.01
SHRINKAGE = 0.95  # of the correlations, so that the rounded table is one that scars can have
MOST_NO_REFLOW = 0.6
Pooled = Literal["nothing", "positions", "levels", "everything"]
Scars = Sequence[RealScar]


def fit_prior(request: PriorRequest, *, on_case: OnCase | None = None) -> FittedPrior:
    """Learn a prior from labelled patients, as the command `prior fit` does.

    >>> prior = fit_prior(PriorRequest(hosts=CohortSource(root=Path("emidec")), splits=Path("splits.json")))
    >>> prior.write(Path("prior.json"))

    Args:
        on_case: gets (done, total) after each case was read, and again after it was measured; the total counts both.
    Raises:
        InputError: a file cannot be read, a network drew the labels, or fewer than 5 slices or 3 patients have scar.
        ModelError: there is no such model.
    """
    levels = scar_levels(request.model)
    if levels is None:
        raise ModelError(f"--model {request.model}: is no model with a scale of brightness; give phantom, or a model folder")
    named = request.hosts.patients
    if request.splits is not None:
        part = part_of(request.splits, request.part)
        named = part if named is None else tuple(patient for patient in part if patient in named)
    cohort = replace(request.hosts, patients=named).open()
    if cohort.masks_drawn_by is not None:
        raise InputError(f"{cohort.root}: its labels were drawn by {cohort.masks_drawn_by} and are no ground truth; give labels by people")
    cases, report = len(cohort.cases), on_case or (lambda done, total: None)
    pool = find_hosts(
        cohort,
        with_scar=True,
        least_confidence=request.least_orientation_confidence,
        on_case=lambda done, _: report(done, 2 * cases),
    )
    scars = scars_of(pool, on_case=lambda done, _: report(cases + done, 2 * cases))
    report(2 * cases, 2 * cases)  # cases without a usable slice are not measured
    if not _is_enough(scars):
        raise InputError(
            f"{cohort.root}: {len(scars)} usable slices of {_patients(scars)} patients have scar, and a prior needs at least "
            f"{LEAST_SLICES} slices of {LEAST_PATIENTS} patients; label more patients, or use --prior ischaemic"
        )
    return replace(prior_of(scars, levels), hearts=_heart_table(ends_of(pool)))


def scars_of(pool: HostPool, *, on_case: OnCase | None = None) -> list[RealScar]:
    """The scars of all hosts, patient by patient.

    Args:
        on_case: gets (done, total) after each patient.
    """
    scars: list[RealScar] = []
    patients = sorted({entry.patient for entry in pool.entries})
    for done, patient in enumerate(patients, start=1):
        entries = [entry for entry in pool.entries if entry.patient == patient]
        stack = pool.cohort.read(entries[0].case)
        free = {slice_.index for slice_ in stack if slice_.wall.any() and not slice_.scar.any()}
        scars += measure_real_scars((pool.fetch(entry) for entry in entries if entry.index not in free), free)
        if on_case is not None:
            on_case(done, len(patients))
    return scars


def prior_of(scars: Scars, brightness_scale: Sequence[float]) -> FittedPrior:
    """The prior of these scars.

    Args:
        brightness_scale: see `FittedPrior`.
    Raises:
        PrescriptionError: there are fewer than 5 slices or 3 patients.
    """
    endocardial = sum(scar.pattern == "endocardial" for scar in scars)
    with_core = [scar for scar in scars if scar.no_reflow > 0]
    core = _quantiles([scar.no_reflow for scar in with_core], STEP) if _is_enough(with_core) else ()
    return FittedPrior(
        version=__version__,
        patients=_patients(scars),
        slices=len(scars),
        further=Prior.ISCHAEMIC if 2 * endocardial >= len(scars) else Prior.NON_ISCHAEMIC,
        levels={level: _level_table(scars, level, brightness_scale) for level in Level},
        no_reflow_share=tuple(float(np.clip(value, STEP, MOST_NO_REFLOW)) for value in core),
        patterns=_shares(scars, PATTERNS, lambda scar: scar.pattern, pool_into="largest"),
        irregularities=_shares(scars, IRREGULARITIES, lambda scar: scar.irregularity),
        correlations=_correlations(scars),
        brightness_scale=tuple(brightness_scale),
    )


def ends_of(pool: HostPool) -> list[tuple[float, float]]:
    """Basal and apical end of the scar of each heart with scar, 0 base to 1 apex; of a scar with gaps, those of the whole.

    Hearts with a slice in their middle that cannot be used, and single slices, are left out.
    """
    ends = []
    for heart in list_hearts(pool)[0]:
        places = [entry.position for entry in heart.slices]
        scarred = [entry.position for entry in heart.slices if entry.scar_mm2 > 0]
        if scarred and len(places) > 1:
            half = (places[-1] - places[0]) / (len(places) - 1) / 2  # of a slice
            ends.append((max(scarred[0] - half, 0.0), min(scarred[-1] + half, 1.0)))
    return ends


def _heart_table(ends: Sequence[tuple[float, float]]) -> HeartTable | None:
    """None where there are too few hearts."""
    if len(ends) < LEAST_HEARTS:
        return None
    basal, apical = zip(*ends, strict=True)
    constant = len(set(basal)) == 1 or len(set(apical)) == 1
    correlation = 0.0 if constant else float(stats.spearmanr(basal, apical).statistic)
    return HeartTable(
        patients=len(ends),
        basal_ends=_quantiles(basal, STEP),
        apical_ends=_quantiles(apical, STEP),
        correlation=_rounded(SHRINKAGE * correlation, STEP),
    )


def _level_table(scars: Scars, level: Level, scale: Sequence[float]) -> LevelTable:
    here = [scar for scar in scars if scar.level is level]
    walls = walls_of(level)
    return LevelTable(
        at_border=_rounded(np.mean([scar.at_border for scar in (here if _is_enough(here) else scars)]), STEP),
        middles=_shares(here, walls, lambda scar: WALL_OF[int(segment_at(np.array(scar.middle_deg), level))]),
        border=_scar_table(scars, here, scale, at_border=True),
        inside=_scar_table(scars, here, scale, at_border=False),
    )


def _scar_table(scars: Scars, here: Scars, scale: Sequence[float], *, at_border: bool) -> ScarTable:
    """The table of one position of a level. Where a group is too small, both positions are pooled, then all levels, then both."""
    groups: tuple[tuple[Pooled, Scars], ...] = (("nothing", here), ("positions", here), ("levels", scars), ("everything", scars))
    for pooled, group in groups:
        inside_and_border: list[Scars] = [group, group]
        if pooled in ("nothing", "levels"):
            inside_and_border = [[scar for scar in group if scar.at_border is place] for place in (False, True)]
        if all(map(_is_enough, inside_and_border)):
            break
    chosen = inside_and_border[at_border]
    return ScarTable(
        slices=len(chosen),
        patients=_patients(chosen),
        pooled=pooled,
        width_deg=_quantiles([scar.width_deg for scar in chosen], WIDTH_STEP_DEG),
        transmurality=_quantiles([scar.transmurality for scar in chosen], STEP),
        brightness=_brightness(chosen, scars, scale),
        no_reflow=_rounded(np.mean([scar.no_reflow > 0 for scar in chosen]), STEP),
    )


def _brightness(chosen: Scars, scars: Scars, scale: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of what is known: of the chosen scars, else of all, else the middle of the scale."""
    for group in (chosen, scars):
        known = [scar for scar in group if scar.brightness is not None]
        if _is_enough(known):
            return _quantiles([scar.brightness for scar in known if scar.brightness is not None], STEP)
    return (_rounded(float(np.clip(np.median(scale), LOWEST, HIGHEST)), STEP),) * len(QUANTILES)


def _is_enough(scars: Scars) -> bool:
    return len(scars) >= LEAST_SLICES and _patients(scars) >= LEAST_PATIENTS


def _patients(scars: Scars) -> int:
    return len({scar.patient for scar in scars})


def _quantiles(values: Sequence[float], step: float) -> tuple[float, ...]:
    return tuple(_rounded(value, step) for value in np.quantile(values, QUANTILES))


def _rounded(value: float | np.floating, step: float) -> float:
    return round(max(round(float(value) / step), -1_000_000) * step, 4)


def _shares(scars: Scars, keys: Sequence[str], key_of: Callable[[RealScar], str], pool_into: str = "each other") -> dict[str, float]:
    """Share of the scars with each key. Keys with too few scars share theirs evenly, or give them to the most frequent key.

    Keys share evenly, too, where all scars together are too few.
    """
    groups = {key: [scar for scar in scars if key_of(scar) == key] for key in keys}
    if pool_into == "largest":
        largest = max(keys, key=lambda key: len(groups[key]))
        counts = {key: len(group) if _is_enough(group) else 0 for key, group in groups.items()}
        counts[largest] = len(scars) - sum(count for key, count in counts.items() if key != largest)
        return {key: _rounded(count / len(scars), SHARE_STEP) for key, count in counts.items()}
    if not _is_enough(scars):
        return dict.fromkeys(keys, _rounded(1 / len(keys), SHARE_STEP))
    small = [key for key in keys if not _is_enough(groups[key])]
    for key in sorted((key for key in keys if key not in small), key=lambda key: len(groups[key])):
        pooled = [scar for name in small for scar in groups[name]]
        if not small or _is_enough(pooled):
            break
        small.append(key)
    even = sum(len(groups[key]) for key in small) / max(len(small), 1)
    return {key: _rounded((even if key in small else len(groups[key])) / len(scars), SHARE_STEP) for key in keys}


def _traits(scar: RealScar) -> tuple[float, ...]:
    """In the order of `fitted_prior.TRAITS`; NaN for a brightness that is not known."""
    return scar.width_deg, scar.transmurality, np.nan if scar.brightness is None else scar.brightness, scar.no_reflow


def _correlations(scars: Scars) -> tuple[tuple[float, ...], ...]:
    """Correlations of the ranks of the traits within each level and position; what is not known has the middle rank."""
    rows = []
    for level in Level:
        for at_border in (True, False):
            group = [scar for scar in scars if scar.level is level and scar.at_border is at_border]
            if group:
                traits = np.array([_traits(scar) for scar in group])
                ranks = stats.rankdata(traits, axis=0, nan_policy="omit") / (len(group) + 1)
                rows.append(np.nan_to_num(ranks, nan=0.5) - 0.5)
    ranks = np.concatenate(rows)
    covariance = ranks.T @ ranks
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    matrix = SHRINKAGE * covariance / np.outer(spread, spread)
    size = len(TRAITS)
    return tuple(tuple(1.0 if i == j else _rounded(matrix[i, j], STEP) for j in range(size)) for i in range(size))
