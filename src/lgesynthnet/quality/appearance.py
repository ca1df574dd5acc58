"""Appearance of a synthetic slice, which overlap cannot judge: brightness of scar and healed wall, brightness beyond the wall, a seam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.noise import fine_detail
from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.records import Mask

SPILL_FROM = 0.5  # heart units: half of the way from wall to blood
ROUND_CORE_MM = 3.0  # scar within this distance of a no-reflow core is what the core is compared with
LEAST_CORE_PIXELS = 8
LEAST_PIXELS = 20  # of wall on either side, to compare their brightness
# Heart units: noise that differs by less looks the same. It is one grey level of 256 in the usual window. The median slice has noise of
# 0.023 (EMIDEC `train`; 0.013 to 0.056 in nine of ten); a slice that a scanner has smoothed has 0.01 or less in all.
UNSEEN_GRAIN = 0.01
ALONG_PIXELS = 2.0  # standard deviation of the average along the border


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Measured in one synthetic slice against its host, without a segmenter.

    Attributes:
        brightness: mean brightness of the scar without its no-reflow core, in heart units (the host's remote wall at -0.5, its blood at
            +0.5); None where all of the scar is core.
        spill_mm2: area outside the outer border of the wall that became brighter by half a heart unit or more. Scar is in the wall only.
        seam: mean absolute step along the border of the hidden region that the host does not have, heart units. The step is first
            averaged over a few pixels along the border, so that new noise is not a seam.
        core_contrast: mean brightness of the no-reflow core less that of the scar within 3 mm of it, heart units; None where one of the two
            is too small.
        healed_brightness: mean brightness of the wall from which scar was removed less that of the wall which nobody touched, heart
            units; None where nothing was removed, or one of the two is too small.
        healed_grain: mean size of the fine noise in all repainted wall over that in untouched wall, 1 where nobody can see a difference;
            None where nothing was removed, or one of the two is too small.
    """

    brightness: float | None
    spill_mm2: float
    seam: float
    core_contrast: float | None
    healed_brightness: float | None
    healed_grain: float | None


def measure_appearance(sample: SyntheticSample) -> Appearance:
    """Measure one sample; the scale is that of the host."""
    host, frame = sample.host.slice_, sample.host.frame
    window = HeartWindow.from_slice(host)
    before, after = (window.to_unit(image.astype(np.float64)) for image in (host.image, sample.image))
    bright = sample.intended & ~sample.intended_no_reflow
    outer = sample.hidden & ~ndimage.binary_fill_holes(frame.wall | frame.cavity)
    healed, remote = sample.removed & frame.wall & ~sample.intended, frame.wall & ~sample.hidden & ~host.scar
    return Appearance(
        brightness=float(after[bright].mean()) if bright.any() else None,
        spill_mm2=float((outer & (after - before >= SPILL_FROM)).sum() * frame.pixel_mm2),
        seam=border_step(after - before, sample.hidden),
        core_contrast=_core_contrast(sample, after),
        healed_brightness=_brighter(after, healed, remote, LEAST_PIXELS),
        healed_grain=_grain_ratio(after, sample.hidden & frame.wall & ~sample.intended, remote) if healed.any() else None,
    )


def _core_contrast(sample: SyntheticSample, image: Float[np.ndarray, "rows cols"]) -> float | None:
    core = sample.intended_no_reflow
    if not core.any():
        return None
    near = ndimage.distance_transform_edt(~core, sampling=sample.host.frame.spacing_mm) <= ROUND_CORE_MM
    return _brighter(image, core, sample.intended & ~core & near, LEAST_CORE_PIXELS)


def _brighter(image: Float[np.ndarray, "rows cols"], here: Mask, there: Mask, least: int) -> float | None:
    """Difference of the mean brightness of two regions; None where one has fewer pixels than `least`."""
    if min(here.sum(), there.sum()) < least:
        return None
    return float(image[here].mean() - image[there].mean())


def _grain_ratio(image: Float[np.ndarray, "rows cols"], here: Mask, there: Mask) -> float | None:
    """Ratio of the mean sizes of fine noise in two regions, see `Appearance`; None where one is too small or the second has none."""
    fine, compared = fine_detail(image, here), fine_detail(image, there)
    if fine is None or compared is None or not compared.mean() > 0:
        return None
    return 1.0 if abs(fine.mean() - compared.mean()) < UNSEEN_GRAIN else float(fine.mean() / compared.mean())


def border_step(change: Float[np.ndarray, "rows cols"], hidden: Mask) -> float:
    """Mean absolute step along the border of the hidden region, heart units; 0 for an empty region.

    Nothing changes outside the region, so the step is the change of its outermost pixels.

    Args:
        change: image minus host, heart units; 0 outside `hidden`.
    """
    border = hidden & ~ndimage.binary_erosion(hidden, border_value=1)
    if not border.any():
        return 0.0
    weight = ndimage.gaussian_filter(border.astype(np.float64), ALONG_PIXELS)
    smooth = ndimage.gaussian_filter(np.where(border, change, 0.0), ALONG_PIXELS)
    return float(np.abs(smooth[border] / weight[border]).mean())
