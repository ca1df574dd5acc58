"""Draw random scars of whole hearts from a prior of the scars in a population."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lgesynthnet.anatomy.aha import SEGMENTS
from lgesynthnet.prescription.fitted_prior import FittedPrior, HeartTable
from lgesynthnet.prescription.heart import HeartScar, levels_between
from lgesynthnet.prescription.priors import at_rank, draw_fitted, draw_prescription, ranks_together
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Arc, Pattern, ScarPrescription
from lgesynthnet.prescription.stretches import shortest_arc
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

SEPTAL = frozenset({2, 3, 8, 9})  # the basal and mid segments that begin at the RV insertions
PLACES = np.linspace(0, 1, 61)  # positions at which the segments of a scar are named
# Where infarcts of EMIDEC `train` begin and end (26 patients, experiments/continuity.py): the probability that they reach the base, and
# between which positions they begin otherwise; then the same for the apex. Those in front and in the septum reach the apex, those of the
# inferior and lateral walls begin at the base.
FRONT_DEG = (45.0, 210.0)  # nominal angles of the middle of anterior and septal scars
INFARCT_ENDS = {True: ((0.31, 0.08, 0.42), (0.92, 0.70, 0.95)), False: ((0.92, 0.05, 0.25), (0.54, 0.45, 0.92))}
WIDEST_DEG = 240.0
SMALL_INFARCTS = 0.15  # share of the infarcts that are short, as in patients who are examined for other reasons
SHORTEST = 0.1  # extent of a scar that was learnt from patients, about one slice
MOST_DRAWS = 20
SHORT = (0.08, 0.25)  # reach of a short scar to either side of its middle
REACH = {Prior.NON_ISCHAEMIC: (0.10, 0.40), Prior.UNIFORM: (0.08, 0.50)}
CORE_LENGTH, CORE_MIDDLE, CORE_SPREAD = (0.4, 0.8), -0.17, 0.3  # of no-reflow, in the scar: -1 is its basal end, 1 its apical end


def draw_heart(prior: Prior | str | FittedPrior, rng: np.random.Generator) -> HeartScar:
    """Draw one scar for a whole heart. The same state of `rng` gives the same scar.

    Args:
        prior: a built-in prior, or one that was learnt from patients.
    """
    kind = prior if isinstance(prior, FittedPrior) else Prior(prior)
    if isinstance(kind, FittedPrior) and rng.random() < kind.further_share:
        kind = kind.further
    core = _drawn_middle(kind, rng)
    arc = core.arc or shortest_arc(core.segments)
    if kind is Prior.ISCHAEMIC:
        core, arc = _as_large_as_infarcts(core, arc, rng)
    scar = heart_round(core, arc, _drawn_extent(kind, arc, rng))
    return replace(scar, mvo_extent=_drawn_no_reflow(scar.ends, rng)) if scar.mvo_share else scar


def _drawn_middle(prior: Prior | FittedPrior, rng: np.random.Generator) -> ScarPrescription:
    """The scar where it is largest."""
    if isinstance(prior, FittedPrior):
        return draw_fitted(prior, Level.MID, rng, at_border=False)
    return draw_prescription(prior, Level.MID, rng)


def heart_round(core: ScarPrescription, arc: Arc, extent: tuple[float, float]) -> HeartScar:
    """The heart's scar that is as `core` in its middle, over this arc and from end to end of `extent` (0 base to 1 apex).

    Its segments are those that it reaches.
    """
    if core.pattern is Pattern.RV_INSERTION:  # apical segments do not begin at the insertions
        extent = (min(extent[0], 0.5), min(extent[1], 2 / 3))
        scar = HeartScar.of(replace(core, segments=SEPTAL & _at_levels_of(extent), arc=None), extent=extent)
    else:
        along = None if arc.extent_deg >= 360 else arc
        scar = HeartScar.of(replace(core, segments=_at_levels_of(extent), arc=along), extent=extent)
    slices = [scar.at(float(place)) for place in PLACES]
    return replace(scar, segments=frozenset().union(*(slice_.segments for slice_ in slices if slice_ is not None)))


def _at_levels_of(extent: tuple[float, float]) -> frozenset[int]:
    """All segments of the levels that lie between the ends."""
    return frozenset(segment for level in levels_between(*extent) for segment in SEGMENTS[level])


def _as_large_as_infarcts(core: ScarPrescription, arc: Arc, rng: np.random.Generator) -> tuple[ScarPrescription, Arc]:
    """Enlarge an infarct to the size that is typical for patients who are examined by MRI.

    In EMIDEC the median burden is 20 % of the LV, an infarct takes 140 degrees of a slice, and half of the infarcts hold
    no-reflow. The prior of the prescriptions of single slices is broader and stays as it is.
    """
    wide = min(arc.extent_deg * float(rng.uniform(0.7, 1.25)), WIDEST_DEG)
    start = (arc.start_deg - (wide - arc.extent_deg) * float(rng.uniform(0.2, 0.8))) % 360.0
    deep = float(np.clip(round((core.transmurality + (1 - core.transmurality) * rng.uniform(0, 0.5)) / 0.05) * 0.05, 0.2, 1.0))
    no_reflow = core.mvo_share
    if no_reflow == 0 and deep >= 0.5 and rng.random() < 0.5:
        no_reflow = float(rng.uniform(0.05, 0.35))
    pattern = Pattern.TRANSMURAL if deep > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL
    enlarged = replace(core, pattern=pattern, transmurality=round(deep, 4), mvo_share=round(no_reflow, 3), depth=None)
    return enlarged, Arc(start_deg=round(start, 1) % 360.0, extent_deg=round(wide, 1))


def _drawn_extent(prior: Prior | FittedPrior, arc: Arc, rng: np.random.Generator) -> tuple[float, float]:
    """Basal and apical end, as fractions of the length of the heart."""
    if isinstance(prior, FittedPrior) and prior.hearts is not None:
        return _fitted_extent(prior.hearts, rng)
    kind = prior.further if isinstance(prior, FittedPrior) else prior
    if kind is Prior.ISCHAEMIC and rng.random() >= SMALL_INFARCTS:
        in_front = FRONT_DEG[0] <= (arc.start_deg + arc.extent_deg / 2) % 360.0 < FRONT_DEG[1]
        (at_base, begins, begins_before), (at_apex, ends, ends_before) = INFARCT_ENDS[in_front]
        basal = 0.0 if rng.random() < at_base else float(rng.uniform(begins, begins_before))
        apical = 1.0 if rng.random() < at_apex else float(rng.uniform(ends, ends_before))
    else:
        middle, reach = float(rng.uniform(0.05, 0.95)), float(rng.uniform(*REACH.get(kind, SHORT)))
        basal, apical = max(middle - reach, 0.0), min(middle + reach, 1.0)
    return round(basal, 3), round(apical, 3)


def _fitted_extent(table: HeartTable, rng: np.random.Generator) -> tuple[float, float]:
    """The two ends together; a scar that would end before it begins is drawn again, or reaches over the shortest length."""
    for _ in range(MOST_DRAWS):
        ranks = ranks_together(((1.0, table.correlation), (table.correlation, 1.0)), rng)
        basal, apical = at_rank(table.basal_ends, ranks[0]), at_rank(table.apical_ends, ranks[1])
        if apical - basal >= SHORTEST:
            return round(basal, 3), round(apical, 3)
    return round(min(basal, 1 - SHORTEST), 3), round(min(basal, 1 - SHORTEST) + SHORTEST, 3)


def _drawn_no_reflow(ends: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    """Basal and apical end of a no-reflow core inside a scar."""
    basal, apical = ends
    middle, half = (basal + apical) / 2, (apical - basal) / 2
    reach = half * float(rng.uniform(*CORE_LENGTH))
    centre = middle + half * float(rng.normal(CORE_MIDDLE, CORE_SPREAD))
    centre = min(max(centre, basal + reach), apical - reach)
    return round(max(centre - reach, basal), 3), round(min(centre + reach, apical), 3)
