"""How like its host a painted slice is, pixel by pixel, as published. It is printed because it is published, and it is no merit.

SSIM to the host rewards not painting: the host itself reaches 1, and an obedient bright scar costs. In the published table a generator
that draws next to nothing leads it (0.974) while the method itself has 0.587. Read it beside alignment or not at all.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from skimage.metrics import structural_similarity

from lgesynthnet.evaluate.cases import Case
from lgesynthnet.records import Image, Mask

MARGIN_MM = 10.0
CLIPPED_AT = 98.0  # percentile over pixels that are not padding


def scaled(image: Image, host: Image) -> Float[np.ndarray, "rows cols"]:
    """0 to 1: clipped to the host's 98th percentile over its non-zero pixels; one scale for host and painted slice."""
    present = host[host != 0].astype(np.float64)
    low = min(float(host.min()), 0.0)
    top = float(np.percentile(present, CLIPPED_AT)) if present.size else 0.0
    return np.clip((image.astype(np.float64) - low) / max(top - low, 1e-12), 0.0, 1.0)


def similarity(case: Case) -> dict[str, float | None]:
    """SSIM, RMSE and PSNR (decibels) of the judged image to its host, on the full slice and on the heart with 10 mm round it.

    PSNR of equal images is infinite and comes out as None. Of a real slice, which is its own host, all of this is trivial.
    Source: SSIM, Wang et al. (2004), windows of 7 x 7 pixels, data range 1; the paper's Table 1 for the scale.
    """
    painted, host = scaled(case.image, case.host.image), scaled(case.host.image, case.host.image)
    box = heart_box(case.frame.wall | case.frame.cavity, case.frame.spacing_mm)
    found: dict[str, float | None] = {}
    for where, one, other in (("full", painted, host), ("heart", painted[box], host[box])):
        error = float(np.sqrt(np.mean((one - other) ** 2)))
        found[f"SSIM to host, {where}"] = float(structural_similarity(one, other, data_range=1.0))
        found[f"RMSE to host, {where}"] = error
        found[f"PSNR to host, {where}"] = -20.0 * float(np.log10(error)) if error > 0 else None
    return found


def heart_box(heart: Mask, spacing_mm: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns of the heart and 10 mm round it, inside the image."""
    [(rows, cols)] = ndimage.find_objects(heart.astype(np.uint8))
    grown = [
        slice(max(at.start - round(MARGIN_MM / spacing), 0), min(at.stop + round(MARGIN_MM / spacing), size))
        for at, spacing, size in zip((rows, cols), spacing_mm, heart.shape, strict=True)
    ]
    return grown[0], grown[1]
