"""Similarity of a synthetic slice to its host (SSIM, RMSE, PSNR), as published. It describes, and higher is not better.

SSIM to the host rewards a generator that paints nothing: the host itself reaches 1, and a bright scar as prescribed costs. In the
published table a generator that draws next to nothing leads (0.974), and the proposed method has 0.587. Read it beside alignment.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from skimage.metrics import structural_similarity

from lgesynthnet.evaluate.cases import Case
from lgesynthnet.records import Image, Mask

MARGIN_MM = 10.0
CLIPPED_AT = 98.0  # percentile over the pixels that are not padding


def scaled(image: Image, host: Image) -> Float[np.ndarray, "rows cols"]:
    """The image in 0 to 1: clipped at the 98th percentile of the host's non-zero pixels. Host and synthetic slice share one scale."""
    present = host[host != 0].astype(np.float64)
    low = min(float(host.min()), 0.0)
    top = float(np.percentile(present, CLIPPED_AT)) if present.size else 0.0
    return np.clip((image.astype(np.float64) - low) / max(top - low, 1e-12), 0.0, 1.0)


def similarity(case: Case) -> dict[str, float | None]:
    """SSIM, RMSE and PSNR (decibels) to the host, over the whole slice and over the heart with a margin of 10 mm.

    The PSNR of equal images is infinite and is None here. A real slice is its own host, so these values mean nothing for it.

    Source: SSIM, Wang et al. (2004), windows of 7 x 7 pixels, data range 1; the paper's Table 1 for the scale.
    """
    image, host = scaled(case.image, case.host.image), scaled(case.host.image, case.host.image)
    box = heart_box(case.frame.wall | case.frame.cavity, case.frame.spacing_mm)
    values: dict[str, float | None] = {}
    for region, ours, reference in (("whole slice", image, host), ("heart", image[box], host[box])):
        error = float(np.sqrt(np.mean((ours - reference) ** 2)))
        values[f"SSIM to host, {region}"] = float(structural_similarity(ours, reference, data_range=1.0))
        values[f"RMSE to host, {region}"] = error
        values[f"PSNR to host, {region}"] = -20.0 * float(np.log10(error)) if error > 0 else None
    return values


def heart_box(heart: Mask, spacing_mm: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns of the heart with a margin of 10 mm, inside the image."""
    [(rows, cols)] = ndimage.find_objects(heart.astype(np.uint8))
    row_range, col_range = (
        slice(max(extent.start - round(MARGIN_MM / spacing), 0), min(extent.stop + round(MARGIN_MM / spacing), size))
        for extent, spacing, size in zip((rows, cols), spacing_mm, heart.shape, strict=True)
    )
    return row_range, col_range
