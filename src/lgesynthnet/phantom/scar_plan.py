"""Plan the scar of a simulated patient: one scar through the heart, and how the wall changed round it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgesynthnet.phantom.body import Body, Remodelling
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.heart_priors import draw_heart
from lgesynthnet.prescription.scar import Arc
from lgesynthnet.terms import Prior

NON_ISCHAEMIC = 0.125  # share of scars that are no infarcts
LARGEST_HALO_MM = 4.8
WHOLE = Arc(start_deg=0.0, extent_deg=360.0)


@dataclass(frozen=True, kw_only=True)
class ScarPlan:
    """The planned scar of one patient.

    Attributes:
        scar: through the whole heart; None for a heart without scar.
        remodelling: how the wall changed; None for a scar that is no infarct.
        border_mm: width in mm of the partly enhanced border zone inside the scar, towards healthy wall; 0 for none.
        halo_mm: how far in mm beyond its outline the scar reaches somewhere in the slab, so that wall beside it looks grey.
    """

    scar: HeartScar | None
    remodelling: Remodelling | None
    border_mm: float
    halo_mm: float


NO_SCAR = ScarPlan(scar=None, remodelling=None, border_mm=0.0, halo_mm=0.0)


def plan_scar(body: Body, rng: np.random.Generator, non_ischaemic: float = NON_ISCHAEMIC) -> ScarPlan:
    """Draw a scar as the priors of hearts draw it, and what it does to the wall.

    Args:
        non_ischaemic: probability that it is no infarct, 0 to 1.
    """
    prior = Prior.NON_ISCHAEMIC if rng.random() < non_ischaemic else Prior.ISCHAEMIC
    scar = draw_heart(prior, rng)
    return ScarPlan(
        scar=scar,
        remodelling=_remodelling(body, scar, rng) if prior is Prior.ISCHAEMIC else None,
        border_mm=float(rng.choice([0.0, rng.uniform(0.5, 3.0)])),
        halo_mm=float(rng.uniform(0.8, LARGEST_HALO_MM)),
    )


def _remodelling(body: Body, scar: HeartScar, rng: np.random.Generator) -> Remodelling:
    """Draw how the wall changed. Fresh infarcts swell, and only they hold no-reflow. Old ones are thin, and some of them bulge."""
    old = scar.mvo_share == 0 and scar.transmurality > 0.5 and rng.random() < 0.45
    thickness = float(rng.uniform(0.45, 0.9) if old else rng.uniform(0.95, 1.25))
    bulge = float(rng.uniform(1, 6)) if old and rng.random() < 0.25 else 0.0
    arc, (basal, apical) = scar.arc or WHOLE, scar.ends
    return Remodelling(
        start_deg=arc.start_deg,
        extent_deg=arc.extent_deg,
        middle=body.index_at((basal + apical) / 2),
        reach=body.slices * (apical - basal) / 2,
        thickness=thickness,
        bulge_mm=bulge,
    )
