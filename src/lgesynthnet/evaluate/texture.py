"""Signs of a pasted region: noise that is finer or coarser than around it, a seam, an edge that is too sharp."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.noise import fine_detail
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.quality.appearance import border_step
from lgesynthnet.records import Mask

VARIANCE_OF_MEDIAN = 2.1981  # variance of normal noise over the squared median of its absolute value


def noise_ratio(case: Case) -> float | None:
    """Noise power (variance) in the wall inside the hidden region over that in the wall outside; 1 where the noise is the same everywhere.

    A magnitude image has less noise where the wall is nulled than where scar is bright. Real slices, with a region around their own
    scar, may therefore lie above 1, and their value is the one to meet. None where one side has too few pixels.
    """
    inside, outside = noise(case, case.hidden), noise(case, ~case.hidden)
    return (inside / outside) ** 2 if inside and outside else None


def noise(case: Case, where: Mask) -> float | None:
    """Standard deviation of the fine noise in one part of the wall, heart units.

    It is estimated from the median absolute value of the high-pass residual, so that edges, which are outliers, do not count. None
    where fewer than 20 pixels have all their neighbours in that part.
    """
    sizes = fine_detail(case.unit, case.frame.wall & where)
    return None if sizes is None else float(np.sqrt(VARIANCE_OF_MEDIAN) * np.median(sizes))


def seam(case: Case) -> float:
    """Mean step along the border of the hidden region that the host does not have, in heart units of the host; 0 is right."""
    window = HeartWindow.from_slice(case.host)
    before, after = (window.to_unit(image).astype(np.float64) for image in (case.host.image, case.image))
    return border_step(after - before, case.hidden)


def border_gradient(case: Case) -> float | None:
    """Mean step across the border of the hidden region over the mean step one pixel further in and out; about 1 without a visible border.

    None where no part of the border has two pixels on either side.
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
    at_border, next_to_it = float(np.concatenate(across).mean()), float(np.concatenate(beside).mean())
    return at_border / next_to_it if min(at_border, next_to_it) > 0 else None


def edge_sharpness(case: Case) -> float | None:
    """Mean gradient at the border of the scar inside the wall, heart units per millimetre; None without such a border."""
    bright, wall = case.scar & ~case.no_reflow, case.frame.wall
    rim = (ndimage.binary_dilation(bright) & ~ndimage.binary_erosion(bright)) & ndimage.binary_erosion(wall)
    if not rim.any():
        return None
    down, right = np.gradient(case.unit.astype(np.float64), *case.frame.spacing_mm)
    return float(np.hypot(down, right)[rim].mean())
