"""Draw random prescriptions from a prior of the scars in a population. All randomness of a cohort is here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lgesynthnet.anatomy.aha import LEVEL_OF, SECTOR_DEG, SECTOR_START_DEG, SEGMENTS, TERRITORY, WALL_OF, neighbours
from lgesynthnet.prescription.fitted_prior import QUANTILES, FittedPrior
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Arc, Pattern, ScarPrescription
from lgesynthnet.prescription.stretches import segments_round
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

TERRITORY_SHARE = {"LAD": 0.45, "RCA": 0.35, "LCX": 0.20}
# Probability that an infarct extends into the next segment outside its territory: the standard map disagrees with 23 % of
# enhanced segments (Ortiz-Perez et al., JACC Imaging 2008).
SPILL = 0.23
GROW = 0.62  # probability to add another neighbour inside the territory
MVO_SHARE_OF_LARGE = 0.35  # microvascular obstruction (MVO) occurs in acute, large infarcts that take most of the wall


def draw_prescription(prior: Prior | str | FittedPrior, level: Level, rng: np.random.Generator) -> ScarPrescription:
    """Draw one prescription for a slice of this level. Values have the steps of the language: 5 % and whole degrees.

    The same state of `rng` gives the same prescription.

    Args:
        prior: a built-in prior, or one that was learnt from patients.
    """
    if isinstance(prior, FittedPrior):
        return _fitted(prior, level, rng)
    return _DRAW[Prior(prior)](level, rng)


def _ischaemic(level: Level, rng: np.random.Generator) -> ScarPrescription:
    names = list(TERRITORY_SHARE)
    territory = TERRITORY[names[int(rng.choice(len(names), p=list(TERRITORY_SHARE.values())))]]
    inside = sorted(s for s in territory if LEVEL_OF[s] is level)
    segments = {int(rng.choice(inside))}
    for _ in range(3):
        edge = sorted({n for s in segments for n in neighbours(s)} - segments)
        for candidate in rng.permutation(edge):
            if rng.random() < (GROW if candidate in inside else SPILL * 0.5):
                segments.add(int(candidate))
    transmurality = _step(rng.beta(2.4, 1.6) * 0.8 + 0.2, 0.05)
    large = transmurality >= 0.6 and len(segments) >= 2
    mvo = _step(rng.uniform(0.1, 0.35), 0.05) if large and rng.random() < MVO_SHARE_OF_LARGE else 0.0
    pattern = Pattern.TRANSMURAL if transmurality > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL
    return _finish(frozenset(segments), pattern, transmurality, rng, mvo_share=mvo)


def _non_ischaemic(level: Level, rng: np.random.Generator) -> ScarPrescription:
    """Scars that are no infarcts. Source of patterns and walls: Satoh et al. (2014), and JCMR 14:54, table 5."""
    pattern = (Pattern.MID_WALL, Pattern.SUBEPICARDIAL, Pattern.PATCHY, Pattern.RV_INSERTION)[int(rng.choice(4, p=[0.4, 0.3, 0.2, 0.1]))]
    apical = level is Level.APICAL
    if apical and pattern is Pattern.RV_INSERTION:
        pattern = Pattern.MID_WALL  # apical segments do not begin at the insertions, so the pattern does not exist there
    ring = SEGMENTS[level]
    septal = {ring[1]} if apical else {ring[1], ring[2]}
    lateral = {ring[3]} if apical else {ring[4], ring[5]}
    match pattern:
        case Pattern.MID_WALL:
            segments = septal if rng.random() < 0.75 else lateral
        case Pattern.SUBEPICARDIAL:
            segments = lateral if rng.random() < 0.7 else {int(rng.choice(ring))}
        case Pattern.RV_INSERTION:
            segments = septal
        case _:
            first = int(rng.choice(ring))
            segments = {first, neighbours(first)[1]}
    if len(segments) == 2 and pattern is not Pattern.RV_INSERTION and rng.random() < 0.35:
        segments = {sorted(segments)[int(rng.integers(2))]}
    return _finish(frozenset(segments), pattern, _step(rng.uniform(0.25, 0.55), 0.05), rng)


def _uniform(level: Level, rng: np.random.Generator) -> ScarPrescription:
    """Every pattern, wall and extent with equal probability, to test all cases. The scars are not realistic."""
    ring = SEGMENTS[level]
    start, count = int(rng.integers(len(ring))), int(rng.integers(1, 4))
    segments = frozenset(ring[(start + i) % len(ring)] for i in range(count))
    patterns = [p for p in Pattern if p is not Pattern.RV_INSERTION or level is not Level.APICAL]
    pattern = patterns[int(rng.integers(len(patterns)))]
    low, high = {Pattern.TRANSMURAL: (0.8, 1.0), Pattern.SUBENDOCARDIAL: (0.25, 0.75)}.get(pattern, (0.25, 0.6))
    transmurality = _step(rng.uniform(low, high), 0.05)
    if pattern is Pattern.RV_INSERTION:
        segments = frozenset(ring[1:3])
    mvo = _step(rng.uniform(0, 0.4), 0.05) if pattern is Pattern.TRANSMURAL else 0.0
    arc = None
    if count == 1 and pattern is not Pattern.RV_INSERTION and rng.random() < 0.3:
        arc = arc_inside(next(iter(segments)), level, rng)
    return _finish(segments, pattern, transmurality, rng, mvo_share=mvo, arc=arc)


def _fitted(prior: FittedPrior, level: Level, rng: np.random.Generator) -> ScarPrescription:
    """A scar like those of the patients; with the share of one further patient, a scar of the built-in prior."""
    if rng.random() < prior.further_share:
        return draw_prescription(prior.further, level, rng)
    return draw_fitted(prior, level, rng, at_border=bool(rng.random() < prior.levels[level].at_border))


def draw_fitted(prior: FittedPrior, level: Level, rng: np.random.Generator, *, at_border: bool) -> ScarPrescription:
    """Draw a scar like those of the patients.

    Args:
        at_border: like those of the slices at the border of an infarct, or like those between.
    """
    table = prior.levels[level]
    scars = table.border if at_border else table.inside
    ranks = ranks_together(prior.correlations, rng)
    width = float(round(at_rank(scars.width_deg, ranks[0])))
    transmurality = max(_step(at_rank(scars.transmurality, ranks[1]), 0.05), 0.05)
    pattern = pattern_of(_chosen(prior.patterns, rng), transmurality)
    no_reflow, mvo = (ranks[3] - (1 - scars.no_reflow)) / max(scars.no_reflow, 1e-9), 0.0
    if no_reflow > 0 and prior.no_reflow_share and pattern in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL):
        mvo = _step(at_rank(prior.no_reflow_share, no_reflow), 0.05)
    wall = _chosen(table.middles, rng)
    segment = next(segment for segment in SEGMENTS[level] if WALL_OF[segment] == wall)
    middle = SECTOR_START_DEG[segment] + float(rng.uniform(0, SECTOR_DEG[level]))
    return ScarPrescription(
        segments=segments_round(middle, width, level),
        pattern=pattern,
        transmurality=transmurality,
        arc=Arc(start_deg=float(round(middle - width / 2)) % 360.0, extent_deg=width) if width < 360 else None,
        irregularity=float(_chosen(prior.irregularities, rng)),
        mvo_share=mvo,
        intensity_percentile=float(_step(prior.percentile_of(at_rank(scars.brightness, ranks[2])), 5)),
        seed=int(rng.integers(2**31)),
    )


def ranks_together(correlations: Sequence[Sequence[float]], rng: np.random.Generator) -> list[float]:
    """Ranks, 0 to 1, with these correlations (a Gaussian copula; Nelsen, 2006)."""
    normal = np.linalg.cholesky(np.array(correlations)) @ rng.standard_normal(len(correlations))
    return [0.5 * (1 + math.erf(value / math.sqrt(2))) for value in normal]


def at_rank(quantiles: tuple[float, ...], rank: float) -> float:
    """The value of a table at a rank, 0 to 1."""
    return float(np.interp(rank, QUANTILES, quantiles))


def _chosen(shares: Mapping[str, float], rng: np.random.Generator) -> str:
    keys, weights = sorted(shares), np.array([shares[key] for key in sorted(shares)])
    return keys[int(rng.choice(len(keys), p=weights / weights.sum()))]


def pattern_of(name: str, transmurality: float) -> Pattern:
    """The pattern of a name in `fitted_prior.PATTERNS`, for a scar of this transmurality."""
    if name != "endocardial":
        return Pattern(name)
    return Pattern.TRANSMURAL if transmurality > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL


def arc_inside(segment: int, level: Level, rng: np.random.Generator) -> Arc:
    """A stretch of half to nine tenths of a segment, at a random place in it."""
    wide = SECTOR_DEG[level]
    extent = float(round(rng.uniform(0.5, 0.9) * wide))
    start = float(round((SECTOR_START_DEG[segment] + rng.uniform(0, wide - extent)) % 360.0)) % 360.0
    return Arc(start_deg=start, extent_deg=extent)


def _finish(
    segments: frozenset[int],
    pattern: Pattern,
    transmurality: float,
    rng: np.random.Generator,
    *,
    mvo_share: float = 0.0,
    arc: Arc | None = None,
) -> ScarPrescription:
    return ScarPrescription(
        segments=segments,
        pattern=pattern,
        transmurality=transmurality,
        arc=arc,
        mvo_share=mvo_share,
        irregularity=float(rng.choice([0.25, 0.5, 0.75, 1.0])),
        intensity_percentile=float(rng.integers(1, 20) * 5),
        seed=int(rng.integers(2**31)),
    )


def _step(value: float, step: float) -> float:
    return round(round(float(value) / step) * step, 4)


_DRAW: dict[Prior, Callable[[Level, np.random.Generator], ScarPrescription]] = {
    Prior.ISCHAEMIC: _ischaemic,
    Prior.NON_ISCHAEMIC: _non_ischaemic,
    Prior.UNIFORM: _uniform,
}
