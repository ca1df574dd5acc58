"""A DICOM series and what dcm2niix makes of it show the same heart the same way round."""

from __future__ import annotations

import shutil
import subprocess

import nibabel as nib
import numpy as np
import pytest
from dicom_files import patient, save, series

from lgesynthnet.data.cohort import open_images
from lgesynthnet.records import ViewSource

DCM2NIIX = shutil.which("dcm2niix")


@pytest.mark.skipif(DCM2NIIX is None, reason="dcm2niix is not installed")
def test_dcm2niix_stores_rows_bottom_up_and_the_picture_is_the_same(tmp_path):
    who = patient(seed=2)
    save(series(who), tmp_path / "dicom" / "P001")
    out = tmp_path / "nifti"
    out.mkdir()
    subprocess.run([str(DCM2NIIX), "-z", "y", "-b", "n", "-f", "P001", "-o", str(out), str(tmp_path / "dicom" / "P001")], check=True)
    stacks = []
    for root in (tmp_path / "dicom", out):
        cohort = open_images(root)
        stacks.append(cohort.read_image(cohort.cases[0]))
    dicom, nifti = stacks
    assert nifti.view.source is dicom.view.source is ViewSource.AFFINE
    assert nifti.view.flip_rows is not dicom.view.flip_rows  # as the array is stored, the heart would be upside down
    stored = np.asarray(nib.load(next(out.glob("*.nii.gz"))).dataobj).transpose(1, 0, 2)
    assert not np.array_equal(stored, who.image)
    order = slice(None) if nifti.base_first_by_affine is dicom.base_first_by_affine else slice(None, None, -1)
    np.testing.assert_array_equal(nifti.image[:, :, order], dicom.image)
    np.testing.assert_allclose(nifti.spacing_mm, dicom.spacing_mm, rtol=1e-4)
