"""Write a whole stack as NIfTI, image and label with one geometry; for data sets that are made here."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from jaxtyping import Shaped

from lgesynthnet.data.nifti import gzip_bytes
from lgesynthnet.files import write_bytes
from lgesynthnet.records import Stack


def write_stack(stack: Stack, image_path: Path, label_path: Path, *, descrip: str) -> None:
    """Write image (stored dtype) and labels (uint8), file axes (column, row, slice), spacing in pixdim and affine.

    The bytes depend on the stack alone. Folders are made where missing.

    Raises:
        RunError: the files cannot be written.
    """
    affine = np.diag([stack.spacing_mm[1], stack.spacing_mm[0], stack.slice_step_mm, 1.0])
    for path, pixels in ((image_path, stack.image), (label_path, stack.labels.astype(np.uint8))):
        write_bytes(path, gzip_bytes(_nifti(pixels, affine, descrip)))


def _nifti(pixels: Shaped[np.ndarray, "rows cols slices"], affine: np.ndarray, descrip: str) -> bytes:
    image = nib.Nifti1Image(np.ascontiguousarray(pixels.transpose(1, 0, 2)), affine, dtype=pixels.dtype)
    image.header["descrip"] = descrip.encode("ascii", "replace")[:79]
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    return bytes(image.to_bytes())
