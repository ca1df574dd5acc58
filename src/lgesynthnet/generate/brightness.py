"""The painted scar is made as bright as it was prescribed, and wall from which scar was removed as bright as the wall beside it.

A network that was trained to paint scar of every brightness still draws it towards the middle: on five patients of EMIDEC (`val`), scars
prescribed at 0.16 heart units were painted at 0.35, and those prescribed at 1.32 at 0.88. What the network decides is the texture and the
outline; the mean is known, so it is set. Healed wall was 0.12 to 0.15 heart units brighter than untouched wall.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.condition import Condition, RoiMask
from lgesynthnet.records import Mask

VERSION = 1  # part of the fingerprints; raise it when the rule changes
LARGEST_CHANGE = 0.6  # heart units; more would show as a patch
FREE = 0.08  # heart units: so far the network's own brightness may be from what was prescribed, as a scar of the same rank may
SOFT_MM = 1.0  # standard deviation of the transition at the scar's outline
LEAST_PIXELS = 8
CORE_PIXELS = 20  # a smaller no-reflow core is corrected by less, because a few pixels cannot be dark among bright neighbours
BESIDE_MM = 20.0  # healed wall is compared with untouched wall up to this far away
LEAST_BESIDE = 40  # pixels of 1 mm; where there are fewer, all untouched wall is taken
LEAST_CORE_DROP = 0.25  # heart units between scar and core; in three of four slices with a core (55 of EMIDEC `train`) it is more


def prescribed_level(rank: float, levels: Sequence[float]) -> float:
    """Mean brightness in heart units that a rank, 0 to 1, stands for.

    Args:
        levels: heart units at evenly spaced ranks.
    """
    return float(np.interp(rank, np.linspace(0, 1, len(levels)), levels))


def with_prescribed_brightness(
    repainted: Float[np.ndarray, "128 128"], scar: RoiMask, no_reflow: RoiMask, condition: Condition, levels: Sequence[float]
) -> Float[np.ndarray, "128 128"]:
    """The repainted working grid, its new scar shifted to near the prescribed mean and its no-reflow core darker than it; heart units.

    Args:
        scar, no_reflow: what was prescribed; other scar of the host is left as it is.
        levels: see `prescribed_level`.
    """
    seen = condition.wall & condition.hidden
    core, bright = scar & no_reflow & seen, scar & ~no_reflow & seen
    if bright.sum() < LEAST_PIXELS:
        return repainted
    missing = prescribed_level(condition.brightness, levels) - float(repainted[bright].mean())
    change = float(np.sign(missing)) * max(abs(missing) - FREE, 0.0)
    changed = _shifted(repainted, core | bright, bright, change, condition.hidden)
    if core.sum() >= LEAST_PIXELS:
        drop = float(changed[bright].mean() - changed[core].mean())
        more = max(LEAST_CORE_DROP - drop, 0.0) * min(core.sum() / CORE_PIXELS, 1.0)
        changed = _shifted(changed, core, core, -more, condition.hidden)
    return changed


def with_healed_brightness(repainted: Float[np.ndarray, "128 128"], healed: RoiMask, condition: Condition) -> Float[np.ndarray, "128 128"]:
    """The repainted working grid, with the mean of healed wall shifted to that of the untouched wall beside it; heart units.

    Args:
        healed: where scar was removed and none is prescribed.
    """
    here = healed & condition.wall & condition.hidden
    untouched = condition.wall & ~condition.hidden & ~condition.scar
    if min(here.sum(), untouched.sum()) < LEAST_PIXELS:
        return repainted
    beside = untouched & (ndimage.distance_transform_edt(~here) <= BESIDE_MM)
    there = beside if beside.sum() >= LEAST_BESIDE else untouched
    change = float(condition.image[there].mean() - repainted[here].mean())
    return _shifted(repainted, here, here, change, condition.hidden & ~condition.scar)


def _shifted(
    image: Float[np.ndarray, "128 128"], region: RoiMask, measured: RoiMask, change: float, hidden: Mask
) -> Float[np.ndarray, "128 128"]:
    """The image with a region brighter so that the mean of `measured` changes by `change`, with a soft edge inside the hidden region."""
    weight = ndimage.gaussian_filter(region.astype(np.float64), SOFT_MM) * hidden
    shift = np.clip(change / weight[measured].mean(), -LARGEST_CHANGE, LARGEST_CHANGE)
    return np.asarray(image + shift * weight, dtype=image.dtype)
