"""What gives a repainted patch away up close: noise that is finer or coarser than round it, a seam, an edge as if cut out."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.noise import fine_detail
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.quality.appearance import border_step
from lgesynthnet.records import Mask

ENERGY_OF_MEDIAN = 2.1981  # variance of normal noise over the squared median of its size


def noise_ratio(case: Case) -> float | None:
    """High-frequency energy of repainted wall over that of untouched wall in the same slice; 1 where noise is the same everywhere.

    Each side's energy is that of normal noise with the median size of the high-pass residual: edges are outliers and do not count. A
    magnitude image has less noise where the wall is nulled than where scar is bright, so real slices, whose region round
    their own scar is taken likewise, may lie above 1, and theirs is the value to meet. None where either side has too few pixels.
    """
    inside, outside = noise(case, case.hidden), noise(case, ~case.hidden)
    return (inside / outside) ** 2 if inside and outside else None


def noise(case: Case, where: Mask) -> float | None:
    """Spread of fine noise in one part of the wall, heart units; None where fewer than 20 pixels have all their neighbours in it."""
    sizes = fine_detail(case.unit, case.frame.wall & where)
    return None if sizes is None else float(np.sqrt(ENERGY_OF_MEDIAN) * np.median(sizes))


def seam(case: Case) -> float:
    """Mean step along the border of the repainted region that the host does not have, heart units of the host; 0 is right."""
    window = HeartWindow.from_slice(case.host)
    before, after = (window.to_unit(image).astype(np.float64) for image in (case.host.image, case.image))
    return border_step(after - before, case.hidden)


def border_gradient(case: Case) -> float | None:
    """Mean step across the border of the repainted region over the mean step one pixel further in and out; about 1 where nobody cut.

    None where the region has no border with two pixels on either side.
    """
    image, across, beside = case.unit.astype(np.float64), [], []
    for values, hidden in ((image, case.hidden), (image.T, case.hidden.T)):
        a, b, c, d = (hidden[i : len(hidden) - 3 + i] for i in range(4))
        border = (b != c) & (a == b) & (c == d)
        first, second, third, fourth = (values[i : len(hidden) - 3 + i][border] for i in range(4))
        across.append(np.abs(second - third))
        beside += [np.abs(first - second), np.abs(third - fourth)]
    if not sum(part.size for part in across):
        return None
    here, there = float(np.concatenate(across).mean()), float(np.concatenate(beside).mean())
    return here / there if min(here, there) > 0 else None


def edge_sharpness(case: Case) -> float | None:
    """Mean gradient at the scar's border inside the wall, heart units a millimetre; None without such a border."""
    bright, wall = case.scar & ~case.no_reflow, case.frame.wall
    rim = (ndimage.binary_dilation(bright) & ~ndimage.binary_erosion(bright)) & ndimage.binary_erosion(wall)
    if not rim.any():
        return None
    down, right = np.gradient(case.unit.astype(np.float64), *case.frame.spacing_mm)
    return float(np.hypot(down, right)[rim].mean())
